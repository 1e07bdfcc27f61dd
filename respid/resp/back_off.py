"""How long to stop looking for what a client does not send."""

_MOST_IN_VAIN = 16
_PAUSE = 64  # attempts that are left out then; twice as many if the next one is in vain, too
MOST_DOUBLINGS = 6


class BackOff:
    """Counts attempts in vain. Each success makes up for some of them."""

    __slots__ = ("_in_vain",)

    def __init__(self) -> None:
        self._in_vain = 0  # attempts in vain that nothing has made up for

    def trust(self, attempts: int = 1) -> None:
        """Call for a success that makes up for so many attempts in vain."""
        if self._in_vain:
            self._in_vain = max(0, self._in_vain - attempts)

    def pause_after_failure(self, most_doublings: int = MOST_DOUBLINGS) -> int:
        """Counts an attempt in vain. Returns how many of the next ones should be left out, if too many were in vain."""
        if self._in_vain < _MOST_IN_VAIN + most_doublings:
            self._in_vain += 1
        return _PAUSE << self._in_vain - _MOST_IN_VAIN if self._in_vain >= _MOST_IN_VAIN else 0
