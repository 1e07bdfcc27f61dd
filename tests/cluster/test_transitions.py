"""Changes what decides which IDs the workers issue, while a client draws.

`RESPID_TEST_TRANSITIONS` is the number of random transitions, 4 by default, and `RESPID_TEST_SEED` chooses them.
"""

import json
import logging
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster.installation import SMALL, Client, Release, repeated, wait_for

TRANSITIONS = int(os.environ.get("RESPID_TEST_TRANSITIONS", "4"))
SEED = int(os.environ.get("RESPID_TEST_SEED", secrets.randbelow(10**9)))
SECONDS = 240 + 120 * TRANSITIONS
RESERVE_SECONDS = 40  # a Lease that could not be given up is free after as long
_log = logging.getLogger(__name__)


def draws_on(client: Client) -> None:
    answered = client.answered
    wait_for(lambda: client.answered > answered + 100, "the client goes on to draw")


def stop_all(release: Release) -> None:
    release.scale(0)
    wait_for(lambda: not release.pods(), "all workers have stopped")


def test_rollback_to_another_offset_waits_and_says_why(release: Release) -> None:
    release.install(SMALL, {"workerIdOffset": 0})
    release.wait_for_rollout()
    stop_all(release)
    release.upgrade(SMALL, {"workerIdOffset": 1})
    client = Client(release.namespace, release.name)

    release.namespace.helm("rollback", release.name, "1")  # pod 1 was worker 2, and becomes worker 1, which pod 0 is
    reason = "is held by pod respid-0"
    wait_for(lambda: reason in release.namespace.kubectl("logs", "respid-1"), "the log says why it waits")
    wait_for(lambda: reason in release.namespace.kubectl("get", "events"), "an Event says why it waits")
    with pytest.raises(AssertionError, match=reason):
        release.namespace.kubectl("exec", "respid-1", "--", "respid", "healthcheck")
    draws_on(client)

    release.namespace.helm("rollback", release.name, "2")
    release.wait_for_rollout()
    draws_on(client)
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.worker_ids == {1, 2}


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
            [self.upgrade, self.scale, self.move, self.roll_back, self.delete_pod, self.kill_pod]
        )
        action()
        try:
            wait_for(self._is_ready, f"all workers are ready after {action.__name__}")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.describe()])) from None
        return action.__name__

    def describe(self) -> list[str]:
        """Where the release stands, to find out why it is not ready."""
        namespace = self.release.namespace
        holders = "custom-columns=NAME:.metadata.name,HOLDER:.spec.holderIdentity,SECONDS:.spec.leaseDurationSeconds"
        return [
            *self._logs(),
            namespace.kubectl("get", "pods,statefulset"),
            namespace.kubectl("get", "leases", "-o", holders),
        ]

    def upgrade(self) -> None:
        self._upgrade(log={"format": self.random.choice(["text", "json"])})

    def scale(self) -> None:
        self._upgrade(replicaCount=self.random.randrange(1, 5))

    def move(self) -> None:
        """Stops all workers and gives them another offset or another ID space."""
        stop_all(self.release)
        self._upgrade(
            workerIdOffset=self.random.randrange(3),
            lease={"idSpace": self.random.choice(["default", "other"]), "reserveSeconds": RESERVE_SECONDS},
        )

    def roll_back(self) -> None:
        """Rolls back whatever the last change was. A rollout that has to wait is ended by stopping all workers."""
        history = self.release.namespace.helm("history", self.release.name, "--output", "json").count('"revision"')
        if history == 1:
            return
        self.release.namespace.helm("rollback", self.release.name)
        if self.random.random() < 0.5:
            return
        self._restart_all()

    def _restart_all(self) -> None:
        replicas = self.release.replicas
        stop_all(self.release)
        self.release.scale(replicas)

    def delete_pod(self) -> None:
        self.release.namespace.kubectl("delete", self.random.choice(self.release.pods()), "--wait=false")

    def kill_pod(self) -> None:
        pod = self.random.choice(self.release.pods())
        self.release.namespace.kubectl("delete", pod, "--force", "--grace-period=0")

    def _upgrade(self, **values: object) -> None:
        current = self.release.namespace.helm("get", "values", self.release.name, "--output", "json")
        self.release._put("upgrade", json.loads(current), values)

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


@pytest.mark.timeout(SECONDS)
def test_random_transitions_repeat_no_id(release: Release) -> None:
    operator = Operator(release, random.Random(SEED))
    release.install(SMALL, {"lease": {"idSpace": "default", "reserveSeconds": RESERVE_SECONDS}})
    release.wait_for_rollout()
    client = Client(release.namespace, release.name)
    actions = []
    for _ in range(TRANSITIONS):
        actions.append(operator.act())
        _log.info("%d: %s", len(actions), actions[-1])
        try:
            draws_on(client)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), f"seed {SEED}: {actions}", *operator.describe()])) from None
    drawn = client.finish()
    assert repeated(drawn) == 0, f"seed {SEED}: {actions}"
