"""The end of a server, clean or not: no ID is lost, no reply is cut off, and the successor continues above."""

import contextlib
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from respid.net.protocol import FULL_READ_BYTES
from tests.support.byte_streams import request
from tests.support.gaps import FROM_ZERO, has_gaps, timestamp_ms
from tests.support.raw_client import RawClient, are_rising, integers
from tests.support.running import RunningServer, StartServer, accepts_connections, wait_until

INCR = request("INCR", "orders")
PING = request("PING")
PONG = b"+PONG\r\n"
IDS_GENERATED = "id_generator_ids_generated_total"
IDLE = {  # requests and their replies
    b"": b"",
    PING: PONG,
    b"*2\r\n$4\r\nIN": b"",
    request("MULTI"): b"+OK\r\n",
    request("CLIENT", "REPLY", "OFF"): b"",
}


def ceiling_ms(state_dir: Path) -> int:
    return int(json.loads((state_dir / "worker-1.json").read_text())["ceiling_ms"])


def draw_until_closed(port: int) -> list[bytes]:
    """The replies to a client that keeps requests on their way until the server closes the connection."""
    received: list[bytes] = []
    missing = 0
    with RawClient(port) as client:
        while not received or received[-1]:
            if missing < 200:
                client.send(INCR * 100)
                missing += 100
            received.append(client.receive())
            missing -= received[-1].count(b"\n")
    *lines, cut_off = b"".join(received).split(b"\r\n")
    assert cut_off == b""
    return lines


def assert_all_reached_their_clients(drawn: list[int], state_dir: Path) -> None:
    """Holds after a clean stop of a server that had no other clients."""
    assert not has_gaps(drawn)
    assert ceiling_ms(state_dir) == timestamp_ms(max(drawn)) + 1


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stop_under_load_loses_no_id(start_server: StartServer, tmp_path: Path, stop_signal: signal.Signals) -> None:
    server = start_server("--state-dir", str(tmp_path), *FROM_ZERO)
    with ThreadPoolExecutor() as threads:
        drawing = [threads.submit(draw_until_closed, server.port) for _ in range(4)]
        wait_until(lambda: server.metric(IDS_GENERATED) > 20_000)
        assert server.stop(stop_signal) == 0
    assert_all_reached_their_clients(integers([line for each in drawing for line in each.result()]), tmp_path)
    draining, stopped = server.log.splitlines()[-2:]
    assert draining.endswith(f" {stop_signal.name}: draining")
    assert " stopped after " in stopped


def test_stop_answers_pending_requests(start_server: StartServer) -> None:
    server = start_server()
    with RawClient(server.port) as client:
        client.send(request("ID.NEXT", "COUNT", "400000") + INCR * 1_000 + PING)
        beginning = client.receive()
        server.process.send_signal(signal.SIGTERM)
        lines = (beginning + client.receive_to_end()).splitlines()
    assert (lines[0], lines[-1], len(lines)) == (b"*400000", b"+PONG", 401_002)
    assert are_rising(integers(lines[1:-1]))
    assert server.wait() == 0


def test_stop_waits_for_slow_reader(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--state-dir", str(tmp_path), *FROM_ZERO)
    with RawClient(server.port) as client:
        client.send_until_blocked(INCR * 10_000)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get("/readyz")[0] == 503)
        received = client.receive_to_end()
    assert server.wait() == 0
    assert_all_reached_their_clients(integers(received.splitlines()), tmp_path)


def test_idle_connections_are_not_reset(start_server: StartServer) -> None:
    server = start_server()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in IDLE]
        for client, (sent, reply) in zip(clients, IDLE.items(), strict=True):
            client.send(sent)
            assert client.receive_until(reply) == reply
        wait_until(lambda: server.metric("id_generator_connections") == len(IDLE))
        server.process.send_signal(signal.SIGTERM)
        assert {client.receive_to_end() for client in clients} == {b""}
    assert server.wait() == 0


def test_drain_delay_serves_but_is_not_ready(start_server: StartServer) -> None:
    server = start_server("--drain-delay", "3600")
    with RawClient(server.port) as client:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get("/readyz")[0] == 503)
        assert "draining" in server.get("/readyz")[1]
        assert server.get("/healthz")[0] == 200
        with RawClient(server.port) as late:
            assert are_rising(late.draw(INCR * 100, 100) + client.draw(INCR * 100, 100))
    assert server.stop_at_once() == 128 + signal.SIGTERM


def test_drain_lasts_for_its_delay(start_server: StartServer) -> None:
    server = start_server("--drain-delay", "0.7")
    with RawClient(server.port) as client:
        client.send(PING)
        assert client.receive_reply() == PONG
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert client.receive_to_end() == b""
        assert time.monotonic() - began >= 0.7
    assert server.wait() == 0


def test_second_signal_stops_at_once(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    server = start_server("--drain-delay", "3600", *state)
    with RawClient(server.port) as client:
        last = client.draw(INCR * 100, 100)[-1]
        server.process.send_signal(signal.SIGTERM)
        assert server.stop_at_once() == 128 + signal.SIGTERM
    assert first_of(start_server(*state)) > last


def first_of(server: RunningServer) -> int:
    with RawClient(server.port) as client:
        return client.draw(INCR, 1)[0]


def test_clean_stop_leaves_no_gap(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    first = start_server(*state)
    with RawClient(first.port) as client:
        last = client.draw(INCR * 10_000, 10_000)[-1]
    assert first.stop() == 0
    assert ceiling_ms(tmp_path) == timestamp_ms(last) + 1
    second = start_server(*state)
    assert first_of(second) > last
    assert second.metric("id_generator_clock_lead_seconds") == 0


def test_kill_restarts_at_stored_ceiling(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    killed = start_server(*state)
    with RawClient(killed.port) as client:
        last = client.draw(INCR * 10_000, 10_000)[-1]
        killed.process.kill()
        assert killed.wait() == -signal.SIGKILL
    ceiling = ceiling_ms(tmp_path)
    assert timestamp_ms(last) < ceiling
    assert timestamp_ms(first_of(start_server(*state))) >= ceiling


def replace_mark(state_dir: Path) -> None:
    """Writes the mark as a process does that no lock has kept away, such as one on another machine."""
    path = state_dir / "worker-1.json"
    other = path.with_suffix(".other")
    other.write_text(json.dumps(json.loads(path.read_text()) | {"nonce": "other"}))
    other.replace(path)


def test_replaced_holder_stops(start_server: StartServer, tmp_path: Path) -> None:
    former = start_server("--state-dir", str(tmp_path), "--reserve", "1")
    with ThreadPoolExecutor() as threads:
        drawing = threads.submit(draw_until_closed, former.port)
        wait_until(lambda: former.metric(IDS_GENERATED) > 0)
        while former.process.poll() is None:  # a write of the holder may be under way, and replace this one
            replace_mark(tmp_path)
            time.sleep(0.2)
    assert former.wait() == 1
    drawn = integers([line for line in drawing.result() if not line.startswith(b"-LOADING respid cannot issue IDs: ")])
    assert former.log.splitlines()[-1].startswith("respid: worker ID 1 was taken by another process: ")
    assert first_of(start_server("--state-dir", str(tmp_path))) > drawn[-1]


def test_drain_answers_unread_requests(start_server: StartServer) -> None:
    server = start_server()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(50)]
        for client in clients:
            client.send(PING)
        assert [client.receive_reply() for client in clients] == [PONG] * 50
        server.process.send_signal(signal.SIGSTOP)
        for client in clients:
            client.send(PING)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        assert [client.receive_to_end() for client in clients] == [PONG] * 50
    assert server.wait() == 0


def test_drain_answers_several_unread_reads(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--state-dir", str(tmp_path), *FROM_ZERO)
    with RawClient(server.port) as client:
        client.send(PING)
        assert client.receive_reply() == PONG
        server.process.send_signal(signal.SIGSTOP)
        sent_bytes = client.send_until_blocked(INCR * 10_000)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        drawn = integers(client.receive_to_end().splitlines())
    assert sent_bytes > 4 * FULL_READ_BYTES
    assert len(drawn) == sent_bytes // len(INCR)
    assert server.wait() == 0
    assert_all_reached_their_clients(drawn, tmp_path)


def test_drain_waits_for_exec(start_server: StartServer) -> None:
    server = start_server()
    with RawClient(server.port) as client:
        client.send(request("MULTI") + INCR)
        client.receive_until(b"+QUEUED\r\n")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts_connections(server.port))
        client.send(request("EXEC"))
        assert client.receive_to_end().startswith(b"*1\r\n:")
    assert server.wait() == 0
