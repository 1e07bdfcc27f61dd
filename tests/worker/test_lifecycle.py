"""The states of a server: each way between two of them, allowed or refused."""

import itertools

import pytest

from respid.worker.lifecycle import Lifecycle, State

ALLOWED = {
    (State.STARTING, State.RESERVING),
    (State.STARTING, State.DRAINING),  # asked to stop before it listens
    (State.STARTING, State.STOPPED),
    (State.RESERVING, State.SERVING),
    (State.RESERVING, State.DRAINING),
    (State.RESERVING, State.STOPPED),
    (State.SERVING, State.DRAINING),
    (State.SERVING, State.STOPPED),
    (State.DRAINING, State.STOPPED),
}


def lifecycle_in(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.state = state
    return lifecycle


def test_a_server_begins_by_starting() -> None:
    assert Lifecycle().state is State.STARTING


@pytest.mark.parametrize(("state", "following"), list(itertools.product(State, State)))
def test_a_server_only_goes_on_and_never_back(state: State, following: State) -> None:
    lifecycle = lifecycle_in(state)
    if (state, following) in ALLOWED:
        lifecycle.enter(following)
        assert lifecycle.state is following
    else:
        with pytest.raises(ValueError, match=f"no way leads from {state.value} to {following.value}"):
            lifecycle.enter(following)
        assert lifecycle.state is state, "a refused transition changes nothing"
