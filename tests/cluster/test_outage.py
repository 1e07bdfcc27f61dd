"""Stops the API server, or KEDA, for a while. Needs the cluster's commands that stop and start them."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.cluster.installation import (
    FAILED,
    NO_WORKERS,
    SMALL,
    Client,
    Drawn,
    Namespace,
    Release,
    repeated,
    wait_for,
)
from tests.cluster.test_scaling import KEDA, autoscaling
from tests.support.needed_tools import leave_out

SECONDS = float(os.environ.get("RESPID_TEST_OUTAGE_SECONDS", "60"))


@dataclass(frozen=True)
class Part:
    """A part of the cluster that can be stopped and started, by the commands in two variables."""

    stop: list[str]
    start: list[str]

    @classmethod
    def find(cls, name: str) -> "Part":
        try:
            return cls(*(shlex.split(os.environ[f"RESPID_TEST_{verb}_{name}"]) for verb in ("STOP", "START")))
        except KeyError as error:
            leave_out(f"{error.args[0]} is not set to a command")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        try:
            subprocess.run(self.stop, check=True, stdout=subprocess.DEVNULL)
            yield
        finally:
            subprocess.run(self.start, check=True, stdout=subprocess.DEVNULL)


def _draw_from(release: Release, reserve_seconds: float) -> Client:
    """Installs workers that serve for some seconds without an API server, and draws from them."""
    lease = {"idSpace": release.name, "reserveSeconds": reserve_seconds}
    release.install(SMALL, {"lease": lease, "maxClockLeadSeconds": 2 * reserve_seconds})
    release.wait_for_rollout()
    return Client(release.namespace, release.name, name=release.name.removeprefix("respid-"))


def _draws_again(release: Release, client: Client) -> Drawn:
    """Returns what a client has drawn, once it draws from workers that are all ready."""
    wait_for(lambda: release.ready == 2, "both workers are ready")
    after = client.answered
    wait_for(lambda: client.answered > after + 300, "IDs are drawn after the outage")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.worker_ids == {0, 1}
    assert FAILED not in release.exit_codes
    return drawn


def test_workers_serve_without_an_api_server(namespace: Namespace) -> None:
    """Those of one release have reserved more time than the outage lasts. Those of the other have to stop meanwhile."""
    api_server = Part.find("API_SERVER")
    lasting, short = Release(namespace, "respid-lasting"), Release(namespace, "respid-short")
    clients = _draw_from(lasting, 300 + 2 * SECONDS), _draw_from(short, SECONDS / 2)
    with api_server.away():
        time.sleep(SECONDS)
    served, stopped = _draws_again(lasting, clients[0]), _draws_again(short, clients[1])
    assert not served.was_refused
    assert served.longest_pause < 10
    assert stopped.was_refused
    assert set(stopped.errors) <= NO_WORKERS, stopped.errors


def _is_scaling(release: Release) -> bool:
    """Whether the HPA that KEDA made has a value for its metric."""
    conditions = release.namespace.get("hpa", release.name)["status"]["conditions"]
    return {"ScalingActive": "True"}.items() <= {each["type"]: each["status"] for each in conditions}.items()


def test_the_number_of_workers_stays_without_keda(release: Release) -> None:
    operator = Part.find("KEDA")
    three = KEDA | {"threshold": "5", "queries": {"exhausted": "vector(15)"}}
    release.install(SMALL, autoscaling(keda=three, minReplicas=1))
    wait_for(lambda: release.ready == 3, "the query asks for three workers")
    client = Client(release.namespace, release.name)
    with operator.away():
        wait_for(lambda: not _is_scaling(release), "the HPA has no value")
        time.sleep(SECONDS)  # longer than the stabilization window for scaling down
        assert (release.replicas, release.ready) == (3, 3)
    wait_for(lambda: _is_scaling(release), "the HPA has a value again")
    assert (release.replicas, release.ready) == (3, 3)
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.errors == {}
