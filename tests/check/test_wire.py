"""Replies from any kind of server, whole and cut at every place; sizes are refused before hiredis sees them."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respid.check.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ELEMENTS,
    ErrorReply,
    InvalidReplyError,
    Reply,
    ReplyReader,
    encode_request,
)

REPLIES: list[tuple[bytes, Reply]] = [
    (b":9223372036854775807\r\n", 9223372036854775807),
    (b":-1\r\n", -1),
    (b"+OK\r\n", b"OK"),
    (b"$3\r\n\r\n1\r\n", b"\r\n1"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*1\r\n*1\r\n*2\r\n:5\r\n$1\r\na\r\n", [[[5, b"a"]]]),
    (b"-LOADING later\r\n", ErrorReply("LOADING later")),
    (b"-ERR \xff\r\n", ErrorReply("ERR \ufffd")),
    (b"-ERR " + b"x" * 1000 + b"\r\n", ErrorReply("ERR " + "x" * 196)),
]
INVALID = [
    b"HTTP/1.1 400 Bad Request\r\n",
    b":1_0\r\n",
    b":9223372036854775808\r\n",
    b"$-2\r\n",
    b"\r\n",
    b"%1\r\n*0\r\n:1\r\n",
]
TOO_LARGE = [
    b"$1000000000\r\n",
    b"*1000000000\r\n",
    b"*99999999999999999999\r\n",
    b"%1000000000\r\n",
    b"*2\r\n*9999\r\n",
    b"*1\r\n" * (MAX_BATCH_ELEMENTS + 1),
    b"$1000000\r\n" + b"x" * 40_000 + b"\r\n$100000\r\n",
    b"x" * (MAX_BATCH_BYTES + 1),
]


def read(*pieces: bytes) -> list[Reply]:
    reader = ReplyReader()
    return [reply for piece in pieces for reply in reader.feed(piece)]


def test_request_is_array_of_bulk_strings() -> None:
    assert encode_request(b"INCRBY", b"a\r\n", b"5") == b"*3\r\n$6\r\nINCRBY\r\n$3\r\na\r\n\r\n$1\r\n5\r\n"


@pytest.mark.parametrize(("received", "reply"), REPLIES)
def test_reads_reply_wherever_it_is_cut(received: bytes, reply: Reply) -> None:
    assert read(received) == [reply]
    assert read(*[received[position : position + 1] for position in range(len(received))]) == [reply]
    for cut in range(len(received)):
        assert read(received[:cut]) == []
        assert read(received[:cut], received[cut:] + received) == [reply, reply]


@pytest.mark.parametrize("received", INVALID)
def test_refuses_invalid_reply(received: bytes) -> None:
    with pytest.raises(InvalidReplyError):
        read(received)


@pytest.mark.parametrize("received", TOO_LARGE)
def test_refuses_sizes_before_hiredis(received: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidReplyError, match="too large"):
        read(received)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * MAX_BATCH_BYTES


def test_batch_begins_with_full_limits() -> None:
    reader = ReplyReader()
    replies = b"*%d\r\n" % MAX_BATCH_ELEMENTS + b":1\r\n" * MAX_BATCH_ELEMENTS
    for _ in range(2):
        reader.begin_batch()
        assert len(reader.feed(replies)) == 1
    with pytest.raises(InvalidReplyError, match="20,000 elements"):
        reader.feed(replies)


def test_nested_arrays_use_bounded_memory() -> None:
    """The parser limits the depth itself, or keeps a small record for each level."""
    tracemalloc.start()
    try:
        read(b"*1\r\n" * MAX_BATCH_ELEMENTS)
    except InvalidReplyError as error:
        assert "nesting" in str(error)  # noqa: PT017 - only newer versions refuse
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * MAX_BATCH_BYTES


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"*2\r\n", b"$1\r\n", b":1\r\n", b"%1\r\n", b"_\r\n"])))
def test_any_bytes_are_read_or_refused(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    try:
        for piece in pieces:
            reader.feed(piece)
    except InvalidReplyError as error:
        assert str(error)  # noqa: PT017 - most inputs are refused, some are replies


def test_only_loading_means_try_again() -> None:
    assert ErrorReply("LOADING respid cannot issue IDs").is_loading
    assert not ErrorReply("ERR LOADING").is_loading
