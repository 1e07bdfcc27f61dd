"""The rounds in which servers take turns, and what the figures of the rounds say together.

Many short rounds tell more than few long ones. What else a machine does changes slowly, so two rounds that follow each
other within a second see the same machine, and their ratio hardly depends on it. These are the standard deviations of
32 ratios of two processes of the same respid, in four streams on a busy machine. Both ways took equally long:

| | throughput | CPU time | p99.9 |
|---|---:|---:|---:|
| 3 rounds of 0.6 s with connections of their own | 5.4 % | 5.6 % | 21 % |
| 15 rounds of 0.12 s | 2.7 % | 2.0 % | 5 % |
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
REST_SHARE = 0.1  # of a round, before it: Linux takes 5 % of each second from programs at real-time priority for others
FULL_CORE = 0.95  # share of a core from which the sender may be the bottleneck, not the server


class Cost(NamedTuple):
    """The result of one round. Those of redis-benchmark have no latencies."""

    requests_per_second: float
    server_cpu_us: float  # per request
    load_core: float  # the share of a core that the sender used
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


def load_core(costs: Sequence[Cost]) -> str:
    """Returns the share of its core that the sender used, marked as full if it may have been the bottleneck."""
    share = median(costs).load_core
    return f"{share:.0%}{' (full)' if share >= FULL_CORE else ''}".replace("%", " %")


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the smallest value that at least `percent` % of the values do not exceed."""
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]
