"""Random sessions have the replies of a real redis-server: what drivers send around INCR, cut anywhere.

They mix all requests that `byte_streams` compares one by one, runs, transactions and changes of the mode, so that one
request meets the state that another one has left. `RESPID_TEST_FUZZ_SECONDS` sets how long that goes on.
"""

import os
import re
import time
from collections.abc import Iterator
from random import Random

import pytest

from respid.net.states import Next
from tests.support.byte_streams import COMMANDS, CONSTANTS, STILL_OPEN, request
from tests.support.raw_client import exchange
from tests.support.redis_oracle import running_redis
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

SECONDS = float(os.environ.get("RESPID_TEST_FUZZ_SECONDS", "1"))
DRAWN = 10**17  # so that the counters of the oracle have as many digits as IDs
# Intended differences, which `byte_streams` lists; the numbers of keys, of which the oracle has more; messages to a
# client that tracks keys and draws IDs; and a few requests that change the oracle for all others.
LEFT_OUT = re.compile(
    r"^(SELECT -?[0-9]|SELECT 0[0-9]|KEYS|DBSIZE|RANDOMKEY|SCAN|POST|Host|GET / |QUIT|AUTH|CLIENT LIST|CLUSTER RESET)"
    r"|nobody|HELLO .*AUTH|BCAST|CLIENT TRACKING ON$",
    re.IGNORECASE,
)
SINGLE = sorted(
    {each for stream in COMMANDS + CONSTANTS for each in stream.name.split("; ") if not LEFT_OUT.search(each)}
)
DRAWING = ["INCR n", "incr n", "INCRBY n 1", "INCRBY n 7", "HINCRBY nh f 1", "HINCRBY nh f 3", "INCRBYFLOAT nf 1"]
KNOWN = ["PING", "ping", "GET missing", "EXISTS c", "EXISTS c c", "TTL c", "PTTL c", "TYPE c", "TOUCH c"]
KNOWN += ["EXPIRE c 10 XX", "SETNX c 1", "SET c 0 NX"]
MODES = ["MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "RESET", "HELLO 2", "HELLO 3", "WATCH k", "UNWATCH", "BOGUS"]
MODES += ["CLIENT REPLY SKIP", "CLIENT REPLY OFF", "CLIENT REPLY ON", "CLIENT REPLY ON", "SELECT 0", "INCR"]
MODES += ["CLIENT TRACKING ON OPTIN", "CLIENT TRACKING OFF", "CLIENT CACHING YES"]
NUMBERS = re.compile(rb"([:(])[0-9]{15,}|\$[0-9]+\r\n[0-9]{15,}")  # IDs and the oracle's counters
OWN_MEMBERS = re.compile(rb"(\r\nversion\r\n)\$[0-9]+\r\n[^\r]+|(\r\nid\r\n):[0-9]+")
MODULES = re.compile(rb"(\r\nmodules\r\n)\*[1-9]\r\n.*?\r\nargs\r\n\*0", re.DOTALL)


@pytest.fixture(scope="module")
def oracle_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_redis(tmp_path_factory.mktemp("redis")) as port:
        counters = [request("SET", name, str(DRAWN)) for name in ("c", "n", "nf")]
        hashes = [request("HSET", "h", "f", "1"), request("HSET", "nh", "f", str(DRAWN))]
        exchange(port, *counters, *hashes)
        yield port


def stretch(random: Random) -> list[str]:
    times = random.choice([1, 1, 1, 2, 3, 5, 17])
    match random.choice("ddkkmmbtst"):
        case "d":
            return [random.choice(DRAWING)] * times
        case "k":
            return [random.choice(KNOWN)] * times
        case "m":
            return random.sample(DRAWING + KNOWN, 3) * times
        case "b":
            return ["MULTI", *random.sample(DRAWING + KNOWN, 2) * times, "EXEC"]
        case "t":
            return [random.choice(MODES)]
        case _:
            return [random.choice(SINGLE)]


def session(random: Random) -> list[bytes]:
    """Returns the reads of one client."""
    commands = [command for _ in range(random.choice([3, 8, 20, 40])) for command in stretch(random)]
    words = [["" if word == "''" else word for word in command.split(" ")] for command in commands]
    sent = b"".join([request(*each) for each in words]) + STILL_OPEN
    ends = sorted(random.randrange(1, len(sent)) for _ in range(random.choice([0, 1, 3, 10])))
    if random.random() < 0.3:
        ends = list(range(0, len(sent), random.choice([1, 7, 64, 512, 1448])))[1:]
    return [sent[start:end] for start, end in zip([0, *ends], [*ends, len(sent)], strict=True)]


def answer(reads: list[bytes]) -> bytes:
    clock = ScriptedClock()
    connection, output = connect(start_worker(clock)), b""
    for read in reads:
        output += connection.receive(read)
        while connection.next in (Next.WAIT, Next.TURN):
            clock.pass_ms(1)
            output += connection.resume()
    return output


def comparable(replies: bytes) -> bytes:
    return MODULES.sub(rb"\1*0", OWN_MEMBERS.sub(rb"\1\2", NUMBERS.sub(rb"\1ID", replies)))


def test_random_sessions_match_redis(oracle_port: int) -> None:
    seed = Random().randrange(10**9)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed += 1
        reads = session(Random(seed))
        expected = exchange(oracle_port, *reads)
        assert comparable(answer(reads)) == comparable(expected), (seed, reads)
