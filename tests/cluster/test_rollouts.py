"""Replaces, adds and removes workers while a client draws."""

from collections.abc import Callable

import pytest

from tests.cluster.installation import RETRYABLE, SMALL, Client, Release, repeated, wait_for


def _upgrade(release: Release) -> None:
    release.upgrade(SMALL, {"log": {"format": "text"}})


def _upgrade_and_roll_back(release: Release) -> None:
    _upgrade(release)
    release.roll_back()


def _scale_up_and_down(release: Release) -> None:
    release.upgrade(SMALL, {"replicaCount": 4})
    wait_for(lambda: release.ready == 4, "four workers are ready")
    release.upgrade(SMALL, {"replicaCount": 1})
    wait_for(lambda: len(release.pods()) == 1, "one worker is left")


@pytest.mark.parametrize("change", [_upgrade_and_roll_back, _scale_up_and_down])
def test_client_sees_unique_ids_and_retryable_errors(release: Release, change: Callable[[Release], None]) -> None:
    release.install(SMALL)
    release.wait_for_rollout()
    client = Client(release.namespace, release.name)
    change(release)
    after = client.answered
    wait_for(lambda: client.answered > after + 300, "IDs are drawn after it")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert set(drawn.errors) <= RETRYABLE, drawn.errors
    assert drawn.longest_pause < 10


def test_new_workers_get_traffic_of_a_pool(release: Release) -> None:
    """Connections stay with their worker, so the server closes old ones of drivers that reconnect silently."""
    release.install(SMALL, {"replicaCount": 1, "maxConnectionAgeSeconds": 10})
    release.wait_for_rollout()
    client = Client(release.namespace, release.name, driver="redis-py", connections=12, pause=0.02, singles=1)
    release.scale(3)
    wait_for(lambda: release.ready == 3, "three workers are ready")
    new = [f"{release.name}-{number}" for number in (1, 2)]
    wait_for(lambda: all(release.namespace.issued(pod) > 10_000 for pod in new), "the new ones issue their part")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.errors == {}
    assert drawn.worker_ids == {0, 1, 2}
