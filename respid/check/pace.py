"""Spreads draws over time, so that a check can go easy on workers in production. Pure."""


class Pace:
    """Limits the IDs drawn per second, on average and over all connections.

    >>> pace = Pace(100)
    >>> pace.reserve(25, 5.0), pace.reserve(10, 5.0), pace.reserve(1, 6.0)
    (0.0, 0.25, 0.0)
    """

    def __init__(self, ids_per_second: float) -> None:
        self._ids_per_second = ids_per_second
        self._free_seconds = 0.0  # when everything reserved so far has been drawn

    def reserve(self, ids: int, now_seconds: float) -> float:
        """Returns how many seconds to wait before drawing this many IDs."""
        begin_seconds = max(self._free_seconds, now_seconds)
        self._free_seconds = begin_seconds + ids / self._ids_per_second
        return begin_seconds - now_seconds
