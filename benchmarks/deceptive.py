"""Compares respid with itself without its fast path, for streams that deceive the fast path."""

from dataclasses import replace

from benchmarks.plan import Plan
from benchmarks.results import RATIO, Measured, Row, Table, at_most
from benchmarks.rounds import median, ratio
from benchmarks.servers import running_respid
from benchmarks.streams import STREAMS, Stream, in_turn

MORE_ROUNDS = 2  # for each of the plan: the target is 2 % away
DEPTHS = (1, 16)
LONG = "x" * 120

# Requests that are nearly known, or promise runs that do not come.
DECEPTIVE = {
    "increments change every fourth time": Stream(tuple(f"INCRBY orders {2 + place // 4}" for place in range(80))),
    "increments change each time": STREAMS["INCRBY, increments differ"],
    "increments change each time, every tenth is wrong": Stream(
        tuple(f"INCRBY orders {place % 10 and 2 + place}" for place in range(80)), fails=True
    ),
    "two commands in turn, twice each": Stream(("INCR orders",) * 2 + ("HINCRBY counters orders 2",) * 2),
    "two commands in turn, six times each": Stream(("PING",) * 6 + ("TTL orders",) * 6),
    "two commands in turn, twelve times each": Stream(("GET orders",) * 12 + ("EXISTS orders",) * 12),
    "keys of asterisks": Stream(tuple(f"INCR {'*' * (1 + place * 7 % 90)}" for place in range(90))),
    "long keys": Stream((f"INCR {LONG}", f"GET {LONG}")),
    "EXPIRE with a leading zero": Stream(("INCR orders", "EXPIRE orders 060"), fails=True),
    "SET NX with another value": Stream(("SET orders 1 NX",), fails=True),
    "unknown commands": Stream(("INCRB orders", "GETT orders"), fails=True),
    "unknown commands after a run": Stream(("TTL orders",) * 8 + ("INCRB orders", "GETT orders") * 90, fails=True),
}
AS_FAST = at_most(1.02)


def measure(plan: Plan) -> Measured:
    core, longer = plan.cores.server, replace(plan, rounds=MORE_ROUNDS * plan.rounds)
    rounds, seconds = longer.rounds_of(max(DEPTHS))
    table = Table(
        "Streams that deceive the fast path",
        "CPU time of the server process in microseconds per request, of respid as it is and without its fast path. The "
        f"two take turns, for {rounds} rounds of {seconds * 1000:g} ms each.",
        ("stream", "depth", "as it is", "without", "as it is / without"),
        RATIO,
    )
    with running_respid(core) as whole, running_respid(core, "-m", "benchmarks.without", "fast-path") as lacking:
        for name, stream in DECEPTIVE.items():
            for depth in DEPTHS:
                costs = in_turn(longer, stream, depth, whole, lacking)
                shown = tuple(f"{median(each).server_cpu_us:.2f}" for each in costs)
                table.rows.append(Row((name, str(depth)), shown, ratio(costs[0], costs[1], "server_cpu_us"), AS_FAST))
                plan.say(f"  {name}, depth {depth}: {shown[0]} and {shown[1]} us")
    return Measured((table,))
