"""The states of a server: each transition between two of them, allowed or refused."""

import itertools

import pytest

from respid.worker.lifecycle import Lifecycle, State

ALLOWED = {
    (State.STARTING, State.RESERVING),
    (State.STARTING, State.DRAINING),  # stopped before it listens
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


def test_the_first_state_is_starting() -> None:
    assert Lifecycle().state is State.STARTING


@pytest.mark.parametrize(("state", "following"), list(itertools.product(State, State)))
def test_allows_only_listed_transitions(state: State, following: State) -> None:
    lifecycle = lifecycle_in(state)
    if (state, following) in ALLOWED:
        lifecycle.enter(following)
        assert lifecycle.state is following
    else:
        with pytest.raises(ValueError, match=f"no transition from {state.value} to {following.value}"):
            lifecycle.enter(following)
        assert lifecycle.state is state, "a refused transition changes nothing"
