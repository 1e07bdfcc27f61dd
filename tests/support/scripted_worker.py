"""A worker in this process on a scripted clock, and connections to it without sockets."""

from respid.ids.clock import Clock
from respid.ids.generator import Generator
from respid.ids.layout import Layout
from respid.ids.reservation import Reservation, ReserveSpans
from respid.net.connection import Budgets, Connection
from respid.net.states import Next
from respid.resp.reader import RequestLimits
from respid.worker.config import Config
from respid.worker.lifecycle import State
from respid.worker.worker import ProcessUsage, Worker
from tests.support.request_limits import DEFAULT_LIMITS

RESERVED_MS = 60_000
RUN_ID = "5eed" * 10


def start_worker(
    clock: Clock, *, password: str = "", reserved_ms: int = RESERVED_MS, layout: Layout | None = None
) -> Worker:
    """A worker that serves: worker ID 1, the default layout unless told, a reservation from now, sequences from 0."""
    config = Config(worker_id=1, worker_id_source="test", store="none", password=password, layout=layout or Layout())
    generator = Generator(config.layout, config.worker_id, clock, random_bits=lambda _bits: 0)
    reservation = Reservation(generator, ReserveSpans(reserved_ms, reserved_ms))
    worker = Worker(
        config, clock, generator, reservation, lambda: ProcessUsage(50_000_000, 60_000_000, 1.5, 0.5), RUN_ID
    )
    reservation.first_ceiling_ms(None, clock.wall_ms())
    reservation.begin(None, clock.wall_ms() + reserved_ms)
    worker.lifecycle.enter(State.RESERVING)
    worker.lifecycle.enter(State.SERVING)
    return worker


def connect(worker: Worker, limits: RequestLimits = DEFAULT_LIMITS, budgets: Budgets | None = None) -> Connection:
    """A new client of the worker, numbered as a listener would."""
    identifier = max(worker.clients, default=0) + 1
    connection = Connection(worker, identifier, "127.0.0.1:50000", limits, budgets=budgets)
    worker.clients[identifier] = connection.session
    return connection


def converse(connection: Connection, *pieces: bytes) -> bytes:
    """Sends the pieces one by one. Returns all replies until the connection is closed or has to wait."""
    output = b""
    for piece in pieces:
        if connection.next is not Next.READ:
            break
        output += connection.receive(piece) + _take_turns(connection)
    return output


def _take_turns(connection: Connection) -> bytes:
    output = b""
    while connection.next is Next.TURN:
        output += connection.resume()
    return output
