"""Workers replaced, added and taken away while a client draws."""

from collections.abc import Callable

import pytest
from installation import RETRYABLE, SMALL, Client, Release, repeated, wait_for


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
def test_a_client_sees_no_id_twice_and_only_errors_to_retry(
    release: Release, change: Callable[[Release], None]
) -> None:
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
