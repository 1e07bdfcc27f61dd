"""The Redis commands that take a key."""

import pytest

from respid.ids.layout import Layout
from respid.resp import errors
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock

LAYOUT = Layout()


def test_every_draw_returns_next_id(client: CommandClient) -> None:
    conversation = "INCR a; incr b; INCRBY a 1; HINCRBY a f 1; ID.NEXT; ID.NEXT AS INTEGER; id.next as integer"
    numbers = client.integers(conversation)
    assert numbers == list(range(numbers[0], numbers[0] + 7))


def test_id_has_time_and_worker(client: CommandClient, clock: ScriptedClock) -> None:
    (number,) = client.integers("INCR a")
    parts = LAYOUT.decompose(number)
    assert (parts.timestamp_ms, parts.worker_id, parts.sequence) == (clock.wall, 1, 0)


@pytest.mark.parametrize("command", ["INCRBY a", "HINCRBY a field"])
def test_block_ends_at_returned_id(client: CommandClient, command: str) -> None:
    before, last, after = client.integers(f"INCR a; {command} 100; INCR a")
    assert last == before + 100
    assert after == last + 1


@pytest.mark.parametrize("increment", ["0", "-1", "4097", "9223372036854775807"])
def test_block_size_is_limited(client: CommandClient, increment: str) -> None:
    (reply,) = client.ask(f"INCRBY a {increment}")
    assert reply.type == "-"
    advice = "; use ID.RANGE or ID.NEXT COUNT for more IDs at once" if int(increment) > 4096 else ""
    assert (reply.text or b"").decode() == f"ERR increment must be between 1 and 4096, got {increment}{advice}"
    assert client.connection.session.worker.generator.ids_issued == 0


@pytest.mark.parametrize("increment", ["x", "1.0", "''", "01", "9223372036854775808"])
def test_increment_must_be_an_integer(client: CommandClient, increment: str) -> None:
    assert client.tell(f"INCRBY a {increment}; HINCRBY a f {increment}") == errors.NOT_AN_INTEGER * 2


@pytest.mark.parametrize("increment", ["1", "1.0", "0", "0.0", "+1", "1e0", "-0", ".1e1"])
def test_incrbyfloat_returns_a_string(client: CommandClient, increment: str) -> None:
    first, second = client.ask(f"INCRBYFLOAT a {increment}; INCR a")
    assert first.type == "$"
    assert int(first.text or b"") + 1 == int(second.text or b"")


@pytest.mark.parametrize("increment", ["x", "''", "1x", "1_0", "nan", "0x1", "1e", ".", "é"])
def test_incrbyfloat_needs_a_number(client: CommandClient, increment: str) -> None:
    assert client.tell(f"INCRBYFLOAT a {increment}") == errors.NOT_A_FLOAT


@pytest.mark.parametrize("increment", ["1" * 256, "1" * 500_000 + "x", "0." + "0" * 500_000])
def test_incrbyfloat_refuses_long_numbers(client: CommandClient, increment: str) -> None:
    assert client.tell(f"INCRBYFLOAT a {increment}") == errors.NOT_A_FLOAT


@pytest.mark.parametrize("increment", ["2", "-1", "0.5", "inf", "1e400"])
def test_incrbyfloat_returns_one_id_only(client: CommandClient, increment: str) -> None:
    error = b"-ERR increment must be 1: INCRBYFLOAT returns one ID; use INCRBY for a block of IDs\r\n"
    assert client.tell(f"INCRBYFLOAT a {increment}") == error


def test_keys_exist_without_values(client: CommandClient) -> None:
    assert client.tell("INCR a; GET a").endswith(b"$-1\r\n")
    assert client.tell("EXISTS a b a") == b":3\r\n"
    assert client.tell("SET a 0 NX; set a 0 ex 5 nx") == b"$-1\r\n$-1\r\n"
    assert client.tell("SET a 0").startswith(b"-ERR SET is not supported: respid stores no values")


@pytest.mark.parametrize("lock", ["SET a owner NX", "SET a owner NX PX 10", "SET a 1.5 PX 10 NX", "SETNX a owner"])
def test_lock_is_refused(client: CommandClient, lock: str) -> None:
    """Its owner would retry for ever, as redis-py's does without a timeout."""
    assert client.tell(lock).startswith(b"-ERR respid is not a lock service: every key exists, so ")


@pytest.mark.parametrize("start", ["SET a 0 NX", "SET a 0.0 NX", "SET a 0 NX EX 5"])
def test_first_value_of_a_counter_is_not_a_lock(client: CommandClient, start: str) -> None:
    assert client.tell(start) == b"$-1\r\n"


@pytest.mark.parametrize("start", ["SETNX a 0", "SETNX a -1.5e3"])
def test_setnx_of_a_number_is_not_a_lock(client: CommandClient, start: str) -> None:
    assert client.tell(start) == b":0\r\n"
