"""The pace spreads draws over time, whoever asks and when."""

import math

from hypothesis import given
from hypothesis import strategies as st

from respid.check.pace import Pace


@given(st.floats(0.5, 1e6), st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 1)), min_size=1, max_size=50))
def test_average_stays_below_rate(rate: float, draws: list[tuple[int, float]]) -> None:
    pace, now_seconds, begins = Pace(rate), 100.0, list[tuple[float, int]]()
    for ids, pause_seconds in draws:
        now_seconds += pause_seconds
        begins.append((now_seconds + pace.reserve(ids, now_seconds), ids))
    for number, (begin_seconds, _) in enumerate(begins):
        drawn = sum(ids for _, ids in begins[:number])
        assert drawn <= rate * (begin_seconds - begins[0][0]) * 1.000001 + 1e-3


def test_unlimited_pace_never_waits() -> None:
    pace = Pace(math.inf)
    assert [pace.reserve(1 << 30, 0.0) for _ in range(3)] == [0, 0, 0]


def test_idle_time_is_not_saved_up() -> None:
    pace = Pace(10)
    pace.reserve(1, 0.0)
    assert [pace.reserve(10, 100.0), pace.reserve(10, 100.0)] == [0, 1]
