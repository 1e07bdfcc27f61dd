"""Four workers in place of one, and then an upgrade of them, under the load of real drivers.

`RESPID_TEST_MOVING=yes` runs it. It takes 5 minutes, and needs what the drivers of `tests/clients` need.
"""

import os

import pytest

from benchmarks.moving import seconds_to_share
from tests.cluster.installation import Release
from tests.cluster.load import KINDS, repeated
from tests.cluster.moving import experiment, scale, upgrade

TARGET_SECONDS = 75  # from "the pod is ready" to "it has 80 % of its fair share"
MOVING = [kind.name for kind in KINDS if kind.moves]


@pytest.mark.skipif("RESPID_TEST_MOVING" not in os.environ, reason="takes long: set RESPID_TEST_MOVING=yes")
def test_traffic_follows_the_workers(release: Release) -> None:
    with experiment(release) as running:
        scaled = running.record(scale, TARGET_SECONDS + 10)
        running.record(upgrade, 10)
    assert repeated(running.programs) == 0
    ready, ready_at = scaled.counts("ready"), scaled.ready_at()
    assert ready_at.keys() == {1, 2, 3}
    for driver in MOVING:  # few connections are spread unevenly, so the new pods are taken together
        followed = seconds_to_share(scaled.counts(driver), ready, ready_at.keys(), max(ready_at.values()))
        assert followed is not None, driver
        assert followed <= TARGET_SECONDS, driver
    for pod, at in ready_at.items():
        followed = seconds_to_share(scaled.total(MOVING), ready, {pod}, at)
        assert followed is not None, pod
        assert followed <= TARGET_SECONDS, pod
    assert {each.kind.name: each.errors[:9] for each in running.programs if each.errors and not each.kind.fails} == {}
    assert [sum(scaled.columns[f"{kind.name} errors"]) for kind in KINDS] == [0] * len(KINDS)
