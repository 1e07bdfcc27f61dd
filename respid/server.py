"""A running server: its wiring, start, stop and signals."""

import asyncio
import dataclasses
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from respid import BUILD_DATE, __version__
from respid.highwater.keeper import Keeper
from respid.highwater.stores import Store
from respid.highwater.stores.choice import make_store
from respid.ids.clock import Clock, SystemClock
from respid.ids.generator import Generator
from respid.ids.reservation import Reservation
from respid.ids.timestamp import parse_timestamp_ms
from respid.monitoring.history import History, sample_rates
from respid.monitoring.http import HttpClients, HttpProtocol, Response, Route, json_response
from respid.monitoring.process_usage import read_process_usage
from respid.monitoring.status import StatusRoutes
from respid.monitoring.systemd import SystemdReport
from respid.net.address import host_ports
from respid.net.bind import StartError, bind, listen
from respid.net.clients import Clients
from respid.net.credential_log import ExpiryLog, warn_about_short
from respid.net.departures import Departures
from respid.net.idle import Sweep
from respid.net.listeners import RespListeners
from respid.net.memory_limit import default_limit_bytes
from respid.net.open_files import fit_max_clients
from respid.net.peers import Peers
from respid.net.port_claim import PortClaim
from respid.net.rejection_log import RejectionLog
from respid.net.short_timer import make_short_timer
from respid.net.suggestion import status_page_url, suggest_command
from respid.net.tls import Tls
from respid.reload import ReadError, Reloader, Source
from respid.resp import fast_path
from respid.worker.config import Config
from respid.worker.credentials import read_passwords
from respid.worker.lifecycle import State
from respid.worker.worker import Worker

STOP_SECONDS = 10.0  # how long a stop waits for the requests in progress
STORE_STOP_SECONDS = 5.0  # how long it then waits for the store
KEEPER_STOP_SECONDS = 1.0  # how long it then waits for the keeper's task, which sleeps between its rounds
SIGNAL_REPEAT_SECONDS = 0.5  # stop signals this close together are one: GNU timeout sends two
# A full garbage collection finds nothing, as clients leave no cycles, but stops the server: for 20 ms with 10,000
# clients, without their sockets. It takes place this many times less often than by default.
FULL_COLLECTION_FACTOR = 10
RUN_ID_BYTES = 20  # shown as 40 hexadecimal digits, as Redis does
_log = logging.getLogger(__name__)


def make_worker(config: Config, store: Store, clock: Clock, *, earliest_ms: int = 0) -> Worker:
    """The worker of these settings. A wall clock that shows a time before `earliest_ms` is taken for wrong."""
    generator = Generator(
        config.layout,
        config.worker_id,
        clock,
        sequence_reset=config.sequence_reset,
        lead_limit_ms=round(config.max_clock_lead_seconds * 1000),
        earliest_ms=earliest_ms,
    )
    reservation = Reservation(generator, store.spans)
    return Worker(config, clock, generator, reservation, read_process_usage, secrets.token_hex(RUN_ID_BYTES))


class Server:
    """One worker, its listeners and its background tasks."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = make_store(config)
        self._worker = make_worker(config, self._store, SystemClock(), earliest_ms=parse_timestamp_ms(BUILD_DATE))
        self._keeper = Keeper(self._worker, self._store)
        self._stop = asyncio.Event()
        self._stop_signal_seconds: float | None = None  # monotonic time of the first stop signal
        self._tls = Tls(config) if config.tls_port else None
        self._expiry_log = ExpiryLog(self._worker)
        self._claim = PortClaim(config)
        self._reloader = Reloader(self._sources())

    def _sources(self) -> Iterator[Source]:
        if path := self._config.password_file:
            yield Source("--password-file", (path,), partial(self._use_passwords, path))
        if self._tls:
            yield Source("TLS", self._tls.paths, partial(self._use_certificate, self._tls))

    def _use_passwords(self, path: Path) -> str:
        """Raises OSError, ValueError."""
        try:
            passwords = read_passwords(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        self._worker.credentials.use(passwords)
        warn_about_short(passwords, "the password file")
        return f"passwords: {len(passwords)}"

    def _use_certificate(self, tls: Tls) -> str:
        """Raises OSError, ValueError."""
        description = tls.use()
        self._worker.stats.tls_certificate_end_seconds = tls.end_seconds
        self._worker.stats.tls_crl_end_seconds = tls.crl_end_seconds
        self._expiry_log.note_loaded()
        return description

    async def run(self) -> None:
        """Serves until a signal stops it. Raises StartError or StoreError."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        self._read_files()
        if self._config.password:
            warn_about_short([os.fsencode(self._config.password)], "RESPID_PASSWORD")
        rejections = RejectionLog(loop)
        self._worker.on_auth_failure = rejections.note_auth_failure
        self._worker.on_rejection = rejections.note_rejection
        self._handle_signals(loop)
        short_timer = make_short_timer(loop)
        clients = Clients(self._worker, loop, short_timer)
        history = History(lambda: self._worker.generator.ids_issued, loop.time())
        systemd = SystemdReport(self._worker, history, os.environ)
        http = HttpClients(self._routes(history), loop, self._worker.count_rejection)
        listeners = RespListeners(clients, self._tls)
        self._claim.take()
        http_servers = await self._listen(http, listeners)
        _spare_collections()
        keeping = loop.create_task(self._keep_reservation(listeners.describe()))
        keeping.add_done_callback(lambda _: self._stop.set())  # it ends on its own only if it fails
        departures = Departures(self._worker)
        sweep, peers = Sweep(clients, departures), Peers(self._config.peers, departures.note_new_worker)
        rates, expiry = sample_rates(history, self._worker.stats), self._expiry_log.run()
        running = (self._reloader.watch(), sweep.run(), peers.run(), clients.memory.run(), rates, expiry, systemd.run())
        background = [loop.create_task(run) for run in running]
        for task in background:
            task.add_done_callback(report_task_error)
        try:
            await self._stop.wait()
            await self._drain(clients, sweep, listeners, 0 if keeping.done() else self._config.drain_delay_seconds)
        finally:
            for task in background:
                task.cancel()
            systemd.send()
            released = await self._release()
            self._worker.lifecycle.enter(State.STOPPED)
            for http_server in http_servers:
                http_server.close()
            http.close()
            if short_timer:
                short_timer.close()
            self._claim.release()
        await self._end_keeping(keeping)
        _log.info("stopped after %d IDs", self._worker.generator.ids_issued, extra={"event": "stopped"})
        if not released:
            os._exit(0)  # a thread that waits for the disk would keep the process alive

    def _read_files(self) -> None:
        try:
            self._reloader.read()
        except ReadError as error:
            raise StartError(str(error)) from None

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGHUP, self._reloader.reload)
        for stop_signal in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop_signal, self._handle_stop_signal, stop_signal)

    async def _listen(self, http: HttpClients, listeners: RespListeners) -> list[asyncio.Server]:
        """Opens all listeners; returns the HTTP servers. Raises StartError, which names both ports if both fail."""
        opening = asyncio.gather(self._listen_http(http), listeners.open(), return_exceptions=True)
        http_servers, opened = await opening
        if isinstance(http_servers, StartError) and isinstance(opened, StartError):
            raise StartError(f"{opened}; {http_servers}")
        if isinstance(opened, BaseException):
            raise opened
        if isinstance(http_servers, BaseException):
            raise http_servers
        return http_servers

    async def _listen_http(self, http: HttpClients) -> list[asyncio.Server]:
        """Raises StartError."""
        sockets = bind(self._config.http_bind, self._config.http_port, "--http-bind", "--http-port")
        return await listen(http.loop, lambda: HttpProtocol(http), sockets)

    async def _release(self) -> bool:
        """Stops issuing IDs and stores the exact end; returns False if the store does not answer in time."""
        try:
            async with asyncio.timeout(STORE_STOP_SECONDS):
                await self._keeper.end()
        except TimeoutError:
            _log.warning(
                "the store did not answer within %g s: the high-water mark was not lowered to the last ID; the next"
                " start continues from the stored mark",
                STORE_STOP_SECONDS,
                extra={"event": "release_timeout"},
            )
            return False
        return True

    async def _end_keeping(self, keeping: asyncio.Task[None]) -> None:
        """Raises the exception that ended the keeper's task, if one did."""
        done, _ = await asyncio.wait([keeping], timeout=KEEPER_STOP_SECONDS)  # the store may not answer
        if done:
            keeping.result()

    async def _keep_reservation(self, listening: str) -> None:
        if self._stop.is_set():  # a signal during the start
            return
        await self._keeper.begin()
        self._log_start(listening)
        loading = asyncio.create_task(self._load_rest())
        loading.add_done_callback(report_task_error)
        await self._keeper.keep()

    async def _load_rest(self) -> None:
        """Makes what the first long pipeline needs, and imports what the first scrape does, so that neither waits.

        Meanwhile, the event loop answers requests.
        """
        await asyncio.to_thread(fast_path.prepare)
        await asyncio.to_thread(import_module, "respid.monitoring.metrics")
        _ = self._render_metrics
        gc.freeze()

    def _handle_stop_signal(self, stop_signal: signal.Signals) -> None:
        now_seconds = time.monotonic()
        if self._stop_signal_seconds is None:
            self._stop_signal_seconds = now_seconds
            _log.info("%s: draining", stop_signal.name, extra={"event": "draining"})
            self._stop.set()
        elif now_seconds - self._stop_signal_seconds > SIGNAL_REPEAT_SECONDS:
            _log.warning("second %s: stopping at once", stop_signal.name, extra={"event": "stop_forced"})
            os._exit(128 + stop_signal)  # the successor starts at the stored mark, which is above all issued IDs

    async def _drain(self, clients: Clients, sweep: Sweep, listeners: RespListeners, delay_seconds: float) -> None:
        self._worker.lifecycle.enter(State.DRAINING)
        await sweep.drain(delay_seconds)
        listeners.close()
        clients.drain(sweep.lately_used() if delay_seconds else ())
        deadline = time.monotonic() + STOP_SECONDS
        await sweep.see_off()
        while clients.sockets and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        clients.abort()

    @cached_property
    def _render_metrics(self) -> Callable[[str], tuple[str, bytes]]:
        from respid.monitoring.metrics import Exposition  # noqa: PLC0415 - a quarter of all import time

        return Exposition(self._worker).render

    def _routes(self, history: History) -> dict[str, Route]:
        def metrics(accept: str) -> Response:
            return Response(200, *self._render_metrics(accept))

        def healthz(_accept: str) -> Response:
            """An answer proves that the event loop turns."""
            return json_response(200, {"status": "alive"})

        def readyz(_accept: str) -> Response:
            reason = self._worker.not_ready()
            if reason is None:
                return json_response(200, {"status": "ready"})
            return json_response(503, {"status": "not ready", "reason": reason})

        pages = StatusRoutes(self._worker, history)
        return {
            "/": pages.index,
            "/status": pages.status,
            "/metrics": metrics,
            "/healthz": healthz,
            "/readyz": readyz,
        }

    def _log_start(self, listening: str) -> None:
        config = self._config
        where = f"store {config.store} ({config.state_dir})" if config.store == "file" else f"store {config.store}"
        _log.info(
            "respid %s serves RESP on %s and HTTP on %s: worker ID %d (from %s), layout %s, %s; try: %s, %s",
            __version__,
            listening,
            host_ports(config.http_bind, config.http_port),
            config.worker_id,
            config.worker_id_source,
            config.layout.fingerprint,
            where,
            suggest_command(config, password_needed=self._worker.credentials.are_needed),
            status_page_url(config),
            extra={"event": "started"},
        )


def _spare_collections() -> None:
    """Makes full collections rare, and all of them skip the objects so far, which live as long as the process."""
    gc.freeze()
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, old * FULL_COLLECTION_FACTOR)


def log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an exception that nothing handles: of a callback, of a protocol's method, or of a task."""
    error, message = context.get("exception"), context["message"]
    if error is None or isinstance(error, OSError):
        _log.error("event loop: %s", message, exc_info=error, extra={"event": "event_loop_error"})
    else:
        message = f"internal error (please report it): {message}: {type(error).__name__}: {error}"
        _log.error("%s", message, exc_info=error, extra={"event": "internal_error"})


def report_task_error(task: asyncio.Task[None]) -> None:
    """Logs now why a background task failed, not when the task is garbage collected. The server goes on without it."""
    if not task.cancelled() and (error := task.exception()):
        task.get_loop().call_exception_handler({"message": "a background task failed", "exception": error})


def serve(config: Config) -> None:
    """Runs a server until a signal stops it. Raises StartError or StoreError."""
    config = dataclasses.replace(config, max_clients=fit_max_clients(config.max_clients))
    if config.max_client_memory_bytes is None:
        config = dataclasses.replace(config, max_client_memory_bytes=default_limit_bytes())
    with asyncio.Runner(loop_factory=_event_loop_factory()) as runner:
        runner.run(Server(config).run())


def _event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not available on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
