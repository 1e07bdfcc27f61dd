"""Servers whose Kubernetes API server is stopped, frozen, slow or refuses: the lease store from the outside.

`RESPID_TEST_OUTAGE_SECONDS` is how long the API server stays away at least.
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

from tests.support.drawer import Drawer
from tests.support.kubernetes_api_server import ApiServer, write_kubeconfig
from tests.support.needed_tools import need_tool
from tests.support.outage import FAILURES, READY, through_an_outage
from tests.support.proxy import proxy
from tests.support.running import RunningServer, StartServer, wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(300)]
OUTAGE_SECONDS = float(os.environ.get("RESPID_TEST_OUTAGE_SECONDS", "8"))
REMAINING = "id_generator_reservation_remaining_seconds"
_numbers = itertools.count(time.time_ns() // 1_000_000)
StartPod = Callable[..., RunningServer]


@pytest.fixture
def start_pod(start_server: StartServer, api_server: ApiServer) -> StartPod:
    """Starts a server as pod respid-3, in a space of its own unless told another."""
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


def test_an_api_server_that_is_away_is_an_outage_until_it_is_back(start_pod: StartPod, api_server: ApiServer) -> None:
    server = start_pod()
    through_an_outage(server, api_server.stop, api_server.start, "does not answer", OUTAGE_SECONDS)
    assert server.stop() == 0


def test_an_api_server_that_hangs_is_an_outage_until_it_goes_on(start_pod: StartPod, api_server: ApiServer) -> None:
    server = start_pod()
    through_an_outage(server, api_server.freeze, api_server.thaw, "did not answer within 5 s", OUTAGE_SECONDS)
    assert server.stop() == 0


def test_an_outage_that_is_shorter_than_the_reservation_is_not_noticed_by_clients(
    start_pod: StartPod, api_server: ApiServer
) -> None:
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
def test_an_api_server_that_is_away_does_not_hold_up_a_stop(
    start_pod: StartPod, api_server: ApiServer, how: str
) -> None:
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


def test_a_slow_api_server_costs_nothing_while_it_answers_within_the_time_limit(
    start_pod: StartPod, api_server: ApiServer, tmp_path: Path
) -> None:
    port = int(api_server.url.rpartition(":")[2])
    with proxy(port, delay_seconds=1) as proxy_port:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", f"https://127.0.0.1:{proxy_port}", "test-token")
        server = start_pod(kubeconfig, reserve="16")
        drawer = Drawer(server.port)
        time.sleep(20)
        assert server.metric(READY) == 1
        assert server.metric(FAILURES) == 0
        assert drawer.finish()
        assert not drawer.refusals
        assert server.stop() == 0


def test_a_token_that_is_replaced_is_read_again_when_the_old_one_is_no_longer_good(
    start_pod: StartPod, api_server: ApiServer, kubectl: Callable[..., str], account: str, tmp_path: Path
) -> None:
    def write_token(secret: str) -> None:
        """As the kubelet does; a token ends with what it is bound to."""
        kubectl(f"create secret generic {secret}")
        token = kubectl(f"create token {account} --bound-object-kind=Secret --bound-object-name={secret}")
        (tmp_path / "new").write_text(token)
        (tmp_path / "new").replace(tmp_path / "token")

    write_token(f"{account}-first")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, "", token_file=tmp_path / "token")
    server = start_pod(kubeconfig)
    drawer = Drawer(server.port)
    first = (tmp_path / "token").read_text()
    write_token(f"{account}-second")
    assert (tmp_path / "token").read_text() != first
    kubectl(f"delete secret {account}-first")
    time.sleep(15)  # tokens that were good are not looked at again for 10 s
    assert _is_refused(api_server, first)
    assert server.metric(READY) == 1
    assert drawer.finish()
    assert not drawer.refusals
    assert server.metric(FAILURES) == 0

    kubectl(f"delete secret {account}-second")
    wait_until(lambda: server.metric(READY) == 0, seconds=30)
    wait_until(lambda: "answers 401 to update Lease" in server.get("/readyz")[1])
    (tmp_path / "token").unlink()
    wait_until(lambda: "Token file" in server.get("/readyz")[1])
    write_token(f"{account}-third")
    wait_until(lambda: server.metric(READY) == 1)
    assert server.stop() == 0


def _is_refused(api_server: ApiServer, token: str) -> bool:
    command = [need_tool("kubectl"), "--kubeconfig=/dev/null", f"--server={api_server.url}", f"--token={token}"]
    command += ["--insecure-skip-tls-verify", "get", "leases"]
    return "Unauthorized" in subprocess.run(command, check=False, capture_output=True, text=True).stderr


@pytest.mark.parametrize("missing", ["get", "create", "update"])
def test_the_right_that_is_missing_is_named_and_it_goes_on_once_it_is_given(
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
    told = (
        f"the service account may not {missing} leases.coordination.k8s.io in namespace default:"
        " its Role needs the verbs get, list, create and update"
    )
    wait_until(lambda: told in server.log)
    assert told in server.get("/readyz")[1]
    assert len(re.findall("may not", server.log)) == 1
    permit("get", "list", "create", "update")
    wait_until(lambda: server.metric(READY) == 1)
    assert server.stop() == 0


def test_a_worker_that_may_not_list_serves_and_says_what_it_does_not_know(
    start_pod: StartPod, api_server: ApiServer, kubectl: Callable[..., str], account: str, tmp_path: Path
) -> None:
    rules = [{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "create", "update"]}]
    kubectl(f"patch role {account} --type=json -p {json.dumps(rules, separators=(',', ':'))}")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api_server.url, kubectl(f"create token {account}"))
    server = start_pod(kubeconfig)
    assert server.metric(READY) == 1
    assert server.log.count("the service account may not list leases.coordination.k8s.io") == 1
    assert server.stop() == 0
