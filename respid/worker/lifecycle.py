"""The states of a server and the ways between them. Readiness is derived from it, never set beside it."""

from enum import Enum


class State(Enum):
    """Where a server is in its life."""

    STARTING = "starting"  # settings read, listeners opening
    RESERVING = "reserving"  # listening; the first reservation is being taken
    SERVING = "serving"
    DRAINING = "draining"  # still serving, and asking to be left alone
    STOPPED = "stopped"


_NEXT_STATES = {
    State.STARTING: {State.RESERVING, State.DRAINING, State.STOPPED},
    State.RESERVING: {State.SERVING, State.DRAINING, State.STOPPED},
    State.SERVING: {State.DRAINING, State.STOPPED},
    State.DRAINING: {State.STOPPED},
    State.STOPPED: set(),
}


class Lifecycle:
    """The current state."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.STARTING

    def enter(self, state: State) -> None:
        """Goes on to a later state. Raises ValueError when no way leads there."""
        if state not in _NEXT_STATES[self.state]:
            raise ValueError(f"no way leads from {self.state.value} to {state.value}")
        self.state = state
