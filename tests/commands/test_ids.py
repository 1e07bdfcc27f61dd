"""The ID.* commands, and requests that wait for IDs."""

import pytest

from respid.commands import COMMANDS, RequestKind
from respid.commands.ids import SLICE_IDS
from respid.ids.layout import Layout
from respid.net.connection import TURN_OUTPUT_BYTES, Connection
from respid.net.pending_requests import STREAM_PATIENCE_MS
from respid.net.states import Next
from respid.resp import encoder, errors
from tests.support.command_client import CommandClient
from tests.support.reply_parser import Reply, parse_replies
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

LAYOUT = Layout()
SECOND_IDS = 4_096_000


def drive(connection: Connection, clock: ScriptedClock, output: bytes) -> bytes:
    """Lets milliseconds pass until everything is answered."""
    for _ in range(10_000):
        if connection.next not in (Next.WAIT, Next.TURN):
            return output
        if connection.next is Next.WAIT:
            clock.pass_ms(1)
        output += connection.resume()
    raise AssertionError("the reply does not end")


def as_dict(reply: Reply) -> dict[bytes | None, bytes | None]:
    return {name.text: value.text for name, value in zip(reply.elements[::2], reply.elements[1::2], strict=True)}


def parse_only(output: bytes) -> Reply:
    (reply,) = parse_replies(output)
    return reply


def test_id_next_count_returns_array(client: CommandClient) -> None:
    numbers = client.integers("ID.NEXT COUNT 3000")
    assert numbers == list(range(numbers[0], numbers[0] + 3000))


def test_id_next_as_string(client: CommandClient) -> None:
    one, two = client.ask("ID.NEXT AS STRING; ID.NEXT as string count 2")
    assert one.type == "$"
    assert [(element.type, len(element.text or b"")) for element in two.elements] == [("$", 18)] * 2


@pytest.mark.parametrize(
    "arguments", ["COUNT", "AS", "COUNT 1 AS", "AS BOGUS", "BOGUS 1", "COUNT 5 STRING", "5", "AS HEX"]
)
def test_id_next_checks_syntax(client: CommandClient, arguments: str) -> None:
    usage = b"-ERR syntax error; usage: ID.NEXT [COUNT n] [AS INTEGER | STRING]\r\n"
    assert client.tell(f"ID.NEXT {arguments}") == usage


@pytest.mark.parametrize(
    ("command", "usage"),
    [("id.range", "ID.RANGE n"), ("id.min", "ID.MIN time"), ("id.decode", "ID.DECODE id [id ...]")],
)
def test_wrong_arity_names_the_usage(client: CommandClient, command: str, usage: str) -> None:
    assert client.tell(command) == errors.error(
        f"ERR wrong number of arguments for '{command}' command; usage: {usage}"
    )


@pytest.mark.parametrize("command", ["ID.NEXT COUNT", "ID.RANGE"])
@pytest.mark.parametrize("count", ["0", "-1", str(SECOND_IDS + 1), "x", "1.5", "9223372036854775808", "''"])
def test_bulk_count_is_limited(client: CommandClient, command: str, count: str) -> None:
    got = count.strip("'")
    error = errors.error(f"ERR count must be between 1 and {SECOND_IDS}, got {got}")
    assert client.tell(f"{command} {count}") == error
    long = client.tell(f"{command} {'x' * 65}")
    assert long.endswith(b", got " + b"x" * 64 + b"...\r\n")


def test_stream_spans_milliseconds(client: CommandClient, clock: ScriptedClock) -> None:
    output = drive(client.connection, clock, client.tell("ID.NEXT COUNT 10000"))
    numbers = [int(line[1:]) for line in output.split(b"\r\n")[1:-1]]
    assert len(set(numbers)) == 10_000
    assert numbers == sorted(numbers)
    assert {LAYOUT.decompose(number).worker_id for number in numbers} == {1}


def test_stream_yields_between_slices(client: CommandClient) -> None:
    first = client.connection.receive(b"*3\r\n$7\r\nID.NEXT\r\n$5\r\nCOUNT\r\n$4\r\n4096\r\n")
    assert client.needs() is Next.TURN
    assert len(first) < TURN_OUTPUT_BYTES + SLICE_IDS * len(encoder.integer(2**63 - 1))


def test_id_range_returns_pairs(client: CommandClient, clock: ScriptedClock) -> None:
    output = drive(client.connection, clock, client.tell("ID.RANGE 10000"))
    spans = parse_only(output).elements
    numbers: list[int] = []
    for first, count in ([int(element.text or b"") for element in span.elements] for span in spans):
        numbers += range(first, first + count)
    assert len(set(numbers)) == 10_000
    assert numbers == sorted(numbers)
    assert len(spans) <= 4


def test_request_waits_for_next_millisecond(client: CommandClient, clock: ScriptedClock) -> None:
    (last,) = client.integers("INCRBY a 4096")
    assert client.tell("INCR a; PING") == b""
    assert client.needs() is Next.WAIT
    clock.pass_ms(1)
    assert client.connection.resume() == encoder.integer(LAYOUT.compose(clock.wall, 1, 0)) + encoder.PONG
    assert LAYOUT.compose(clock.wall, 1, 0) > last


def test_blocks_of_a_run_are_adjacent(client: CommandClient) -> None:
    numbers = client.integers("; ".join(["INCRBY a 5"] * 20))
    assert numbers == list(range(numbers[0], numbers[0] + 100, 5))
    assert LAYOUT.decompose(numbers[0]).sequence == 4


@pytest.mark.parametrize(("size", "kind"), [(256, RequestKind.SINGLE), (257, RequestKind.BLOCK)])
def test_block_is_large_above_a_sixteenth_of_a_millisecond(client: CommandClient, size: int, kind: RequestKind) -> None:
    client.tell(f"INCRBY a 4096; INCRBY a {size}")
    assert client.needs() is Next.WAIT
    assert client.connection.session.wait.kind is kind


@pytest.mark.parametrize("command", ["INCR a", "INCRBY a 1", "ID.NEXT", "INCR a; PING; ID.NEXT"])
@pytest.mark.parametrize("sequence_bits", [1, 3])
def test_one_id_is_no_large_block_of_any_layout(clock: ScriptedClock, command: str, sequence_bits: int) -> None:
    layout = Layout(sequence_bits=sequence_bits)
    client = CommandClient(connect(start_worker(clock, layout=layout)))
    client.tell(f"INCRBY a {layout.sequence_size}; {command}")
    assert client.needs() is Next.WAIT
    assert client.connection.session.wait.kind is RequestKind.SINGLE


@pytest.mark.parametrize("command", ["INCR a", "INCRBY a 5", "ID.NEXT COUNT 5", "ID.RANGE 5"])
def test_request_that_has_waited_goes_first(client: CommandClient, clock: ScriptedClock, command: str) -> None:
    """While requests wait, only these get the IDs of a new millisecond."""
    generator = client.connection.session.worker.generator
    client.tell("INCRBY a 4096")
    client.tell(command)
    generator.queued = True
    clock.pass_ms(1)
    assert generator.take(1) == (0, 0)
    assert client.connection.resume()
    assert client.needs() is Next.READ


@pytest.mark.parametrize(
    "command", ["INCR a", "INCRBY a 5", "INCRBYFLOAT a 1", "ID.NEXT", "ID.NEXT COUNT 5", "ID.RANGE 5"]
)
def test_draws_are_refused_after_patience(client: CommandClient, clock: ScriptedClock, command: str) -> None:
    clock.pass_ms(100_000)  # beyond the reservation
    assert client.tell(command) == b""
    clock.pass_ms(149)
    assert client.connection.resume() == b""
    clock.pass_ms(1)
    assert client.connection.resume() == (b"-LOADING respid cannot issue IDs: the reservation is being extended\r\n")
    assert client.tell(f"{command}; PING").startswith(b"-LOADING")
    assert client.needs() is Next.READ


def test_run_is_refused_at_once_though_others_wait(client: CommandClient, clock: ScriptedClock) -> None:
    """Nor is the connection closed, as if a request had waited since no ID can be issued."""
    generator = client.connection.session.worker.generator
    run = "; ".join(["INCR a"] * 5)
    client.tell(run)
    clock.pass_ms(100_000)  # beyond the reservation
    assert generator.obstacle() is not None
    generator.queued = True
    clock.pass_ms(STREAM_PATIENCE_MS)
    assert client.tell(run).count(b"-LOADING") == 5
    assert client.needs() is Next.READ


def test_each_refusal_of_a_run_is_counted(client: CommandClient, clock: ScriptedClock) -> None:
    client.tell("; ".join(["INCR a"] * 10))
    stats = client.connection.session.worker.stats
    clock.pass_ms(100_000)  # beyond the reservation
    client.tell("; ".join(["INCR a"] * 5))
    clock.pass_ms(150)
    assert client.connection.resume().count(b"-LOADING") == 5
    assert (stats.commands["incr"], stats.failed_calls["incr"], stats.errors["LOADING"]) == (15, 5, 5)


def test_begun_stream_never_ends_in_error(client: CommandClient, clock: ScriptedClock) -> None:
    begun = client.tell("ID.NEXT COUNT 5000")
    assert begun.startswith(b"*5000\r\n")
    clock.pass_ms(100_000)
    assert client.connection.resume() == b""
    clock.pass_ms(4_999)
    assert client.connection.resume() == b""
    assert client.needs() is Next.WAIT
    clock.pass_ms(1)
    assert client.connection.resume() == b""
    assert client.needs() is Next.CLOSE


def test_other_commands_work_without_ids(client: CommandClient, clock: ScriptedClock) -> None:
    clock.pass_ms(100_000)
    for command in ("PING", "GET a", "ID.INFO", "ID.DECODE 5", "ID.MIN 2026-01-01", "HELLO 3"):
        assert client.tell(command)[:1] not in (b"", b"-")


def test_id_decode_returns_parts(client: CommandClient, clock: ScriptedClock) -> None:
    clock.wall = 1_767_225_600_123
    (number,) = client.integers("INCRBY a 8")
    (decoded,) = client.ask(f"ID.DECODE {number}")
    assert as_dict(decoded) == {
        b"timestamp_ms": b"1767225600123",
        b"time": b"2026-01-01T00:00:00.123Z",
        b"worker_id": b"1",
        b"sequence": b"7",
    }


def test_id_decode_of_several_ids(client: CommandClient) -> None:
    client.tell("HELLO 3")
    one, several = client.ask("ID.DECODE 1; ID.DECODE 1 2 3")
    assert one.type == "%"
    assert [element.type for element in several.elements] == ["%"] * 3


@pytest.mark.parametrize("text", ["x", "1.0", "''", "9223372036854775808"])
def test_id_decode_needs_integers(client: CommandClient, text: str) -> None:
    shown = text.strip("'")
    error = errors.error(f"ERR '{shown}' is not an ID: an integer of up to 63 bits")
    assert client.tell(f"ID.DECODE {text}; ID.DECODE 1 {text}") == error * 2


def test_id_decode_refuses_negative_ids(client: CommandClient) -> None:
    assert client.tell("ID.DECODE -1") == b"-ERR -1 is not an ID of the layout 41/10/12\r\n"


@pytest.mark.parametrize("time", ["1767225600000", "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000+01:00"])
def test_id_min_and_max_enclose_ids(client: CommandClient, clock: ScriptedClock, time: str) -> None:
    clock.wall = 1_767_225_600_000
    least, number, greatest = client.integers(f"ID.MIN {time}; INCR a; ID.MAX {time}")
    assert least <= number <= greatest
    assert greatest - least + 1 == 1 << 22
    assert client.integers("ID.MIN 1767225600001") == [greatest + 1]


def test_id_max_of_a_day_is_its_last_id(client: CommandClient) -> None:
    last, first_of_next = client.integers("ID.MAX 2026-01-01; ID.MIN 2026-01-02")
    assert last == first_of_next - 1


def test_time_outside_the_layout_is_repeated(client: CommandClient) -> None:
    assert client.tell("ID.MIN 2020-01-01").startswith(b"-ERR '2020-01-01' is 2020-01-01T00:00:00.000Z; the layout's ")


@pytest.mark.parametrize("time", ["x", "''", "2023-12-31T23:59:59Z", "9999999999999999", "é"])
def test_invalid_time_is_refused(client: CommandClient, time: str) -> None:
    for reply in client.ask(f"ID.MIN {time}; ID.MAX {time}"):
        assert reply.type == "-"
        assert (reply.text or b"").startswith(b"ERR ")


def test_id_info_describes_worker(client: CommandClient) -> None:
    (number,) = client.integers("INCR a")
    client.tell("HELLO 3")
    (reply,) = client.ask("ID.INFO")
    expected = {
        b"worker_id": b"1",
        b"layout": b"41/10/12",
        b"fingerprint": b"41/10/12@1704067200000",
        b"state": b"serving",
        b"last_id": b"%d" % number,
        b"ids_issued": b"1",
        b"clock_lead_ms": b"0",
        b"reservation_remaining_ms": b"60000",
    }
    assert reply.type == "%"
    assert expected.items() <= as_dict(reply).items()


def test_long_decode_is_answered_in_slices(client: CommandClient) -> None:
    """So that other clients have their turn between two of them."""
    client.connection.session.worker.generator.take(1)
    handler = COMMANDS[b"ID.DECODE"].handler
    parts = handler(client.connection.session, [b"ID.DECODE", *[b"%d" % number for number in range(1000)]])
    assert parts is not None
    assert not isinstance(parts, bytes)
    sizes = [len(part or b"") for part in parts]
    assert len(sizes) > 30
    assert max(sizes) < 5_000
