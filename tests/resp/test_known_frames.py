"""Known frames: which are recognised, where that ends, what a miss costs, and what an idle client keeps.

`test_fast_path` and the fuzzer compare them with the general path.
"""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from respid.commands import COMMANDS, Draw, known, run
from respid.commands.draw import block
from respid.commands.known import REQUESTS, Known, known_kinds
from respid.ids.layout import Layout
from respid.net.connection import Connection
from respid.net.pending_requests import MOST_QUICK
from respid.net.states import Next
from respid.resp.fast_path import RunReader
from respid.resp.known_frames import FREE, OPENING_BYTES, Kind, Kinds, KnownFrames, is_known, kind_of
from respid.resp.reader import RequestReader
from respid.worker.worker import PATIENCE_MS, Worker
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RESERVED_MS, connect, converse, start_worker

WORDS = [form for words in REQUESTS for form in (words, words.replace(words.split()[0], words.split()[0].lower()))]
PERIOD = 4  # pieces of the shape of FOUR, once it is found as the period of a longer read
FOUR = request("PING") + request("GET", "missing") + request("EXISTS", "missing") + request("TTL", "missing")


def frame(words: str, key: bytes = b"key", number: bytes = b"60") -> bytes:
    free = dict.fromkeys(("key", "field", "value"), key) | {"number": number, "one": b"1"}
    name, *others = words.split()
    return request(name, *[free.get(word, word.encode()) for word in others])


def find(connection: Connection, buffer: bytes, position: int = 0) -> tuple[list[str], int]:
    """Returns the commands that a new client's reader finds, and where they end."""
    found, end = KnownFrames[Known](RunReader[Known]()).find(known_kinds(connection.session), buffer, position)
    return [each.command for each in found], end


@pytest.mark.parametrize("words", WORDS)
def test_finds_frame_with_any_key(words: str, worker: Worker) -> None:
    connection, command = connect(worker), words.split(maxsplit=1)[0].lower()
    for key in (b"", b"k", b"\r\n", b"*", b"$1\r\n1", b"x" * 9, b"x" * 10, b"x" * 99, request("PING")):
        sent = frame(words, key)
        assert find(connection, sent) == ([command], len(sent))
        assert find(connection, b"." + sent + b"*1", 1) == ([command], 1 + len(sent))
        for place in range(len(sent)):
            assert find(connection, sent[:place]) == ([], 0), place


@pytest.mark.parametrize("words", WORDS)
def test_reply_is_that_of_general_path(words: str, worker: Worker) -> None:
    """In each version. A template has a %d, and no constant reply has a percent sign."""
    arguments = [b"1" if word in ("number", "one") else word.encode() for word in words.split()]
    session = connect(worker).session
    for session.version in (2, 3):
        kind = known_kinds(session)[frame(words)[:OPENING_BYTES]]
        assert COMMANDS[arguments[0].upper()].runs == kind.may_run
        drawn = (worker.generator.last_id or 0, run(session, arguments))[1]
        assert isinstance(drawn, bytes)
        template = kind.subject.reply
        assert template in (drawn, b":%d\r\n", b"%b")
        assert template.count(b"%") == (worker.generator.last_id is not None)


@pytest.mark.parametrize(
    "other",
    [
        *[
            "GET " + "x" * 100,
            "EXISTS a b",
            "PING a",
            "INCRBY a 0",
            "incrby a 4097",
            "Get a",
            "HGET a b",
            "HSETNX a b c",
        ],
        *["HINCRBX a b 1", "HINCRBY a b 02", "SET a 1 NX", "SET a 0 XX", "EXPIRE a 60 XX", "PEXPIRX a 60"],
        *["INCRBY a -1", "INCRBY a +2", "INCRBY a 2.0", "INCRBY a 0000000002", "INCRBY a 9223372036854775808"],
    ],
)
def test_finds_no_other_request(other: str, worker: Worker) -> None:
    sent = request(*other.split())
    assert find(connect(worker), FOUR + sent) == (["ping", "get", "exists", "ttl"], len(FOUR))


@pytest.mark.parametrize("words", ["INCRBY a", "incrby a", "HINCRBY a b", "hincrby a b"])
def test_finds_blocks_of_any_size(words: str, worker: Worker) -> None:
    connection = connect(worker)
    for ids in (2, 9, 10, 99, 100, 4096):
        sent = request(*words.split(), str(ids))
        found, end = KnownFrames[Known](RunReader[Known]()).find(known_kinds(connection.session), sent, 0)
        assert ([each.drawn for each in found], end) == ([block(ids)], len(sent))
        assert all(find(connection, sent[:place]) == ([], 0) for place in range(len(sent)))
        for misread in (sent[:-2] + b"..", sent[:-2] + b"\r.", sent.replace(b"\r\n%d" % ids, b"\r.%d" % ids)):
            assert find(connection, misread) == ([], 0)


def test_largest_block_is_that_of_the_layout(clock: ScriptedClock) -> None:
    few = connect(start_worker(clock, layout=Layout(sequence_bits=8)))
    for connection, largest in ((connect(start_worker(clock)), 4096), (few, 256)):
        frames = {ids: request("INCRBY", "a", str(ids)) for ids in (largest, largest + 1)}
        assert [find(connection, sent)[1] > 0 for sent in frames.values()] == [True, False]


def test_only_so_many_sizes_of_blocks_are_known(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout may have millions, and transactions refer to them."""
    monkeypatch.setattr(known, "_MOST_BLOCKS", 20)
    monkeypatch.setattr(known, "_KINDS_CACHE", {})
    connection = connect(worker)
    for ids in range(1, 50):
        assert bool(find(connection, request("INCRBY", "a", str(ids)))[0]) == (ids <= 20)
    extra = known_kinds(connection.session)[request("INCRBY", "a", "1")[:OPENING_BYTES]].extra
    assert extra is not None
    assert isinstance(extra.by_last, dict)
    assert len(extra.by_last) == 20


def test_blocks_are_answered_without_a_call_for_each(
    clock: ScriptedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of each millisecond together, also if each pipeline has others."""
    connection, ids = connect(worker), [1 + number * 7 % 90 for number in range(300)]
    frames = [request("INCRBY", "key", str(each)) for each in ids]
    monkeypatch.delattr(RequestReader, "next_short_request")
    monkeypatch.delattr(Draw, "answer")
    replies = b""
    for start in (0, 100, 200):
        replies += connection.receive(b"".join(frames[start : start + 100]))
        while connection.next is not Next.READ:
            clock.pass_ms(1)
            replies += connection.resume()
    last = [int(line[1:]) for line in replies.split()]
    assert len(last) == 300
    assert all(after - before >= size for before, after, size in zip(last, last[1:], ids[1:], strict=False))
    assert worker.stats.commands["incrby"] == 300
    assert worker.generator.ids_issued == sum(ids)


def find_all(known: KnownFrames[Known], kinds: Kinds[Known], sent: bytes) -> tuple[list[Known], int]:
    """Returns the subjects of the frames up to one that is not found, and where they end."""
    subjects: list[Known] = []
    end, found = 0, True
    while found:
        more, end = known.find(kinds, sent, end)
        subjects += more
        found = bool(more)
    return subjects, end


def blocks(sizes: Iterable[int], key: bytes = b"key") -> bytes:
    return b"".join([request("INCRBY", key, str(size)) for size in sizes])


def splitting(kinds: Kinds[Known]) -> KnownFrames[Known]:
    """Returns the known frames of a client that has sent many blocks of different sizes."""
    known = KnownFrames[Known](RunReader[Known]())
    known.find(kinds, blocks(range(1, 129)), 0)
    assert known._opening
    return known


def test_blocks_of_different_sizes_are_split(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once many came in a row, whatever their keys, but for a key that holds what they begin with."""
    kinds = known_kinds(connect(worker).session)
    known = splitting(kinds)
    others = (b"", b"x" * 9, b"*\r\n$1\r\n1", b"\r\n$1\r\n7\r\n", b"y" * 99, request("INCR", "a"))
    sent = b"".join([blocks([size], key) for size, key in enumerate(others * 16, 20)])
    sizes = [each.drawn.ids for each in find_all(splitting(kinds), kinds, sent)[0] if each.drawn]
    assert sizes == [*range(20, 20 + 16 * len(others))]
    monkeypatch.delattr(KnownFrames, "_scan")
    found, end = known.find(kinds, sent, 0)
    assert (len(found), end) == (len(sizes), len(sent))
    with pytest.raises(AttributeError):
        known.find(kinds, blocks(range(1, 9), request("INCRBY", "a", "5")) + sent, 0)


@pytest.mark.parametrize("seed", range(40))
def test_splitting_finds_the_same_frames(seed: int, worker: Worker) -> None:
    """Also those that are damaged, cut, or may begin a run, which all end it."""
    random, kinds = Random(seed), known_kinds(connect(worker).session)
    fake = request("INCRBY", "a", "2")
    keys = [
        b"a",
        b"key",
        b"",
        b"x" * 10,
        b"x" * 99,
        b"x" * 100,
        b"\r\n$1\r\n2\r\n",
        fake,
        fake[:-1],
        b"." + fake,
        fake[:16],
    ]
    for _ in range(40):
        sizes = random.choices(
            [1, 2, 3, 30, 400, 4096], [9, 9, 9, 9, 9, random.choice([0, 9])], k=random.randint(8, 200)
        )
        frames = [blocks([size], random.choice(keys[: random.choice([2, 5, len(keys)])])) for size in sizes]
        if random.random() < 0.3:
            frames.insert(random.randrange(len(frames)), random.choice([FOUR, fake[:-2], fake * 5, blocks([0])]))
        sent = bytearray().join(frames)
        if random.random() < 0.3:
            sent[random.randrange(len(sent))] = random.choice(b"0129$*\r\n")
        read = bytes(sent[: random.choice([len(sent), random.randrange(len(sent))])])
        known, split = KnownFrames[Known](RunReader[Known]()), splitting(kinds)
        split._last, split._alike = known._last, known._alike
        split._split_frames = random.choice([4, 8, 128])
        assert find_all(split, kinds, read) == find_all(known, kinds, read)
        assert split._alike == known._alike


@pytest.mark.parametrize(("frames", "attempts"), [(128, 1), (8, 1), (7, 0), (0, 0)])
def test_fewer_than_eight_frames_are_not_split_again(
    frames: int, attempts: int, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, tried = known_kinds(connect(worker).session), 0
    known, split = splitting(kinds), KnownFrames._split

    def count(*given: Any) -> tuple[tuple[Known, ...], int]:
        nonlocal tried
        tried += 1
        return split(*given)

    rest = blocks([0] * 20)
    known.find(kinds, blocks(range(1, 1 + frames)) + rest, 0)
    monkeypatch.setattr(KnownFrames, "_split", count)
    known.find(kinds, blocks([5]) + rest, 0)
    assert tried == attempts


def test_no_more_than_twice_as_many_frames_are_split(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """So an attempt that fails costs no more than what was found before it. A read that ends is no failure.

    The last one of the first read is not split from what follows it.
    """
    kinds = known_kinds(connect(worker).session)
    known = splitting(kinds)
    monkeypatch.setattr(KnownFrames, "_scan", lambda _known, _kinds, _buffer, position, *_: ((), position, False))
    numbers = [
        len(known.find(kinds, sent, 0)[0])
        for sent in (
            blocks(range(1, 11)) + FOUR * 9,
            blocks(range(1, 101)),
            blocks(range(1, 31)),
            blocks(range(1, 101)),
            blocks(range(1, 16)),
            blocks(range(1, 101)),
        )
    ]
    assert numbers == [9, 18, 30, 60, 15, 100]


def test_frames_of_several_kinds_are_not_split(worker: Worker) -> None:
    kinds = known_kinds(connect(worker).session)
    for words in (
        "HINCRBY key field SIZE",
        "INCRBY key SIZE,PING",
        "EXPIRE key SIZE",
        "INCRBY key SIZE,INCRBYFLOAT key 1",
    ):
        known = KnownFrames[Known](RunReader[Known]())
        several = words.split(",")
        sent = b"".join(
            [request(*each.replace("SIZE", str(size)).split()) for size in range(1, 60) for each in several]
        )
        found, end = find_all(known, kinds, sent)
        assert (len(found), end) == (59 * len(several), len(sent))
        assert not known._opening


def test_stops_where_a_run_may_begin(worker: Worker) -> None:
    """The fourth frame in a row is left to the general path, wherever reads end. Others may follow it."""
    one = request("INCR", "key")
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    numbers = [len(known.find(kinds, sent, 0)[0]) for sent in (FOUR + one * 10, one * 100, one * 100, one * 100)]
    assert numbers == [7, 0, 1, 0]
    assert [len(known.find(kinds, one + FOUR, 0)[0]) for _ in range(2)] == [5, 5]


@pytest.mark.parametrize("words", ["GET key", "PING", "EXISTS key"])
@pytest.mark.parametrize("before", ["INCR key", "GET key"])
def test_constant_replies_make_no_run_in_a_transaction(words: str, before: str, worker: Worker) -> None:
    """So none of their requests is left to the general path."""
    connection = connect(worker)
    sent = request("MULTI") + request(*before.split()) + request(*words.split()) * 300 + request("EXEC")
    for _ in range(2):
        first = connection._pending.general_requests
        converse(connection, sent)
        assert connection._pending.general_requests - first <= 3


def test_finds_up_to_128_frames(worker: Worker) -> None:
    assert find(connect(worker), FOUR * 33)[1] == 32 * len(FOUR)


def read(keys: str) -> bytes:
    return b"".join(request("GET", key) + request("PING") for key in keys.split())


def test_read_like_the_last_one_is_recognised_at_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it was repeated, whatever its keys, but only with keys of the same lengths, and in the same version."""
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    known.find(kinds, read("one other"), 0)
    found = known.find(kinds, read("two other"), 0)
    with monkeypatch.context() as patch:
        patch.delattr(KnownFrames, "_scan")
        assert known.find(kinds, read("$1* #####"), 0) == found
        for sent in (read("four four"), read("two other").replace(b"GET", b"TTL", 1)):
            with pytest.raises(AttributeError):
                known.find(kinds, sent, 0)
        with pytest.raises(AttributeError):
            known.find(dict(kinds), read("two other"), 0)


def test_requests_of_a_transaction_like_the_last_one_are_recognised_at_once(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for keys in ("one other", "two other"):
        found = known.find_first(kinds, read(keys))
    monkeypatch.delattr(KnownFrames, "_scan")
    assert known.find_first(kinds, read("$1* #####")) == found


def test_keys_of_two_digit_lengths_are_no_part_of_a_shape(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for _ in range(2):
        found = known.find(kinds, read("customers orders:1"), 0)
        found = known.find(kinds, read("a" * 10 + " " + "b" * 99), 0)
    monkeypatch.delattr(KnownFrames, "_scan")
    assert known.find(kinds, read("c" * 10 + " " + "$" * 99), 0) == found


@pytest.mark.parametrize(
    ("sent", "pieces"),
    [
        (request("PING"), 0),
        (request("GET", "key") * 3, 0),
        (request("GET", "key") + request("PING"), 2),
        (FOUR * 16, 3 * 16 + 1 + PERIOD),
        (FOUR * 16 + request("PING"), PERIOD),
    ],
    ids=["one", "one kind", "two kinds", "64", "65"],
)
def test_keeps_shape_of_up_to_64_requests_of_several_kinds(worker: Worker, sent: bytes, pieces: int) -> None:
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for _ in range(2):
        assert known.held_bytes == 0
        known.find(kinds, sent, 0)
    assert known.held_bytes == 100 * pieces


def reads_until_given_up(known: KnownFrames[Known], kinds: dict[bytes, Kind[Known]]) -> int:
    """Returns how many reads of the same requests with keys of other lengths are compared in vain."""
    reads = 0
    while known.held_bytes or not reads:
        assert len(known.find(kinds, read("aa b" if reads % 2 else "a bb"), 0)[0]) == 4
        reads += 1
    return reads


@pytest.mark.parametrize(("helped", "reads"), [(0, 4), (3, 4), (4, 5), (100, 18)])
def test_shape_that_does_not_help_is_given_up(helped: int, reads: int, worker: Worker) -> None:
    """For good. Four reads that have its shape make up for it."""
    kinds, known = dict(known_kinds(connect(worker).session)), KnownFrames[Known](RunReader[Known]())
    known.find(kinds, read("aa b"), 0)
    assert reads_until_given_up(known, kinds) == 17
    assert reads_until_given_up(known, kinds) == 1
    known = KnownFrames[Known](RunReader[Known]())
    for _ in range(8):
        known.find(kinds, read("aa b"), 0)
        known.find(kinds, read("a bb"), 0)
    for _ in range(helped):
        known.find(kinds, read("a bb"), 0)
    assert reads_until_given_up(known, kinds) == reads


def test_shape_is_held_by_its_client(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, FOUR * 4, FOUR * 4)
    assert connection.held_bytes == 1300
    converse(connection, FOUR)
    assert connection.held_bytes == 0
    converse(connection, *[FOUR * 17] * 3)
    assert connection.held_bytes == 100 * PERIOD


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("INCR key", True),
        ("PING", True),
        ("ID.NEXT AS STRING", True),
        ("ID.NEXT AS INTEGER", False),
        ("HEXISTS key field", False),
    ],
)
def test_tells_whether_a_run_would_be_known(words: str, *, known: bool, worker: Worker) -> None:
    assert is_known(known_kinds(connect(worker).session), request(*words.split()).split(b"\r\n")[2::2]) == known


class Copied(bytes):
    """Bytes that count how many of them are copied."""

    copied = 0

    def __getitem__(self, place: Any) -> Any:
        piece = super().__getitem__(place)
        self.copied += len(piece) if isinstance(piece, bytes) else 1
        return piece


@pytest.mark.parametrize("miss", ["INCRBY key " + "1" * 100, "GET " + "x" * 100, "EXPIRE key " + "1" * 100])
def test_miss_copies_no_more_than_a_frame(miss: str, worker: Worker) -> None:
    """However much follows it: else a long pipeline would take quadratic time."""
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    sent = Copied(request(*miss.split()) + FOUR * 100)
    assert known.find(kinds, sent, 0) == ((), 0)
    assert sent.copied < 100


class Counted(dict[bytes, Kind[Known]]):
    """Kinds that count how often they are looked up."""

    lookups = 0

    def get(self, opening: bytes, default: None = None) -> Kind[Known] | None:  # type: ignore[override]
        self.lookups += 1
        return super().get(opening, default)


@pytest.mark.parametrize(
    "miss", ["ECHO key", "INCRBY key 0", "HINCRBY key field 02", "EXPIRE key 0", "GET " + "x" * 100, "PIN"]
)
def test_miss_costs_one_lookup(miss: str, worker: Worker) -> None:
    """However much follows it in the buffer."""
    kinds, known = Counted(known_kinds(connect(worker).session)), KnownFrames[Known](RunReader[Known]())
    sent = (request(*miss.split()) + FOUR) * 100
    for before, frames, pause in ((b"", 0, 0), (FOUR, 4, 1)):
        kinds.lookups = 0
        assert len(known.find(kinds, before + sent, 0)[0]) == frames
        assert (kinds.lookups, known.pause) == (frames + 1, pause)


def test_each_frame_is_looked_up_about_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if unknown ones are among them, and each has to wait."""
    connection = connect(worker)
    kinds = Counted(known_kinds(connection.session))
    monkeypatch.setattr("respid.net.pending_requests.known_kinds", lambda _session: kinds)
    frames = [FOUR, request("INCR", "key"), request("ECHO", "a"), request("INCRBY", "key", "4000"), FOUR] * 50
    converse(connection, b"".join(frames))
    assert kinds.lookups < 2 * 11 * 50


def test_other_requests_in_a_row_are_hardly_looked_up(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(worker)
    kinds = Counted(known_kinds(connection.session))
    monkeypatch.setattr("respid.net.pending_requests.known_kinds", lambda _session: kinds)
    converse(connection, request("ECHO", "a") * 1000)
    assert kinds.lookups == 16 + 4  # of which three leave out 128, 256 and 512


def test_other_requests_among_known_ones_are_looked_up_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(worker)
    kinds = Counted(known_kinds(connection.session))
    monkeypatch.setattr("respid.net.pending_requests.known_kinds", lambda _session: kinds)
    for other in ("ECHO a", "INCRBY key 0"):
        kinds.lookups = 0
        converse(connection, (request(*other.split()) + FOUR) * 30)
        assert kinds.lookups <= 30 * 5 + 1
    assert connection.session.worker.stats.commands["get"] == 60


@pytest.mark.parametrize("quick", [1, 3, MOST_QUICK])
def test_other_requests_are_parsed_once(quick: int, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is known how many quick ones there are in a row."""
    connection, parsed = connect(worker), 0
    read = RequestReader.next_short_request

    def count(reader: RequestReader) -> list[bytes] | None:
        nonlocal parsed
        parsed += 1
        return read(reader)

    connection._pending.known.pause = connection._runs.pause = 10_000
    monkeypatch.setattr(RequestReader, "next_short_request", count)
    for _ in range(4):
        converse(connection, request("INCR", "x" * 100) * quick + request("ECHO", "a"))
        parsed = 0
    converse(connection, (request("INCR", "x" * 100) * quick + request("ECHO", "a")) * 10)
    assert parsed <= (quick + 1) * 10 + 10 * (quick == MOST_QUICK)


def test_quick_requests_count_for_pause_of_learning(worker: Worker) -> None:
    connection = connect(worker)
    connection._pending.known.pause = connection._runs.pause = 10_000
    converse(connection, request("INCRBY", "key", "2") * 10)
    assert connection._runs.pause == 10_000 - 10


def test_known_requests_are_not_parsed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, sent = connect(worker), (FOUR + request("INCR", "key")) * 10
    with monkeypatch.context() as patch:
        for method in ("next_short_request", "next_request"):
            patch.delattr(RequestReader, method)
        replies = converse(connection, sent, sent)
    assert replies.count(b"\n") == 100
    assert worker.stats.commands["ttl"] == worker.stats.commands["incr"] == 20


def test_known_requests_are_recognised_again_after_a_pause(worker: Worker) -> None:
    connection = connect(worker)
    connection._pending.known.pause = 20
    converse(connection, *[FOUR * 4] * 20)
    assert connection._pending.known.pause == 0


def test_pause_goes_on_after_an_inline_request(worker: Worker) -> None:
    connection = connect(worker)
    connection._pending.known.pause = 10_000
    converse(connection, (request("GET", "key") + b"PING\r\n") * 20)
    assert connection._pending.known.pause > 9_900


def test_idle_client_keeps_nothing_of_its_known_requests(worker: Worker) -> None:
    connection = connect(worker)
    converse(connection, FOUR * 4, FOUR * 4 + b"*1")
    assert connection.unread_bytes == 2
    converse(connection, request("PING")[2:])
    assert not connection._pending.reader._buffer
    assert not connection._pending.recognised


@pytest.mark.parametrize(("others", "first"), [("ECHO key", 0), ("EXPIRE key 060", 0), ("EXPIRE key 60:ECHO key", 1)])
def test_attempts_in_vain_are_left_out(others: str, first: int, worker: Worker) -> None:
    """After 16 that found hardly any frame, more and more of them, until some have helped."""
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    sent = b"".join(request(*words.split()) for words in others.split(":")) + FOUR
    for _ in range(2):
        pauses: list[int] = []
        for _ in range(24):
            known.pause = 0  # as after so many attempts that were left out
            known.find(kinds, sent, 0)
            pauses.append(known.pause)
        assert pauses == [first] * 15 + [64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]
        known.pause = 0
        assert len(known.find(kinds, FOUR * 12 + sent, 0)[0]) >= 48


def test_attempts_that_end_at_a_run_are_left_out_less(worker: Worker) -> None:
    """Once runs are given up, such frames are known."""
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for _ in range(40):
        known.find(kinds, frame("GET key") * 9, 0)
    assert known.pause == 64


@pytest.mark.parametrize(
    ("numbers", "pause"),
    [
        ([2] * 15, 1),
        ([2] * 16, 64),
        ([3] * 40, 1),
        ([2] * 15 + [3, 2], 64),
        ([2] * 15 + [4, 2], 64),
        ([2] * 15 + [5, 2], 1),
        ([2] * 15 + [8, 2, 2, 2], 64),
    ],
)
def test_few_frames_among_others_are_in_vain(numbers: list[int], pause: int, worker: Worker) -> None:
    """Two take more time than they save. Two more than three make up for an attempt in vain."""
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for number in numbers:
        known.pause = 0
        known.find(kinds, request("EXPIRE", "key", "60") * number + request("ECHO", "key"), 0)
    assert known.pause == pause


@pytest.mark.parametrize(("number", "pause"), [(1, 64), (2, 1)])
def test_whole_read_of_several_frames_helps(number: int, pause: int, worker: Worker) -> None:
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](RunReader[Known]())
    for sent in [b"ECHO"] * 15 + [request("EXPIRE", "key", "60") * number] + [b"ECHO"]:
        known.pause = 1
        known.find(kinds, sent, 0)
    assert known.pause == pause


def test_goes_on_at_a_run_that_cannot_be_learned(worker: Worker) -> None:
    """As many requests count for the pause of the learning. After that, it can be learned, whatever came before."""
    runs = RunReader[Known]()
    runs.pause = 20
    kinds, known = known_kinds(connect(worker).session), KnownFrames[Known](runs)
    for _ in range(2):
        assert len(known.find(kinds, request("INCR", "key") * 10, 0)[0]) == 10
    assert runs.pause == 0
    assert len(known.find(kinds, request("INCR", "key") * 10, 0)[0]) == 3
    assert len(known.find(kinds, FOUR + request("INCR", "key") * 10, 0)[0]) == 4 + 3


@pytest.mark.parametrize("words", [words for words in REQUESTS if "number" in words])
def test_finds_positive_numbers(words: str, worker: Worker) -> None:
    """As many digits as any time may have, and all of them. The general path refuses some of the others."""
    connection, command = connect(worker), words.split(maxsplit=1)[0].lower()
    for number in (b"1", b"60", b"86400", b"9" * 15):
        sent = frame(words, number=number)
        assert find(connection, sent) == ([command], len(sent))
    for number in (b"", b"0", b"060", b"-1", b"+1", b"x", b"1x", b"6 ", b"1.0", b"9" * 16):
        assert find(connection, frame(words, number=number)) == ([], 0)


@pytest.mark.parametrize("words", ["set key 0 nx", "SET key 0 Nx", "expire key 60 nx"])
def test_finds_options_in_any_letter_case(words: str, worker: Worker) -> None:
    sent = request(*words.split())
    assert find(connect(worker), sent) == ([words.split(maxsplit=1)[0].lower()], len(sent))


def test_finds_one_as_drivers_send_it(worker: Worker) -> None:
    for increment, is_found in {"1": True, "1.0": True, "1.": False, "1x0": False, "2": False, "-1": False}.items():
        sent = request("INCRBYFLOAT", "key", increment)
        assert find(connect(worker), sent) == ((["incrbyfloat"], len(sent)) if is_found else ([], 0))


@pytest.mark.parametrize("words", ["EXPIRE key number", "PEXPIRE key number", "EXPIRE key number NX"])
def test_largest_number_is_no_error(words: str, worker: Worker) -> None:
    arguments = [b"9" * 15 if word == "number" else word.encode() for word in words.split()]
    assert run(connect(worker).session, arguments) == b":0\r\n"


def test_refuses_names_that_the_opening_does_not_tell() -> None:
    with pytest.raises(ValueError, match="short"):
        kind_of([b"GE", FREE], "")


@pytest.mark.parametrize("sent", [request("INCR", "k"), FOUR + request("INCR", "k"), request("INCR", "k") + FOUR])
def test_request_that_waits_is_the_last_command(worker: Worker, sent: bytes) -> None:
    """As CLIENT LIST shows it."""
    connection = connect(worker)
    worker.generator.take(4096)
    converse(connection, sent)
    assert connection.next is Next.WAIT
    assert connection.session.last_command == "incr"


@pytest.mark.parametrize("words", ["INCRBY key 2", "INCRBY key X", "ID.NEXT COUNT 2"])
def test_refuses_requests_with_other_replies(words: str, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply is constant, or one ID."""
    monkeypatch.setattr(known, "REQUESTS", (words,))
    monkeypatch.setattr(known, "_KINDS_CACHE", {})
    with pytest.raises(TypeError):
        known_kinds(connect(worker).session)


@pytest.mark.parametrize(
    ("words", "is_run"),
    [
        (["INCR"], True),
        (["INCR"] * 3, True),
        (["INCR", "ID.NEXT"], False),
        (["INCR", "GET"], False),
        (["GET"] * 2, False),
    ],
)
def test_only_draws_of_one_kind_are_a_run(words: list[str], *, is_run: bool, worker: Worker) -> None:
    subjects = {kind.subject.words.split()[0]: kind.subject for kind in known_kinds(connect(worker).session).values()}
    assert known.is_run(tuple([subjects[name] for name in words])) == is_run


@pytest.mark.parametrize("words", ["INCR", "INCR GET", "GET PING", "INCR ID.NEXT INCR"])
def test_all_requests_are_answered_with_one_call(words: str, worker: Worker) -> None:
    session = connect(worker).session
    subjects = {kind.subject.words: kind.subject for kind in known_kinds(session).values()}
    requests = tuple([subjects[name if name in subjects else f"{name} key"] for name in words.split()])
    answered, replies = known.answer_known(session, requests)
    assert (answered, replies.count(b"\r\n")) == (len(requests), len(requests))


def test_refusals_take_constant_time(clock: ScriptedClock, worker: Worker) -> None:
    """The rest of the requests once was planned anew after each of them."""
    connection = connect(worker)
    clock.pass_ms(RESERVED_MS + 1)
    sent = b"".join(request("INCR", "k") + request("GET", "k") * (turn % 3) for turn in range(40))
    converse(connection, sent)
    clock.pass_ms(PATIENCE_MS + 1)
    before = known._plan.cache_info().misses
    replies = connection.resume()
    assert replies.count(b"-LOADING") == worker.stats.commands["incr"] == worker.stats.failed_calls["incr"] == 40
    assert known._plan.cache_info().misses - before <= 2
