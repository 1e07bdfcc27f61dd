"""Plays a stream of bytes on the fast path and on the general path, and compares everything that can be observed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from respid.ids.layout import Layout
from respid.net.connection import Budgets, Connection
from respid.net.pending_requests import STREAM_PATIENCE_MS, PendingRequests
from respid.net.states import Next
from respid.net.turns import ROUND_NS, Budget
from respid.resp import known_frames
from respid.resp.fast_path import NO_RUN, Run, RunReader
from respid.resp.known_frames import Kinds, KnownFrames
from respid.resp.reader import RequestLimits, RequestReader
from respid.resp.transaction import TransactionReader
from tests.support.request_limits import DEFAULT_LIMITS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

DEFAULT_LAYOUT = Layout()
FEW_IDS = Layout(sequence_bits=4)  # 16 a millisecond: short runs wait


@dataclass(frozen=True)
class Setting:
    """The worker that a stream is sent to, and the others that use it."""

    password: str = ""
    layout: Layout = DEFAULT_LAYOUT
    reserved_ms: int = 60_000  # then requests are refused
    is_extended: bool = False  # the reservation, whenever a request waits after its end
    max_queued_commands: int = 100_000
    limits: RequestLimits = DEFAULT_LIMITS
    round_ns: int = ROUND_NS
    request_ns: int = 0  # what each look at the clock seems to take
    is_crowded: bool = False  # other clients always wait for an ID
    most_alike: int = 2  # known frames in a row until one may begin a run: few, so that short streams have runs


@dataclass
class Outcome:
    """Everything in which a client or a scraper could see a difference between the two paths."""

    output: bytes
    needs: str
    broke_off: bool  # closed within a stream because no ID was available for too long
    ids: tuple[int | None, int, int]  # the last one, how many were issued, and how many milliseconds were exhausted
    commands: dict[str, int]
    errors: list[dict[str, int]]
    closings: dict[str, int]
    session: dict[str, object]


class TickingClock:
    """A scripted clock of which each look at the monotonic time seems to take some, so that turns end.

    The generator must have the scripted one: then its milliseconds, and the reservation, end at the same request,
    however often a path looks at the time.
    """

    def __init__(self, clock: ScriptedClock, tick_ns: int) -> None:
        self.wall_ms, self.wall_ns, self.boot_ns = clock.wall_ms, clock.wall_ns, clock.boot_ns
        self._clock, self._tick_ns, self._ticked_ns = clock, tick_ns, 0

    def monotonic_ns(self) -> int:
        self._ticked_ns += self._tick_ns
        return self._clock.monotonic_ns() + self._ticked_ns


def ignore_step(_connection: Connection, _output: bytes) -> None:
    """Checks nothing."""


def play(
    pieces: list[bytes], setting: Setting, check_step: Callable[[Connection, bytes], None] = ignore_step
) -> Outcome:
    """Sends the pieces one by one. Calls `check_step` with the output of each step."""
    clock = ScriptedClock()
    worker = start_worker(clock, password=setting.password, reserved_ms=setting.reserved_ms, layout=setting.layout)
    worker.config = replace(worker.config, max_queued_commands=setting.max_queued_commands)
    worker.clock = TickingClock(clock, setting.request_ns)
    generator, stats = worker.generator, worker.stats
    generator.queued = setting.is_crowded
    budgets = Budgets(Budget(setting.round_ns), Budget(setting.round_ns))
    connection = connect(worker, setting.limits, budgets)
    output: list[bytes] = []

    def note(replies: bytes) -> None:
        check_step(connection, replies)
        output.append(replies)

    for piece in pieces:
        if connection.next is Next.CLOSE:
            break
        note(connection.receive(piece))
        while connection.next in (Next.WAIT, Next.TURN):
            if connection.next is Next.WAIT:
                is_serving = generator.obstacle() is None
                clock.pass_ms(1 if is_serving else 100)
                if setting.is_extended and not is_serving:
                    generator.expire_at(clock.boot_ns() + setting.reserved_ms * 1_000_000)
                    generator.raise_ceiling(clock.wall_ms() + setting.reserved_ms)
                generator.obstacle()  # as the waiting queue does
            for budget in budgets:
                budget.begin_round()
            note(connection.resume())
    return Outcome(
        b"".join(output),
        connection.next.value,
        connection.next is Next.CLOSE and generator.stopped_for_ms() >= STREAM_PATIENCE_MS,
        (generator.last_id, generator.ids_issued, generator.milliseconds_exhausted),
        {name: count for name, count in stats.commands.items() if count},
        [dict(each) for each in (stats.errors, stats.failed_calls, stats.rejected_calls)],
        dict(stats.connections_closed),
        _state(connection),
    )


def _state(connection: Connection) -> dict[str, object]:
    session = connection.session
    names = ["last_command", "authenticated", "user", "version", "name", "database", "library_name", "reply_mode"]
    names += ["closing", "transaction_broken", "tracking", "moving_endpoint_type", "queued_requests"]
    state = {name: getattr(session, name) for name in names}
    is_waiting = session.wait.since_ms is not None and not session.closing
    state["wait"] = is_waiting and (session.wait.since_ms, session.wait.kind)
    state["held"] = (
        session.queued_size if session.transaction is not None else None,
        connection.unread_bytes,
        connection.is_between_requests,
    )
    return state


def find_nothing(_runs: RunReader[object], _data: bytes, _position: int = 0) -> Run:
    return NO_RUN


def read_nothing(_reader: RequestReader) -> None:
    """Leaves all requests to `next_request`."""


def recognise_nothing(
    _known: KnownFrames[object], _kinds: Kinds[object], _buffer: bytes, position: int, **_may_run: bool
) -> tuple[tuple[object, ...], int]:
    return (), position


def expect_nothing(_transactions: TransactionReader[object]) -> None:
    """Looks for no transaction that could be answered at once."""


def answer_nothing(_pending: PendingRequests) -> bytes:
    """Leaves all requests to `run`."""
    return b""


def use_general_path(patch: pytest.MonkeyPatch) -> None:
    """Recognises no run, no transaction of one, no known frame, and no short request either."""
    patch.setattr(PendingRequests, "answer_quickly", answer_nothing)
    patch.setattr(RunReader, "find", find_nothing)
    patch.setattr(RunReader, "find_in_read", find_nothing)
    patch.setattr(KnownFrames, "find", recognise_nothing)
    patch.setattr(TransactionReader, "note_parsed", expect_nothing)
    patch.setattr(RequestReader, "next_short_request", read_nothing)


DEFAULT = Setting()


def check_equality(pieces: list[bytes], setting: Setting = DEFAULT) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_frames, "_MOST_ALIKE", setting.most_alike)
        quick = play(pieces, setting)
    with pytest.MonkeyPatch.context() as patch:
        use_general_path(patch)
        general = play(pieces, setting)
    assert quick == general, pieces
