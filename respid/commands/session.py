"""The state of one client, and its access to the worker."""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple, Protocol

from respid.resp import errors
from respid.worker.credentials import DEFAULT_USER
from respid.worker.worker import Worker

# A handler returns a whole reply; the parts of one, where None means "wait, then go on"; or None: "wait, then retry".
Parts = Iterator[bytes | None]
Reply = bytes | Parts | None
Handler = Callable[["Session", list[bytes]], Reply]


class ReplyMode(Enum):
    """The state that CLIENT REPLY sets."""

    ON = "on"
    OFF = "off"
    OFF_SKIP_NEXT = "off, skip next"  # OFF after SKIP in a transaction: if ON follows there, the SKIP still holds
    OFF_SKIPPING = "off, skipping"  # the command after that transaction: if it is RESET, its reply is skipped
    SKIP_NEXT = "skip next"  # set by CLIENT REPLY SKIP; it becomes SKIPPING with the next command
    SKIPPING = "skipping"  # the current command gets no reply; then ON again


_ON = ReplyMode.ON  # a global is found faster than a member of an enumeration


class SocketState(NamedTuple):
    """The state of a client's socket, as CLIENT LIST shows it."""

    local_address: str
    descriptor: int
    idle_seconds: int  # since the client last sent something; 0 where the system does not tell
    unread_bytes: int  # received, but not yet answered
    unsent_bytes: int  # of replies


_NO_SOCKET = SocketState("", -1, 0, 0, 0)
NO_REDIRECT = -1  # as CLIENT GETREDIR says it of a client that is not tracking


class Tracking(NamedTuple):
    """The tracking modes that a client has turned on by CLIENT TRACKING ON."""

    modes: frozenset[bytes]  # of BCAST, OPTIN, OPTOUT and NOLOOP
    redirect: int  # the identifier of the client that invalidations would go to; 0 for itself
    prefixes: tuple[bytes, ...]
    is_next_chosen: bool = False  # CLIENT CACHING was sent, and applies to the next command or transaction


class Queued(Protocol):
    """One or several requests that wait for EXEC."""

    count: int
    draws_ids: bool

    def replies(self, session: "Session") -> Parts: ...


class RequestKind(Enum):
    """The kind of a request for IDs. An autoscaler adds no worker for requests that wait because they are large."""

    SINGLE = "single"  # one ID, or a small block
    BLOCK = "block"  # a large block of INCRBY
    STREAM = "stream"  # ID.NEXT COUNT or ID.RANGE, which take all IDs of the milliseconds that have passed


_SINGLE = RequestKind.SINGLE


class Wait:
    """How long a client's requests have waited for an ID, and what kind of request waits."""

    __slots__ = ("block", "ids", "is_followed", "kind", "since_ms")

    def __init__(self) -> None:
        self.since_ms: int | None = None  # the Unix millisecond in which the wait began; None when nothing waits
        self.is_followed = False  # whether more requests of the client have arrived
        self.want_one()

    def want_one(self) -> None:
        """Until the next request asks for something else."""
        self.kind = _SINGLE
        self.block = 1  # how many IDs of one millisecond the client needs to go on
        self.ids = 1  # how many it wants altogether, as far as that is known

    @property
    def is_bulk(self) -> bool:
        return self.kind is not RequestKind.SINGLE

    @property
    def is_single(self) -> bool:
        """Whether the client only wants one ID, or one small block."""
        return self.kind is _SINGLE and self.ids == self.block and not self.is_followed

    def begin(self, now_ms: int) -> None:
        """Keeps the earlier time when a wait has begun already."""
        if self.since_ms is None:
            self.since_ms = now_ms

    def end(self) -> None:
        self.since_ms = None


class Session:
    """The state of one connection that commands read and change."""

    __slots__ = (
        "address",
        "authenticated",
        "closing",
        "connected_ns",
        "database",
        "describe_socket",
        "identifier",
        "last_command",
        "library_name",
        "library_version",
        "moving_endpoint_type",
        "name",
        "queued_bytes",
        "queued_requests",
        "queued_size",
        "reply_mode",
        "tracking",
        "transaction",
        "transaction_broken",
        "user",
        "version",
        "wait",
        "worker",
        "wrong_passwords",
    )

    def __init__(self, worker: Worker, identifier: int, address: str) -> None:
        self.worker = worker
        self.identifier = identifier
        self.address = address
        self.connected_ns = worker.clock.monotonic_ns()
        self.library_name = b""
        self.library_version = b""
        self.last_command = ""
        self.closing = False  # the connection closes once the replies are written
        self.describe_socket: Callable[[], SocketState] | None = None  # None without a socket
        self.wait = Wait()
        self.wrong_passwords = 0  # in a row; RESET does not start again
        self.reply_mode = ReplyMode.ON
        self.reset()

    def reset(self) -> None:
        """Restores the state that the session had when the client connected."""
        self.authenticated = not self.worker.credentials.are_needed
        self.user = DEFAULT_USER
        self.version = 2
        self.name = b""
        self.database = 0
        self.tracking: Tracking | None = None  # what CLIENT TRACKING has turned on
        # As CLIENT MAINT_NOTIFICATIONS ON names it, b"" without a name. None: the client did not ask for it.
        self.moving_endpoint_type: bytes | None = None
        is_skipping = self.reply_mode in (ReplyMode.SKIPPING, ReplyMode.OFF_SKIPPING)
        self.reply_mode = ReplyMode.SKIPPING if is_skipping else ReplyMode.ON  # for the reply to RESET itself
        self.transaction: list[Queued] | None = None
        self.transaction_broken = False
        self.queued_bytes = 0  # the memory of the transaction, until EXEC is answered
        self.queued_requests = -1  # that wait for EXEC; -1 outside MULTI
        self.queued_size = 0  # of the transaction: its commands plus the KiB of their arguments

    @property
    def is_plain(self) -> bool:
        """Whether commands need no special treatment: they take runs, and the client is not in MULTI."""
        return self.transaction is None and self.takes_runs

    @property
    def is_newcomer(self) -> bool:
        """Whether the client has not run a command yet, after authenticating if that is required."""
        return not (self.authenticated and self.last_command)

    @property
    def takes_runs(self) -> bool:
        """Whether requests can be answered as a run: by IDs, or by QUEUED in MULTI.

        They cannot before authentication, while replies are off, or after CLIENT CACHING, which holds for one request.
        """
        has_chosen = self.tracking is not None and self.tracking.is_next_chosen
        return self.authenticated and self.reply_mode is _ON and not has_chosen

    def end_transaction(self) -> None:
        self.transaction = None
        self.transaction_broken = False
        self.queued_bytes = self.queued_size = 0
        self.queued_requests = -1

    def end_choice(self) -> None:
        """Ends what CLIENT CACHING has chosen, unless a transaction is being queued, to which it applies as a whole."""
        if self.tracking is not None and self.transaction is None:
            self.tracking = self.tracking._replace(is_next_chosen=False)

    def take(self, count: int) -> tuple[int, int]:
        """As `Generator.take`, for a session that may have waited."""
        self.wait.block = 1
        return self.worker.generator.take(count, self.wait.since_ms)

    def refusal(self) -> bytes | None:
        """The error reply to a request that got no ID; None while it should wait for one."""
        reason = self.worker.refusal()
        return None if reason is None else errors.loading(reason)

    def describe(self) -> str:
        """One line of CLIENT LIST, with the fields and the order of Redis. Buffers that respid does not have are 0."""
        socket = self.describe_socket() if self.describe_socket else _NO_SOCKET
        age_seconds = (self.worker.clock.monotonic_ns() - self.connected_ns) // 1_000_000_000
        held_bytes = socket.unread_bytes + socket.unsent_bytes
        return (  # in one expression: it is made for each of thousands of clients
            f"id={self.identifier} addr={self.address} laddr={socket.local_address} fd={socket.descriptor}"
            f" name={self.name.decode('ascii', 'replace')} age={age_seconds} idle={socket.idle_seconds}"
            f" flags={self._flags()} db={self.database} sub=0 psub=0 ssub=0"
            f" multi={self.queued_requests} watch=0 qbuf={socket.unread_bytes}"
            f" qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={socket.unsent_bytes}"
            f" tot-mem={held_bytes} events={'rw' if socket.unsent_bytes else 'r'} cmd={self.last_command or 'NULL'}"
            f" user={self.user} redir={NO_REDIRECT if self.tracking is None else self.tracking.redirect}"
            f" resp={self.version} lib-name={self.library_name.decode('ascii', 'replace')}"
            f" lib-ver={self.library_version.decode('ascii', 'replace')}\n"
        )

    def _flags(self) -> str:
        """The letters of Redis for what is true of the client; N for none of them."""
        if self.transaction is None and self.tracking is None and not self.address.startswith("unix:"):
            return "N"
        letters = {
            "x": self.transaction is not None,
            "t": self.tracking is not None,
            "B": self.tracking is not None and b"BCAST" in self.tracking.modes,
            "U": self.address.startswith("unix:"),
        }
        return "".join(letter for letter, is_true in letters.items() if is_true) or "N"
