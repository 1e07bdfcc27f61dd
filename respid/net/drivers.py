"""The drivers that respid knows by their CLIENT SETINFO LIB-NAME, and what they do when they have to reconnect.

Each entry has a test with the real driver in `tests/clients`. Other drivers keep their connections.
"""

from respid.commands import Session
from respid.resp.encoder import RESP3

# Drivers whose users see no error when a connection is closed, whether it is idle or has a request on its way; observed
# with the versions of late 2026. Not listed: node-redis, Redisson, phpredis and GLIDE fail the request that was on its
# way; Jedis, redigo, redis-rs, rueidis and Predis fail the next one.
RECONNECTING = frozenset({b"coredis", b"go-redis", b"ioredis", b"lettuce", b"redis-py", b"redis-rb"})
_REDIS_PY_MAJOR = 6  # the first major version that retries

# Drivers, and their major versions, that reconnect to the address they already have when a message says so, whatever
# type of endpoint they asked for. node-redis does only if it asked for "none": otherwise the message ends its process.
# Not listed: Lettuce, which reconnects between MULTI and EXEC when it is told to, so that EXEC fails. If its connection
# is closed between two requests, it loses nothing.
FOLLOWING = {b"go-redis": frozenset({9}), b"redis-py": frozenset({8})}
_NO_ENDPOINT = b"none"


def reconnects_silently(session: Session) -> bool:
    """Whether the driver's users see no error when the server closes the connection between two requests."""
    name = _name(session)
    if name == b"redis-py":
        return _major(session) >= _REDIS_PY_MAJOR
    return name in RECONNECTING


def can_be_asked(session: Session) -> bool:
    """Whether the client asked to be notified, and its driver follows a message that names no address."""
    endpoint_type = session.moving_endpoint_type
    if endpoint_type is None or session.version != RESP3 or session.address.startswith("unix:"):
        return False  # a Unix socket leads to no other worker
    return endpoint_type == _NO_ENDPOINT or _major(session) in FOLLOWING.get(_name(session), ())


def moves_silently(session: Session) -> bool:
    """Whether the driver's users notice nothing when the client is asked to move, or else its connection is closed."""
    return can_be_asked(session) or reconnects_silently(session)


def _name(session: Session) -> bytes:
    return session.library_name.partition(b"(")[0].lower()  # go-redis(,go1.26.8), redis-py(django-redis_v7.0)


def _major(session: Session) -> int:
    """The driver's major version; -1 if it is unknown."""
    major = session.library_version.partition(b".")[0]
    return int(major) if major.isdigit() else -1
