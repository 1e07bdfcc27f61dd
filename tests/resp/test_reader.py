"""The reader alone: compared with hiredis, cut anywhere, at its limits, and its use of memory and time."""

import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respid.resp.fast_path import RunReader
from respid.resp.known_frames import FREE, KnownFrames, kind_of
from respid.resp.reader import (
    ARGUMENT_OVERHEAD_BYTES,
    ProtocolError,
    RequestLimits,
    RequestReader,
    parse_integer,
    unauthenticated_limits,
)
from tests.support.byte_streams import request
from tests.support.cpu_time import least_seconds
from tests.support.request_limits import DEFAULT_LIMITS

KEYS = st.one_of(
    st.binary(max_size=120),
    st.sampled_from([b"", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"$3\r\n", b"12", b"INCR", b"\0", b"x" * 9_999]),
    st.lists(st.sampled_from([b"\r", b"\n", b"*", b"$", b"1", b"0", b"INCR"]), max_size=9).map(b"".join),
)
# Of a request that is parsed as it arrives, unlike a short one.
LONG_PART = b"*3\r\n$4\r\nECHO\r\n$100\r\n" + b"x" * 100 + b"\r\n$9\r\nyy"
HEADER_BYTES = len(b"*2\r\n")
REQUESTS = st.lists(st.lists(KEYS, min_size=1, max_size=12), max_size=12)


def read(reader: RequestReader, pieces: Iterable[bytes]) -> list[list[bytes]]:
    """Returns the requests in the pieces; asks for requests after each piece."""
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (arguments := reader.next_request()) is not None:
            found += [arguments] if arguments else []
    return found


def read_all(sent: bytes, limits: RequestLimits | None = None) -> list[list[bytes]]:
    return read(RequestReader(limits or DEFAULT_LIMITS), [sent])


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    ends = [*sorted(place % (len(sent) + 1) for place in places), len(sent)]
    return [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(REQUESTS, st.lists(st.integers(min_value=0), max_size=20))
@settings(max_examples=100)
def test_equals_hiredis_wherever_cut(requests: list[list[bytes]], places: list[int]) -> None:
    sent = b"".join([request(*arguments) for arguments in requests])
    oracle = hiredis.Reader()
    oracle.feed(sent)
    expected = []
    while (reply := oracle.gets()) is not False:
        expected.append(reply)
    assert read(RequestReader(DEFAULT_LIMITS), cut(sent, places)) == expected == requests


@given(REQUESTS, st.lists(st.integers(min_value=0), max_size=20))
@settings(max_examples=100)
def test_short_requests_are_read_alike(requests: list[list[bytes]], places: list[int]) -> None:
    sent = b"".join([request(*arguments) for arguments in requests])
    assert outcome(cut(sent, places)) == (requests, "")


@pytest.mark.parametrize("arguments", [[b"x"], [b"GET", b""], [b"x" * 9, b"y" * 99], [b"x", *[b"y" * 99] * 8]], ids=len)
def test_short_request_is_read_whole_or_not_at_all(arguments: list[bytes]) -> None:
    sent = request(*arguments)
    for place in range(len(sent)):
        reader = RequestReader(DEFAULT_LIMITS)
        reader.feed(sent[:place])
        assert reader.next_short_request() is None
        reader.feed(sent[place:])
        assert reader.next_short_request() == arguments
        assert reader.is_empty


@pytest.mark.parametrize("arguments", [[b"x"], [b"GET", b""], [b"x" * 9, b"y" * 99], [b"x", *[b"y" * 99] * 8]], ids=len)
def test_part_of_short_request_is_left_unparsed(arguments: list[bytes]) -> None:
    sent = request(*arguments)
    for place in range(1, len(sent)):
        reader, part = RequestReader(DEFAULT_LIMITS), sent[:place]
        reader.feed(request("PING") + part)
        assert reader.next_request() == [b"PING"]
        assert reader.keep_part() if place < HEADER_BYTES else reader.next_request() is None
        assert (reader.is_cut, reader.is_empty, reader.unread_bytes, reader.held_bytes) == (True, False, place, place)
        assert reader.take_part() == part
        assert (reader.is_cut, reader.is_empty, reader.held_bytes) == (False, True, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request("PING"),
        request("PING") + b"*",
        b"PING",
        b"*x",
        b"*10",
        b"*1\r\n:",
        b"*1\r\n$100",
        b"*1\r\n$10\r" + b"x" * 13,
        LONG_PART,
    ],
)
def test_takes_no_other_part(data: bytes) -> None:
    reader = RequestReader(DEFAULT_LIMITS)
    assert not reader.feed_part(data)
    assert (reader.is_cut, reader.is_empty) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "request_bytes", "accepts"), [(9, 891, True), (8, 891, False), (9, 890, False), (8, 890, False)]
)
def test_accepts_short_requests_if_all_keep_the_limits(arguments: int, request_bytes: int, *, accepts: bool) -> None:
    limits = replace(DEFAULT_LIMITS, arguments=arguments, request_bytes=request_bytes)
    assert RequestReader(limits).accepts_short == accepts


def test_takes_no_part_if_limits_are_low() -> None:
    reader = RequestReader(replace(DEFAULT_LIMITS, request_bytes=700))
    assert not reader.feed_part(b"*1\r\n")


def test_content_of_a_request_is_not_recognised() -> None:
    """It may look like other requests, and come in a read of its own."""
    content = request("INCR", "key") * 9
    reader, runs = RequestReader(DEFAULT_LIMITS), RunReader[str]()
    runs.learn([b"INCR", b"key"], 1, "incr")
    known, kinds = KnownFrames[str](runs), dict([kind_of([b"INCR", FREE], "incr")])
    reader.feed(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(content))
    assert reader.next_request() is None
    reader.feed(content)
    assert (reader.next_run(runs), reader.next_known(known, kinds, may_run=True)) == (0, ())
    assert reader.next_short_request() is None
    reader.feed(b"\r\n" + content)
    assert reader.next_request() == [b"ECHO", content]
    assert not reader.is_at(b"*2\r\n$4\r\nECHO")
    assert reader.is_at(b"*2\r\n$4\r\nINCR")
    assert reader.next_known(known, kinds, may_run=True) == ("incr",) * 3
    assert reader.next_run(runs) == 6
    assert reader.is_empty
    reader.feed(content)
    assert reader.next_known(known, kinds, may_run=False) == ("incr",) * 9


def test_argument_that_begins_like_a_request_is_refused() -> None:
    reader, runs = RequestReader(DEFAULT_LIMITS), RunReader[str]()
    runs.learn([b"INCR", b"key"], 1, "incr")
    known, kinds = KnownFrames[str](runs), dict([kind_of([b"INCR", FREE], "incr")])
    reader.feed(b"*10\r\n")
    assert reader.next_request() is None
    assert not reader.finish()
    reader.feed(request("INCR", "key"))
    assert (reader.next_run(runs), reader.next_known(known, kinds, may_run=True)) == (0, ())
    assert reader.next_short_request() is None
    with pytest.raises(ProtocolError, match="expected"):
        reader.next_request()


def test_counts_what_it_holds() -> None:
    """Each argument takes memory besides its bytes."""
    reader = RequestReader(DEFAULT_LIMITS)
    reader.feed(request("PING") + LONG_PART)
    assert (reader.unread_bytes, reader.held_bytes) == (14 + len(LONG_PART), 14 + len(LONG_PART))
    assert reader.next_request() == [b"PING"]
    assert reader.next_request() is None
    unread = len(b"$9\r\nyy")
    assert reader.unread_bytes == unread
    assert reader.held_bytes == 14 + len(LONG_PART) + 4 + 100 + 2 * ARGUMENT_OVERHEAD_BYTES
    reader.feed(b"y")
    assert reader.unread_bytes == unread + 1
    assert reader.held_bytes == 14 + len(LONG_PART) + 1 + 4 + 100 + 2 * ARGUMENT_OVERHEAD_BYTES
    assert not reader.finish()
    reader.feed(b"y" * 6 + b"\r\n")
    assert reader.next_request() == [b"ECHO", b"x" * 100, b"y" * 9]
    assert reader.finish()
    assert (reader.unread_bytes, reader.held_bytes) == (0, 0)


def test_low_limit_applies_to_short_requests() -> None:
    reader = RequestReader(replace(DEFAULT_LIMITS, request_bytes=700))
    reader.feed(request("x", *["y" * 99] * 8))
    assert reader.next_short_request() is None
    with pytest.raises(ProtocolError, match="invalid bulk length"):
        reader.next_request()


@given(REQUESTS.filter(bool))
@settings(max_examples=60)
def test_waits_for_last_byte(requests: list[list[bytes]]) -> None:
    sent = b"".join([request(*arguments) for arguments in requests])
    reader = RequestReader(DEFAULT_LIMITS)
    assert read(reader, [sent[:-1]]) == requests[:-1]
    assert read(reader, [sent[-1:]]) == requests[-1:]


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=20))
@settings(max_examples=300)
def test_cuts_do_not_matter_for_any_bytes(sent: bytes, places: list[int]) -> None:
    assert outcome([sent]) == outcome(cut(sent, places))


@given(
    st.lists(
        st.sampled_from([b"*", b"$", b"1", b"2", b"-", b"\r\n", b"\r", b"\n", b"x", b" ", b'"', b"*1\r\n$1\r\nx\r\n"])
    ),
    st.lists(st.integers(min_value=0), max_size=20),
)
@settings(max_examples=300)
def test_cuts_do_not_matter_if_malformed(parts: list[bytes], places: list[int]) -> None:
    sent = b"".join(parts)
    assert outcome([sent]) == outcome(cut(sent, places))


def outcome(pieces: list[bytes]) -> tuple[list[list[bytes]], str]:
    """Returns the requests in the pieces, read as a connection does, and the error that ends them, if any."""
    reader, found = RequestReader(DEFAULT_LIMITS), []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (arguments := reader.next_short_request() or reader.next_request()) is not None:
                found += [arguments] if arguments else []
        except ProtocolError as error:
            return found, str(error)
    return found, ""


@pytest.mark.parametrize(
    ("sent", "error", "limit"),
    [
        (b"*1025\r\n", "invalid multibulk length", "arguments"),
        (b"*2147483648\r\n", "invalid multibulk length", ""),
        (b"*x\r\n", "invalid multibulk length", ""),
        (b"*1\r\n$-1\r\n", "invalid bulk length", ""),
        (b"*1\r\n$1048577\r\n", "invalid bulk length", "request_bytes"),
        (b"*2\r\n$1048576\r\n" + b"x" * 1048576 + b"\r\n$100\r\n", "invalid bulk length", "request_bytes"),
        (request("x" * 1048576, "y"), "invalid bulk length", "request_bytes"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'", ""),
        (b"*1\r\n\xff1\r\n", "expected '$', got '\udcff'", ""),
        (b"*" + b"1" * 65_535 + b"\r\n", "invalid multibulk length", ""),
        (b"*" + b"1" * 65_536 + b"\r\n", "too big mbulk count string", ""),
        (b"*" + b"1" * 65_536, "too big mbulk count string", ""),
        (b"*1\r\n$" + b"1" * 65_535 + b"\r\n", "invalid bulk length", ""),
        (b"*1\r\n$" + b"1" * 65_536, "too big bulk count string", ""),
        (b"x" * 65_538, "too big inline request", "inline_bytes"),
        (b"x" * 65_537 + b"\r\n", "too big inline request", "inline_bytes"),
        (b"*" + b"1" * 70_000 + b"\r\n", "too big mbulk count string", ""),
        (b"x " * 1025 + b"\r\n", "too big inline request", "arguments"),
        (b'"\r\n', "unbalanced quotes in request", ""),
    ],
)
def test_refuses_with_redis_errors(sent: bytes, error: str, limit: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        read_all(sent)
    assert (str(refusal.value), refusal.value.limit) == (error, limit)


@pytest.mark.parametrize(
    "sent", [b"*" + b"1" * 65_535, b"*1\r\n$" + b"1" * 65_535, b"x" * 65_537, b"*1\r\n", b"*1\r", b"*1\r\n$1\r"]
)
def test_waits_for_the_rest(sent: bytes) -> None:
    assert read_all(sent) == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*2147483647\r\n", "unauthenticated multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (b"*2\r\n$10000\r\n" + b"x" * 10_000 + b"\r\n$6385\r\n", "unauthenticated bulk length"),
        (b"*1\r\n$536870912\r\n", "unauthenticated bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    ],
)
def test_unauthenticated_limits_are_lower(sent: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{error}$"):
        read_all(sent, unauthenticated_limits(DEFAULT_LIMITS))


@pytest.mark.parametrize(
    "arguments", [[b"x"] * 1024, [b"x" * 1048576], [b"x" * 1048575, b"y"], [b"x" * 524288] * 2], ids=len
)
def test_accepts_request_at_limit(arguments: list[bytes]) -> None:
    assert read_all(request(*arguments)) == [arguments]


def test_accepts_line_at_limit() -> None:
    assert read_all(b"x" * 65_536 + b"\r\n") == [[b"x" * 65_536]]
    assert read_all(b"x " * 1024 + b"\r\n") == [[b"x"] * 1024]


@pytest.mark.parametrize("following", [b"\r\n", b"\r" + b"x" * 70_000])
def test_refuses_empty_header_at_the_beginning_of_a_read(following: bytes) -> None:
    for header in (b"*1\r\n", b"*10\r\n"):  # the first one is kept as a part
        assert outcome([header, following]) == ([], "expected '$', got '\r'")


def test_accepts_any_byte_after_a_carriage_return() -> None:
    assert read_all(b"*2\rX$0\rX..$1\rXa..") == [[b"", b"a"]]


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"*0\r\n"])
def test_skips_empty_request_at_the_beginning_of_a_read(blank: bytes) -> None:
    assert read_all(blank + request("PING")) == [[b"PING"]]


def test_skips_empty_requests() -> None:
    assert read_all(b"*-5\r\n*0\r\n\r\n\n" + request("PING") + b"*0\r\nPING\n") == [[b"PING"], [b"PING"]]


def test_limit_of_inline_command_does_not_count_those_before_it() -> None:
    assert len(read_all((b"x" * 40_000 + b"\r\n") * 2 + b"x" * 40_000)) == 2


def test_limit_applies_to_each_request() -> None:
    sent = request("x" * 600_000)
    assert len(read_all(sent * 3)) == 3


def test_limits_change_between_requests() -> None:
    reader = RequestReader(unauthenticated_limits(DEFAULT_LIMITS))
    reader.feed(request("AUTH", "x") + request(*"abcdefghijklm"))
    assert reader.next_request() == [b"AUTH", b"x"]
    reader.limits = DEFAULT_LIMITS
    assert reader.next_request() == [letter.encode() for letter in "abcdefghijklm"]


@pytest.mark.parametrize(
    "header",
    [
        b"*1024\r\n",
        b"*1024\r\n$1000000\r\n",
        b"*1\r\n$1048576\r\n",
        b"*400000000\r\n",
        b"*1\r\n$99999999999\r\n",
        b"*-5\r\n" * 1000,
    ],
)
def test_header_uses_no_memory(header: bytes) -> None:
    reader = RequestReader(DEFAULT_LIMITS)
    assert growth_bytes(lambda: outcome_of(reader, [header])) < len(header) + 4_000


@pytest.mark.parametrize("piece_bytes", [1, 2, 100])
def test_incomplete_request_uses_little_memory(piece_bytes: int) -> None:
    sent = request("x" * 20_000)[:-1]
    reader = RequestReader(DEFAULT_LIMITS)
    pieces = [sent[start : start + piece_bytes] for start in range(0, len(sent), piece_bytes)]
    assert growth_bytes(lambda: outcome_of(reader, pieces)) < 2 * len(sent)


def test_keeps_nothing_of_read_request() -> None:
    reader = RequestReader(DEFAULT_LIMITS)
    assert growth_bytes(lambda: outcome_of(reader, [request("x" * 1_000_000)])) < 4_000


def outcome_of(reader: RequestReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)
        try:
            while reader.next_request() is not None:
                pass
        except ProtocolError:
            return


def growth_bytes(action: Callable[[], None]) -> int:
    """Returns by how many bytes the action makes memory grow."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def read_trickling(size: int) -> None:
    """Copying all received bytes at each read would copy 31 GB of a megabyte."""
    sent = request("x" * size)
    found = read(RequestReader(DEFAULT_LIMITS), (sent[start : start + 16] for start in range(0, len(sent), 16)))
    assert found == [[b"x" * size]]


def read_pipeline(size: int) -> None:
    """Copying the rest at each request would copy 35 GB of a megabyte."""
    reader = RequestReader(DEFAULT_LIMITS)
    reader.feed(request("PING") * (size // 14))
    assert sum(1 for _ in iter(reader.next_request, None)) == size // 14


@pytest.mark.parametrize("work", [read_trickling, read_pipeline])
def test_reads_in_linear_time(work: Callable[[int], None]) -> None:
    size = 1_000_000
    # Quadratic work takes about three to four times as long as its four quarters.
    whole, quarter = least_seconds(partial(work, size), partial(work, size // 4))
    assert whole < 2 * 4 * quarter


def test_looks_for_a_part_without_copying_all_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    monkeypatch.setattr(RequestReader, "feed_part", lambda _reader, data: copied.append(len(data)))
    reader = RequestReader(DEFAULT_LIMITS)
    reader.feed(request("PING") * 100_000)
    assert not reader.keep_part()
    reader = RequestReader(DEFAULT_LIMITS)
    reader.feed(request("x" * 300_000)[:-1])
    assert reader.next_request() is None
    assert copied == [1001, 1001]


def test_reads_what_comes_before_the_rest_is_read() -> None:
    """After a large request, which had to be waited for, a small one is not waited for as long."""
    reader, large = RequestReader(DEFAULT_LIMITS), request("x" * 1_000)
    assert not read(reader, [large[:100]])
    reader.feed(large[100:] + request("PING"))
    assert reader.next_request() == [b"x" * 1_000]
    assert read(reader, [request("INCR", "a")]) == [[b"PING"], [b"INCR", b"a"]]


def test_is_empty_after_last_request() -> None:
    reader = RequestReader(DEFAULT_LIMITS)
    assert reader.is_empty
    for piece in (b"*1\r\n$4\r\nPI", b"NG\r", b"\n"):
        reader.feed(piece)
        assert not reader.is_empty
    assert reader.next_request() == [b"PING"]
    assert reader.next_request() is None
    assert reader.is_empty


@pytest.mark.parametrize("number", [0, 1, -1, 10, 9223372036854775807, -9223372036854775808])
def test_parses_integer(number: int) -> None:
    assert parse_integer(b"%d" % number) == number


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-",
        b"-0",
        b"+1",
        b"01",
        b"1 ",
        b" 1",
        b"1.0",
        b"1_0",
        b"1\n",
        b"0x1",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"1" * 99,
    ],
)
def test_refuses_lenient_integer(text: bytes) -> None:
    assert parse_integer(text) is None
