"""Encoded replies and errors, in both versions of the protocol."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respid.resp import encoder, errors
from respid.resp.encoder import Value
from tests.support.reply_parser import Reply, parse_reply


@pytest.mark.parametrize(
    ("value", "resp2", "resp3"),
    [
        (1, b":1\r\n", b":1\r\n"),
        (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
        ("é", b"$2\r\n\xc3\xa9\r\n", b"$2\r\n\xc3\xa9\r\n"),
        (b"\r\n", b"$2\r\n\r\n\r\n", b"$2\r\n\r\n\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (0.5, b"$3\r\n0.5\r\n", b"$3\r\n0.5\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ([1, [None]], b"*2\r\n:1\r\n*1\r\n$-1\r\n", b"*2\r\n:1\r\n*1\r\n_\r\n"),
        ({}, b"*0\r\n", b"%0\r\n"),
        ({"a": {"b": 1}}, b"*2\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n:1\r\n", b"%1\r\n$1\r\na\r\n%1\r\n$1\r\nb\r\n:1\r\n"),
        (frozenset({"b", "a"}), b"*2\r\n+a\r\n+b\r\n", b"~2\r\n+a\r\n+b\r\n"),
    ],
)
def test_encodes_value_for_each_version(value: Value, resp2: bytes, resp3: bytes) -> None:
    assert encoder.encode(value, 2) == resp2
    assert encoder.encode(value, 3) == resp3


@given(st.text(), st.integers(0, 9), st.sampled_from([2, 3]))
def test_text_in_pieces_is_the_same_text(text: str, cut: int, version: int) -> None:
    encoded = text.encode()
    pieces: list[bytes | memoryview] = [encoded[:cut], memoryview(encoded)[cut:]]
    assert encoder.text_pieces(pieces, version) == encoder.text_string(text, version)


VALUES = st.recursive(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(), st.binary(), st.none()),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=50)
def test_resp3_client_reads_encoded_value(value: Value) -> None:
    reply, end = parse_reply(encoded := encoder.encode(value, 3))
    assert end == len(encoded)
    assert decode(reply) == as_read(value)


def decode(reply: Reply) -> Value:
    elements = [decode(element) for element in reply.elements]
    match reply.type:
        case ":":
            return int(reply.text or b"")
        case "_":
            return None
        case "%":
            return [["a map"], *elements]
        case "*":
            return elements
        case _:
            return reply.text


def as_read(value: Value) -> Value:
    match value:
        case str():
            return value.encode()
        case list():
            return [as_read(item) for item in value]
        case dict():
            return [["a map"], *[as_read(each) for member in value.items() for each in member]]
        case _:
            return value


@given(st.one_of(st.integers(0, 2_000), st.integers(0, 2**63 - 1_000_000)), st.integers(0, 3_000))
@example(10**17 + 900, 101)  # a reply behind the end of the table
@settings(max_examples=50)
def test_consecutive_equals_one_by_one(first: int, count: int) -> None:
    numbers = range(first, first + count)
    assert encoder.consecutive_integers(first, count) == b"".join(b":%d\r\n" % number for number in numbers)
    strings = b"".join(encoder.bulk_string(b"%d" % number) for number in numbers)
    assert encoder.consecutive_strings(first, count) == strings


@pytest.mark.parametrize("first", [1000, 10**17 + 900])
@pytest.mark.parametrize("count", [2, 500, 2500])
def test_consecutive_are_not_encoded_one_by_one(first: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that follow a multiple of a thousand."""
    for encode_one in ("integer", "integer_string"):
        monkeypatch.setattr(encoder, encode_one, None)
    assert encoder.consecutive_integers(first, count).count(b"\n") == count
    assert encoder.consecutive_strings(first, count).count(b"\n") == 2 * count


@pytest.mark.parametrize("digits", [1, 16, 17, 18, 19, 20])
def test_integer_string_has_the_length_of_its_digits(digits: int) -> None:
    for number in (10 ** (digits - 1), 10**digits - 1):
        assert encoder.integer_string(number) == encoder.bulk_string(b"%d" % number)


@given(st.integers(0, 2**62), st.integers(1, 5_000), st.integers(1, 500))
@settings(max_examples=50)
def test_spaced_equals_one_by_one(first: int, step: int, count: int) -> None:
    numbers = range(first, first + count * step, step)
    assert encoder.spaced_integers(first, step, count) == b"".join(b":%d\r\n" % number for number in numbers)


def test_text_is_verbatim_in_resp3() -> None:
    assert encoder.text_string("é\n", 3) == b"=7\r\ntxt:\xc3\xa9\n\r\n"
    assert encoder.text_string("é\n", 2) == b"$3\r\n\xc3\xa9\n\r\n"


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_error_is_always_one_line(arguments: list[bytes]) -> None:
    for reply in (
        errors.unknown_command(arguments),
        errors.unknown_subcommand("client", arguments[0]),
        errors.wrong_subcommand_syntax("client", arguments[0]),
        errors.hello_syntax(arguments[0]),
    ):
        assert reply.startswith(b"-ERR ")
        assert reply.endswith(b"\r\n")
        assert b"\r" not in reply[:-2]
        assert b"\n" not in reply[:-2]
        assert b"\0" not in reply


def test_error_shortens_long_request() -> None:
    assert len(errors.unknown_command([b"x" * 1_000_000] * 1_000)) < 400
    assert len(errors.unknown_subcommand("client", b"x" * 1_000_000)) < 200
