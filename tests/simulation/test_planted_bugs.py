"""The simulation can fail: it finds each of these bugs when it is planted."""

import pytest

from tests.simulation.plants import ALL, PlantedBug
from tests.simulation.swarm import run

ATTEMPTS = 1200  # histories in which a bug must show


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("planted", ALL, ids=lambda planted: planted.name)
def test_planted_bug_is_found(planted: PlantedBug, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.bug(monkeypatch)
    assert run(range(ATTEMPTS), planted.stores, planted.faults, is_shortened=False) is not None
