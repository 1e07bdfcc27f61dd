"""Random sessions have the replies of a real redis-server: what drivers send around INCR, cut anywhere.

They mix all requests that `byte_streams` compares one by one, runs, transactions and changes of the mode, so that one
request meets the state that another one has left. The number of drawn IDs and the statistics are compared, too: both
paths of respid could agree and be wrong. Other sessions have damaged headers. `RESPID_TEST_FUZZ_SECONDS` sets how long
that goes on.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from respid.ids.layout import Layout
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
# N and H are keys that count, with fields F; K and L are only read, which matters to a client that tracks keys; M is
# missing.
DRAWING = ["INCR N", "incr N", "INCRBY N 1", "INCRBY N 7", "INCRBY N 100", "HINCRBY H F 1", "HINCRBY H F 3"]
DRAWING += ["INCRBYFLOAT N 1", "INCRBYFLOAT N 1.0"]
KNOWN = ["PING", "ping", "GET M", "EXISTS K", "EXISTS K K", "TTL K", "PTTL K", "TYPE K", "TOUCH K", "HEXISTS L F"]
KNOWN += ["EXPIRE K 10 XX", "PEXPIRE K 10000 XX", "SETNX K 1", "SET K 0 NX", "set K 0 nx"]
MODES = ["MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "RESET", "HELLO 2", "HELLO 3", "WATCH k", "UNWATCH", "BOGUS"]
MODES += ["CLIENT REPLY SKIP", "CLIENT REPLY OFF", "CLIENT REPLY ON", "CLIENT REPLY ON", "SELECT 0", "INCR"]
MODES += ["CLIENT TRACKING ON OPTIN", "CLIENT TRACKING OFF", "CLIENT CACHING YES", "INCRBY N x", "EXPIRE K x"]
ENDS = [b"", b"", b"", b"7", b"\r\n", b"*", b"$1\r\n1", b"x" * 8, b"x" * 9, b"x" * 98, b"x" * 99, request("INCR", "a")]
NUMBERS = re.compile(rb"([:(])[0-9]{15,}|\$[0-9]+\r\n[0-9]{15,}")  # IDs and the oracle's counters
OWN_MEMBERS = re.compile(rb"(\r\nversion\r\n)\$[0-9]+\r\n[^\r]+|(\r\nid\r\n):[0-9]+")
MODULES = re.compile(rb"(\r\nmodules\r\n)\*[1-9]\r\n.*?\r\nargs\r\n\*0", re.DOTALL)
STATISTICS = re.compile(rb"cmdstat_([^:]+):calls=([0-9]+),.*,rejected_calls=([0-9]+),failed_calls=([0-9]+)")
ERRORS = re.compile(rb"errorstat_([^:]+):count=([0-9]+)")
# Damaged requests reach other keys, also those of another type, or ones that the oracle does not have, or add fractions
# to them; DISCARD becomes SCARD.
SPOILING = re.compile(r"GET|TYPE|SET |INCRBYFLOAT|DISCARD", re.IGNORECASE)
DAMAGED = [each for each in DRAWING + MODES + KNOWN if not SPOILING.match(each)]
ANY_NUMBER = re.compile(rb"[:(](?:-?[0-9]+|ID)|\$[0-9]+\r\n[0-9]+(?=\r\n)|ID(?=\r\n)|-WRONGTYPE [^\r]+")
ABOVE_LIMITS = re.compile(rb"[*$]-?[0-9]{4}")
KEY_ENDS = list(dict.fromkeys(ENDS))
COUNTERS = request("MGET", *[b"N" + end for end in KEY_ENDS])
COUNTERS += b"".join([request("HVALS", b"H" + end) for end in KEY_ENDS])


@pytest.fixture(scope="module")
def oracle_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_oracle(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(scope="module")
def spoilt_oracle_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Damaged requests change its keys."""
    with running_oracle(tmp_path_factory.mktemp("redis")) as port:
        yield port


@contextlib.contextmanager
def running_oracle(directory: Path) -> Iterator[int]:
    with running_redis(directory) as port:
        counters = [request("SET", name, str(DRAWN)) for name in (b"c", *[b"N" + end for end in KEY_ENDS])]
        others = [request("SET", b"K" + end, "1") for end in KEY_ENDS]
        fields = [each for end in KEY_ENDS for each in (b"F" + end, str(DRAWN))]
        hashes = [request("HSET", name + end, *fields) for name in (b"H", b"L") for end in KEY_ENDS]
        exchange(port, *counters, *others, *hashes, request("HSET", "h", "f", "1"))
        yield port


def stretch(random: Random) -> list[str]:
    times = random.choice([1, 1, 1, 2, 3, 5, 17, 40])
    match random.choice("ddkkmmbtst"):
        case "d":
            return [random.choice(DRAWING)] * times
        case "k":
            return [random.choice(KNOWN)] * times
        case "m":
            return random.sample(DRAWING + KNOWN, 3) * times
        case "b":
            return ["MULTI", *random.sample(DRAWING + KNOWN, random.choice([1, 2, 3])) * times, "EXEC"] * random.choice(
                [1, 3]
            )
        case "t":
            return [random.choice(MODES)]
        case _:
            return [random.choice(SINGLE)]


def session(random: Random) -> list[bytes]:
    """Returns the reads of one client."""
    commands = [command for _ in range(random.choice([3, 8, 20, 40])) for command in stretch(random)]
    return cut(random, encoded(random, commands) + STILL_OPEN)


def damaged_session(random: Random) -> list[bytes]:
    """Returns the reads of a client that sends wrong headers."""
    commands = [random.choice(DAMAGED) for _ in range(random.choice([3, 8, 20])) for _ in range(random.choice([1, 9]))]
    sent = encoded(random, commands)
    for _ in range(random.choice([1, 1, 3])):
        header = random.choice([*re.finditer(rb"[*$][0-9]+\r\n|$", sent)])
        place = random.randrange(header.start() - 2, header.end())
        wrong = random.choice([b"", b"*", b"$", b"-", b"1", b"9", b"\r\n", b"x"])
        sent = sent[: max(0, place)] + wrong + sent[place + random.randint(0, 2) :]
    return cut(random, sent + STILL_OPEN)


def encoded(random: Random, commands: list[str]) -> bytes:
    ends = random.choices(ENDS, k=random.choice([1, 3]))
    return b"".join([request(*[named(word, random.choice(ends)) for word in each.split(" ")]) for each in commands])


def cut(random: Random, sent: bytes) -> list[bytes]:
    places = sorted(random.randrange(1, len(sent)) for _ in range(random.choice([0, 1, 3, 10])))
    if random.random() < 0.3:
        places = list(range(0, len(sent), random.choice([1, 7, 64, 512, 1448])))[1:]
    elif random.random() < 0.3:
        places = [match.start() for match in re.finditer(rb"(?<=\n)\*[1-9]\r\n\$", sent) if random.random() < 0.1]
    return [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]


def named(word: str, end: bytes) -> bytes:
    """Returns the word, or a key or a field with this end in its place."""
    if word == "''":
        return b""
    return word.encode() + (end if word in ("N", "H", "F", "K", "L", "M") else b"")


@dataclass
class Answered:
    """What a server has answered, and what it has counted."""

    replies: bytes
    ids: int
    statistics: dict[str, tuple[int, int, int]]  # by command: calls, and those rejected and failed
    errors: dict[str, int]  # by code


def answer(reads: list[bytes], layout: Layout) -> Answered:
    clock = ScriptedClock()
    worker = start_worker(clock, layout=layout, reserved_ms=10**9)
    connection, output = connect(worker), b""
    for read in reads:
        if connection.next is Next.CLOSE:
            break
        output += connection.receive(read)
        while connection.next in (Next.WAIT, Next.TURN):
            clock.pass_ms(1)
            output += connection.resume()
    stats = worker.stats
    counted = {
        name: (stats.commands.get(name, 0), stats.rejected_calls[name], stats.failed_calls[name])
        for name in {*stats.commands, *stats.rejected_calls}
    }
    statistics = {name: each for name, each in counted.items() if any(each)}
    errors = {code: count for code, count in stats.errors.items() if count}
    return Answered(comparable(output), worker.generator.ids_issued, statistics, errors)


def ask(port: int, reads: list[bytes]) -> Answered:
    """Asks the oracle."""
    before = exchange(port, COUNTERS, request("CONFIG", "RESETSTAT"))
    replies = exchange(port, *reads)
    counted, after = exchange(port, request("INFO", "commandstats", "errorstats")), exchange(port, COUNTERS)
    ids = total(after) - total(before)
    statistics = {
        name.decode(): (int(calls), int(rejected), int(failed))
        for name, calls, rejected, failed in STATISTICS.findall(counted)
        if name != b"config|resetstat"
    }
    errors = {code.decode(): int(count) for code, count in ERRORS.findall(counted)}
    return Answered(comparable(replies), ids, statistics, errors)


def total(counters: bytes) -> int:
    return sum(map(int, re.findall(rb"[0-9]{15,}", counters)))


def comparable(replies: bytes) -> bytes:
    return MODULES.sub(rb"\1*0", OWN_MEMBERS.sub(rb"\1\2", NUMBERS.sub(rb"\1ID", replies)))


def test_random_sessions_match_redis(oracle_port: int) -> None:
    seed = Random().randrange(10**9)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed += 1
        random = Random(seed)
        reads = session(random)
        layout = random.choice([Layout(), Layout(sequence_bits=8)])
        assert answer(reads, layout) == ask(oracle_port, reads), (seed, reads)


def test_damaged_sessions_match_redis(spoilt_oracle_port: int) -> None:
    """In their replies, but for numbers, and in the end of the connection."""
    seed = Random().randrange(10**9)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed += 1
        reads = damaged_session(Random(seed))
        if not ABOVE_LIMITS.search(b"".join(reads)):
            assert is_alike(spoilt_oracle_port, reads), (seed, reads)


def is_alike(port: int, reads: list[bytes]) -> bool:
    """Asks again while replies are missing: if Redis closes a connection with unread data, the kernel discards them."""
    answered = ANY_NUMBER.sub(b"N", answer(reads, Layout()).replies)
    for _ in range(20):
        expected = ANY_NUMBER.sub(b"N", comparable(exchange(port, *reads)))
        if answered == expected or not answered.startswith(expected):
            break
    return answered == expected
