"""The states of a server and the transitions between them. Readiness is derived from the state, never stored."""

from enum import Enum


class State(Enum):
    """The state of a server."""

    STARTING = "starting"  # settings are read; listeners are being opened
    RESERVING = "reserving"  # listening; the first reservation is being taken
    SERVING = "serving"
    DRAINING = "draining"  # still serving, but not ready
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
        """Changes the state. Raises ValueError if there is no transition to it."""
        if state not in _NEXT_STATES[self.state]:
            raise ValueError(f"no transition from {self.state.value} to {state.value}")
        self.state = state
