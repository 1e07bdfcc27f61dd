"""Runs a real Kubernetes API server with an etcd on this machine."""

import base64
import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from ssl import CERT_NONE, create_default_context

from benchmarks.ports import free_port
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS, wait_until

TOKEN = "test-token"
UNPRIVILEGED_TOKEN = "unprivileged-token"  # of a user without any permission
ISSUER = "https://kubernetes.default.svc"
LEEWAY_SECONDS = 60  # for so long, API servers accept a token after its end


class ApiServer:
    """A kube-apiserver that can be stopped, restarted and frozen, while its etcd keeps running."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        etcd_url, peer_url = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        etcd, api_server, openssl = (need_tool(name) for name in ("etcd", "kube-apiserver", "openssl"))
        self._signing_key = key = directory / "service-account.key"
        subprocess.run([openssl, "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (directory / "tokens.csv").write_text(
            f'{TOKEN},admin,1,"system:masters"\n{UNPRIVILEGED_TOKEN},unprivileged,2\n'
        )
        etcd_options = f"--data-dir={directory}/etcd --listen-client-urls={etcd_url} --advertise-client-urls={etcd_url}"
        etcd_options += f" --listen-peer-urls={peer_url}"
        options = f"--etcd-servers={etcd_url} --bind-address=127.0.0.1 --secure-port={self._port}"
        options += f" --cert-dir={directory} --token-auth-file={directory}/tokens.csv --authorization-mode=RBAC"
        options += f" --service-account-key-file={key} --service-account-signing-key-file={key}"
        options += f" --service-account-issuer={ISSUER} --service-cluster-ip-range=10.96.0.0/16"
        self._command = [api_server, *options.split()]
        self._etcd = self._run([etcd, *etcd_options.split()])
        self.url = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = write_kubeconfig(directory / "kubeconfig", self.url, TOKEN)
        self.start()

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        self._process = self._run(self._command)
        try:
            log = self._directory / "log"
            wait_until(lambda: _is_ready(self._port), explain=lambda: log.read_text()[-2000:])
        except AssertionError:
            self.end()
            raise

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def accepts(self, token: str) -> bool:
        """Whether a token is valid. One that was is remembered for 10 s. Raises OSError if there is no clear answer."""
        try:
            _ask_readiness(self._port, token)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.UNAUTHORIZED:
                raise
            return False
        return True

    def expiring_token(self, account: str, uid: str, seconds: int) -> str:
        """Returns a token of a service account in the namespace default that is accepted for so many seconds."""
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": f"system:serviceaccount:default:{account}",
            "exp": int(time.time()) + seconds - LEEWAY_SECONDS,
            "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": account, "uid": uid}},
        }
        content = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims))
        sign = [need_tool("openssl"), "dgst", "-sha256", "-sign", str(self._signing_key)]
        signature = subprocess.run(sign, input=content.encode(), check=True, capture_output=True).stdout
        return f"{content}.{_encoded(signature)}"

    def end(self) -> None:
        self.stop()
        self._etcd.kill()
        self._etcd.wait()

    def _run(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


@contextlib.contextmanager
def running_api_server(directory: Path) -> Iterator[ApiServer]:
    server = ApiServer(directory)
    try:
        yield server
    finally:
        server.end()


def write_kubeconfig(path: Path, server: str, token: str, *, token_file: Path | None = None) -> Path:
    """Writes a kubeconfig for a user with this token, or with the token in a file."""
    user = f"token: {token}" if token_file is None else f'tokenFile: "{token_file}"'
    path.write_text(f"""\
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{server}", insecure-skip-tls-verify: true}}}}]
users: [{{name: test, user: {{{user}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]
current-context: test
""")
    return path


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _is_ready(port: int) -> bool:
    with contextlib.suppress(OSError):
        _ask_readiness(port, TOKEN)
        return True
    return False


def _ask_readiness(port: int, token: str) -> None:
    """Raises OSError, as HTTPError if the API server refuses the token or is not ready."""
    context = create_default_context()
    context.check_hostname, context.verify_mode = False, CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, context=context, timeout=WAIT_SECONDS):
        pass
