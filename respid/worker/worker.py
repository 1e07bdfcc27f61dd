"""The state that all connections of a process share: the generator, its reservation, counters. Never does IO."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from respid.ids.clock import Clock
from respid.ids.generator import Generator, Obstacle
from respid.ids.reservation import Reservation
from respid.ids.timestamp import format_timestamp
from respid.worker.client_list import Client, ClientList
from respid.worker.config import Config
from respid.worker.credentials import Credentials
from respid.worker.lifecycle import Lifecycle, State
from respid.worker.stats import Stats

PATIENCE_MS = 150  # how long requests wait for an ID; the first drivers time out at 250


class ProcessUsage(NamedTuple):
    """The memory and CPU time that the process has used."""

    resident_bytes: int
    peak_bytes: int
    cpu_user_seconds: float
    cpu_system_seconds: float


@dataclass(slots=True)
class Worker:
    """One worker: its settings, clock, generator, reservation, state, counters and connected clients."""

    config: Config
    clock: Clock
    generator: Generator
    reservation: Reservation
    process_usage: Callable[[], ProcessUsage]
    run_id: str  # different for each process
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    stats: Stats = field(default_factory=Stats)
    clients: dict[int, Client] = field(default_factory=dict)
    client_list: ClientList = field(init=False)
    credentials: Credentials = field(init=False)
    on_auth_failure: Callable[[str], None] = lambda _address: None  # called with the address of a wrong password
    on_rejection: Callable[[str, str], None] = lambda _reason, _address: None  # called with the reason and the address
    started_ns: int = 0

    def __post_init__(self) -> None:
        self.started_ns = self.clock.monotonic_ns()
        self.client_list = ClientList(self.clients)
        self.credentials = Credentials(self.config.password, self.config.username)

    def use_clock(self, clock: Clock) -> None:
        """Replaces the clock."""
        self.clock = clock
        self.generator.use_clock(clock)

    def count_auth_failure(self, address: str) -> None:
        self.stats.auth_failures += 1
        self.on_auth_failure(address)

    def count_rejection(self, reason: str, address: str) -> None:
        """Counts a connection that never became a client."""
        self.stats.connections_rejected[reason] += 1
        self.on_rejection(reason, address)

    def count_closing(self, reason: str, address: str) -> None:
        """Counts a client whose connection the server closes."""
        self.stats.connections_closed[reason] += 1
        self.on_rejection(reason, address)

    @property
    def uptime_seconds(self) -> float:
        return (self.clock.monotonic_ns() - self.started_ns) / 1e9

    def refusal(self) -> str | None:
        """Returns why requests are refused now; None if an ID can be issued, now or after a short wait."""
        obstacle = self.generator.obstacle()
        if obstacle is None or self.generator.stopped_for_ms() < PATIENCE_MS:
            return None
        return self._explain(obstacle)

    def not_ready(self) -> str | None:
        """Returns why no ID can be issued now; None if one can."""
        if self.lifecycle.state in (State.DRAINING, State.STOPPED):
            return f"the server is {self.lifecycle.state.value}"
        obstacle = self.generator.obstacle()
        if obstacle is None:
            return None
        return self._explain(obstacle)

    def _explain(self, obstacle: Obstacle) -> str:
        generator = self.generator
        match obstacle:
            case Obstacle.SEALED:
                return "the server is stopping"
            case Obstacle.LEAD:
                return (
                    f"the wall clock is {generator.lead_ms / 1000:.0f} s behind the last ID's timestamp,"
                    f" more than the {generator.lead_limit_ms / 1000:.0f} s of RESPID_MAX_CLOCK_LEAD: set the clock"
                )
            case Obstacle.CLOCK:
                return (
                    f"the wall clock shows {format_timestamp(self.clock.wall_ms())}, before this release of respid was"
                    " built: set the clock"
                )
            case Obstacle.LAYOUT_END:
                return (
                    f"the layout {generator.layout.widths} ended at {format_timestamp(generator.layout.end_ms)}, and"
                    f" the wall clock shows {format_timestamp(self.clock.wall_ms())}: set the clock if it is wrong"
                )
            case Obstacle.CEILING:
                if self.reservation.last_error is not None:
                    return f"the reservation cannot be extended: {self.reservation.last_error}"
                if self.lifecycle.state in (State.STARTING, State.RESERVING):
                    return "the first reservation is being taken"
                return "the reservation is being extended"
