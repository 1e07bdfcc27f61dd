r"""Recognises transactions of a run, or of known requests: MULTI, these, EXEC. Knows no sockets, commands or IDs.

Observation: drivers send a pipeline as a transaction, in one write (redis-py does so by default). Of 16 INCRs, MULTI
and EXEC cost five times as much on the general path as the run between them. So the bytes between them are taken as a
read of their own, which is compared with the one before.

The general path would find the same requests: MULTI is a whole frame, and the last request has to end where EXEC
begins. If that EXEC is a part of a key, none ends there.
"""

from typing import Any, Generic

from respid.resp.fast_path import RunReader
from respid.resp.known_frames import MOST_FRAMES, Kinds, KnownFrames, Subject

# EXEC in the letter case of MULTI, as drivers write both: go-redis and ioredis in lower case, most others in upper.
ENDINGS = {
    b"*1\r\n$5\r\nMULTI\r\n": b"*1\r\n$4\r\nEXEC\r\n",
    b"*1\r\n$5\r\nmulti\r\n": b"*1\r\n$4\r\nexec\r\n",
}
OPENINGS = tuple(ENDINGS)
CLOSINGS = frozenset(ENDINGS.values())
MULTI_BYTES, EXEC_BYTES = 15, 14
_MOST_DOUBTS = 16
_PAUSE = 1000  # transactions until a client whose transactions are others is given another chance


# The number of frames between MULTI and EXEC, if they are a run; the subjects of known frames, if they are no run; and
# where EXEC ends. A named tuple takes 0.2 us more to make.
Transaction = tuple[int, tuple[Subject, ...], int]
NO_TRANSACTION: Transaction[Any] = (0, (), 0)
# The same without the end.
Requests = tuple[int, tuple[Subject, ...]]
NO_REQUESTS: Requests[Any] = (0, ())


class TransactionReader(Generic[Subject]):
    """Finds the transactions of one client that are a run, which `runs` recognises, or that `known` recognises."""

    __slots__ = ("_doubts", "_known", "_pause", "_runs", "expected")

    def __init__(self, runs: RunReader[Any], known: KnownFrames[Subject]) -> None:
        self._runs, self._known = runs, known
        self.expected = False  # whether to look for one
        self._pause = 1  # the number of parsed transactions until then
        self._doubts = 0  # transactions that were looked at in vain, less those that were answered

    def note_parsed(self) -> None:
        """Call for each transaction that the general path has answered."""
        if not self.expected:
            self._pause -= 1
            self.expected = not self._pause

    def find(self, kinds: Kinds[Subject], buffer: bytes, position: int) -> Transaction[Subject]:
        """Returns the transaction that begins at this position, or NO_TRANSACTION."""
        start = position + MULTI_BYTES
        ending = ENDINGS.get(buffer[position:start])
        if ending is None:
            return NO_TRANSACTION
        end = buffer.find(ending, start)
        if end < 0:
            self.doubt()
            return NO_TRANSACTION
        frames, known = self.find_all(kinds, buffer[start:end])
        return (frames, known, end + EXEC_BYTES) if frames or known else NO_TRANSACTION

    def find_all(self, kinds: Kinds[Subject], requests: bytes) -> Requests[Subject]:
        """Returns the requests of a part of a transaction, without MULTI and EXEC; none if they are neither."""
        frames, end = self._runs.find_in_read(requests)
        if frames and end == len(requests):
            return frames, ()
        known = self._known.find_all(kinds, requests) if frames < MOST_FRAMES else ()
        if not known:
            self.doubt()
        return 0, known

    def trust(self) -> None:
        """Call for each transaction that was found and answered at once."""
        if self._doubts:
            self._doubts -= 1

    def doubt(self) -> None:
        """Call for each transaction that was found and cannot be answered at once."""
        self._doubts += 1
        if self._doubts == _MOST_DOUBTS:
            self.expected, self._doubts, self._pause = False, 0, _PAUSE
