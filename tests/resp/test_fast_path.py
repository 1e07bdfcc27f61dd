"""The fast path and the general path give the same replies to any stream of bytes, wherever reads cut it.

`RESPID_TEST_FUZZ_SECONDS` sets how long random streams are compared; the default is 1 s.
"""

import os
import time
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import respid.resp.reader
from respid.net.states import Next
from respid.resp.fast_path import NO_RUN, Run, RunReader, find_run
from tests.support.byte_streams import request
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

FUZZ_SECONDS = float(os.environ.get("RESPID_TEST_FUZZ_SECONDS", "1"))
FAKE_FRAMES = [b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", b"*3\r\n$6\r\nINCRBY\r\n$1\r\na\r\n$1\r\n1\r\n"]
KEYS = [
    b"a",
    b"7",
    b"",
    b"\r\n",
    b"*",
    b"$1\r\n1",
    b"\r\n$1\r\n1\r\n",
    b"x" * 9,
    b"x" * 10,
    b"x" * 98,
    b"x" * 99,
    b"x" * 100,
]
KEYS += [b"key:000000000042", b"INCR", b"\0", b"\xff" * 20, *FAKE_FRAMES]
MODES = ["AUTH secret", "HELLO 3", "HELLO 2", "RESET", "MULTI", "EXEC", "DISCARD", "CLIENT REPLY OFF"]
MODES += ["CLIENT REPLY ON", "CLIENT REPLY SKIP", "PING", "QUIT"]


def frame(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in arguments)


def stream(random: Random) -> bytes:
    """Returns runs of one or several frames, commands that affect the fast path, and damaged frames."""
    parts = []
    for _ in range(random.randint(1, 6)):
        key = random.choice(KEYS)
        other = random.choice([key, bytes(random.choices(b"ab*$1\r\n", k=len(key))), random.choice(KEYS)])
        name = random.choice([b"INCR", b"INCR", b"incr", b"InCr", b"DECR"])
        incrby = random.choice([b"INCRBY", b"incrby", b"INCRBx"])
        frames = [frame(name, key), frame(name, other), frame(incrby, key, random.choice([b"1", b"1", b"2", b"01"]))]
        frames.append(frame(incrby, key, b"1"))
        run = random.choice(frames) * random.choice([1, 2, 60])
        shape = random.random()
        if shape < 0.2:
            run += random.choice(frames)
        elif shape < 0.3:
            run = b"".join(random.choices(random.sample(frames, 2), k=60))
        elif shape < 0.5:
            run = request(*random.choice(MODES).split()) + run
        elif shape < 0.6:
            position = random.randrange(len(run))
            run = run[:position] + random.choice([b"", b"*", b"9", b"\r\n"]) + run[position + random.randint(0, 2) :]
        parts.append(run)
    return b"".join(parts)


@dataclass
class Outcome:
    """Everything in which a client or a scraper could see a difference between the two paths."""

    output: bytes
    needs: str
    last_id: int | None
    last_command: str
    commands: dict[str, int]
    errors: dict[str, int]


def play(pieces: list[bytes], password: str) -> Outcome:
    clock = ScriptedClock()
    worker = start_worker(clock, password=password)
    connection = connect(worker, DEFAULT_LIMITS)
    output = b""
    for piece in pieces:
        output += converse(connection, piece)
        while connection.next in (Next.WAIT, Next.TURN):
            if connection.next is Next.WAIT:
                clock.pass_ms(1)
            output += connection.resume()
    stats = worker.stats
    commands = {name: count for name, count in stats.commands.items() if count}
    state = connection.next.value, worker.generator.last_id, connection.session.last_command
    return Outcome(output, *state, commands, dict(stats.errors))


def find_nothing(_buffer: bytes, _position: int) -> Run:
    return NO_RUN


def count_none(_reader: RunReader, _data: bytes) -> int:
    return 0


def check_equality(pieces: list[bytes], password: str = "") -> None:
    quick = play(pieces, password)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunReader, "count", count_none)
        patch.setattr(respid.resp.reader, "find_run", find_nothing)
        general = play(pieces, password)
    assert quick == general, pieces


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(sent) + 1) for place in places} | {len(sent)})
    return [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(max_examples=200)
@given(
    st.randoms(use_true_random=False), st.lists(st.integers(0, 1 << 16), max_size=4), st.sampled_from(["", "secret"])
)
def test_any_stream_gets_same_replies(random: Random, places: list[int], password: str) -> None:
    check_equality(cut(stream(random), places), password)


@pytest.mark.timeout(60 + FUZZ_SECONDS)
def test_random_streams_get_same_replies() -> None:
    until = time.monotonic() + FUZZ_SECONDS
    seed = int(os.environ.get("RESPID_TEST_FUZZ_SEED", "1"))
    while time.monotonic() < until:
        random = Random(seed)
        pieces = cut(stream(random), [random.randrange(1 << 16) for _ in range(random.randrange(4))])
        check_equality(pieces, random.choice(["", "secret"]))
        seed += 1


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("other", [b"a", b"$1\r\n1", b"x" * 99])
def test_cut_stream_gets_same_replies(key: bytes, other: bytes) -> None:
    sent = frame(b"INCR", key) * 2 + frame(b"INCRBY", other, b"1") + frame(b"INCR", other) + frame(b"PING")
    for place in range(len(sent)):
        check_equality([sent[:place], sent[place:]])


@pytest.mark.parametrize("begun", FAKE_FRAMES, ids=repr)
@pytest.mark.parametrize("run", [frame(b"INCR", b"key"), frame(b"INCRBY", b"key", b"1") * 40], ids=["one", "many"])
def test_run_after_broken_frame(begun: bytes, run: bytes) -> None:
    for place in range(len(begun)):
        check_equality([begun[:place], run, run])
        check_equality([run + begun[:place], run])


@pytest.mark.parametrize("run", [frame(b"INCR", b"key") * 10_000, frame(b"INCRBY", b"key", b"1") * 10_000])
def test_run_longer_than_millisecond(run: bytes) -> None:
    check_equality([run + frame(b"PING"), run])
    check_equality([run, frame(b"PING")])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "run", [frame(b"INCR", b"key"), frame(b"INCR", b"key") * 40, frame(b"INCRBY", b"k", b"1") * 40]
)
def test_run_after_change_of_mode(mode: str, run: bytes) -> None:
    change = request(*mode.split())
    for pieces in ([change, run, run], [run + change + run, change, run], [run, change + run]):
        check_equality(pieces)
        check_equality(pieces, password="secret")


@pytest.mark.parametrize(
    ("buffer", "run"),
    [
        (frame(b"INCR", b"key"), ("incr", 1)),
        (frame(b"INCR", b"key") * 3, ("incr", 3)),
        (frame(b"incr", b"key") * 500, ("incr", 500)),
        (frame(b"INCRBY", b"key", b"1") * 500, ("incrby", 500)),
        (frame(b"INCR", b"a") + frame(b"INCR", b"bb"), ("incr", 2)),
        (frame(b"INCR", b"a") + frame(b"PING"), ("incr", 1)),
        (frame(b"INCRBY", b"a", b"2"), ("", 0)),
        (frame(b"INCR", b"x" * 100), ("", 0)),
        (frame(b"PING"), ("", 0)),
        (b"", ("", 0)),
    ],
)
def test_finds_run(buffer: bytes, run: tuple[str, int]) -> None:
    assert find_run(buffer, 0)[:2] == run
