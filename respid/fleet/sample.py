"""The state of one worker at one moment, read from its reply to INFO. Pure."""

from dataclasses import dataclass

from respid.check.client_connection import RefusedError, read_integer
from respid.check.wire import Reply
from respid.ids.layout import Layout

SECTIONS = (b"server", b"clients", b"persistence", b"respid")
_MAX_TEXT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """The report of a worker about itself. `seconds` is when it answered, on this machine's monotonic clock."""

    seconds: float
    run_id: str
    version: str
    uptime_seconds: int
    worker_id: int
    layout: Layout
    reason: str  # why it cannot issue IDs now; empty if it can
    ids_issued: int
    connections: int
    clock_lead_seconds: float
    reservation_seconds: float  # how long it can issue IDs without extending its reservation

    @property
    def is_ready(self) -> bool:
        return not self.reason


def read_sample(reply: Reply, seconds: float) -> Sample:
    """Reads the reply to INFO with SECTIONS. Raises RefusedError if it is not that of a respid worker."""
    fields = _read_fields(reply)

    def number(name: str) -> int:
        return read_integer(fields[name].encode())

    try:
        return Sample(
            seconds=seconds,
            run_id=fields["run_id"],
            version=fields["respid_version"],
            uptime_seconds=number("uptime_in_seconds"),
            worker_id=number("worker_id"),
            layout=Layout.parse_fingerprint(fields["fingerprint"]),
            reason=_find_reason(fields),
            ids_issued=number("ids_issued"),
            connections=number("connected_clients"),
            clock_lead_seconds=number("clock_lead_ms") / 1000,
            reservation_seconds=number("reservation_remaining_ms") / 1000,
        )
    except (KeyError, ValueError):
        raise RefusedError("not a respid worker: its INFO has no valid worker ID and fingerprint") from None


def ids_per_second(earlier: Sample | None, later: Sample) -> float | None:
    """Returns the rate between two samples; None if they are of different processes, or if there is only one."""
    if earlier is None or earlier.run_id != later.run_id or later.seconds <= earlier.seconds:
        return None
    return (later.ids_issued - earlier.ids_issued) / (later.seconds - earlier.seconds)


def _read_fields(reply: Reply) -> dict[str, str]:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
    pairs = (line.partition(":") for line in text.split("\r\n"))
    return {name: value[:_MAX_TEXT_CHARACTERS] for name, colon, value in pairs if colon}


def _find_reason(fields: dict[str, str]) -> str:
    """Workers of older releases do not report a reason."""
    if "not_ready_reason" in fields:
        return fields["not_ready_reason"]
    if fields["state"] != "serving":
        return f"the server is {fields['state']}"
    return "no ID can be issued now" if fields["loading"] != "0" else ""
