"""Replies of anything that answers, whole and cut at every place."""

import asyncio

import pytest

from respid.check.replies import ErrorReply, NotRedisError, Reply, read_reply

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
]


async def read(*pieces: bytes) -> Reply:
    stream = asyncio.StreamReader()
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    reply = await read_reply(stream)
    assert await stream.read() == b""
    return reply


@pytest.mark.parametrize(("received", "reply"), REPLIES)
async def test_a_reply_is_read_whole_and_in_pieces(received: bytes, reply: Reply) -> None:
    assert await read(received) == reply
    for cut in range(len(received)):
        assert await read(received[:cut], received[cut:]) == reply
        with pytest.raises(EOFError):
            await read(received[:cut])


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b":1_0\r\n",
        b":9223372036854775808\r\n",
        b"$-2\r\n",
        b"$1000000000\r\n",
        b"*1000000000\r\n",
        b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        b"\r\n",
        b"x" * 100_000,
    ],
)
async def test_what_is_no_reply_is_refused(received: bytes) -> None:
    with pytest.raises(NotRedisError):
        await read(received)


def test_only_loading_is_to_be_tried_again() -> None:
    assert ErrorReply("LOADING respid cannot issue IDs").is_loading
    assert not ErrorReply("ERR LOADING").is_loading
