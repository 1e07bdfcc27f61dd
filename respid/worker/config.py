"""The settings of a server, with their defaults. Reading them from options and variables is the command line's job."""

from dataclasses import dataclass, field
from pathlib import Path

from respid.ids.layout import Layout

LEASE_RESERVE_MS = 300_000
FILE_RESERVE_MS = 10_000  # an extension every 5 s, which a busy disk may delay by as much
LEAST_RESERVE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a server. The only place that states a default; units are in the names.

    A field that is None, 0 or "" by default turns its feature off. `respid/cli/serve_options.py` has the bounds.
    """

    worker_id: int
    worker_id_source: str
    layout: Layout = field(default_factory=Layout)
    sequence_reset: int | None = None  # None: a default that depends on the layout
    max_clock_lead_seconds: float = 600
    clock_jump_confirm_seconds: float = 10
    accept_layout_change: bool = False
    start_above: int | None = None
    store: str = "file"
    state_dir: Path | None = None  # required by the file store
    state_dir_exclusive: bool = False
    lease_id_space: str = "default"
    reserve_seconds: float | None = None
    pod_name: str = ""
    pod_uid: str = ""
    bind: tuple[str, ...] = ("127.0.0.1",)  # "*": all addresses
    port: int = 6379
    reuse_port: bool = False
    unix_socket: Path | None = None
    unix_socket_mode: int = 0o600
    tls_port: int = 0
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_cert_file: Path | None = None
    tls_crl_file: Path | None = None
    tls_auth_clients: str = "no"
    tls_client_names: tuple[str, ...] = ()
    http_bind: tuple[str, ...] = ("127.0.0.1",)
    http_port: int = 8080
    password: str = ""
    password_file: Path | None = None
    username: str = ""
    max_clients: int = 10_000
    max_request_bytes: int = 1024 * 1024
    max_arguments: int = 1024
    max_inline_bytes: int = 64 * 1024
    max_queued_commands: int = 100_000
    max_client_memory_bytes: int | None = None  # None: derived from the memory that the process may use
    auth_timeout_seconds: float = 60
    idle_timeout_seconds: float = 0
    max_connection_age_seconds: float = 0
    max_connection_age_clients: str = "reconnecting"
    tcp_keepalive_seconds: int = 300
    peers: tuple[str, int] | None = None  # the DNS name and the port of all ready workers
    drain_delay_seconds: float = 0
    log_format: str = "text"
    log_level: str = "info"

    @property
    def reserve_ms(self) -> int:
        """How far the store's reservations reach ahead of the clock, in milliseconds."""
        if self.reserve_seconds is not None:
            return round(self.reserve_seconds * 1000)
        if self.store == "lease":
            return LEASE_RESERVE_MS
        # A restart after a crash leads the clock by as much. At least as much as a few slow writes need, though.
        return max(LEAST_RESERVE_MS, min(FILE_RESERVE_MS, round(self.max_clock_lead_seconds * 500)))
