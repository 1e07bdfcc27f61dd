"""The order of rounds, and what their figures say together."""

import os
import random
import time
from collections.abc import Sequence

import pytest

from benchmarks.results import Estimate, Target, at_least
from benchmarks.rounds import Cost, estimate, median, percentile, ratio, server_core, taking_turns, throughput


def costs(*rates: float) -> list[Cost]:
    return [Cost(rate, 1) for rate in rates]


class Sender:
    processes = ()

    def __init__(self, name: str, sent: list[str]) -> None:
        self.name = name
        self.sent = sent

    def send_for(self, seconds: float) -> Cost:
        self.sent.append(self.name)
        return Cost(len(self.sent), seconds)


def test_neighbouring_rounds_change_places() -> None:
    sent = list[str]()
    ours, theirs = taking_turns([Sender("A", sent), Sender("B", sent)], 3, 0.1)
    assert "".join(sent) == "ABBAAB"
    assert [cost.requests_per_second for cost in ours] == [1, 4, 5]
    assert [cost.requests_per_second for cost in theirs] == [2, 3, 6]


def test_others_may_run_between_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or Linux would stop a round for them: it takes 5 % of each second from programs at real-time priority."""
    rests = list[float]()

    def sleep(seconds: float) -> None:
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        rests.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    taking_turns([Sender("A", [])], 3, 0.4)
    assert sum(rests) >= 3 * 0.4 * 0.05 / 0.95


def test_median_ignores_one_bad_round() -> None:
    assert median(costs(900, 1, 1000)).requests_per_second == 900


def test_ratio_compares_neighbouring_rounds() -> None:
    ours, theirs = costs(100, 50, 50), costs(50, 50, 25)  # twice as fast in the same rounds, except for one
    assert ratio(ours, theirs, "requests_per_second") == Estimate(2, 1, 2)


@pytest.mark.parametrize(
    ("rounds", "doubt", "ends"),
    [
        (1, 0.05, (0, 0)),
        (5, 0.05, (0, 4)),
        (6, 0.05, (0, 5)),
        (15, 0.05, (3, 11)),
        (45, 0.05, (15, 29)),
        (15, 0.001, (1, 13)),
    ],
)
def test_interval_is_that_of_the_sign_test(rounds: int, doubt: float, ends: tuple[int, int]) -> None:
    """Its ends are in tables of the confidence interval of a median, such as that of Conover."""
    values = [float(value) for value in range(rounds)]
    random.Random(1).shuffle(values)
    assert estimate(values, doubt) == ((rounds - 1) / 2, *ends)


@pytest.mark.parametrize("doubt", [0.05, 0.001])
def test_interval_rarely_misses_the_true_median(doubt: float) -> None:
    """The ratios of rounds on a busy machine: some are far off."""
    source = random.Random(2)
    runs = [
        estimate([source.lognormvariate(0, source.choice((0.01, 1))) for _ in range(15)], doubt) for _ in range(2000)
    ]
    assert sum(not run.low <= 1 <= run.high for run in runs) <= 2000 * doubt * 1.2


@pytest.mark.parametrize(
    ("ours", "theirs", "target", "expected"),
    [
        (4_090_000, 1_000_000, at_least(3.5), 4.09),
        (4_090_000, 1_228_000, at_least(3.5), 4_090_000 / (4_096_000 * 0.98 / 3.5)),  # 3.33 x, at 99.9 % of the limit
        (3_000_000, 1_000_000, at_least(3.5), 3),
        (4_000_000, 6_000_000, at_least(0.8), 4 / 5.0176),  # 98 % of the limit would be 0.8 x
        (4_014_080, 8_028_160, None, 0.5),
    ],
)
def test_share_of_the_limit_meets_each_target(
    ours: float, theirs: float, target: Target | None, expected: float
) -> None:
    assert throughput(costs(ours), costs(theirs), target).middle == pytest.approx(expected)


def test_blocks_have_a_limit_of_their_own() -> None:
    assert throughput(costs(40_000), costs(900_000), at_least(1), limit=40_000).middle == pytest.approx(1 / 0.98)


def test_server_that_is_not_the_bottleneck_is_marked() -> None:
    assert server_core(costs(980_000)) == "98 %"
    assert server_core(costs(500_000)) == "50 % (not full)"


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [(range(1, 101), 0, 1), (range(1, 101), 50, 50), (range(1, 101), 99, 99), (range(1, 101), 100, 100), ([7], 99, 7)],
)
def test_percentile_is_a_measured_value(values: Sequence[float], percent: float, expected: float) -> None:
    assert percentile(sorted(values, reverse=True), percent) == expected
