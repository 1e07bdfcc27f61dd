"""The tables of recordings of a cluster."""

from pathlib import Path

from benchmarks.moving import Recording, read, render, seconds_to_share, table, write
from tests.cluster.load import KINDS

DOCS = Path(__file__).parents[2] / "docs"
READY = [(1, 0)] * 3 + [(1, 1)] * 12
# The second pod gets a third of the IDs from second 6, and half of them from second 9.
COUNTS = [(30, 0)] * 6 + [(20, 10)] * 3 + [(15, 15)] * 6


def recording() -> Recording:
    columns = {"seconds": list(range(len(READY)))}
    columns |= {f"ready {pod}": [each[pod] for each in READY] for pod in range(2)}
    for name, errors in (("go-redis", 0), ("Jedis", 2)):
        columns |= {f"{name} {pod}": [each[pod] for each in COUNTS] for pod in range(2)}
        columns[f"{name} errors"] = [errors] + [0] * (len(READY) - 1)
    return Recording(columns)


def test_share_counts_from_readiness_over_a_window() -> None:
    # The window from second 6 to 10 has (20 * 3 + 15 * 2, 10 * 3 + 15 * 2) IDs: 40 % are the second pod's.
    assert seconds_to_share(COUNTS, READY, {1}, 3) == 11 - 3


def test_share_of_four_fifths_is_enough() -> None:
    ready = [(1, 1)] * 9
    assert seconds_to_share([(60, 40)] * 9, ready, {1}, 2) == 1
    assert seconds_to_share([(61, 39)] * 9, ready, {1}, 2) is None
    assert seconds_to_share([(0, 0)] * 9, ready, {1}, 2) is None


def test_fair_share_is_that_of_the_ready_pods() -> None:
    ready = [(1, 1, 0)] * 5 + [(1, 1, 1)] * 5
    assert seconds_to_share([(7, 3, 0)] * 10, ready, {1}, 1) == 5, "a third is less than a half"
    assert seconds_to_share([(1, 1, 1)] * 10, ready, {1, 2}, 5) == 1


def test_pods_that_were_ready_all_the_time_are_not_new() -> None:
    assert recording().ready_at() == {1: 3}


def test_pod_that_was_replaced_is_new() -> None:
    again = {"ready 0": [1, 1, 0, 0, 1], "ready 1": [0, 1, 1, 0, 1]}
    assert Recording(again).ready_at() == {0: 4, 1: 4}


def test_table_has_a_row_for_each_driver_and_the_mix() -> None:
    assert table(recording(), ["go-redis"]).splitlines()[2:] == [
        "| go-redis | 8 s | 8 s | 0 | 60 %, 40 % |",
        "| Jedis | 8 s | 8 s | 2 | 60 %, 40 % |",
        "| all that move | 8 s | 8 s | 0 | 60 %, 40 % |",
    ]


def test_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "recording.csv", recording())
    assert read(tmp_path / "recording.csv") == recording()


def test_page_shows_what_was_recorded() -> None:
    recorded = read(DOCS / "scale-out.csv")
    assert (DOCS / "scale-out.svg").read_text() == render(recorded)
    assert table(recorded, [kind.name for kind in KINDS if kind.moves]) in (DOCS / "scaling.md").read_text()
