"""The limit of open files, which bounds how many clients can connect."""

import logging
import resource

from respid.net.bind import StartError
from respid.net.tls_listener import MAX_HANDSHAKES

RESERVED_DESCRIPTORS = 64 + MAX_HANDSHAKES  # listeners, HTTP connections, files
_log = logging.getLogger(__name__)


def fit_max_clients(max_clients: int) -> int:
    """Raises the limit of open files to fit this many clients. Returns how many fit, as redis-server does.

    Raises StartError if not even one fits.
    """
    needed = max_clients + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return max_clients
    reachable = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable == needed:
        return max_clients
    fitting = reachable - RESERVED_DESCRIPTORS
    if fitting < 1:
        least = RESERVED_DESCRIPTORS + 1
        raise StartError(f"the limit of open files is {reachable} and respid needs {least}: raise it (ulimit -n)")
    _log.warning(
        "max clients lowered from %d to %d: the limit of open files is %d (ulimit -n)",
        max_clients,
        fitting,
        reachable,
        extra={"event": "max_clients_lowered"},
    )
    return fitting
