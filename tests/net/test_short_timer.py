"""The short timer: exact enough, closed in the end, and clients at the limit wait for it instead of polling."""

import asyncio
import os
import select
import socket
import time
from unittest import mock
from unittest.mock import Mock

import pytest

from respid.ids.clock import SystemClock
from respid.ids.layout import Layout
from respid.net import short_timer
from respid.net.clients import Clients
from respid.net.protocol import RespProtocol
from respid.net.short_timer import ShortTimer, make_short_timer
from respid.net.waiting_queue import WaitingQueue
from respid.server import _event_loop_factory
from tests.support.byte_streams import request
from tests.support.scripted_worker import start_worker

BLOCK = request("INCRBY", "k", "128")
TWO_BLOCKS = Layout.parse("41/14/8")  # in each millisecond
WAITS = 100  # after which the clients leave
CLIENTS = 3  # they want the IDs of less than two milliseconds, for which a timer of the event loop is exact enough

needs_short_timer = pytest.mark.skipif(not hasattr(os, "timerfd_create"), reason="Python 3.13 on Linux has it")


@needs_short_timer
async def test_calls_back_once_and_not_too_early() -> None:
    timer = made()
    called: list[int] = []  # after how many nanoseconds
    timer.start(3_600_000_000_000, lambda: called.append(0))
    begun_ns = time.monotonic_ns()
    timer.start(500_000, lambda: called.append(time.monotonic_ns() - begun_ns))
    while not called:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0.001)
    timer.close()
    (passed_ns,) = called
    assert passed_ns >= 500_000


@needs_short_timer
async def test_may_be_started_again_when_it_is_over() -> None:
    """Before the event loop calls back. To read a timer that is not over would stop the server."""
    timer = made()
    called: list[str] = []
    timer.start(1, lambda: called.append("first"))
    select.select([timer._descriptor], [], [])
    timer.start(60_000_000_000, lambda: called.append("second"))
    timer._expire()
    timer.close()
    assert called == []


@needs_short_timer
async def test_closed_timer_leaves_no_descriptor() -> None:
    timer = made()
    timer.start(1, lambda: pytest.fail("called after the end"))
    timer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(timer._descriptor)
    await asyncio.sleep(0.01)


def made() -> ShortTimer:
    timer = make_short_timer(asyncio.get_running_loop())
    assert timer is not None
    return timer


@pytest.mark.parametrize("create", [None, Mock(side_effect=PermissionError)])
async def test_there_may_be_none(create: Mock | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.13, on macOS, and in a sandbox that forbids it."""
    monkeypatch.setattr(short_timer, "_create", create)
    assert make_short_timer(asyncio.get_running_loop()) is None


@needs_short_timer
def test_clients_at_the_limit_cause_few_looks_at_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each millisecond that some wait for, and one if the next is spent as well."""
    serve = mock.create_autospec(WaitingQueue.serve, side_effect=WaitingQueue.serve)
    monkeypatch.setattr(WaitingQueue, "serve", serve)
    with asyncio.Runner(loop_factory=_event_loop_factory()) as runner:
        waits = runner.run(draw_at_the_limit())
    assert serve.call_count <= 3 * waits


async def draw_at_the_limit() -> int:
    """Some clients draw small blocks one by one. Returns for how many milliseconds one of them had to wait."""
    worker, timer = start_worker(SystemClock(), layout=TWO_BLOCKS), made()
    clients = Clients(worker, asyncio.get_running_loop(), timer)

    async def draw() -> None:
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: RespProtocol(clients), theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        while worker.generator.milliseconds_exhausted < WAITS:
            writer.write(BLOCK)
            assert (await reader.readline()).startswith(b":")
        writer.close()

    await asyncio.gather(*[draw() for _ in range(CLIENTS)])
    timer.close()
    return worker.generator.milliseconds_exhausted
