"""The fast path and the general path give the same replies to any stream of bytes, wherever reads cut it.

`RESPID_TEST_FUZZ_SECONDS` sets how long random streams are compared; the default is 1 s.
"""

import os
import re
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respid.commands import COMMANDS, Command
from respid.net.pending_requests import PendingRequests
from respid.net.protocol import BASE_BYTES
from respid.resp.fast_path import NO_RUN, Run, RunReader, Template, _mixed_runs
from respid.resp.reader import RequestReader
from respid.resp.shape import Shape, headers_of
from respid.worker.worker import Worker
from tests.support.both_paths import FEW_IDS, Setting, check_equality, play
from tests.support.byte_streams import request
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

FUZZ_SECONDS = float(os.environ.get("RESPID_TEST_FUZZ_SECONDS", "1"))
FAKE_FRAMES = [request("INCR", "a"), request("INCRBY", "a", "1"), request("HINCRBY", "a", "b", "1"), request("ID.NEXT")]
KEYS = [b"a", b"7", b"", b"\r\n", b"*", b"$1\r\n1", b"\r\n$1\r\n1\r\n", b"x" * 9, b"x" * 10, b"x" * 98, b"x" * 99]
KEYS += [b"x" * 100, b"key:000000000042", b"INCR", b"\0", b"\xff" * 20, *FAKE_FRAMES]
# Of each command that runs are made of, its words; KEY is free. Each must be recognised.
DRAWING = ["INCR KEY", "incr KEY", "InCr KEY", "INCRBY KEY 1", "incrby KEY 1", "INCRBY KEY 7", "INCRBY KEY 100"]
DRAWING += ["HINCRBY KEY KEY 1", "hincrby KEY KEY 16", "INCRBYFLOAT KEY 1", "INCRBYFLOAT KEY 1.0", "ID.NEXT"]
DRAWING += ["id.next", "ID.NEXT AS STRING", "id.next as integer"]
REPEATED = ["PING", "ping hello", "GET KEY", "get KEY", "HEXISTS KEY KEY", "EXISTS KEY", "EXISTS KEY other"]
REPEATED += ["TOUCH KEY", "TYPE KEY", "TTL KEY", "PTTL KEY"]
RUNNING = DRAWING + REPEATED
KNOWN = [
    "INCR KEY",
    "INCRBY KEY 1",
    "ID.NEXT",
    "PING",
    "ping",
    "GET KEY",
    "GET KEY",
    "get KEY",
    "TTL KEY",
    "EXISTS KEY",
    "HINCRBY KEY KEY 1",
    "INCRBY KEY 2",
    "INCRBY KEY 13",
    "INCRBY KEY 300",
    "incrby KEY 7",
    "HINCRBY KEY KEY 20",
    "INCRBYFLOAT KEY 1",
    "INCRBYFLOAT KEY 1.0",
    "ID.NEXT AS STRING",
    "EXPIRE KEY 60",
    "EXPIRE KEY 60 NX",
    "expire KEY 3600",
    "PEXPIRE KEY 60000",
    "SETNX KEY KEY",
    "SET KEY 0 NX",
    "set KEY 0 NX",
    "set KEY 0 nx",
]
# They resemble known requests.
UNKNOWN = ["EXPIRE KEY 0", "EXPIRE KEY 060", "EXPIRE KEY -1", "EXPIRE KEY x", "EXPIRE KEY 60 XX", "EXPIRE KEY 60 NX GT"]
UNKNOWN += ["EXPIRE KEY 9223372036854775807", "EXPIREAT KEY 60", "PEXPIRX KEY 60", "HINCRBX KEY KEY 1", "SET KEY x NX"]
UNKNOWN += [
    "INCRBY KEY 0",
    "INCRBY KEY 02",
    "INCRBY KEY 4097",
    "INCRBY KEY +2",
    "HINCRBY KEY KEY -2",
    "SET KEY 0 XX",
    "SETNX KEY",
    "ECHO KEY",
    "SETEX KEY 60 0",
]
# They resemble runs, but are errors or replies of several parts.
OTHERS = ["INCRBY KEY 0", "INCRBY KEY 01", "INCRBY KEY -1", "INCRBY KEY 5000", "INCRBY KEY x", "INCRBYFLOAT KEY 2"]
OTHERS += ["ID.NEXT COUNT 3", "ID.NEXT COUNT 40 AS STRING", "ID.NEXT AS", "ID.NEXT COUNT x", "INCR", "INCR KEY KEY"]
OTHERS += [
    "DECR KEY",
    "SETNX KEY 1",
    "HINCRBY KEY KEY KEY",
    "INCRBx KEY 1",
    "ID.RANGE 20",
    "PING a b",
    "GET",
    "ECHO KEY",
]
MODES = [
    "AUTH secret",
    "HELLO 3",
    "HELLO 3",
    "HELLO 2",
    "RESET",
    "RESET",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "QUIT",
]
MODES += ["CLIENT REPLY OFF", "CLIENT REPLY ON", "CLIENT REPLY SKIP", "PING", "BOGUS"]
TRACKING = ["CLIENT TRACKING ON OPTIN", "CLIENT TRACKING OFF", "CLIENT CACHING YES"]
SETTINGS = [
    Setting(),
    Setting(password="secret"),
    Setting(layout=FEW_IDS, most_alike=0),
    Setting(reserved_ms=3, most_alike=0),
    Setting(layout=FEW_IDS, reserved_ms=20),
    Setting(layout=FEW_IDS, max_queued_commands=25, most_alike=0),
    Setting(most_alike=32),
    Setting(layout=FEW_IDS, reserved_ms=20, most_alike=32),
    Setting(layout=FEW_IDS, reserved_ms=20, is_extended=True, most_alike=0),
    Setting(layout=FEW_IDS, is_crowded=True, most_alike=0),
    Setting(layout=FEW_IDS, reserved_ms=20, is_crowded=True, most_alike=0),
    Setting(layout=FEW_IDS, reserved_ms=20, is_extended=True, is_crowded=True, most_alike=0),
    Setting(round_ns=20_000, request_ns=1_000, max_queued_commands=25, most_alike=0),
]


# Of a request that is parsed as it arrives, unlike a short one. An argument is missing.
LONG_PART = b"*3\r\n$4\r\nECHO\r\n$100\r\n" + b"x" * 100 + b"\r\n"


def frame(words: str, *keys: bytes) -> bytes:
    """Returns a request: the words, in which the keys take the places of KEY in turn."""
    turn = iter(keys * 3)
    return request(*[next(turn) if word == "KEY" else word for word in words.split()])


def transaction(run: bytes, name: str = "MULTI", end: str = "EXEC") -> bytes:
    return request(name) + run + request(end)


def transactions(random: Random, run: bytes) -> list[bytes]:
    """Returns a few reads that are transactions of a run, or nearly."""
    name, end = random.choice(["MULTI EXEC", "multi exec", "MULTI exec", "MULTI PING"]).split()
    others = [b"", request("GET", "a"), request("ID.NEXT"), request("DISCARD"), request("EXEC"), b"*"]
    before, after = random.choices(others, [9, 1, 1, 1, 1, 1], k=2)
    whole = transaction(run)
    several = whole * random.choice([1, 1, 3]) + transaction(before + run + after, name, end)
    known = [transaction(b"")] * random.randint(0, 1) + [whole] * random.randint(1, 3)
    begun = [run[: run.find(b"$")]] * (random.random() < 0.2)
    if random.random() < 0.5:
        return [*known, several, *begun, whole * 2]
    apart = random.choice(APART)
    return [*known, *apart(whole), *apart(several), *begun, *apart(whole), *apart(whole)]


MULTI_BYTES, EXEC_BYTES = len(request("MULTI")), len(request("EXEC"))


def after_multi(sent: bytes) -> list[bytes]:
    """Returns the reads of a transaction whose MULTI comes in a read of its own."""
    return [sent[:MULTI_BYTES], sent[MULTI_BYTES:]]


def before_exec(sent: bytes) -> list[bytes]:
    """Returns the reads of a transaction whose EXEC comes in a read of its own."""
    return [sent[:-EXEC_BYTES], sent[-EXEC_BYTES:]]


def between(sent: bytes) -> list[bytes]:
    """Returns the reads of a transaction of which both come so."""
    multi, rest = after_multi(sent)
    return [multi, *before_exec(rest)]


def one_by_one(sent: bytes) -> list[bytes]:
    """Returns the reads of a transaction of a driver that waits for each reply."""
    return re.split(rb"(?<=.)(?=\*[1-9]\r\n\$)", sent, flags=re.DOTALL)


APART = (after_multi, before_exec, between, one_by_one)


def pieces_of_stream(random: Random) -> list[bytes]:
    """Returns runs of one or several frames, commands that affect the fast path, and damaged frames, cut into reads."""
    if random.random() < 0.3:
        return similar_reads(random)
    vocabulary = random.sample([*RUNNING, *["GET KEY"] * 8], 2)  # its reply depends on the version
    parts = [request("AUTH", "secret")]
    share = random.choice([0, 0, 0.7])  # of transactions
    for _ in range(random.randint(1, 8)):
        keys = random.choices(KEYS, k=2)
        words = random.choice(vocabulary if random.random() < 0.7 else RUNNING + OTHERS)
        one = frame(words, *keys)
        run = one * random.choice([1, 2, 3, 3, 20, 60])
        shape = random.random()
        if shape < 0.1:
            run += frame(random.choice(OTHERS), *keys)
        elif shape < 0.3:
            like = [bytes(random.choices(b"ab*$1\r\n", k=len(key))) for key in keys]
            run = b"".join(random.choices([one, frame(words, *like), frame(words, *KEYS[:2])], k=30))
        elif shape < 0.6:
            parts += [run] * random.randint(0, 1) + [request(*random.choice(MODES).split())]
        elif shape < 0.7:
            position = random.randrange(len(run))
            run = run[:position] + random.choice([b"", b"*", b"9", b"\r\n"]) + run[position + random.randint(0, 2) :]
        elif shape < 0.8:
            places = [random.randrange(len(one)), one.find(b"$"), one.rfind(b"$")]
            parts.append(random.choice([one[: random.choice(places)], LONG_PART]))
        elif shape < 0.9:
            position = random.randrange(len(run))
            parts += [run, run, run[:position] + random.choice([b"1", b"7", b"x"]) + run[position + 1 :]]
        parts += transactions(random, run) if random.random() < share else [run]
        parts += random.choices(parts, k=3 * (random.random() < 0.3))  # earlier reads, with others in between
    if random.random() < (0.8 if share else 0.4):
        return parts
    return cut(b"".join(parts), [random.randrange(1 << 16) for _ in range(random.randrange(6))])


def similar_reads(random: Random) -> list[bytes]:
    """Returns reads of several commands in turn, each like the one before but for keys, a byte or a command."""
    period = random.choices(KNOWN, k=random.randint(2, 5))
    times = random.choice([1, 1, 5, 20])
    several = period * times
    in_multi = random.random() < 0.5
    keys = [random.choice(KEYS) for _ in several]
    if random.random() < 0.7:  # in a long read, each has the shape of the first, or of another one
        turns = [random.choices(KEYS, k=len(period)) for _ in range(2)]
        keys = [key for _ in range(times) for key in turns[random.random() < 0.05]]
    parts = [request("AUTH", "secret")]
    for _ in range(12):
        change = random.randrange(10)
        if change == 0:
            several[random.randrange(len(several))] = random.choice(random.choice([KNOWN, UNKNOWN]))
        elif change == 1:
            keys[random.randrange(len(keys))] = random.choice(KEYS)
        elif change == 2:
            parts.append(request(*random.choice([*MODES, *TRACKING]).split()))
        read = bytearray().join(frame(words, key) for words, key in zip(several, keys, strict=True))
        if change == 3:
            read[random.choice([-3, random.randrange(len(read))])] = random.choice(b"1279axG*$\r\n")
        if in_multi and random.random() < 0.3:
            version = request("HELLO", random.choice("23")) * random.randint(0, 1)
            parts += [request("MULTI"), bytes(read), version + bytes(read) + request("EXEC")]
            continue
        parts.append(transaction(bytes(read)) * random.choice([1, 1, 3]) if in_multi else bytes(read))
        keys = [bytes(random.choices(b"ab*$1\r\n", k=len(key))) for key in keys]
    if random.random() < 0.8:
        return parts
    return cut(b"".join(parts), [random.randrange(1 << 16) for _ in range(random.randrange(20))])


def reads_of_blocks(random: Random) -> list[bytes]:
    """Returns reads of blocks in a row, mostly of different sizes. In some of them, a byte or a request is wrong."""
    parts = [request("AUTH", "secret")]
    words = random.choice(["INCRBY KEY", "INCRBY KEY", "incrby KEY", "HINCRBY KEY KEY"])
    sizes = random.choice([("1", "2", "3", "13", "300"), ("2", "3"), ("9", "10", "16", "4096", "4097")])
    for _ in range(random.randint(3, 8)):
        frames = [frame(f"{words} {random.choice(sizes)}", random.choice(KEYS)) for _ in range(random.randint(14, 50))]
        if random.random() < 0.3:
            other = frame(random.choice([*KNOWN, *UNKNOWN]), random.choice(KEYS))
            frames[random.randrange(len(frames))] = random.choice([other, other[:-1], random.choice(frames) * 5])
        read = bytearray().join(frames)
        if random.random() < 0.3:
            read[random.randrange(len(read))] = random.choice(b"0129$*\r\n")
        parts.append(transaction(bytes(read)) if random.random() < 0.2 else bytes(read))
    if random.random() < 0.5:
        return parts
    sent = b"".join(parts)
    ends = [match.start() - random.randrange(3) for match in re.finditer(rb"\r\n(?=\*)", sent)]  # of last arguments
    return cut(sent, random.choices([*ends, random.randrange(1 << 16)], k=random.randrange(10)))


def stream_number(seed: int, random: Random) -> list[bytes]:
    """Returns one of many streams. Each tenth is one of blocks in a row."""
    return pieces_of_stream(random) if seed % 10 else reads_of_blocks(random)


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(sent) + 1) for place in places} | {len(sent)})
    return [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.timeout(1_800)
@settings(max_examples=200)
@given(st.integers(1, 10), st.randoms(use_true_random=False), st.sampled_from(SETTINGS))
def test_any_stream_gets_same_replies(seed: int, random: Random, setting: Setting) -> None:
    check_equality(stream_number(seed, random), setting)


@pytest.mark.timeout(1_200 + FUZZ_SECONDS)
def test_random_streams_get_same_replies() -> None:
    until = time.monotonic() + FUZZ_SECONDS
    seed = int(os.environ.get("RESPID_TEST_FUZZ_SEED", "1"))
    while time.monotonic() < until:
        random = Random(seed)
        check_equality(stream_number(seed, random), random.choice(SETTINGS))
        seed += 1


def test_looks_at_the_time_make_no_difference() -> None:
    reads = [request("INCR", "a")] * 400 + [request("INCRBY", "a", "4096")] * 4
    check_equality(reads, Setting(reserved_ms=3, is_extended=True, request_ns=1_000))


def test_every_command_of_runs_is_compared() -> None:
    running = {name.decode() for name, command in COMMANDS.items() if command.runs}
    assert {words.split()[0].upper() for words in RUNNING} == running


@pytest.mark.unmeasured
@pytest.mark.parametrize("words", [*DRAWING, "PING", "GET KEY", "HEXISTS KEY KEY"])
@pytest.mark.parametrize("around", ["{} PING", "MULTI {} EXEC", "HELLO.3 {} PING", "CLIENT.REPLY.SKIP {} PING"])
def test_cut_stream_gets_same_replies(words: str, around: str) -> None:
    run = frame(words, b"a", b"b") * 3 + frame(words, b"*", b"b") + frame(words, b"key", b"\r\n") + frame(words, b"a")
    before, after = (each.strip() for each in around.split("{}"))
    sent = (request(*before.split(".")) if before else b"") + run + request(after)
    learned = frame(words, b"a", b"b") * 2
    for place in range(len(sent) + 1):
        check_equality([learned, sent[:place], sent[place:]], Setting(layout=FEW_IDS))


@pytest.mark.unmeasured
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@pytest.mark.parametrize("words", [*DRAWING, "GET KEY"])
def test_transaction_gets_same_replies(words: str, setting: Setting) -> None:
    """After a first one, and with keys of other lengths; also one that waits, is refused, or exceeds the limit."""
    one, other = frame(words, b"a", b"b"), frame(words, b"key", b"\r\n")
    known = [request("AUTH", "secret"), *[transaction(one * 2)] * 2]
    check_equality([*known, transaction(one) * 40], setting)
    for run in (one, other, one * 16 + other, one * 26, one * 300):
        sent = transaction(run)
        for mode in ("PING", "HELLO 3", "CLIENT REPLY SKIP", "CLIENT TRACKING ON"):
            check_equality([*known, request(*mode.split()), sent, sent + one, one, sent * 3], setting)


@pytest.mark.unmeasured
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@pytest.mark.parametrize(
    "several", ["INCR KEY,EXPIRE KEY 60", "GET KEY,PING,INCRBY KEY 1", "HINCRBY KEY KEY 1,GET KEY,INCRBYFLOAT KEY 1"]
)
def test_transaction_of_known_requests_gets_same_replies(several: str, setting: Setting) -> None:
    """Also one that waits, is refused, or exceeds the limit, and with keys of other lengths."""
    one, other = (b"".join(frame(words, key) for words in several.split(",")) for key in (b"a", b"key"))
    known = [request("AUTH", "secret"), *[transaction(one)] * 2]
    for run in (one, other, one * 8 + other, one * 26, one * 70, frame(several.partition(",")[0], b"a") * 3 + one):
        sent = transaction(run)
        for mode in ("PING", "HELLO 3", "CLIENT REPLY SKIP", "CLIENT TRACKING ON"):
            check_equality([*known, request(*mode.split()), sent, sent + one, one, sent * 3, sent * 20, sent], setting)
            check_equality(
                [*known, request(*mode.split()), request("MULTI"), run, run + request("EXEC") + one], setting
            )


@pytest.mark.unmeasured
@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@pytest.mark.parametrize("apart", APART)
def test_transaction_in_parts_gets_same_replies(apart: Callable[[bytes], list[bytes]], setting: Setting) -> None:
    """Also one that waits, is refused, or exceeds the limit."""
    for several in ("INCR KEY", "INCR KEY,EXPIRE KEY 60"):
        one = b"".join(frame(words, b"a") for words in several.split(","))
        known = [request("AUTH", "secret"), *[transaction(one)] * 3]
        for times in (1, 26, 300):
            sent = apart(transaction(one * times))
            check_equality([*known, *sent, one, request("HELLO", "3"), *sent * 2, transaction(one)], setting)


@pytest.mark.parametrize("several", ["INCR KEY", "ID.NEXT AS STRING,GET KEY,INCR KEY"])
@pytest.mark.parametrize("apart", APART)
def test_requests_between_parts_of_transaction(apart: Callable[[bytes], list[bytes]], several: str) -> None:
    one = b"".join(frame(words, b"key") for words in several.split(","))
    begin, *middle, end = apart(transaction(one * 2))
    modes = (
        "INCR",
        "MULTI",
        "DISCARD",
        "EXEC",
        "HELLO 3",
        "CLIENT REPLY OFF",
        "CLIENT REPLY SKIP",
        "CLIENT TRACKING ON",
    )
    for before in (*[request(*words.split()) for words in modes], one, one[:-1], b"*2\r\n"):
        check_equality([*[transaction(one)] * 3, begin, before, *middle, end, one, begin, *middle, end])
        check_equality([*[transaction(one)] * 3, before, begin, *middle, before + end, begin, *middle, end + before])


@pytest.mark.parametrize("several", ["INCR KEY,EXPIRE KEY 60", "INCR KEY"])
def test_transaction_ends_choice_of_caching(several: str) -> None:
    sent = transaction(b"".join(frame(words, b"a") for words in several.split(",")))
    chosen = [request(*words.split()) for words in ("CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES")]
    check_equality([sent, sent, *chosen, sent, sent])
    for apart in APART:
        check_equality([sent, sent, *chosen, *apart(sent), *chosen, *apart(sent), sent])


@pytest.mark.parametrize("several", ["INCR KEY", "GET KEY", "PING,GET KEY,EXISTS KEY", "INCR KEY,EXPIRE KEY 60"])
def test_requests_end_choice_of_caching(several: str) -> None:
    """The first one of a run, or of known requests, does so."""
    sent = b"".join(frame(words, b"a") for words in several.split(",")) * 3
    chosen = [request(*words.split()) for words in ("CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES")]
    check_equality([sent, sent, *chosen, sent, sent])
    check_equality([sent, sent, *chosen, sent])
    check_equality([sent, sent, b"".join(chosen) + sent, chosen[1] + sent])


def test_transaction_of_known_requests_fails_as_a_whole() -> None:
    """While no ID can be issued, however it is cut."""
    several = frame("HINCRBY KEY KEY 1", b"a") + frame("EXPIRE KEY 60", b"a")
    refused = frame("INCR KEY", b"a") * 400
    pieces = [transaction(several), refused, transaction(several), request("MULTI"), several * 2, request("EXEC")]
    pieces += [request("MULTI") + frame("GET KEY", b"a"), several, request("EXEC")]
    check_equality(pieces, Setting(layout=FEW_IDS, reserved_ms=20))


def test_cut_transaction_of_known_requests_gets_same_replies() -> None:
    one = transaction(frame("INCR KEY", b"a") + frame("EXPIRE KEY 60", b"a") * 2 + frame("GET KEY", b"key"))
    sent = one + frame("PING") + one * 2
    for place in range(len(sent) + 1):
        check_equality([one, one, sent[:place], sent[place:], one], Setting(layout=FEW_IDS, max_queued_commands=6))


@pytest.mark.parametrize("words", ["INCR KEY", "ID.NEXT AS STRING"])
@pytest.mark.unmeasured
def test_cut_transaction_gets_same_replies(words: str) -> None:
    one = transaction(frame(words, b"a") * 2 + frame(words, b"key"))
    sent = one + frame(words, b"a") + one * 2
    for place in range(len(sent) + 1):
        check_equality([one, one, sent[:place], sent[place:], one], Setting(layout=FEW_IDS))


@pytest.mark.unmeasured
@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 1", "HINCRBY KEY KEY 2"])
def test_key_may_contain_anything(key: bytes, words: str) -> None:
    for other in (b"a", b"$1\r\n1", b"x" * 99):
        sent = frame(words, key) * 3 + frame(words, other) + frame(words, key, other) + request("PING")
        for place in range(0, len(sent), 1 + len(sent) // 60):
            check_equality([sent[:place], sent[place:]])


@pytest.mark.unmeasured
@pytest.mark.parametrize("begun", FAKE_FRAMES, ids=repr)
@pytest.mark.parametrize("repeated", [1, 40])
@pytest.mark.parametrize("words", ["INCR KEY", "HINCRBY KEY KEY 1", "ID.NEXT"])
def test_run_after_broken_frame(begun: bytes, repeated: int, words: str) -> None:
    run = frame(words, b"key") * repeated
    for place in range(len(begun)):
        check_equality([run, run, begun[:place], run, run])
        check_equality([run, run + begun[:place], run])
        check_equality([*[transaction(run)] * 3, begun[:place], transaction(run)])


@pytest.mark.parametrize("words", RUNNING)
@pytest.mark.parametrize("setting", SETTINGS[2:], ids=repr)
def test_run_that_waits(words: str, setting: Setting) -> None:
    run = frame(words, b"key", b"field") * 150
    check_equality([run + request("PING"), run], setting)
    check_equality([run, request("PING"), request("MULTI"), run, request("EXEC") + run], setting)


@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 100", "ID.NEXT AS STRING"])
def test_run_longer_than_millisecond(words: str) -> None:
    check_equality([frame(words, b"key") * 10_000 + request("PING"), frame(words, b"key") * 5000])


@pytest.mark.parametrize("mode", sorted(set(MODES)))
@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 7", "ID.NEXT AS STRING", "GET KEY"])
def test_run_after_change_of_mode(mode: str, words: str) -> None:
    change, run = request(*mode.split()), frame(words, b"key") * 40
    for pieces in ([change, run, run], [run + change + run, change, run], [run, change + run]):
        check_equality(pieces)
        check_equality(pieces, Setting(password="secret"))


def recognised(words: str, *sent: bytes) -> list[Run]:
    """Returns the runs that the reader finds at the beginning of each read, once it has learned the words."""
    arguments = [b"k" if word == "KEY" else word.encode() for word in words.split()]
    runs = RunReader[str]()
    runs.learn(arguments, words.count("KEY"), words)
    return [runs.find_in_read(data) for data in sent]


@pytest.mark.parametrize("words", RUNNING)
@pytest.mark.parametrize("frames", [1, 2, 3, 16, 100, 127, 128, 129, 500])
def test_finds_run(words: str, frames: int) -> None:
    one = frame(words, b"a", b"b")
    for followed in (b"", one[:-1], request("ECHO", "a")):
        sent = one * frames + followed
        assert recognised(words, sent, sent, sent)[-1] == (frames, len(one) * frames)


@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 1", "HINCRBY KEY KEY 20"])
def test_finds_run_with_keys_of_any_length(words: str) -> None:
    frames = [frame(words, b"k" * length, b"f" * (100 - length)) for length in range(1, 100)]
    sent = b"".join(frames)
    assert recognised(words, sent, sent, frames[0] * 3 + frames[4]) == [(99, len(sent))] * 2 + [
        (4, len(frames[0]) * 3 + len(frames[4]))
    ]


@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 10"])
@pytest.mark.parametrize("key", [b"", b"k", b"*", b"k" * 9, b"k" * 10, b"\r\n" * 49, b"*" * 99], ids=repr)
def test_finds_single_frame_with_key_of_any_length(words: str, key: bytes) -> None:
    """That is the rest of a read, whatever its key contains."""
    sent = frame(words, key)
    assert recognised(words, sent, sent[:-1]) == [(1, len(sent)), NO_RUN]


@pytest.mark.parametrize("words", ["INCR KEY", "INCRBY KEY 10", "HINCRBY KEY KEY 20"])
def test_run_ends_before_incomplete_frame(words: str) -> None:
    """With keys of another length than the learned ones, wherever the read ends."""
    run = frame(words, b"ab", b"cd") + frame(words, b"abc", b"d")
    last = frame(words, b"abcd", b"efg")
    for place in range(len(last)):
        assert recognised(words, run + last[:place]) == [(2, len(run))], place


def test_clients_share_what_their_reads_are_like() -> None:
    """With thousands of clients, a tuple for each does not stay in the caches."""
    runs = []
    for _ in range(2):
        reader = RunReader[str]()
        reader.learn([b"INCR", b"k"], 1, "INCR")
        sent = request("INCR", "k") * 20
        runs.append([reader.find_in_read(sent) for _ in range(2)][-1])
    assert runs[0] == (20, len(sent))
    assert runs[0] is runs[1]


def test_pattern_is_right_in_every_python() -> None:
    """The fast path checks no version, and Debian 12 has Python 3.11.2, where possessive groups match too much."""
    for free in (1, 2):
        assert b"}+" not in _mixed_runs(free).pattern
        assert b")+" not in _mixed_runs(free).pattern


@pytest.mark.parametrize("other", [*OTHERS, "INCRBY KEY 2", "HINCRBY KEY KEY 1", "incrby KEY 1"])
def test_finds_no_run_of_another_command(other: str) -> None:
    one, sent = frame("INCRBY KEY 1", b"a"), frame(other, b"a")
    assert recognised("INCRBY KEY 1", sent, one + sent) == [NO_RUN, (1, len(one))]


@pytest.mark.parametrize("words", RUNNING)
def test_connection_takes_fast_path(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first two requests of a command are parsed."""
    parsed: list[list[bytes]] = []
    expect = PendingRequests._expect_run

    def note(pending: PendingRequests, command: Command, arguments: list[bytes]) -> None:
        parsed.append(arguments)
        expect(pending, command, arguments)

    monkeypatch.setattr(PendingRequests, "_expect_run", note)
    play([frame(words, b"a", b"b") * 40, frame(words, b"c", b"d") * 60], Setting())
    assert len(parsed) == 2


@pytest.mark.parametrize("read_bytes", [100, 1448])
@pytest.mark.parametrize("words", [*[[each] for each in RUNNING], ["INCR KEY", "EXPIRE KEY 60"], ["PING", "GET KEY"]])
def test_cut_requests_are_not_parsed(words: list[str], read_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever reads cut a pipeline, or a transaction that draws IDs, once its requests are expected."""
    parsed = {method: note_requests(method, monkeypatch) for method in ("next_request", "next_short_request")}
    pipeline = b"".join(frame(each, b"key", b"field") for each in words) * (200 // len(words))
    streams = [pipeline, transaction(pipeline)] if set(words) & set(DRAWING) else [pipeline]
    for stream in streams:
        clock = ScriptedClock()
        connection = connect(start_worker(clock))
        for _ in range(3):
            for requests in parsed.values():
                requests.clear()
            for place in range(0, len(stream), read_bytes):
                converse(connection, stream[place : place + read_bytes])
                clock.pass_ms(1)
        assert [name for each in parsed.values() for name, *_ in each if name not in (b"MULTI", b"EXEC")] == []


def note_requests(method: str, monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """Returns a list to which the requests that this method of the reader returns will be added."""
    noted: list[list[bytes]] = []
    read = getattr(RequestReader, method)

    def note(reader: RequestReader) -> list[bytes] | None:
        request: list[bytes] | None = read(reader)
        if request is not None:
            noted.append(request)
        return request

    monkeypatch.setattr(RequestReader, method, note)
    return noted


def test_single_frames_among_others_take_general_path(worker: Worker) -> None:
    """They take no longer there. A client that sends one at a time keeps the fast path."""
    connection, one = connect(worker), request("INCR", "a")
    converse(connection, *[one] * 100)
    assert connection._runs.expects is not None
    converse(connection, *[request("ECHO", "a") + one] * 100)
    assert connection._runs.expects is None


@pytest.mark.parametrize("request_", [[b"ID.NEXT", *[b"AS", b"STRING"] * 4], [b"INCRBYFLOAT", b"k", b"0" * 100]])
def test_large_request_is_not_kept(request_: list[bytes]) -> None:
    """A template and what was parsed last stay small, as each client has one."""
    runs = RunReader[str]()
    assert not any(runs.repeats(request_, 1) for _ in range(3))
    assert not runs._parsed


@pytest.mark.parametrize(
    ("words", "learns"), [("PING a b", False), (f"PING {'x' * 25}", True), (f"PING {'x' * 26}", False)]
)
def test_errors_and_long_replies_make_no_run(worker: Worker, words: str, *, learns: bool) -> None:
    """An error is counted each time, and a reply of more than 32 bytes is not repeated hundreds of times."""
    connection = connect(worker)
    converse(connection, *[request(*words.split())] * 4)
    assert (connection._runs.expects is not None) == learns


@pytest.mark.parametrize("request_bytes", [64, 197, 198])
def test_low_limit_applies_to_frames_of_runs(worker: Worker, request_bytes: int) -> None:
    connection = connect(worker, replace(DEFAULT_LIMITS, request_bytes=request_bytes))
    converse(connection, *[request("INCR", "k")] * 3)
    assert (connection._runs.expects is not None) == (request_bytes == 198)
    refused = converse(connection, request("INCR", "x" * 99)).startswith(b"-ERR Protocol error")
    assert refused == (request_bytes == 64)


def test_clients_with_their_own_runs_use_little_memory() -> None:
    """What a client keeps of its runs is small, or shared, or counted as held by it."""
    tracemalloc.start()
    try:
        worker = start_worker(ScriptedClock())
        before, _ = tracemalloc.get_traced_memory()
        connections = [connect(worker) for _ in range(100)]
        for length, connection in enumerate(connections):
            one = request("HINCRBY", "k" * (length % 50), "f" * (1 + length // 50), "1")
            converse(connection, *[one * 2] * 2, one * 12, one * 120)
        headers_of.cache_clear()  # as the headers of other clients would do
        used_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used_bytes - sum(connection.held_bytes for connection in connections) < len(connections) * BASE_BYTES


@pytest.mark.parametrize("other", [False, True])
def test_last_run_is_held(worker: Worker, *, other: bool) -> None:
    connection, run = connect(worker), request("INCR", "orders") * 40
    converse(connection, run, run, *[request("PING")] * other)
    assert connection.held_bytes == len(run)
    converse(connection, request("INCR", "o") * 2)
    assert connection.held_bytes < 100


class Compared(bytes):
    """Bytes that count the comparisons with their beginning."""

    comparisons = 0

    def startswith(self, *given: Any) -> bool:
        self.comparisons += 1
        return super().startswith(*given)


@pytest.mark.parametrize("words", RUNNING)
def test_miss_costs_one_comparison(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every place in the stream, and in every read."""
    arguments = [word.encode() for word in words.split()]
    runs = RunReader[str]()
    runs.learn(arguments, words.count("KEY"), words)
    for of, method in ((Shape, "count"), (Template, "mixed_run")):
        monkeypatch.delattr(of, method)
    for other in [each for each in RUNNING + OTHERS if each.split()[0] != words.split(maxsplit=1)[0]]:
        sent = Compared(b"".join(frame(other, bytes([place])) for place in range(20)))
        frame_bytes = len(sent) // 20
        for place in range(20):
            assert runs.find(sent, place * frame_bytes) is NO_RUN
        assert runs.find_in_read(sent) is NO_RUN
        assert sent.comparisons == 21


# Each entry returns the frames with the given number: they promise runs, but are hardly any.
DECEPTIVE: dict[str, Callable[[int], bytes]] = {
    "increments differ": lambda number: request("INCRBY", "key", str(1 + number % 89)),
    "increments differ in pairs": lambda number: request("INCRBY", "key", str(1 + number // 2 % 89)),
    "keys are long": lambda number: request("INCR", "x" * (100 + number % 3)),
    "keys have asterisks and many lengths": lambda number: request("INCR", "*" * (number % 97)),
    "commands alternate": lambda number: request("INCR", "key") if number % 2 else request("ID.NEXT"),
    "commands alternate in pairs": lambda number: request("INCR", "key") if number % 4 < 2 else request("ID.NEXT"),
    "commands alternate in threes": lambda number: request("INCR", "k") if number % 6 < 3 else request("ID.NEXT"),
    "one run, then single frames": lambda number: (
        request("INCR", "key") * 600 + request("PING") if number % 500 == 0 else request("INCR", "k" * (4 + number % 7))
    ),
    "frames end wrongly": lambda number: request("INCRBY", "k" * (1 + number % 2), "1")[:-2] + b"..",
    "arguments are missing": lambda number: request("INCRBY", "key", "1") if number % 3 == 0 else request("INCRBY"),
}


@pytest.mark.parametrize("name", DECEPTIVE)
@pytest.mark.parametrize("frames_per_read", [1, 3, 100])
def test_fast_path_is_not_deceived(name: str, frames_per_read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its work in vain is less than a comparison for every fifth frame, and three for each that it recognises."""
    work, recognised = 0, 0
    # A frame on the general path takes as long as eight comparisons, and learning as long as two.
    count, mixed_run, learn = Template.count, Template.mixed_run, RunReader.learn

    def compare(template: Template, buffer: bytes, position: int, most: int) -> int:
        nonlocal work, recognised
        found = count(template, buffer, position, most)
        recognised += found
        work += most - found
        return found

    def match(template: Template, buffer: bytes, position: int) -> Run:
        nonlocal work, recognised
        run = mixed_run(template, buffer, position)
        recognised += run[0]
        work += run is NO_RUN
        return run

    def take(*given: Any) -> None:
        nonlocal work
        work += 2
        learn(*given)

    monkeypatch.setattr(Template, "count", compare)
    monkeypatch.setattr(Template, "mixed_run", match)
    monkeypatch.setattr(RunReader, "learn", take)
    frames = [DECEPTIVE[name](number) for number in range(2000)]
    reads = [b"".join(frames[start : start + frames_per_read]) for start in range(0, 2000, frames_per_read)]
    play(reads, Setting())
    assert work <= 3 * recognised + 2000 // 5
