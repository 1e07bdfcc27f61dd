"""CLIENT TRACKING and the subcommands that belong to it.

They are checked as Redis checks them. No invalidation message follows, since nothing that a client could cache changes.
"""

from respid.commands.session import NO_REDIRECT, Reply, Session, Tracking
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.encoder import Value
from respid.resp.reader import parse_integer

_TWO_REDIRECTS = errors.error("ERR A client can only redirect to a single other client")
_NO_SUCH_CLIENT = errors.error("ERR The client ID you want redirect to does not exist")
_PREFIX_WITHOUT_BCAST = errors.error("ERR PREFIX option requires BCAST mode to be enabled")
_OPT_WITH_BCAST = errors.error("ERR OPTIN and OPTOUT are not compatible with BCAST")
_OPTIN_AND_OPTOUT = errors.error("ERR You can't specify both OPTIN mode and OPTOUT mode")
_SWITCHES_BCAST, _SWITCHES_OPT = (
    errors.error(
        f"ERR You can't switch {mode} before disabling tracking for this client,"
        " and then re-enabling it with a different mode."
    )
    for mode in ("BCAST mode on/off", "OPTIN/OPTOUT mode")
)
_NOT_TRACKING = errors.error(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)

group = CommandGroup("connection")


@group.subcommand(
    "CLIENT TRACKING ON | OFF [REDIRECT client-id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    "Accepted: nothing that a client could cache changes.",
    "noscript loading stale constant",
    since="6.0.0",
)
def client_tracking(session: Session, arguments: list[bytes]) -> Reply:
    wanted = _parse_tracking(session, arguments[3:])
    if isinstance(wanted, bytes):
        return wanted
    match arguments[2].upper():
        case b"ON":
            return _turn_on(session, wanted)
        case b"OFF":
            session.tracking = None
            return encoder.OK
        case _:
            return errors.SYNTAX


def _parse_tracking(session: Session, words: list[bytes]) -> Tracking | bytes:
    """The meaning of the options of CLIENT TRACKING, or the error to reply."""
    modes: set[bytes] = set()
    redirect, prefixes = 0, list[bytes]()
    while words:
        match words[0].upper(), words[1:]:
            case b"REDIRECT", [text, *rest]:
                if redirect:
                    return _TWO_REDIRECTS
                target = parse_integer(text)
                if target is None:
                    return errors.NOT_AN_INTEGER
                if target not in session.worker.clients:
                    return _NO_SUCH_CLIENT
                redirect = target
            case b"PREFIX", [prefix, *rest]:
                prefixes.append(prefix)
            case (b"BCAST" | b"OPTIN" | b"OPTOUT" | b"NOLOOP") as mode, rest:
                modes.add(mode)
            case _:
                return errors.SYNTAX
        words = rest
    return Tracking(frozenset(modes), redirect, tuple(prefixes))


def _turn_on(session: Session, wanted: Tracking) -> bytes:
    current = session.tracking or Tracking(frozenset(), 0, ())
    if error := _refuse_modes(wanted, current if session.tracking else None):
        return error
    prefixes: set[bytes] = set()
    if b"BCAST" in wanted.modes:
        if error := _refuse_prefixes(wanted.prefixes, current.prefixes):
            return error
        prefixes = {*current.prefixes, *(wanted.prefixes or (b"",))}
    session.tracking = wanted._replace(prefixes=tuple(sorted(prefixes)), is_next_chosen=current.is_next_chosen)
    return encoder.OK


def _refuse_modes(wanted: Tracking, current: Tracking | None) -> bytes | None:
    """The error if the modes conflict with each other, or with those that are on. The checks are in Redis's order."""
    modes, current_modes = wanted.modes, current.modes if current else frozenset[bytes]()
    is_broadcast = b"BCAST" in modes
    if wanted.prefixes and not is_broadcast:
        return _PREFIX_WITHOUT_BCAST
    if current and is_broadcast != (b"BCAST" in current_modes):
        return _SWITCHES_BCAST
    if is_broadcast and modes & {b"OPTIN", b"OPTOUT"}:
        return _OPT_WITH_BCAST
    if modes >= {b"OPTIN", b"OPTOUT"}:
        return _OPTIN_AND_OPTOUT
    if (modes | current_modes) >= {b"OPTIN", b"OPTOUT"}:
        return _SWITCHES_OPT
    return None


def _refuse_prefixes(wanted: tuple[bytes, ...], current: tuple[bytes, ...]) -> bytes | None:
    for position, prefix in enumerate(wanted):
        for other in current:
            if _overlap(prefix, other):
                return _overlap_error(prefix, b"an existing", other)
        for other in wanted[position + 1 :]:
            if _overlap(prefix, other):
                return _overlap_error(prefix, b"another provided", other)
    return None


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _overlap_error(prefix: bytes, which: bytes, other: bytes) -> bytes:
    return errors.error(
        b"ERR Prefix '%s' overlaps with %s prefix '%s'. Prefixes for a single client must not overlap."
        % (prefix, which, other)
    )


@group.subcommand(
    "CLIENT CACHING YES | NO",
    "Accepted in the tracking mode that it belongs to: nothing that a client could cache changes.",
    "noscript loading stale constant",
    since="6.0.0",
)
def client_caching(session: Session, arguments: list[bytes]) -> Reply:
    if session.tracking is None:
        return _NOT_TRACKING
    answer = arguments[2].upper()
    mode = {b"YES": b"OPTIN", b"NO": b"OPTOUT"}.get(answer)
    if mode is None:
        return errors.SYNTAX
    if mode in session.tracking.modes:
        session.tracking = session.tracking._replace(is_next_chosen=True)
        return encoder.OK
    return errors.error(b"ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode." % (answer, mode))


@group.subcommand(
    "CLIENT GETREDIR",
    "Returns the client that invalidations would go to.",
    "noscript loading stale",
    since="6.0.0",
)
def client_getredir(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(NO_REDIRECT if session.tracking is None else session.tracking.redirect)


@group.subcommand(
    "CLIENT TRACKINGINFO", "Returns the connection's tracking modes.", "noscript loading stale", since="6.2.0"
)
def client_trackinginfo(session: Session, _arguments: list[bytes]) -> Reply:
    tracking, version = session.tracking, session.version
    flags = [b"off"] if tracking is None else _flags(tracking)
    prefixes = list[Value]() if tracking is None else list[Value](tracking.prefixes)
    members = [
        (b"flags", encoder.set_header(len(flags), version) + b"".join(map(encoder.bulk_string, flags))),
        (b"redirect", encoder.integer(NO_REDIRECT if tracking is None else tracking.redirect)),
        (b"prefixes", encoder.encode(prefixes, version)),
    ]
    return encoder.map_header(len(members), version) + b"".join(
        [encoder.bulk_string(name) + value for name, value in members]
    )


def _flags(tracking: Tracking) -> list[bytes]:
    """The flags of CLIENT TRACKINGINFO, in Redis's order."""
    flags = [b"on"]
    for mode, chosen in ((b"BCAST", b""), (b"OPTIN", b"caching-yes"), (b"OPTOUT", b"caching-no"), (b"NOLOOP", b"")):
        if mode in tracking.modes:
            flags.append(mode.lower())
            if chosen and tracking.is_next_chosen:
                flags.append(chosen)
    return flags
