"""A real Kubernetes API server: the one that KUBECONFIG names, else one with an etcd of its own on this machine."""

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from ssl import CERT_NONE, create_default_context

from needed_tools import need_tool
from running import free_port

TOKEN = "test-token"
STRANGER = "strangers-token"  # of a user without any right


@contextlib.contextmanager
def running_api_server(directory: Path) -> Iterator[Path]:
    """Gives the path of a kubeconfig."""
    if "KUBECONFIG" in os.environ:
        yield Path(os.environ["KUBECONFIG"])
        return
    etcd, api_server, openssl = (need_tool(name) for name in ("etcd", "kube-apiserver", "openssl"))
    port, etcd_url, peer_url = free_port(), f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    key = directory / "service-account.key"
    subprocess.run([openssl, "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    (directory / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n{STRANGER},stranger,2\n')
    etcd_command = f"--data-dir={directory}/etcd --listen-client-urls={etcd_url} --advertise-client-urls={etcd_url}"
    etcd_command += f" --listen-peer-urls={peer_url}"
    api_server_command = f"--etcd-servers={etcd_url} --bind-address=127.0.0.1 --secure-port={port}"
    api_server_command += f" --cert-dir={directory} --token-auth-file={directory}/tokens.csv --authorization-mode=RBAC"
    api_server_command += f" --service-account-key-file={key} --service-account-signing-key-file={key}"
    api_server_command += " --service-account-issuer=https://kubernetes.default.svc"
    api_server_command += " --service-cluster-ip-range=10.96.0.0/16"
    with contextlib.ExitStack() as stack:
        for command in ([etcd, *etcd_command.split()], [api_server, *api_server_command.split()]):
            with (directory / "log").open("a") as log:
                process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.kill)
        _wait_until_ready(port, directory / "log")
        yield write_kubeconfig(directory / "kubeconfig", f"https://127.0.0.1:{port}", TOKEN)


def write_kubeconfig(path: Path, server: str, token: str) -> Path:
    path.write_text(f"""\
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{server}", insecure-skip-tls-verify: true}}}}]
users: [{{name: test, user: {{token: {token}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]
current-context: test
""")
    return path


def _wait_until_ready(port: int, log: Path) -> None:
    context = create_default_context()
    context.check_hostname, context.verify_mode = False, CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, context=context, timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError(f"the API server is not ready: {log.read_text()[-2000:]}")
