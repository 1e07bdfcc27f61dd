"""Servers whose Kubernetes API server is stopped, frozen, slow or refuses: the lease store from the outside.

`RESPID_TEST_OUTAGE_SECONDS` is the minimum duration of an outage.
"""

import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.drawer import Drawer, are_disjoint_and_rising
from tests.support.kubernetes_api_server import ApiServer, write_kubeconfig
from tests.support.needed_tools import need_tool
from tests.support.outage import FAILURES, READY, through_an_outage
from tests.support.proxy import proxy
from tests.support.running import RunningServer, StartServer, wait_until

pytestmark = pytest.mark.kubernetes
OUTAGE_SECONDS = float(os.environ.get("RESPID_TEST_OUTAGE_SECONDS", "8"))
REMAINING = "id_generator_reservation_remaining_seconds"
_numbers = itertools.count(time.time_ns() // 1_000_000)
StartPod = Callable[..., RunningServer]


@pytest.fixture
def start_pod(start_server: StartServer, api_server: ApiServer) -> StartPod:
    """Starts a server as pod respid-3, by default in an ID space of its own."""
    own_space = f"outage-{next(_numbers)}"

    def start(
        kubeconfig: Path | None = None, *, space: str = own_space, reserve: str = "4", wait: bool = True
    ) -> RunningServer:
        options = ["--store", "lease", "--lease-id-space", space, "--reserve", reserve]
        variables = {"KUBECONFIG": str(kubeconfig or api_server.kubeconfig), "POD_NAME": "respid-3"}
        return start_server(*options, worker_id=None, wait=wait, **variables)

    return start


@pytest.fixture
def kubectl(api_server: ApiServer) -> Callable[..., str]:
    program = need_tool("kubectl")

    def run(arguments: str) -> str:
        command = [program, "--kubeconfig", str(api_server.kubeconfig), *arguments.split()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def account(kubectl: Callable[..., str]) -> Iterator[str]:
    """A service account with exactly the rights that respid needs."""
    name = f"respid-{next(_numbers)}"
    kubectl(f"create serviceaccount {name}")
    kubectl(f"create role {name} --verb=get,list,create,update --resource=leases.coordination.k8s.io")
    kubectl(f"create rolebinding {name} --role={name} --serviceaccount=default:{name}")
    yield name
    kubectl(f"delete serviceaccount,role,rolebinding {name}")


def test_stopped_api_server_is_outage_until_back(start_pod: StartPod, api_server: ApiServer) -> None:
    server = start_pod()
    through_an_outage(server, api_server.stop, api_server.start, "does not answer", OUTAGE_SECONDS)
    assert server.stop() == 0


def test_hung_api_server_is_outage_until_resumed(start_pod: StartPod, api_server: ApiServer) -> None:
    server = start_pod()
    through_an_outage(server, api_server.freeze, api_server.thaw, "did not answer within 5 s", OUTAGE_SECONDS)
    assert server.stop() == 0


def test_clients_do_not_notice_short_outage(start_pod: StartPod, api_server: ApiServer) -> None:
    server = start_pod(reserve="60")
    drawer = Drawer(server.port)
    wait_until(lambda: server.metric(REMAINING) < 58)
    api_server.stop()
    time.sleep(1)
    api_server.start()
    assert drawer.finish()
    assert not drawer.refusals
    assert server.stop() == 0


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_stopped_api_server_does_not_delay_stop(start_pod: StartPod, api_server: ApiServer, how: str) -> None:
    server = start_pod(reserve="60")
    drawer = Drawer(server.port)
    wait_until(lambda: drawer.spans)
    drawn = drawer.finish()
    if how == "stop":
        api_server.stop()
    else:
        api_server.freeze()
    began = time.monotonic()
    assert server.stop() == 0
    took_seconds = time.monotonic() - began
    if how == "stop":
        api_server.start()
    else:
        api_server.thaw()
    assert took_seconds < 12
    assert "the high-water mark" in server.log.splitlines()[-2]
    successor = start_pod(reserve="60")
    after = Drawer(successor.port)
    wait_until(lambda: after.spans)
    assert after.finish()[0][0] > drawn[-1][1]
    assert successor.stop() == 0


def test_slow_api_server_does_not_affect_clients(start_pod: StartPod, api_server: ApiServer, tmp_path: Path) -> None:
    port = int(api_server.url.rpartition(":")[2])
    with proxy(port, delay_seconds=1) as proxy_port:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", f"https://127.0.0.1:{proxy_port}", "test-token")
        server = start_pod(kubeconfig, reserve="40")  # half of it is longer than a busy machine stands still
        drawer = Drawer(server.port)
        remaining: list[float] = []

        def is_extended() -> bool:
            remaining.append(server.metric(REMAINING))
            return remaining[-1] > min(remaining) + 5

        wait_until(is_extended)
        assert server.metric(READY) == 1
        assert drawer.finish()
        assert not drawer.refusals
        assert server.stop() == 0


def test_reloads_replaced_token(
    start_pod: StartPod, api_server: ApiServer, kubectl: Callable[..., str], account: str, tmp_path: Path
) -> None:
    def write_token(secret: str) -> None:
        """Replaces the token; it is valid as long as the object that it is bound to exists."""
        kubectl(f"create secret generic {secret}")
        _replace(
            tmp_path / "token",
            kubectl(f"create token {account} --bound-object-kind=Secret --bound-object-name={secret}"),
        )

    write_token(f"{account}-first")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, "", token_file=tmp_path / "token")
    server = start_pod(kubeconfig)
    drawer = Drawer(server.port)
    first = (tmp_path / "token").read_text()
    write_token(f"{account}-second")
    assert (tmp_path / "token").read_text() != first
    kubectl(f"delete secret {account}-first")
    time.sleep(15)  # the API server caches valid tokens for 10 s
    assert not api_server.accepts(first)
    assert api_server.accepts((tmp_path / "token").read_text())
    assert server.metric(READY) == 1
    assert drawer.finish()
    assert not drawer.refusals
    assert server.metric(FAILURES) == 0

    kubectl(f"delete secret {account}-second")
    wait_until(lambda: server.metric(READY) == 0)
    wait_until(lambda: "answers 401 to update Lease" in server.get("/readyz")[1])
    (tmp_path / "token").unlink()
    wait_until(lambda: "Token file" in server.get("/readyz")[1])
    write_token(f"{account}-third")
    wait_until(lambda: server.metric(READY) == 1)
    assert server.stop() == 0


def test_expired_token_stops_worker_at_its_ceiling(
    start_pod: StartPod, api_server: ApiServer, kubectl: Callable[..., str], account: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, "", token_file=token)
    server = start_pod(kubeconfig, reserve="16", wait=False)
    wait_until(lambda: f"Token file {token} not found" in server.log)
    uid = kubectl(f"get serviceaccount {account} --output=jsonpath={{.metadata.uid}}")
    # Long enough to become ready on a busy machine; then half of the reserve is left when the first extension fails.
    _replace(token, api_server.expiring_token(account, uid, seconds=20))
    wait_until(lambda: server.metric(READY) == 1)
    reason = "answers 401 to update Lease"
    wait_until(lambda: reason in server.log)
    drawer = Drawer(server.port)
    wait_until(lambda: drawer.refusals)
    assert drawer.spans, "it issues IDs up to its ceiling"
    assert server.metric(READY) == 0
    wait_until(lambda: reason in server.get("/readyz")[1])  # on a busy machine, some retries time out
    wait_until(lambda: "has expired" in server.get("/readyz")[1])

    _replace(token, kubectl(f"create token {account}"))
    wait_until(lambda: server.metric(READY) == 1)
    drawn = len(drawer.spans)
    wait_until(lambda: len(drawer.spans) > drawn)
    assert are_disjoint_and_rising([[drawer.finish()]])
    assert server.stop() == 0


def _replace(token: Path, content: str) -> None:
    """Replaces the token in a file at once, as the kubelet does."""
    new = token.with_name("new")
    new.write_text(content)
    new.replace(token)


@pytest.mark.parametrize("missing", ["get", "create", "update"])
def test_resumes_once_missing_permission_is_granted(
    start_pod: StartPod,
    api_server: ApiServer,
    kubectl: Callable[..., str],
    account: str,
    tmp_path: Path,
    *,
    missing: str,
) -> None:
    if missing == "update":
        assert start_pod().stop() == 0

    def permit(*verbs: str) -> None:
        rules = [{"op": "replace", "path": "/rules/0/verbs", "value": verbs}]
        kubectl(f"patch role {account} --type=json -p {json.dumps(rules, separators=(',', ':'))}")

    permit(*{"get", "list", "create", "update"} - {missing})
    token = kubectl(f"create token {account}")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, token)
    server = start_pod(kubeconfig, wait=False)
    told = f"the service account may not {missing} Lease"
    wait_until(lambda: told in server.log)
    assert told in server.get("/readyz")[1]
    assert len(re.findall("may not", server.log)) == 1
    permit("get", "list", "create", "update")
    wait_until(lambda: server.metric(READY) == 1)
    assert server.stop() == 0


def test_serves_without_permission_to_list(
    start_pod: StartPod, api_server: ApiServer, kubectl: Callable[..., str], account: str, tmp_path: Path
) -> None:
    rules = [{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "create", "update"]}]
    kubectl(f"patch role {account} --type=json -p {json.dumps(rules, separators=(',', ':'))}")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, kubectl(f"create token {account}"))
    server = start_pod(kubeconfig)
    assert server.metric(READY) == 1
    assert server.log.count("the service account may not list Leases in namespace default") == 1
    assert server.stop() == 0
