"""New workers are noticed by the addresses of a DNS name, and connections then choose anew."""

import asyncio
import errno
import logging
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from respid.net import peers as peers_module
from respid.net.peers import FAILURES_BEFORE_LOG, FORGET_SECONDS, LOOK_SECONDS, KnownAddresses, Peers, is_own
from tests.support.running import WAIT_SECONDS

FIRST, SECOND, THIRD = "203.0.113.1", "203.0.113.2", "203.0.113.3"
Answer = list[str] | OSError


def test_first_answer_has_no_new_workers() -> None:
    known = KnownAddresses()
    assert known.note([FIRST, SECOND], 0) == set()
    assert known.note([FIRST, SECOND, THIRD], 5) == {THIRD}
    assert known.note([FIRST, SECOND, THIRD], 10) == set()


def test_empty_first_answer_makes_the_next_ones_new() -> None:
    known = KnownAddresses()
    assert known.note([], 0) == set()
    assert known.note([FIRST], 5) == {FIRST}


def test_address_that_was_left_out_is_not_new() -> None:
    known = KnownAddresses()
    known.note([FIRST, SECOND], 0)
    known.note([FIRST], 5)
    assert known.note([FIRST, SECOND], 10) == set()


def test_address_that_was_gone_for_long_is_new() -> None:
    known = KnownAddresses()
    known.note([FIRST, SECOND], 0)
    known.note([FIRST], FORGET_SECONDS)
    assert known.note([FIRST, SECOND], FORGET_SECONDS + 5) == {SECOND}


@pytest.mark.parametrize(
    ("address", "own"), [("127.0.0.1", True), ("::1", True), (FIRST, False), ("2001:db8::1", False)]
)
def test_own_address_is_recognised(address: str, *, own: bool) -> None:
    if address == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6")
    assert is_own(address) == own


async def noticed(answers: list[Answer], monkeypatch: pytest.MonkeyPatch) -> int:
    """Returns how often new workers were noticed when the name server gave these answers in turn."""
    left = iter(answers)
    done = asyncio.Event()

    def resolve(_name: str, port: int, **_options: Any) -> list[Any]:
        answer = next(left, None)
        if answer is None:
            loop.call_soon_threadsafe(done.set)
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer or []]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(peers_module, "LOOK_SECONDS", 0)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    times: list[float] = []
    running = asyncio.create_task(Peers(("ids-ready", 6379), times.append).run())
    await done.wait()
    running.cancel()
    return len(times)


async def test_new_address_is_a_new_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await noticed([[FIRST], [FIRST], [FIRST, SECOND], [SECOND]], monkeypatch) == 1


async def test_own_address_is_no_new_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await noticed([[FIRST], [FIRST, "127.0.0.1"]], monkeypatch) == 0


async def test_name_server_that_leaves_out_addresses_has_no_new_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Answer] = [[FIRST, SECOND], [FIRST], [SECOND], [], [SECOND, FIRST]]
    assert await noticed(answers * 5, monkeypatch) == 0


async def test_name_server_that_fails_in_between_has_no_new_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert await noticed([[FIRST], timeout, [FIRST], timeout, timeout, timeout, timeout, [FIRST]], monkeypatch) == 0


async def test_search_survives_unusable_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as those of IPv6 on a machine without it, or of a network that cannot be reached."""
    unusable = ["2001:db8::1", "255.255.255.255", "224.0.0.1", "0.0.0.0"]

    class SocketWithoutIpv6(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, kind)

    monkeypatch.setattr(socket, "socket", SocketWithoutIpv6)
    assert await noticed([[FIRST], [FIRST, *unusable], [FIRST], [FIRST, SECOND]], monkeypatch) == 2


def test_random_answers_take_little_memory() -> None:
    known = KnownAddresses()
    for look in range(1_000):
        known.note([f"203.0.113.{look % 7}", f"198.51.{look // 256}.{look % 256}"], look * LOOK_SECONDS)
    assert len(known._seen_at or ()) <= 2 * FORGET_SECONDS / LOOK_SECONDS


async def test_unresolved_name_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failure = socket.gaierror(-2, "Name or service not known")
    assert await noticed([[FIRST], *[failure] * (3 * FAILURES_BEFORE_LOG), [FIRST]], monkeypatch) == 0
    logged = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.__dict__["event"] for record in logged] == ["peers_unresolved"]


HANGING_NAME_SERVER = """
import asyncio, socket, time
from respid.net.peers import Peers

async def serve():
    running = asyncio.create_task(Peers(("ids-ready", 6379), print).run())
    await asyncio.sleep(0.1)
    running.cancel()
    raise SystemExit(7)

socket.getaddrinfo = lambda *_arguments, **_options: time.sleep(600)
asyncio.run(serve())
"""


def test_hanging_name_server_does_not_keep_the_process_alive() -> None:
    """Such as that of a worker which ends because it has lost its worker ID."""
    ended = subprocess.run([sys.executable, "-c", HANGING_NAME_SERVER], check=False, timeout=WAIT_SECONDS)
    assert ended.returncode == 7


async def test_answer_that_nobody_waits_for_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    answering = threading.Event()

    def answer(*_arguments: Any, **_options: Any) -> list[Any]:
        answering.wait(WAIT_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    before = set(threading.enumerate())  # those of other tests may not have ended
    peers = asyncio.create_task(Peers(("ids-ready", 6379), lambda _now: None).run())
    await asyncio.sleep(0)
    (thread,) = [each for each in threading.enumerate() if each.name == "resolve" and each not in before]
    peers.cancel()
    await asyncio.wait([peers])
    answering.set()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)


async def test_without_a_name_nothing_runs() -> None:
    await asyncio.wait_for(Peers(None, lambda _now: None).run(), WAIT_SECONDS)
