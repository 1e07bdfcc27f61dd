"""Scales a release out and in again and again under the load of real drivers, and kills pods while connections move.

`RESPID_TEST_CYCLES_SECONDS` runs it for so long, and `RESPID_TEST_SEED` chooses the pods. It needs what the drivers of
`tests/clients` need.
"""

import logging
import os
import random
import secrets
import time
from collections import Counter

import pytest

from tests.cluster import load
from tests.cluster.container import Container
from tests.cluster.installation import BY_FORCE, Release, wait_for
from tests.cluster.moving import WORKERS, Experiment, experiment

SECONDS = float(os.environ.get("RESPID_TEST_CYCLES_SECONDS", "0"))
SEED = int(os.environ.get("RESPID_TEST_SEED", secrets.randbelow(10**9)))
POOLS = "4"  # of each driver: a load that a small machine bears for an hour
OUT_SECONDS = 75  # within which connections move to new workers
IN_SECONDS = 20
SILENT = frozenset(kind.name for kind in load.KINDS if not kind.fails)
STUCK_AFTER_A_KILL = {"node-redis with none"}  # a client that has moved cannot reconnect
_log = logging.getLogger(__name__)


class Cycles:
    """Scales the release of an experiment, and kills one of its pods in every second cycle."""

    def __init__(self, running: Experiment) -> None:
        self._programs, self._release = running.programs, running.release
        self._random = random.Random(SEED)
        self._silent = SILENT
        self.count = 0

    def turn(self) -> None:
        """Scales out and in. Raises AssertionError if clients see an error that no killed pod explains."""
        self.count += 1
        began_at = time.time()
        self._scale(WORKERS)
        ready_at = time.time()
        killed = self._kill_during_the_moves() if self.count % 2 == 0 else "no pod"
        time.sleep(max(0, ready_at + OUT_SECONDS - time.time()))
        out_errors = self._errors_since(began_at)
        restarts = [f"{end['reason']} {end['exitCode']} at {end['finishedAt']}" for end in self._release.ends]
        scaled_in_at = time.time()
        self._scale(1)
        time.sleep(IN_SECONDS)
        in_errors = self._errors_since(scaled_in_at)
        what = f"seed {SEED}, cycle {self.count}, killed {killed}: ready after {ready_at - began_at:.0f} s"
        what += f", errors {out_errors} and {in_errors}, restarts {restarts}, load {os.getloadavg()}"
        _log.info("%s", what)
        assert not in_errors, what
        assert not out_errors or killed != "no pod", what

    def _scale(self, workers: int) -> None:
        self._release.scale(workers)
        wait_for(lambda: self._release.ready == workers == len(self._release.pods()), f"{workers} workers are ready")

    def _kill_during_the_moves(self) -> str:
        """Returns the name of the pod."""
        time.sleep(self._random.uniform(5, OUT_SECONDS / 2))
        self._silent -= STUCK_AFTER_A_KILL
        pod = self._random.choice(self._release.pods()).removeprefix("pod/")
        before = self._incarnation(pod)
        if self._random.random() < 0.5:
            Container(self._release.namespace, pod).kill()
        else:
            self._release.namespace.kubectl("delete", "pod", pod, *BY_FORCE)
        wait_for(lambda: self._incarnation(pod) != before, "the pod starts again")
        wait_for(lambda: self._release.ready == WORKERS, "the workers are ready again")
        return pod

    def _incarnation(self, pod: str) -> tuple[str, int]:
        """The pod's UID and how often its container was restarted."""
        found = self._release.namespace.get("pod", pod)
        statuses = found["status"].get("containerStatuses", [])
        return found["metadata"]["uid"], sum(each["restartCount"] for each in statuses)

    def _errors_since(self, begin: float) -> dict[str, Counter[str]]:
        """Those of drivers whose users see none when workers start and stop."""
        silent = (each for each in self._programs if each.kind.name in self._silent)
        found = {each.kind.name: each.errors_between(begin, time.time()) for each in silent}
        return {name: errors for name, errors in found.items() if errors}


@pytest.mark.timeout(SECONDS + 1800)
@pytest.mark.skipif(not SECONDS, reason="takes long: set RESPID_TEST_CYCLES_SECONDS")
def test_scaling_out_and_in_repeats_no_id(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(load.SIZES, "POOLS", POOLS)
    began = time.monotonic()
    with experiment(release) as running:
        cycles = Cycles(running)
        while time.monotonic() - began < SECONDS:
            cycles.turn()
    ids = {each.kind.name: len(each.ids) for each in running.programs}
    _log.info("seed %d: %d cycles, IDs %s", SEED, cycles.count, ids)
    assert load.repeated(running.programs) == 0
