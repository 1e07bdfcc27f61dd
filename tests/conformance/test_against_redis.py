"""Sends the same bytes to respid and to a real redis-server, and compares the replies and the end of the connection.

`byte_streams` lists the bytes, and the intended differences.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.byte_streams import LOCKED, OPEN, STILL_OPEN, STREAMS, Compared, Stream, request, requests
from tests.support.raw_client import RawClient, exchange
from tests.support.redis_oracle import running_redis
from tests.support.reply_parser import Reply, parse_replies
from tests.support.running import RunningServer, StartServer
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker

ALIKE = [stream for stream in STREAMS if stream.instead is None]
UNLIKE = [stream for stream in STREAMS if stream.instead is not None]
LOCKED_ALIKE = [stream for stream in LOCKED if stream.instead is None]
LOCKED_UNLIKE = [stream for stream in LOCKED if stream.instead is not None]
BYTE_BY_BYTE = [stream for stream in STREAMS if stream.compared is Compared.BYTES and len(stream.sent) < 120][::9]


def named(streams: list[Stream]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stream", streams, ids=lambda stream: stream.name)


@pytest.fixture(scope="module")
def locked_server(start_module_server: StartServer) -> RunningServer:
    return start_module_server(RESPID_PASSWORD="secret")


@pytest.fixture(scope="module")
def locked_redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_redis(tmp_path_factory.mktemp("redis"), "--requirepass", "secret") as port:
        yield port


@named(ALIKE)
def test_replies_match_redis(stream: Stream, server: RunningServer, redis_port: int) -> None:
    assert comparable(stream, answers(server.port, stream)) == comparable(
        stream, patiently(lambda: answers(redis_port, stream))
    )


@named(ALIKE)
def test_resp3_replies_match_redis(stream: Stream, server: RunningServer, redis_port: int) -> None:
    answered, expected = (
        answers(server.port, stream, version=3),
        patiently(lambda: answers(redis_port, stream, version=3)),
    )
    assert comparable(stream, answered) == comparable(stream, expected)


@named(LOCKED_ALIKE)
def test_authentication_matches_redis(stream: Stream, locked_server: RunningServer, locked_redis_port: int) -> None:
    sent = stream.sent + STILL_OPEN
    assert exchange(locked_server.port, sent) == patiently(lambda: exchange(locked_redis_port, sent))


@named(UNLIKE)
def test_listed_differences_hold(stream: Stream, server: RunningServer, redis_port: int) -> None:
    sent = stream.sent + STILL_OPEN
    assert exchange(server.port, sent) == stream.instead
    assert patiently(lambda: exchange(redis_port, sent)) != stream.instead, (
        "no longer a difference: list the stream without one"
    )


@named(LOCKED_UNLIKE)
def test_listed_differences_before_auth_hold(
    stream: Stream, locked_server: RunningServer, locked_redis_port: int
) -> None:
    sent = stream.sent + STILL_OPEN
    assert exchange(locked_server.port, sent) == stream.instead
    assert patiently(lambda: exchange(locked_redis_port, sent)) != stream.instead, (
        "no longer a difference: list the stream without one"
    )


def test_open_connection_is_detected(server: RunningServer, redis_port: int) -> None:
    assert exchange(server.port, STILL_OPEN) == patiently(lambda: exchange(redis_port, STILL_OPEN)) == OPEN


@named(BYTE_BY_BYTE)
def test_single_bytes_match_redis(stream: Stream, server: RunningServer, redis_port: int) -> None:
    sent = [bytes([byte]) for byte in stream.sent + STILL_OPEN]
    answered = exchange(server.port, *sent)
    if stream.instead is None:
        assert comparable(stream, answered) == comparable(stream, patiently(lambda: exchange(redis_port, *sent)))
    else:
        assert answered == stream.instead


@pytest.mark.unmeasured
@named([*STREAMS, *(dataclasses.replace(stream, name=f"locked: {stream.name}") for stream in LOCKED)])
def test_cut_streams_have_equal_replies(stream: Stream) -> None:
    clock, sent = ScriptedClock(), stream.sent + STILL_OPEN
    password = "secret" if stream.name.startswith("locked: ") else ""

    def answer(*pieces: bytes) -> bytes:
        return converse(connect(start_worker(clock, password=password)), *pieces)

    whole = answer(sent)
    for cut in places_to_cut(sent):
        assert answer(sent[:cut], sent[cut:]) == whole, f"cut at {cut}"
    if len(sent) < 2_000:
        assert answer(*[bytes([byte]) for byte in sent]) == whole


def places_to_cut(sent: bytes) -> list[int]:
    """All places in a short stream; in a long one those near its ends, those near limits, and some others."""
    if len(sent) <= 300:
        return list(range(1, len(sent)))
    near = [place + offset for place in (2**14, 2**16, 2**20, len(sent) - len(STILL_OPEN)) for offset in range(-3, 9)]
    places = {*range(1, 30), *range(len(sent) - 10, len(sent)), *near, *range(30, len(sent), len(sent) // 20)}
    return sorted(place for place in places if 0 < place < len(sent))


WORDS_AND_QUOTES = st.binary(max_size=24).flatmap(
    lambda noise: st.lists(st.sampled_from([b'"', b"'", b"\\", b" ", b"\t", b"\v", b"x", b"n", b"\\x41", b"\r", noise]))
)


@given(st.sampled_from([b"ECHO ", b"BOGUS ", b"x"]), WORDS_AND_QUOTES)
@settings(max_examples=150)
def test_inline_commands_match_redis(redis_port: int, command: bytes, rest: list[bytes]) -> None:
    line = b"".join([command, *rest]).translate(None, b"\0\n") + b"\r\n"  # NUL bytes are a listed difference
    assert answer_in_process(line + STILL_OPEN) == patiently(lambda: exchange(redis_port, line + STILL_OPEN))


FRAGMENTS = [b"*", b"$", b"\r\n", b"\r", b"\n", b"0", b"1", b"2", b"3", b"4", b"-", b"+", b":", b"ECHO", b"PING", b"x"]
FRAGMENTS += [b" ", b'"', b"\\", b"\xff", b"*1\r\n", b"*2\r\n", b"$1\r\n", b"$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20))
@settings(max_examples=300)
def test_random_fragments_match_redis(redis_port: int, fragments: list[bytes]) -> None:
    sent = (
        re.sub(rb"\*([0-9]{3})[0-9]+", rb"*\1", b"".join(fragments)) + STILL_OPEN
    )  # the limit of respid is a listed difference
    assert answer_in_process(sent) == patiently(lambda: exchange(redis_port, sent))


IDS = [request("INCR", "a"), request("incr", "a"), request("INCRBY", "a", "1"), request("INCR", "*2\r\n")]
IDS += [
    request("INCR", "b") * 70,
    request("INCRBY", "a", "12"),
    b"*2\r\n$4\r\nINCR\r\n$2\r\n",
    b"*3\r\n$6\r\nINCRBY\r\n",
]


@given(st.lists(st.sampled_from(IDS * 4 + FRAGMENTS), max_size=12), st.lists(st.integers(min_value=0), max_size=6))
@settings(max_examples=200)
def test_cut_id_requests_have_equal_replies(fragments: list[bytes], places: list[int]) -> None:
    sent = b"".join(fragments) + STILL_OPEN
    ends = [*sorted(place % len(sent) for place in places), len(sent)]
    pieces = [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert answer_in_process(sent) == answer_in_process(*pieces)


def answer_in_process(*pieces: bytes) -> bytes:
    return converse(connect(start_worker(ScriptedClock())), *pieces)


def patiently(ask: Callable[[], bytes]) -> bytes:
    """The reply of Redis. Retries while it is empty: closing with unread data makes the kernel discard the reply."""
    return next(filter(None, (ask() for _ in range(20))), b"")


def answers(port: int, stream: Stream, version: int = 2) -> bytes:
    """All replies to the stream and to STILL_OPEN, in this version of the protocol."""
    with RawClient(port) as client:
        if version != 2:
            client.send(request("HELLO", str(version)))
            assert client.receive_reply().startswith(b"%")
        client.send(stream.sent + STILL_OPEN)
        # To a half-closed client Redis sends no more than fits into the socket buffer.
        long_answer = client.receive_until(OPEN) if stream.compared is Compared.OUTER_TYPES else b""
        return long_answer + client.finish()


def comparable(stream: Stream, answered: bytes) -> bytes | list[Reply]:
    """The part of the replies that must be equal."""
    match stream.compared:
        case Compared.TYPES:
            return [without_text(reply) for reply in parse_replies(answered)]
        case Compared.OUTER_TYPES:
            return [Reply(reply.type) for reply in parse_replies(answered)]
        case Compared.BYTES if stream.apart_from:
            return [without_members(reply, stream.apart_from) for reply in parse_replies(answered)]
        case Compared.BYTES:
            return answered


def without_text(reply: Reply) -> Reply:
    if reply.type in "+-":
        return reply
    return Reply(reply.type, None, [without_text(element) for element in reply.elements])


def without_members(reply: Reply, names: frozenset[bytes]) -> Reply:
    """The reply without the elements that follow these names."""
    elements: list[Reply] = []
    for element in reply.elements:
        follows_name = elements and elements[-1].text in names
        elements.append(Reply("") if follows_name else without_members(element, names))
    return Reply(reply.type, reply.text, elements)


STATISTICS = r"cmdstat_[a-z_.|-]+:calls=\d+,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=\d+,failed_calls=\d+"


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("commandstats", STATISTICS),
        ("errorstats", r"errorstat_[A-Z]+:count=\d+"),
        ("stats", r"instantaneous_ops_per_sec:\d+"),
    ],
)
def test_statistics_have_the_format_of_redis(redis_port: int, server: RunningServer, section: str, line: str) -> None:
    for port in (redis_port, server.port):
        exchange(port, requests("INCR c; INCR; CLIENT SETNAME a; BOGUS"))
        text = exchange(port, requests(f"INFO {section}")).decode()
        lines = [each for each in text.split("\r\n") if each.partition("_")[0] == line.partition("_")[0]]
        assert lines, text
        found = [each for each in lines if re.fullmatch(line, each)]
        assert found == lines if section != "stats" else len(found) == 1
