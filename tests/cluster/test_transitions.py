"""Changes what decides which IDs the workers issue, while a client and `respid check` draw.

`RESPID_TEST_TRANSITIONS` is the number of random transitions, 4 by default, and `RESPID_TEST_SEED` chooses them. With
`RESPID_TEST_TRANSITIONS_SECONDS` they go on until so much time has passed.
"""

import itertools
import json
import logging
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.cluster.check_pod import CheckPod
from tests.cluster.installation import BY_FORCE, SMALL, WAIT_SECONDS, Client, Release, Values, repeated, wait_for

TRANSITIONS = int(os.environ.get("RESPID_TEST_TRANSITIONS", "4"))
SECONDS = float(os.environ.get("RESPID_TEST_TRANSITIONS_SECONDS", "0"))
SEED = int(os.environ.get("RESPID_TEST_SEED", secrets.randbelow(10**9)))
RESERVE_SECONDS = 40  # a Lease that could not be given up is free after as long
MOST_WORKERS = 4
# In a rollback that takes the running pods' permission to write, each pod may wait for the Lease of another.
ROLLOUT_SECONDS = WAIT_SECONDS + MOST_WORKERS * RESERVE_SECONDS
LIMIT_SECONDS = max(1800, WAIT_SECONDS + 120 * TRANSITIONS + SECONDS + ROLLOUT_SECONDS)
_log = logging.getLogger(__name__)


def draws_on(client: Client) -> None:
    answered = client.answered
    wait_for(lambda: client.answered > answered + 100, "the client goes on to draw")


def stop_all(release: Release) -> None:
    release.scale(0)
    # The chart asks the StatefulSet, which may know later.
    wait_for(lambda: not (release.pods() or release.created), "all workers have stopped")


def wait_for_reason(release: Release, reason: str) -> None:
    """Waits until pod 1 says why it waits."""
    wait_for(lambda: reason in release.namespace.kubectl("logs", "respid-1"), "the log says why it waits")
    wait_for(lambda: reason in release.namespace.kubectl("get", "events"), "an Event says why it waits")


def assert_second_revision_goes_on(release: Release, client: Client, worker_ids: set[int]) -> None:
    """Goes back to the second revision, after which the client has drawn from these workers, and no ID twice."""
    release.namespace.helm("rollback", release.name, "2")
    release.wait_for_rollout()
    draws_on(client)
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.worker_ids == worker_ids


def test_rollback_to_another_offset_waits_and_says_why(release: Release) -> None:
    release.install(SMALL, {"workerIdOffset": 0})
    release.wait_for_rollout()
    stop_all(release)
    release.upgrade(SMALL, {"workerIdOffset": 1})
    client = Client(release.namespace, release.name)

    release.namespace.helm("rollback", release.name, "1")  # pod 1 was worker 2, and becomes worker 1, which pod 0 is
    reason = "is held by pod respid-0"
    wait_for_reason(release, reason)
    with pytest.raises(AssertionError, match=reason):
        release.namespace.kubectl("exec", "respid-1", "--", "respid", "healthcheck")
    draws_on(client)

    assert_second_revision_goes_on(release, client, {1, 2})


def test_rollback_to_another_layout_and_id_space_waits_and_says_why(release: Release) -> None:
    lease = {"idSpace": "former", "reserveSeconds": RESERVE_SECONDS}
    release.install(SMALL, {"layout": "41/11/11", "lease": lease})
    release.wait_for_rollout()
    stop_all(release)
    release.upgrade(SMALL, {"acceptLayoutChange": True})
    client = Client(release.namespace, release.name)

    release.namespace.helm("rollback", release.name, "1")
    wait_for_reason(release, "layout 41/10/12@1704067200000 is in use by pod respid-0")
    draws_on(client)

    assert_second_revision_goes_on(release, client, {0, 1})


@dataclass
class Operator:
    """Changes a release at random, as a person may who follows the documents, or only partly does."""

    release: Release
    random: random.Random
    has_restarted_all: bool = False  # since the last action

    def act(self) -> str:
        """Does one thing, waits until all workers are ready, and returns its name."""
        self.has_restarted_all = False
        action: Callable[[], None] = self.random.choice(
            [
                self.upgrade,
                self.scale,
                self.move,
                self.roll_back,
                self.roll_back_far,
                self.restart,
                self.install_again,
                self.delete_pod,
                self.kill_pod,
            ]
        )
        action()
        try:
            wait_for(self._is_ready, f"all workers are ready after {action.__name__}", seconds=ROLLOUT_SECONDS)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.describe()])) from None
        return action.__name__

    def describe(self) -> list[str]:
        """Where the release stands, to find out why it is not ready, or why a client gets no ID."""
        namespace = self.release.namespace
        holders = "custom-columns=NAME:.metadata.name,HOLDER:.spec.holderIdentity,SECONDS:.spec.leaseDurationSeconds"
        return [
            *self._logs(),
            namespace.kubectl("get", "pods,statefulset,endpointslices", "-o", "wide"),
            namespace.kubectl("get", "leases", "-o", holders),
            self._reach(),
        ]

    def _reach(self) -> str:
        """What a new connection of the client's pod meets."""
        connect = f"import socket; print(socket.create_connection(({self.release.name!r}, 6379), 5))"
        try:
            return self.release.namespace.kubectl("exec", "client", "--", "python", "-c", connect)
        except AssertionError as error:
            return str(error)

    def upgrade(self) -> None:
        self._upgrade(log={"format": self.random.choice(["text", "json"])})

    def scale(self) -> None:
        self._upgrade(replicaCount=self._some_workers())

    def move(self) -> None:
        """Stops all workers and gives them another offset, another ID space, or both, and another number."""
        stop_all(self.release)
        self._upgrade(
            workerIdOffset=self.random.randrange(3),
            lease={"idSpace": self.random.choice(["default", "other"]), "reserveSeconds": RESERVE_SECONDS},
            replicaCount=self._some_workers(),
        )

    def roll_back(self) -> None:
        """Rolls back whatever the last change was. A rollout that has to wait is ended by stopping all workers."""
        self._roll_back_to(self._revisions()[-2:-1])

    def roll_back_far(self) -> None:
        """Rolls back over any number of changes."""
        self._roll_back_to(self._revisions()[:-1])

    def restart(self) -> None:
        self.release.namespace.kubectl("rollout", "restart", f"statefulset/{self.release.name}")

    def install_again(self) -> None:
        """The marks survive, because the Leases are no part of the release."""
        values = self._values()
        self.release.uninstall()
        self.release.install(values)

    def delete_pod(self) -> None:
        self.release.namespace.kubectl("delete", self._some_pod(), "--wait=false", "--ignore-not-found")

    def kill_pod(self) -> None:
        pod = self._some_pod()
        self.release.namespace.kubectl("delete", pod, *BY_FORCE, "--ignore-not-found")

    def _some_pod(self) -> str:
        return self.random.choice(self.release.pods())

    def _some_workers(self) -> int:
        return self.random.randrange(1, MOST_WORKERS + 1)

    def _revisions(self) -> list[int]:
        history = json.loads(self.release.namespace.helm("history", self.release.name, "--output", "json"))
        return [int(each["revision"]) for each in history]

    def _roll_back_to(self, revisions: Sequence[int]) -> None:
        if not revisions:
            return
        self.release.namespace.helm("rollback", self.release.name, str(self.random.choice(revisions)))
        if self.random.random() < 0.5:
            self._restart_all()

    def _restart_all(self) -> None:
        replicas = self.release.replicas
        try:
            stop_all(self.release)
        finally:
            self.release.scale(replicas)

    def _values(self) -> Values:
        current: Values = json.loads(
            self.release.namespace.helm("get", "values", self.release.name, "--output", "json")
        )
        return current

    def _upgrade(self, **values: object) -> None:
        self.release._put("upgrade", self._values(), values)

    def _is_ready(self) -> bool:
        release = self.release
        if 0 < release.replicas == release.ready == len(release.pods()):
            return True
        if not self.has_restarted_all and any("is held by pod" in each for each in self._logs()):
            # Not again: each start has to see for a whole reservation that a Lease does not change.
            self.has_restarted_all = True
            self._restart_all()
        return False

    def _logs(self) -> list[str]:
        return [self.release.namespace.kubectl("logs", pod, "--tail=20") for pod in self.release.pods()]


def longest_silence(answered: Sequence[int]) -> int:
    """The most seconds in a row without an answer, from the number of answers at the end of each second."""
    return max((len(list(same)) - 1 for _, same in itertools.groupby(answered)), default=0)


@pytest.mark.timeout(LIMIT_SECONDS)
def test_random_transitions_repeat_no_id(release: Release) -> None:
    operator = Operator(release, random.Random(SEED))
    release.install(SMALL, {"lease": {"idSpace": "default", "reserveSeconds": RESERVE_SECONDS}})
    release.wait_for_rollout()
    client = Client(release.namespace, release.name, pause=0.2)
    check = CheckPod(release, MOST_WORKERS)
    began, actions = time.monotonic(), list[str]()
    while len(actions) < TRANSITIONS or time.monotonic() - began < SECONDS:
        before, acted = len(client.answered_by_second), time.monotonic()
        actions.append(operator.act())
        ready_seconds = time.monotonic() - acted
        try:
            draws_on(client)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), f"seed {SEED}: {actions}", *operator.describe()])) from None
        silence = longest_silence(client.answered_by_second[before:])
        _log.info("%d: %s, ready after %.0f s, no ID for %d s", len(actions), actions[-1], ready_seconds, silence)
    checked, drawn = check.finish(), client.finish()
    ids = sum(last - first + 1 for first, last in drawn.spans)
    _log.info("seed %d, %.0f s: %s", SEED, time.monotonic() - began, dict(Counter(actions)))
    _log.info("client: %d IDs, no ID for %.0f s at most, errors %s", ids, drawn.longest_pause, drawn.errors)
    _log.info("respid check: %s", checked)
    assert repeated(drawn) == 0, f"seed {SEED}: {actions}"
    assert checked["ids"] > 0
    assert not checked["failures"], f"seed {SEED}: {actions}"
