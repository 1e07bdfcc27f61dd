"""Sets the clock of one pod with libfaketime, while a client draws from all pods."""

import time

import pytest

from respid.ids.layout import Layout
from tests.cluster.installation import FAILED, RETRYABLE, SMALL, Client, Drawn, Release, repeated, wait_for
from tests.support.faked_clock import faketime_library

HOUR = 3600
CONFIRM_SECONDS = 30  # long enough to look, on a busy machine, before a step is followed
# Draws from the pod itself, not through the Service.
DRAW = "import socket; s = socket.create_connection(('127.0.0.1', 6379)); s.sendall(b'INCR a\\r\\n'); print(s.recv(99))"
# Each reading of the clock reads the offset again; a pod without the file has the node's clock.
FAKETIME = {
    "LD_PRELOAD": "/faketime/libfaketime.so.1",
    "FAKETIME_TIMESTAMP_FILE": "/clock/offset",
    "FAKETIME_NO_CACHE": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}


@pytest.fixture
def values(release: Release) -> dict[str, object]:
    """Values for workers whose clocks can be set one by one."""
    library = faketime_library()
    release.namespace.create_files("faketime", {library.name: library.read_bytes()})
    return {
        "clockJumpConfirmSeconds": CONFIRM_SECONDS,
        # A worker that is restarted is ahead of its clock by up to reserveSeconds.
        "lease": {"idSpace": "default", "reserveSeconds": 40},
        "extraEnv": [{"name": name, "value": value} for name, value in FAKETIME.items()],
        "extraVolumes": [{"name": "faketime", "configMap": {"name": "faketime"}}, {"name": "clock", "emptyDir": {}}],
        "extraVolumeMounts": [
            {"name": "faketime", "mountPath": "/faketime"},
            {"name": "clock", "mountPath": "/clock"},
        ],
    }


class Worker:
    """A pod whose clock can be set."""

    def __init__(self, release: Release, name: str) -> None:
        self._namespace, self._name = release.namespace, name

    def set_clock(self, seconds: int) -> None:
        script = f"echo {seconds:+d} > /clock/new && mv /clock/new /clock/offset"  # atomic: nobody reads a part of it
        self._namespace.kubectl("exec", self._name, "--", "sh", "-c", script)

    def steps(self, direction: str) -> int:
        """Returns the number of clock steps that it has noticed."""
        return self._namespace.metric(self._name, f'id_generator_clock_steps_total{{direction="{direction}"}}')

    @property
    def followed(self) -> int:
        """How often it has followed its clock after a step forward."""
        return self._namespace.log(self._name).count('"clock_step_confirmed"')

    def goes_on(self) -> bool:
        """Whether it issues IDs within a second."""
        before = self._namespace.issued(self._name)
        time.sleep(1)
        return self._namespace.issued(self._name) > before

    @property
    def ready(self) -> bool:
        conditions = self._namespace.get("pod", self._name)["status"]["conditions"]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_clock_set_in_one_pod_repeats_no_id(release: Release, values: dict[str, object]) -> None:
    release.install(SMALL, values)
    release.wait_for_rollout()
    client = Client(release.namespace, release.name)
    stepped, other = Worker(release, "respid-0"), Worker(release, "respid-1")

    stepped.set_clock(-HOUR // 12)  # less than maxClockLeadSeconds: IDs lead the clock
    wait_for(lambda: stepped.steps("back") == 1, "the step is noticed")
    wait_for(stepped.goes_on, "it goes on")

    stepped.set_clock(-HOUR)  # more: its IDs would have a wrong time
    wait_for(lambda: not stepped.ready, "it is not ready")
    with pytest.raises(AssertionError, match="clock"):
        release.namespace.kubectl("exec", "respid-0", "--", "respid", "healthcheck")
    assert "LOADING" in release.namespace.kubectl("exec", "respid-0", "--", "python", "-c", DRAW)
    assert not stepped.goes_on()
    wait_for(other.goes_on, "the other worker goes on")
    stepped.set_clock(0)
    wait_for(lambda: stepped.ready, "it is ready once its clock is right")
    assert stepped.followed == 0, "a step that only reverts the step back is followed at once"
    wait_for(stepped.goes_on, "it is drawn from again")

    stepped.set_clock(HOUR)
    wait_for(lambda: stepped.steps("forward") == 2, "the step is noticed")
    wait_for(stepped.goes_on, "it goes on")
    assert stepped.followed == 0
    wait_for(lambda: stepped.followed == 1, "it is followed once it has lasted")
    wait_for(lambda: stepped.ready, "it is ready")
    wait_for(stepped.goes_on, "it goes on")

    drawn = client.finish()
    assert repeated(drawn) == 0
    assert set(drawn.errors) <= RETRYABLE, drawn.errors
    assert drawn.worker_ids == {0, 1}
    assert _ids_lead(drawn, 0) > HOUR - 60 > 60 > _ids_lead(drawn, 1), "only the clock of one pod was set"
    assert FAILED not in release.exit_codes


def _ids_lead(drawn: Drawn, worker: int) -> float:
    """Returns the seconds by which the last ID of a worker is ahead of the clock."""
    last = max(last for _, last in drawn.spans if last >> 12 & 1023 == worker)
    return Layout().decompose(last).timestamp_ms / 1000 - time.time()
