"""RESP connections from the outside: order, back-pressure, limits, and clients that reset."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import cast
from unittest.mock import Mock

import pytest

from respid.ids.clock import SystemClock
from respid.ids.layout import Layout
from respid.net.clients import Clients
from respid.net.connection import NS_PER_BYTE, READ_NS
from respid.net.protocol import LONG_READ_BYTES, PIPELINE_READ_BYTES, RespProtocol
from respid.net.states import State
from respid.net.turns import ROUND_NS, UNAUTHENTICATED_ROUND_NS
from respid.worker.credentials import Credentials
from respid.worker.worker import Worker
from tests.support.byte_streams import request
from tests.support.mock_transport import mock_transport
from tests.support.raw_client import RawClient, are_rising, exchange, integers
from tests.support.running import RunningServer, StartServer, wait_until

LAYOUT = Layout()
INCR = request("INCR", "orders")
PING = request("PING")
PONG = b"+PONG\r\n"
MIB = 1 << 20


def test_long_pipeline_returns_rising_ids(raw_client: RawClient) -> None:
    clock = SystemClock()
    started_ms = clock.wall_ms()
    numbers = raw_client.draw(INCR * 200_000, 200_000)
    ended_ms = clock.wall_ms()
    assert len(numbers) == 200_000
    assert are_rising(numbers)
    assert {number >> 12 & 1023 for number in numbers} == {1}
    assert started_ms <= LAYOUT.decompose(numbers[0]).timestamp_ms
    assert LAYOUT.decompose(numbers[-1]).timestamp_ms <= ended_ms


@pytest.mark.parametrize("piece_bytes", [1448, 1 << 20])
def test_replies_keep_the_order_of_requests(raw_client: RawClient, piece_bytes: int) -> None:
    keys = ["orders", "users", "a" * 200, "*2\r\n$4\r\nINCR\r\n", "", "7"]
    marks = [b"-ERR unknown command 'MARK-%d', with args beginning with: " % turn for turn in range(2_000)]
    sent = b"".join(
        request("INCR", keys[turn % 6]) * 3 + request("INCRBY", "x", "5") + request(f"MARK-{turn}")
        for turn in range(2_000)
    )
    raw_client.send(*[sent[start : start + piece_bytes] for start in range(0, len(sent), piece_bytes)])
    lines = raw_client.receive_lines(10_000)
    assert lines[4::5] == marks
    assert are_rising(integers([line for line in lines if line.startswith(b":")]))


def test_half_closed_client_gets_all_replies(server: RunningServer) -> None:
    lines = exchange(server.port, INCR * 20_000, PING).split(b"\r\n")
    assert are_rising(integers(lines[:20_000]))
    assert lines[20_000:] == [b"+PONG", b""]


def test_unread_replies_take_little_memory(server: RunningServer) -> None:
    with RawClient(server.port) as silent, RawClient(server.port) as other:
        assert other.draw(INCR * 10_000, 10_000)
        before = server.resident_bytes()
        sent_bytes = silent.send_until_blocked(INCR * 10_000)
        other.send(PING)
        assert other.receive_reply() == PONG
        assert server.resident_bytes() - before < 16 * MIB
        answered = silent.finish().splitlines()
    assert are_rising(integers(answered))
    assert len(answered) == sent_bytes // len(INCR)


def test_client_above_max_clients_is_refused(start_server: StartServer) -> None:
    server, refusal = start_server("--max-clients", "3"), b"-ERR max number of clients reached\r\n"
    with RawClient(server.port) as first, RawClient(server.port) as second, RawClient(server.port) as third:
        for client in (first, second, third):
            client.send(PING)
            assert client.receive_reply() == PONG
        with RawClient(server.port) as silent:
            assert silent.receive_until(b"\n") == refusal
            assert silent.finish() == b""
        for _ in range(20):
            assert exchange(server.port, INCR) == refusal
        assert server.metric('id_generator_connections_rejected_total{reason="max_clients"}') == 21
        assert server.metric("id_generator_connections_total") == server.metric("id_generator_connections") == 3
        assert third.finish() == b""
        wait_until(lambda: exchange(server.port, PING) == PONG)


def test_53_bit_layout_fits_a_double(start_server: StartServer) -> None:
    server = start_server("--layout", "41/4/8", worker_id="15")
    with RawClient(server.port) as client:
        numbers = client.draw(INCR * 5_000 + request("INCRBY", "block", "256"), 5_001)
        assert are_rising(numbers)
        assert numbers[-1] < 2**53
        assert {number >> 8 & 15 for number in numbers} == {15}
        assert numbers[-1] & 255 == 255
        client.send(request("INCRBY", "block", "257"))
        assert client.receive_reply().startswith(b"-ERR increment must be between 1 and 256, got 257; ")


@pytest.mark.parametrize("before", [1, 3, 4095, 4097])
def test_largest_block_fits_after_any_ids(raw_client: RawClient, before: int) -> None:
    *singles, last = raw_client.draw(INCR * before + request("INCRBY", "block", "4096"), before + 1)
    assert last & 4095 == 4095
    assert singles[-1] < last - 4095


def test_blocks_of_clients_do_not_overlap(server: RunningServer) -> None:
    def draw(sent: bytes, count: int) -> list[int]:
        with RawClient(server.port) as client:
            return client.draw(sent, count)

    with ThreadPoolExecutor() as threads:
        drawing_singles = [threads.submit(draw, INCR * 40_000, 40_000) for _ in range(3)]
        drawing_blocks = [threads.submit(draw, request("INCRBY", "block", size) * 40, 40) for size in ("4096", "1000")]
        singles = [number for drawing in drawing_singles for number in drawing.result()]
        whole, parts = (drawing.result() for drawing in drawing_blocks)
    assert {last & 4095 for last in whole} == {4095}
    assert all(last & 4095 >= 999 for last in parts)
    numbers = [*singles, *[last - back for last in whole for back in range(4096)]]
    numbers += [last - back for last in parts for back in range(1000)]
    assert len(set(numbers)) == len(numbers) == 3 * 40_000 + 40 * 5096


def test_reset_during_replies_is_harmless(server: RunningServer) -> None:
    wait_until(lambda: server.metric("id_generator_connections") == 0)
    log = server.log
    with RawClient(server.port) as other:
        for sent in (INCR * 50_000, request("ID.NEXT", "COUNT", "4096000"), b"*2\r\n$4\r\nIN"):
            leaver = RawClient(server.port)
            leaver.send_until_blocked(sent, most=len(sent))
            leaver.vanish()
            other.send(PING)
            assert other.receive_reply() == PONG
        wait_until(lambda: server.metric("id_generator_connections") == 1)
    assert server.log == log


@pytest.fixture
async def protocol(worker: Worker) -> RespProtocol:
    """A connected client whose transport is a mock."""
    protocol = RespProtocol(Clients(worker, asyncio.get_running_loop()))
    protocol.connection_made(mock_transport())
    return protocol


async def test_long_part_of_a_request_pauses_reading_until_the_next_turn(protocol: RespProtocol) -> None:
    transport = cast("Mock", protocol._transport)
    protocol.data_received(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + bytes(LONG_READ_BYTES))
    transport.pause_reading.assert_called_once()
    transport.resume_reading.assert_not_called()
    await asyncio.sleep(0)
    transport.resume_reading.assert_called_once()
    protocol.data_received(bytes(1000))
    transport.pause_reading.assert_called_once()


async def test_pass_over_a_crowd_ends_when_its_time_is_used_up_twice(protocol: RespProtocol) -> None:
    clients = protocol._clients
    silent, drawing, sending, asking = (RespProtocol(clients) for _ in range(4))
    for each in (silent, drawing, sending, asking):
        each.connection_made(mock_transport())
    drawing.data_received(INCR)
    asking.data_received(request("INFO") + INCR)
    paused = [cast("Mock", each._transport).pause_reading for each in (silent, sending, asking, drawing)]
    clients.budgets.authenticated.left_ns = -ROUND_NS
    sending.data_received(PING)
    assert [pause.call_count for pause in paused] == [1, 1, 1, 0]
    while silent._state is not State.READING:
        await asyncio.sleep(0)
    assert cast("Mock", sending._transport).write.call_args.args == (PONG,)
    assert silent.turns == 0  # else a client that waits to authenticate would lose its early turns


async def test_long_pipelines_end_a_pass_and_wait_for_turns(protocol: RespProtocol) -> None:
    """Clients that draw some IDs go on, but not those that send as many requests as they can."""
    clients = protocol._clients
    drawing, pipelining, silent = (RespProtocol(clients) for _ in range(3))
    for each in (drawing, pipelining, silent):
        each.connection_made(mock_transport())
        each.data_received(INCR * 3)
    long_read = INCR * (PIPELINE_READ_BYTES // len(INCR) + 1)
    pipelining.data_received(long_read)
    left_ns = clients.budgets.authenticated.left_ns
    assert left_ns <= ROUND_NS - len(long_read) * NS_PER_BYTE
    clients.budgets.authenticated.left_ns = -ROUND_NS
    protocol.data_received(PING)
    assert [each._state for each in (drawing, pipelining, silent)] == [State.READING, State.TURN, State.READING]
    while pipelining._state is not State.READING:
        await asyncio.sleep(0)
    clients.budgets.authenticated.left_ns = -ROUND_NS
    protocol.data_received(PING)
    assert pipelining._state is State.READING  # it has sent nothing since


async def test_pipelining_client_uses_up_no_time_of_others(protocol: RespProtocol) -> None:
    silent = RespProtocol(protocol._clients)
    silent.connection_made(mock_transport())
    for _ in range(ROUND_NS // READ_NS * 3):
        if protocol._state is State.READING:
            protocol.data_received(PING * 80)
        else:
            await asyncio.sleep(0)
    cast("Mock", protocol._transport).pause_reading.assert_called()
    cast("Mock", silent._transport).pause_reading.assert_not_called()


async def test_client_that_ends_a_pass_waits_for_one_turn(protocol: RespProtocol) -> None:
    clients = protocol._clients
    clients.budgets.authenticated.left_ns = -ROUND_NS
    protocol.data_received(PING)
    assert list(clients._turns._early) == [protocol]  # twice, it would get twice the time of others
    assert protocol.turns == 1


async def test_unauthenticated_crowd_holds_back_no_other_client(worker: Worker, protocol: RespProtocol) -> None:
    clients = protocol._clients
    worker.credentials = Credentials("secret")
    unauthenticated, silent = RespProtocol(clients), RespProtocol(clients)
    for each in (unauthenticated, silent):
        each.connection_made(mock_transport())
    clients.budgets.unauthenticated.left_ns = -UNAUTHENTICATED_ROUND_NS
    unauthenticated.data_received(PING)
    assert [each._state for each in (unauthenticated, silent, protocol)] == [State.TURN, State.TURN, State.READING]


async def test_request_is_held_until_it_is_complete(worker: Worker, protocol: RespProtocol) -> None:
    before = worker.stats.client_memory_bytes
    protocol.data_received(b"*2\r\n$4\r\nECHO\r\n$10000\r\n" + bytes(5_000))
    assert worker.stats.client_memory_bytes > before + 5_000
    protocol.data_received(bytes(5_000) + b"\r\n")
    assert worker.stats.client_memory_bytes == before


async def test_queued_commands_count_as_what_they_take(worker: Worker, protocol: RespProtocol) -> None:
    protocol.data_received(request("MULTI") + request("PING", "x") * 200)
    assert worker.stats.client_memory_bytes > 200 * 200


async def test_slow_reader_joins_the_queue_once(worker: Worker, protocol: RespProtocol) -> None:
    transport, queue = cast("Mock", protocol._transport), protocol._clients._queue
    worker.generator.take(4096)
    protocol.data_received(INCR)
    assert len(queue) == 1
    protocol.pause_writing()  # a transport may do this at any time, not only after a write
    protocol.resume_writing()
    assert len(queue) == 1
    transport.resume_reading.assert_not_called()


@pytest.mark.parametrize("received", [1, INCR.index(b"$6"), len(INCR) - 1])
async def test_drain_waits_for_the_rest_of_a_request(protocol: RespProtocol, received: int) -> None:
    protocol.data_received(INCR[:received])
    protocol._clients.drain()
    assert protocol._state.name == "READING"
    protocol.data_received(INCR[received:])
    assert cast("Mock", protocol._transport).write.call_args.args[0].startswith(b":")
    assert protocol._state is State.CLOSING


async def test_drain_does_not_wait_long_for_the_rest_of_a_request(protocol: RespProtocol) -> None:
    protocol.data_received(INCR[:-1])
    protocol._clients.drain()
    protocol._clients._cut_off()
    assert protocol._state is State.CLOSING


@pytest.mark.parametrize("unsent_bytes", [0, 5])
async def test_give_up_ends_unread_last_replies(protocol: RespProtocol, unsent_bytes: int) -> None:
    transport = cast("Mock", protocol._transport)
    transport.get_write_buffer_size.return_value = unsent_bytes
    protocol.data_received(request("QUIT"))
    transport.abort.assert_not_called()
    protocol.give_up("idle_timeout")
    assert transport.abort.called == bool(unsent_bytes)
