r"""Recognises transactions of a run: MULTI, a run, EXEC. Knows no sockets, commands or IDs.

Observation: drivers send a pipeline as a transaction, in one write (redis-py does so by default). Of 16 INCRs, MULTI
and EXEC cost five times as much on the general path as the run between them. So the bytes between them are taken as a
read of their own, which is compared with the one before.

The general path would find the same requests: MULTI is a whole frame, and the run has to end where EXEC begins. If that
EXEC is a part of a key, no run ends there.
"""

from typing import Any

from respid.resp.fast_path import NO_RUN, RunReader

# EXEC in the letter case of MULTI, as drivers write both: go-redis and ioredis in lower case, most others in upper.
ENDINGS = {
    b"*1\r\n$5\r\nMULTI\r\n": b"*1\r\n$4\r\nEXEC\r\n",
    b"*1\r\n$5\r\nmulti\r\n": b"*1\r\n$4\r\nexec\r\n",
}
OPENINGS = tuple(ENDINGS)
_OPENING_BYTES, _ENDING_BYTES = 15, 14
_MOST_DOUBTS = 16
_PAUSE = 1000  # transactions until a client whose transactions are no runs is given another chance


class TransactionReader:
    """Finds the transactions of one client that are a run, which `runs` recognises."""

    __slots__ = ("_doubts", "_pause", "_runs", "expected")

    def __init__(self, runs: RunReader[Any]) -> None:
        self._runs = runs
        self.expected = False  # whether to look for one
        self._pause = 1  # the number of parsed transactions until then
        self._doubts = 0  # transactions that were looked at in vain, less those that were answered

    def note_parsed(self) -> None:
        """Call for each transaction that the general path has answered."""
        if not self.expected:
            self._pause -= 1
            self.expected = not self._pause

    def find(self, buffer: bytes, position: int) -> tuple[int, int]:
        """Returns the number of frames between MULTI and EXEC, and where EXEC ends, or (0, 0) if none begins here."""
        start = position + _OPENING_BYTES
        ending = ENDINGS.get(buffer[position:start])
        if ending is None:
            return NO_RUN
        end = buffer.find(ending, start)  # -1 without EXEC: no run ends there
        run = self._runs.find_in_read(buffer[start:end])
        if run.frames and start + run.end == end:
            return run.frames, end + _ENDING_BYTES
        self.doubt()
        return NO_RUN

    def trust(self) -> None:
        """Call for each transaction that was found and answered as a run."""
        self._doubts = max(0, self._doubts - 1)

    def doubt(self) -> None:
        """Call for each transaction that was found and cannot be answered as a run."""
        self._doubts += 1
        if self._doubts == _MOST_DOUBTS:
            self.expected, self._doubts, self._pause = False, 0, _PAUSE
