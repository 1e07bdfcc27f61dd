"""The rounds in which servers take turns, and what the figures of the rounds say together.

Many short rounds tell more than few long ones. What else a machine does changes within tens of milliseconds, so two
short rounds that follow each other see the same machine, and their ratio hardly depends on it. These are the ranges of
the ratio of two processes of the same respid, INCR at a depth of 1 on a busy machine. All took equally long:

| rounds | throughput | CPU time |
|---|---:|---:|
| 6 of 0.3 s | 0.73 to 1.20 | 0.83 to 1.36 |
| 15 of 0.12 s | 0.99 to 1.07 | 0.94 to 1.01 |
| 45 of 0.04 s | 0.98 to 1.04 | 0.96 to 1.00 |
| 90 of 0.02 s | 0.99 to 1.02 | 0.98 to 1.01 |
"""

import math
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from benchmarks.machine import at_real_time_priority
from benchmarks.plan import LIMIT_PER_SECOND
from benchmarks.results import Estimate, Target

LIMIT_SHARE = 0.98  # of the layout's limit: enough for each target for throughput
DOUBT = 0.05  # the share of intervals that may miss the true median
CORES = "the share of its core that each server used. If it was not full, the sender or the layout was the bottleneck."
REST_SHARE = 0.1  # of a round, before it: Linux takes 5 % of each second from programs at real-time priority for others
FULL_CORE = 0.95  # share of a core from which the server is the bottleneck, not the sender


class Cost(NamedTuple):
    """The result of one round. Only those of a steady sender have latencies."""

    requests_per_second: float
    server_cpu_us: float  # per request
    p50_ms: float = 0
    p99_ms: float = 0
    p999_ms: float = 0


class Sender(Protocol):
    """Sends requests to one server, on connections that stay open from round to round."""

    @property
    def processes(self) -> tuple[int, ...]: ...  # of the server, and of the load unless it is this one

    def send_for(self, seconds: float) -> Cost: ...


def taking_turns(senders: Sequence[Sender], rounds: int, seconds: float) -> list[list[Cost]]:
    """Lets the senders take turns (A B, B A, A B …), undisturbed by other programs. Returns the costs of each."""
    costs: list[list[Cost]] = [[] for _ in senders]
    turns = list(zip(senders, costs, strict=True))
    for _ in range(rounds):
        for sender, its_costs in turns:
            time.sleep(REST_SHARE * seconds)
            with at_real_time_priority(*sender.processes):
                its_costs.append(sender.send_for(seconds))
        turns.reverse()  # so that none gains by its place in a round
    return costs


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the medians of all figures."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def estimate(values: Sequence[float], doubt: float = DOUBT) -> Estimate:
    """Returns the median, and the interval of the sign test around it. It assumes nothing about the distribution.

    Each value is as likely to be above the true median as below it, so the number of those below it is that of heads
    among thrown coins. Too few values for the wanted confidence give an interval from the least to the greatest.
    """
    ordered = sorted(values)
    left_out, tail = 0, 2 / 2 ** len(ordered)  # at each end, and the doubt about what is left
    while tail + 2 * math.comb(len(ordered), left_out + 1) / 2 ** len(ordered) <= doubt:
        left_out += 1
        tail += 2 * math.comb(len(ordered), left_out) / 2 ** len(ordered)
    return Estimate(statistics.median(ordered), ordered[left_out], ordered[-1 - left_out])


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost], name: str, doubt: float = DOUBT) -> Estimate:
    """Returns one field of ours divided by that of theirs: the estimate from the ratios of the rounds.

    This is not the ratio of the medians. A machine that is slower for a while slows both rounds of a pair, but perhaps
    only one of the medians.
    """
    return estimate([getattr(our, name) / getattr(their, name) for our, their in zip(ours, theirs, strict=True)], doubt)


def throughput(
    ours: Sequence[Cost], theirs: Sequence[Cost], target: Target | None, limit: float = LIMIT_PER_SECOND
) -> Estimate:
    """Returns the ratio of the rates. 98 % of the layout's limit, in requests per second, meets each target.

    Without a target, nothing needs to be met, and the ratio is that of the measured rates.
    """
    enough = LIMIT_SHARE * limit / target.bound if target else math.inf
    capped = [their._replace(requests_per_second=min(their.requests_per_second, enough)) for their in theirs]
    return ratio(ours, capped, "requests_per_second")


def server_core(costs: Sequence[Cost]) -> str:
    """Returns the share of its core that the server used, marked if the server was not the bottleneck."""
    share = statistics.median(cost.requests_per_second * cost.server_cpu_us / 1e6 for cost in costs)
    return f"{share:.0%}{' (not full)' if share < FULL_CORE else ''}".replace("%", " %")


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the smallest value that at least `percent` % of the values do not exceed."""
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]
