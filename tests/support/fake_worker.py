"""A worker that breaks its promises in one way: it changes the IDs of a real generator before it issues them."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from respid.ids.clock import SystemClock
from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.resp import encoder
from respid.resp.reader import RequestReader
from tests.support.request_limits import DEFAULT_LIMITS

LOADING = b"-LOADING respid cannot issue IDs: the first reservation is being taken\r\n"
Spoil = Callable[[int, int], int]  # maps the first ID and the size of a block to the first ID to issue instead


class FakeWorker(socketserver.ThreadingTCPServer):
    """Answers the commands of `respid check`, in threads, on a port of its own."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        spoil: Spoil | None = None,
        *,
        worker_id: int = 1,
        clock_ahead_seconds: float = 0,
        instead: dict[bytes, bytes] | None = None,
        loading_replies: float = 0,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.worker_id = worker_id
        self.clock_ahead_seconds = clock_ahead_seconds
        self.instead = instead or {}  # replies to some commands
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self._spoil = spoil or (lambda first, _count: first)
        self._lock = threading.Lock()
        self._loading_replies = loading_replies  # to the first commands that draw IDs
        self.generator = Generator(Layout(), worker_id, SystemClock())
        now_ms = SystemClock().wall_ms()
        self.generator.begin(now_ms, now_ms + 3_600_000)

    def is_loading(self) -> bool:
        with self._lock:
            self._loading_replies -= 1
            return self._loading_replies >= 0

    def take_block(self, count: int) -> int:
        """Returns the first of `count` consecutive IDs."""
        with self._lock:
            while True:
                first, taken = self.generator.take_block(count)
                if taken:
                    return self._spoil(first, count)
                time.sleep(0.0005)


class _Conversation(socketserver.BaseRequestHandler):
    server: FakeWorker

    def handle(self) -> None:
        reader = RequestReader(DEFAULT_LIMITS)
        queued: list[bytes] | None = None
        while data := self.request.recv(1 << 16):
            reader.feed(data)
            replies = b""
            while (arguments := reader.next_request()) is not None:
                if arguments[0] == b"MULTI":
                    queued, reply = [], encoder.OK
                elif arguments[0] == b"EXEC":
                    assert queued is not None
                    reply = encoder.array(queued)
                    queued = None
                elif queued is not None:
                    queued.append(self._answer(arguments))
                    reply = encoder.QUEUED
                else:
                    reply = self._answer(arguments)
                replies += reply
            self.request.sendall(replies)

    def _answer(self, arguments: list[bytes]) -> bytes:
        worker = self.server
        if arguments[0] in worker.instead:
            return worker.instead[arguments[0]]
        match arguments:
            case [b"ID.INFO"]:
                told: dict[str, encoder.Value] = {"worker_id": worker.worker_id, "clock_lead_ms": 0}
                return encoder.encode({"fingerprint": worker.generator.layout.fingerprint, **told}, 2)
            case [b"INFO", *_]:
                return encoder.bulk_string(b"# Server\r\nrun_id:%d\r\n" % id(worker))
            case [b"TIME"]:
                seconds = time.time() + worker.clock_ahead_seconds
                return encoder.encode([str(int(seconds)), str(int(seconds % 1 * 1_000_000))], 2)
        return LOADING if worker.is_loading() else self._draw(arguments)

    def _draw(self, arguments: list[bytes]) -> bytes:
        take = self.server.take_block
        match arguments:
            case [b"INCR", _] | [b"ID.NEXT"]:
                return encoder.integer(take(1))
            case [b"INCRBYFLOAT", _, _] | [b"ID.NEXT", b"AS", _]:
                return encoder.bulk_string(b"%d" % take(1))
            case [b"INCRBY", _, count] | [b"HINCRBY", _, _, count]:
                return encoder.integer(take(int(count)) + int(count) - 1)
            case [b"ID.NEXT", b"COUNT", count]:
                first = take(int(count))
                return encoder.array([encoder.integer(first + number) for number in range(int(count))])
            case [b"ID.RANGE", count]:
                half = int(count) // 2
                pairs = [encoder.array([encoder.integer(take(half)), encoder.integer(half)]) for _ in range(2)]
                return encoder.array(pairs)
        raise AssertionError(arguments)


@contextmanager
def serving(*workers: FakeWorker) -> Iterator[list[str]]:
    """Runs the workers. Yields their addresses."""
    for worker in workers:
        threading.Thread(target=worker.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield [worker.address for worker in workers]
    finally:
        for worker in workers:
            worker.shutdown()
            worker.server_close()
