"""Times the answers to a few of all batches. A batch is what one read of a client held.

Reading the clock twice costs a tenth of an INCR. So a stand-in replaces the connection whose next batch is to be timed
for that batch, and all others pay nothing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from respid.net.states import Next
from respid.worker.worker import Worker

if TYPE_CHECKING:
    from respid.net.connection import Connection

SAMPLE_SECONDS = 0.05  # between the choices of two connections


class TimedConnection:
    """Stands in for a connection until it has answered its next batch, waiting times included."""

    def __init__(self, connection: "Connection", worker: Worker, end: Callable[[], None]) -> None:
        """Calls `end` when the batch is answered."""
        self._connection = connection
        self._worker = worker
        self._end = end
        self._begun_ns: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def receive(self, data: bytes) -> bytes:
        stats, monotonic_ns = self._worker.stats, self._worker.clock.monotonic_ns
        before = stats.commands.copy()
        begun_ns = monotonic_ns()
        output = self._connection.receive(data)
        if self._begun_ns is None:
            self._begun_ns = begun_ns
            if self._connection.next is Next.READ:
                self._note_commands(before, monotonic_ns() - begun_ns)
        self._end_if_answered()
        return output

    def _note_commands(self, before: dict[str, int], duration_ns: int) -> None:
        """Notes the time of the command that the batch consisted of, if it was only one."""
        stats = self._worker.stats
        calls = {name: count - before.get(name, 0) for name, count in stats.commands.items()}
        called = {name: count for name, count in calls.items() if count}
        if len(called) == 1:
            ((name, count),) = called.items()
            stats.note_sample(name, count, duration_ns)

    def resume(self) -> bytes:
        output = self._connection.resume()
        self._end_if_answered()
        return output

    def _end_if_answered(self) -> None:
        needed = self._connection.next
        if needed is Next.READ and self._begun_ns is not None:
            self._worker.stats.batch_durations.add(self._worker.clock.monotonic_ns() - self._begun_ns)
        if needed in (Next.READ, Next.CLOSE):
            self._end()


def time_next_batch(connection: "Connection", worker: Worker, end: Callable[[], None]) -> "Connection":
    """Returns a stand-in for the connection. Calls `end` when its next batch is answered."""
    return cast("Connection", TimedConnection(connection, worker, end))
