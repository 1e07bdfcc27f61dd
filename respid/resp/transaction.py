r"""Recognises transactions of a run, or of known requests: MULTI, these, EXEC. Knows no sockets, commands or IDs.

Observation: drivers send a pipeline as a transaction, in one write (redis-py does so by default). Of 16 INCRs, MULTI
and EXEC cost five times as much on the general path as the run between them. So the bytes between them are taken as a
read of their own, which is compared with the one before.

The general path would find the same requests: MULTI is a whole frame, and the last request has to end where EXEC
begins. If that EXEC is a part of a key, none ends there.
"""

from typing import Any, Generic

from respid.resp.back_off import BackOff
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
_LEAST_WORTH = 3  # requests at the beginning of a transaction; the general path answers fewer as fast


# The number of frames, if they are a run; the subjects of known frames, if they are no run; and where they end. A named
# tuple takes 0.2 us more to make.
Requests = tuple[int, tuple[Subject, ...], int]
NO_REQUESTS: Requests[Any] = (0, (), 0)
# The same, and whether the transaction ends there: with EXEC after these requests.
Transaction = tuple[int, tuple[Subject, ...], int, bool]
NO_TRANSACTION: Transaction[Any] = (0, (), 0, False)


class TransactionReader(BackOff, Generic[Subject]):
    """Finds the transactions of one client that are a run, which `runs` recognises, or that `known` recognises."""

    __slots__ = ("_known", "_pause", "_runs", "expected")

    def __init__(self, runs: RunReader[Any], known: KnownFrames[Subject]) -> None:
        super().__init__()
        self._runs, self._known = runs, known
        self.expected = False  # whether to look for one
        self._pause = 1  # the number of parsed transactions until then

    def note_parsed(self) -> None:
        """Call for each transaction that the general path has answered."""
        if not self.expected:
            self._pause -= 1
            self.expected = not self._pause

    def find(self, kinds: Kinds[Subject], buffer: bytes, position: int) -> Transaction[Subject]:
        """Returns the transaction that begins at this position, or the first requests of it, or NO_TRANSACTION."""
        start = position + MULTI_BYTES
        ending = ENDINGS.get(buffer[position:start])
        if ending is None:
            return NO_TRANSACTION
        if start == len(buffer):
            return 0, (), start, False
        last = buffer.find(ending, start)
        frames, known, end = self.find_first(kinds, buffer[start : len(buffer) if last < 0 else last])
        if not end:
            return NO_TRANSACTION
        end += start
        return (frames, known, end + EXEC_BYTES, True) if end == last else (frames, known, end, False)

    def find_first(self, kinds: Kinds[Subject], requests: bytes) -> Requests[Subject]:
        """Returns the requests at the beginning of a part of a transaction, without MULTI and EXEC.

        A read may end within a request, which then comes after these. Returns NO_REQUESTS if there are hardly any.
        """
        frames, end = self._runs.find_in_read(requests)
        known: tuple[Subject, ...] = ()
        # What follows a run may be known, unless it is less than a frame of the run.
        if frames < MOST_FRAMES and (len(requests) - end) * frames >= end:
            known, known_end = self._known.find_first(kinds, requests)
            if known_end > end:
                frames, end = 0, known_end
                if end < len(requests):
                    self._known.trust_frames(len(known))  # so that EXEC and MULTI, which may follow, are no doubts
            else:
                known = ()
        if end == len(requests) > 0 or frames + len(known) >= _LEAST_WORTH:
            return frames, known, end
        self.doubt()
        return NO_REQUESTS

    def doubt(self) -> None:
        """Call for each transaction, or part of one, that was found and cannot be answered at once; else `trust`."""
        if pause := self.pause_after_failure():
            self.expected, self._pause = False, pause
