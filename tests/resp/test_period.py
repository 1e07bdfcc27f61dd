"""Which frames are found as a period, with which shapes, and when no more shapes are looked for.

`test_fast_path` and the fuzzer compare the replies with those of the general path.
"""

import re
from typing import Any

import pytest

from respid.commands.known import Known, known_kinds
from respid.resp.fast_path import RunReader
from respid.resp.known_frames import Kinds, KnownFrames
from respid.resp.period import Period, period_of
from respid.resp.shape import Shape
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.scripted_worker import connect


def limiter(key: str, other: str = "") -> bytes:
    return request("INCR", key) + request("EXPIRE", other or key, "60")


def shape(key_bytes: int) -> Shape:
    """The shape of `INCR key`."""
    before, after = b"*2\r\n$4\r\nINCR\r\n$%d\r\n" % key_bytes, b""
    return Shape(f"{len(before)}s{key_bytes + 2}x0s", (before, after))


class Reader:
    """Finds all frames of reads, and counts those that are looked up one by one."""

    def __init__(self, worker: Worker, patch: pytest.MonkeyPatch) -> None:
        self.kinds: Kinds[Known] = known_kinds(connect(worker).session)
        self.known = KnownFrames[Known](RunReader[Known]())
        self.scanned = 0
        scan = KnownFrames._scan

        def count(known: KnownFrames[Known], *given: Any) -> tuple[tuple[Known, ...], int, bool]:
            found = scan(known, *given)
            self.scanned += len(found[0])
            return found

        patch.setattr(KnownFrames, "_scan", count)

    def read(self, sent: bytes, position: int = 0) -> list[str]:
        """Returns the commands of all frames from this position on."""
        commands: list[str] = []
        self.scanned = 0
        while position < len(sent):
            found, end = self.known.find(self.kinds, sent, position)
            if not found:
                break
            assert len(found) <= 128
            commands += [each.command for each in found]
            position = end
        return commands


@pytest.fixture
def reader(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(worker, monkeypatch)


@pytest.mark.parametrize("keys", [["orders"], ["a", "bb"], [f"key:{number}" for number in range(150)]], ids=len)
def test_long_read_is_compared_with_its_period(reader: Reader, keys: list[str]) -> None:
    sent = b"".join(limiter(keys[turn % len(keys)]) for turn in range(500))
    assert reader.read(sent) == ["incr", "expire"] * 500
    assert reader.scanned <= 128 + 10
    assert reader.read(sent + request("PING")) == ["incr", "expire"] * 500 + ["ping"]
    assert reader.scanned <= 5


@pytest.mark.parametrize("size", [2, 3, 5, 16])
def test_read_that_begins_within_a_period(reader: Reader, size: int) -> None:
    """As after one that was cut. The period is found as soon as it begins again."""
    period = [request("INCR", "key"), *[request("GET", "key"), request("PING")] * 8][:size]
    frames = period * 40
    reader.read(b"".join(frames))
    reader.read(b"".join(frames))
    for place in range(1, size):
        assert len(reader.read(b"".join(frames[place:]))) == len(frames) - place
        assert reader.scanned < 2 * size


def test_finds_period_of_32_frames(reader: Reader) -> None:
    sent = limiter("orders") * 16 + request("ECHO", "a")
    reader.read(sent)
    reader.read(sent)
    assert reader.known.held_bytes
    reader.read(sent)
    assert reader.scanned == 0


def test_learns_another_length_after_a_read_that_begins_within_a_period(reader: Reader) -> None:
    sent = limiter("orders") * 20
    for each in (sent, sent, sent[len(request("INCR", "orders")) :] + limiter("k") * 20):
        reader.read(each)
    reader.read(limiter("k") * 60)
    assert reader.scanned == 0


def test_finds_at_most_128_frames(reader: Reader) -> None:
    """Also if they begin with some of the period. Other clients have their turn after that."""
    limiters, others = limiter("orders") * 60, (request("GET", "key") + request("PING")) * 60
    for sent in (limiters, limiters, limiters + others):
        assert set(reader.read(sent)) <= {"incr", "expire", "get", "ping"}


@pytest.mark.parametrize("last", [b"*", request("GET", "key")[:-1], request("ECHO", "a"), limiter("orders")[:-3]])
def test_period_ends_before_other_frames(reader: Reader, last: bytes) -> None:
    sent = limiter("orders") * 60
    for _ in range(3):
        frames = reader.read(sent + last)
        assert frames == ["incr", "expire"] * 60 + ["incr"] * (last[:14] == sent[:14])


def test_byte_of_a_period_matters(reader: Reader) -> None:
    """Every one but those of keys, and the line breaks that the reader does not look at."""
    period = limiter("orders")
    sent = period * 60
    reader.read(sent)
    start = 30 * len(period)  # where many are compared at once
    skipped = {byte for match in re.finditer(rb"orders\r\n|(?<=EXPIRE)\r\n", sent) for byte in range(*match.span())}
    for byte in range(start, start + len(period)):
        changed = sent[:byte] + b"~" + sent[byte + 1 :]
        frames_before = sent.count(b"*", 0, byte + 1) - 1
        assert len(reader.read(changed)) == (120 if byte in skipped else frames_before)


def test_stops_where_a_run_may_begin(reader: Reader) -> None:
    """Also within the frames that are looked up where a period was expected."""
    sent = (request("GET", "key") + request("PING") + request("TTL", "key") * 3) * 20
    reader.read(sent)
    assert len(reader.read(sent)) == 100
    assert reader.known.held_bytes
    assert len(reader.known.find(reader.kinds, request("INCR", "key") * 10, 0)[0]) == 3


def test_keys_of_independent_lengths_have_no_period(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """For good, after 16 shapes in vain."""
    sent = b"".join(limiter("a" * (1 + turn % 7), "b" * (1 + turn % 11)) for turn in range(60))
    learned: list[Shape] = []
    learn = Period.learn

    def note(period: Period[Known], shape: Shape) -> None:
        learned.append(shape)
        learn(period, shape)

    monkeypatch.setattr(Period, "learn", note)
    for _ in range(8):
        assert len(reader.read(sent)) == 120
    assert reader.known.held_bytes == 0
    assert len(learned) == 15
    reader.read(limiter("orders") * 60)
    reader.read(limiter("orders") * 60)
    assert reader.scanned == 120


def test_keeps_up_to_32_shapes(reader: Reader) -> None:
    for _ in range(5):
        for length in range(1, 50):
            assert len(reader.read(limiter("k" * length) * 60)) == 120
    assert reader.known.held_bytes == 32 * 3 * 100
    reader.read(limiter("k" * 20) * 60)
    assert reader.scanned == 0


def test_keeps_few_shapes_of_a_long_period(reader: Reader) -> None:
    """Each takes more memory, and ten thousand clients may have one."""
    for length in range(1, 50):
        several = b"".join([request(name, "k" * length) for name in ("INCR", "GET") * 7]) + limiter("k" * length)
        assert len(reader.read(several * 9)) == 9 * 16
    assert 16 * 1024 <= reader.known.held_bytes < 18 * 1024


def test_period_is_that_of_a_version(reader: Reader) -> None:
    sent = limiter("orders") * 60
    reader.read(sent)
    reader.read(sent)
    reader.kinds = dict(reader.kinds)
    reader.read(sent)
    assert reader.scanned == 120


@pytest.mark.parametrize(
    ("frames", "size"),
    [
        ("ab" * 16, 2),
        ("ab" * 15 + "a", 0),
        ("abb" * 11, 3),
        ("aab" * 60, 3),
        ("a" * 64, 0),
        ("ab" * 15 + "ac" + "ab" * 9, 0),
        ("abcdefghijklmnop" * 2, 16),
        ("abcdefghijklmnopq" * 2, 0),
        ("ab" * 16 + "c", 2),
    ],
)
def test_finds_shortest_period(frames: str, size: int) -> None:
    found = period_of(tuple(frames)) if len(frames) >= 32 else None
    assert (found.frames if found else ()) == tuple(frames[:size])


@pytest.mark.parametrize(("following", "frames"), [("abc", 0), ("bca", 2), ("cab", 1), ("acb", 0), ("aaa", 0)])
def test_counts_frames_until_it_begins_again(following: str, frames: int) -> None:
    assert Period(tuple("abc")).frames_until(tuple(following)) == frames


def test_compares_no_more_than_it_has_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a row with the same shape. Up to four are compared one at a time."""
    compared: list[tuple[int, int]] = []
    count = Shape.count

    def note(shape: Shape, buffer: bytes, position: int, most: int) -> int:
        found = count(shape, buffer, position, most)
        compared.append((most, found))
        return found

    monkeypatch.setattr(Shape, "count", note)
    period = Period(("incr",))
    period.learn(shape(1))
    period.learn(shape(2))
    sent = request("INCR", "a") * 40 + request("INCR", "aa") + request("INCR", "a") * 10
    assert period.find(sent, 0, 100) == (51, len(sent))
    assert compared == [(4, 4), (8, 8), (16, 16), (16, 8), (4, 4), (2, 2)]

    changed = sent.replace(b"INCR", b"INCX")
    compared.clear()
    assert period.find(changed, 0, 100) == (0, 0)
    assert period.find(sent, 0, 6)[0] == 6
    assert compared == [(8, 0), (2, 2)]


@pytest.mark.parametrize("sent", [1, 3, 4, 5, 40])
def test_finds_no_more_than_wanted(sent: int) -> None:
    period, one = Period(("incr",)), request("INCR", "a")
    assert period.held_bytes == 0
    period.learn(shape(1))
    for most in (0, 1, 3, 4, 5, 17, 39, 40, 41):
        assert period.find(one * sent, 0, most) == (min(most, sent), min(most, sent) * len(one))
