"""The ID.* commands: drawing IDs in bulk, and decoding them."""

from collections.abc import Callable
from functools import partial

from respid.commands.draw import ONE_INTEGER, ONE_STRING, Drawn
from respid.commands.session import Parts, Reply, RequestKind, Session
from respid.commands.table import CommandGroup
from respid.ids.layout import YEAR_MS, IdParts, Layout
from respid.ids.time_range import greatest_id_in, least_id_in
from respid.ids.timestamp import format_timestamp
from respid.resp import encoder, errors
from respid.resp.encoder import Value
from respid.resp.reader import parse_integer

BULK_MILLISECONDS = 1000  # ID.NEXT COUNT and ID.RANGE return up to a second of one worker's IDs
SHOWN_BYTES = 64  # of an argument that an error repeats
SLICE_DESCRIPTIONS = 32
SLICE_IDS = 1024  # a bulk reply is made in slices; other clients have their turn between two of them

group = CommandGroup("generic")


_NEXT_USAGE = "ID.NEXT [COUNT n] [AS INTEGER | STRING]"
_NEXT_SYNTAX = errors.own_syntax(_NEXT_USAGE)


@group.draws(_NEXT_USAGE, "Returns the next ID, or an array of n.", "write fast", since="0.1.0")
def id_next(layout: Layout, arguments: list[bytes]) -> Drawn:
    if len(arguments) % 2 == 0:
        return _NEXT_SYNTAX
    count: int | None = None
    as_string = False
    for option, value in zip(arguments[1::2], arguments[2::2], strict=True):
        match option.upper(), value.upper():
            case b"COUNT", _:
                bulk_count = _bulk_count(layout, value)
                if isinstance(bulk_count, bytes):
                    return bulk_count
                count = bulk_count
            case b"AS", b"STRING" | b"INTEGER":
                as_string = value.upper() == b"STRING"
            case _:
                return _NEXT_SYNTAX
    if count is None:
        return ONE_STRING if as_string else ONE_INTEGER
    return partial(_stream_ids, count=count, as_string=as_string)


def _stream_ids(session: Session, *, count: int, as_string: bool) -> Parts:
    """The array of `count` IDs in slices. Once the header is sent it cannot become an error, so it waits for IDs."""
    encode = encoder.consecutive_strings if as_string else encoder.consecutive_integers
    session.wait.kind = RequestKind.STREAM
    header = encoder.array_header(count)
    while count:
        first, taken = session.take(min(count, SLICE_IDS))
        if taken:
            yield header + encode(first, taken)
            header = b""
            count -= taken
        elif header and (refusal := _refuse(session, "id.next")) is not None:
            yield refusal
            return
        else:
            yield None


@group.command("ID.RANGE n", "Returns n IDs as an array of [first, count] pairs.", "write fast draws", since="0.1.0")
def id_range(session: Session, arguments: list[bytes]) -> Reply:
    count = _bulk_count(session.worker.generator.layout, arguments[1])
    return count if isinstance(count, bytes) else _collect_ranges(session, count)


def _collect_ranges(session: Session, count: int) -> Parts:
    """All ranges in one reply: their number is known only at the end."""
    session.wait.kind = RequestKind.STREAM
    ranges: list[bytes] = []
    while count:
        first, taken = session.take(count)
        if taken:
            ranges.append(encoder.array([encoder.integer(first), encoder.integer(taken)]))
            count -= taken
        elif (refusal := _refuse(session, "id.range")) is not None:
            yield refusal
            return
        else:
            yield None
    yield encoder.array(ranges)


def _refuse(session: Session, command: str) -> bytes | None:
    """The error reply to a bulk request that got no ID, which is counted; None while it should wait for one."""
    refusal = session.refusal()
    if refusal is not None:
        session.worker.stats.failed_calls[command] += 1
    return refusal


def _bulk_count(layout: Layout, text: bytes) -> int | bytes:
    """The number of IDs that a request asks for, or an error reply."""
    most = BULK_MILLISECONDS * layout.sequence_size
    count = parse_integer(text)
    if count is None or not 1 <= count <= most:
        return errors.error(b"ERR count must be between 1 and %d, got %s" % (most, _shown(text)))
    return count


def _shown(text: bytes) -> bytes:
    return text if len(text) <= SHOWN_BYTES else text[:SHOWN_BYTES] + b"..."


@group.command(
    "ID.DECODE id [id ...]", "Returns the time, worker ID and sequence of each ID.", "readonly", since="0.1.0"
)
def id_decode(session: Session, arguments: list[bytes]) -> Reply:
    layout = session.worker.generator.layout
    decoded: list[IdParts] = []
    for argument in arguments[1:]:
        identifier = parse_integer(argument)
        if identifier is None:
            return errors.error(b"ERR '%s' is not an ID: an integer of up to 63 bits" % _shown(argument))
        try:
            decoded.append(layout.decompose(identifier))
        except ValueError as error:
            return errors.error(f"ERR {error}")
    if len(decoded) == 1:
        return encoder.encode(_describe(decoded[0]), session.version)
    return _stream_descriptions(decoded, session.version)


def _stream_descriptions(decoded: list[IdParts], version: int) -> Parts:
    """The array in slices: a thousand descriptions take 10 ms."""
    yield encoder.array_header(len(decoded))
    for start in range(0, len(decoded), SLICE_DESCRIPTIONS):
        described = [_describe(parts) for parts in decoded[start : start + SLICE_DESCRIPTIONS]]
        yield b"".join([encoder.encode(each, version) for each in described])


def _describe(parts: IdParts) -> Value:
    return {
        "timestamp_ms": parts.timestamp_ms,
        "time": format_timestamp(parts.timestamp_ms),
        "worker_id": parts.worker_id,
        "sequence": parts.sequence,
    }


@group.command(
    "ID.MIN time",
    "Returns the smallest possible ID of a time: ISO 8601 (UTC unless it has a zone), or Unix milliseconds.",
    "readonly fast",
    since="0.1.0",
)
def id_min(session: Session, arguments: list[bytes]) -> Reply:
    return _bound(session, arguments[1], least_id_in)


@group.command(
    "ID.MAX time",
    "Returns the greatest possible ID of a day, hour, minute, second or millisecond, written as for ID.MIN.",
    "readonly fast",
    since="0.1.0",
)
def id_max(session: Session, arguments: list[bytes]) -> Reply:
    return _bound(session, arguments[1], greatest_id_in)


def _bound(session: Session, time: bytes, find: Callable[[Layout, str], int]) -> bytes:
    try:
        return encoder.integer(find(session.worker.generator.layout, time.decode("utf-8", "replace")))
    except ValueError as error:
        return errors.error(f"ERR {error}")


@group.command(
    "ID.INFO", "Returns the layout, worker ID, reservation and clock of the worker.", "readonly fast", since="0.1.0"
)
def id_info(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.encode(dict[str, Value](describe_worker(session)), session.version)


def describe_worker(session: Session) -> dict[str, str | int]:
    """The fields of ID.INFO and of the respid section of INFO."""
    worker = session.worker
    generator, reservation, layout = worker.generator, worker.reservation, worker.generator.layout
    now_ms = worker.clock.wall_ms()
    return {
        "layout": layout.widths,
        "epoch_ms": layout.epoch_ms,
        "epoch": format_timestamp(layout.epoch_ms),
        "fingerprint": layout.fingerprint,
        "worker_id": generator.worker_id,
        "worker_id_source": worker.config.worker_id_source,
        "state": worker.lifecycle.state.value,
        "not_ready_reason": worker.not_ready() or "",
        "store": worker.config.store,
        "high_water_mark_found": int(reservation.found_mark or False),
        "ceiling_ms": generator.ceiling_ms,
        "reservation_remaining_ms": reservation.remaining_ms(now_ms),
        "clock_lead_ms": generator.lead_ms,
        "last_id": generator.last_id or 0,
        "ids_issued": generator.ids_issued,
        "layout_end": format_timestamp(layout.end_ms),
        "years_left": f"{(layout.end_ms - now_ms) / YEAR_MS:.1f}",
    }
