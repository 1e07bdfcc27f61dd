"""Whatever happens, no ID is issued twice where the documents promise that, and issuing goes on after all faults.

`RESPID_TEST_HISTORIES` is the number of histories, 1000 by default; a night has time for some millions.
`RESPID_TEST_SEED` is the seed of the first one, and is how to play one again that has failed:
`RESPID_TEST_HISTORIES=1 RESPID_TEST_SEED=4711 scripts/test tests/simulation/test_histories.py`.
"""

import os

import pytest

from tests.simulation.rare_states import Reached
from tests.simulation.swarm import run

HISTORIES = int(os.environ.get("RESPID_TEST_HISTORIES", "1000"))
FIRST_SEED = int(os.environ.get("RESPID_TEST_SEED", "0"))
ENOUGH = 800  # that many histories reach each rare state


@pytest.mark.timeout(1_200 + HISTORIES)
def test_histories_keep_all_promises() -> None:
    reached = Reached()
    failure = run(range(FIRST_SEED, FIRST_SEED + HISTORIES), reached=reached)
    assert failure is None, str(failure)
    if HISTORIES >= ENOUGH:
        assert not reached.missing(), "states that no history has reached"
