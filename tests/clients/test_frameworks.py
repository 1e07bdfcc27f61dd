"""Frameworks on top of the drivers: calls of applications that draw IDs, and calls that end with an error."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.drivers import Program, StepError, framework
from tests.support.raw_client import are_rising
from tests.support.running import RunningServer

pytestmark = pytest.mark.timeout(1_800)  # a framework's packages may have to be fetched and built first

SPRING_ERRORS = {
    "initial": "SET is not supported: respid stores no values",
    "get": "The key 'orders' seems to no longer exist",
    "compare": "The key 'orders' seems to no longer exist",
    "decrement": "increment must be between 1 and 4096, got -1",
}


@contextmanager
def running(name: str, server: RunningServer) -> Iterator[Program]:
    with framework(name).start(host="127.0.0.1", port=str(server.port)) as program:
        program.step("connect")
        yield program
        program.step("close")


def test_django_draws_ids(server: RunningServer) -> None:
    with running("django", server) as program:
        assert program.step("add") == ["False", "False"]
        before, last, after = [program.ids(step)[0] for step in ("incr", "block", "incr")]
        assert are_rising([before, last - 99, last, after])
        with pytest.raises(StepError, match="respid stores no values"):
            program.step("store")
        with pytest.raises(StepError, match="respid is not a lock service"):
            program.step("lock")


def test_django_redis_draws_ids_with_its_client(server: RunningServer) -> None:
    """Its incr() is a script. After an error it calculates with the stored value, which is None."""
    with running("django", server) as program:
        with pytest.raises(StepError, match="TypeError: unsupported operand"):
            program.ids("script")
        assert are_rising(program.ids("client") + program.ids("client"))


@pytest.mark.parametrize("name", ["spring-2", "spring-3", "spring-4"])
def test_spring_counters_draw_ids(name: str, server: RunningServer) -> None:
    with running(name, server) as program:
        before, last, after = [program.ids(step)[0] for step in ("incr", "block", "incr")]
        assert are_rising([before, last - 99, last, after])
        assert program.step("expire") == ["false"]
        (narrow,) = program.ids("narrow")
        assert narrow < 1 << 31
        for step, reason in SPRING_ERRORS.items():
            with pytest.raises(StepError, match=reason):
                program.step(step)


def test_celery_draws_ids_with_its_backend(server: RunningServer) -> None:
    with running("celery", server) as program:
        assert are_rising(program.ids("incr") + program.ids("incr"))
        with pytest.raises(StepError, match="respid does not support LLEN"):
            program.step("publish")
