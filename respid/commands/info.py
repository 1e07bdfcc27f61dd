"""INFO and its sections."""

import os
from collections.abc import Callable

from respid import __version__
from respid.commands.handshake import REDIS_VERSION
from respid.commands.ids import describe_worker
from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder
from respid.worker.stats import Stats

group = CommandGroup("server")

Section = Callable[[Session], dict[str, str | int]]
_UNIT = 1024


def _server(session: Session) -> dict[str, str | int]:
    uptime, system = int(session.worker.uptime_seconds), os.uname()
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "standalone",
        "respid_version": __version__,
        "os": f"{system.sysname} {system.release} {system.machine}",
        "arch_bits": 64,
        "process_id": os.getpid(),
        "run_id": session.worker.run_id,
        "tcp_port": session.worker.config.port,
        "server_time_usec": session.worker.clock.wall_ns() // 1_000,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
    }


def _clients(session: Session) -> dict[str, str | int]:
    return {
        "connected_clients": len(session.worker.clients),
        "maxclients": session.worker.config.max_clients,
        "blocked_clients": 0,  # always 0, but `redis-cli --stat` shows nonsense without it
    }


def _memory(session: Session) -> dict[str, str | int]:
    usage = session.worker.process_usage()
    sizes = {
        "used_memory": usage.resident_bytes,
        "used_memory_rss": usage.resident_bytes,
        "used_memory_peak": usage.peak_bytes,
        "maxmemory": 0,
    }
    readable = {f"{name}_human": _readable(size) for name, size in sizes.items()}  # health checks of many applications
    return {**sizes, **readable, "maxmemory_policy": "noeviction"}


def _readable(size: int) -> str:
    """A size in bytes as Redis writes it for people.

    >>> _readable(0), _readable(50_000_000)
    ('0B', '47.68M')
    """
    amount, unit = float(size), "B"
    for larger in "KMGT":
        if amount < _UNIT:
            break
        amount, unit = amount / _UNIT, larger
    return f"{size}B" if unit == "B" else f"{amount:.2f}{unit}"


def _persistence(session: Session) -> dict[str, str | int]:
    """Drivers wait while `loading` is 1: no ID can be issued."""
    is_loading = session.worker.generator.obstacle() is not None
    persistence: dict[str, str | int] = {"loading": int(is_loading)}
    if is_loading:
        persistence["loading_eta_seconds"] = 1
    return persistence


def _stats(session: Session) -> dict[str, str | int]:
    stats = session.worker.stats
    return {
        "total_connections_received": stats.connections,
        "total_commands_processed": sum(stats.commands.values()),
        "instantaneous_ops_per_sec": stats.commands_per_second,
        "rejected_connections": stats.connections_rejected.total(),
        "total_error_replies": stats.errors.total(),
        "expired_keys": 0,
        "evicted_keys": 0,
        "keyspace_hits": 0,
        "keyspace_misses": 0,
    }


def _replication(_session: Session) -> dict[str, str | int]:
    return {"role": "master", "connected_slaves": 0}


def _cpu(session: Session) -> dict[str, str | int]:
    usage = session.worker.process_usage()
    return {
        "used_cpu_sys": f"{usage.cpu_system_seconds:.6f}",
        "used_cpu_user": f"{usage.cpu_user_seconds:.6f}",
    }


def _commandstats(session: Session) -> dict[str, str | int]:
    """The times are estimates: the mean of a sample, for all calls."""
    stats = session.worker.stats
    names = {*stats.commands, *stats.rejected_calls}
    return {f"cmdstat_{name}": _describe_calls(stats, name) for name in sorted(names) if _is_called(stats, name)}


def _is_called(stats: Stats, name: str) -> bool:
    return bool(stats.commands.get(name) or stats.rejected_calls[name])


def _describe_calls(stats: Stats, name: str) -> str:
    calls, usec_per_call = stats.commands.get(name, 0), stats.microseconds_per_call(name)
    return (
        f"calls={calls},usec={calls * usec_per_call:.0f},usec_per_call={usec_per_call:.2f}"
        f",rejected_calls={stats.rejected_calls[name]},failed_calls={stats.failed_calls[name]}"
    )


def _errorstats(session: Session) -> dict[str, str | int]:
    errors = session.worker.stats.errors
    return {f"errorstat_{code}": f"count={count}" for code, count in errors.items() if count}


def _cluster(_session: Session) -> dict[str, str | int]:
    return {"cluster_enabled": 0}


def _keyspace(_session: Session) -> dict[str, str | int]:
    return {}


def _respid(session: Session) -> dict[str, str | int]:
    return describe_worker(session)


_SECTIONS: dict[str, Section] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _cpu,
    "Commandstats": _commandstats,
    "Errorstats": _errorstats,
    "Cluster": _cluster,
    "Keyspace": _keyspace,
    "respid": _respid,
}
_EVERYTHING = {"all", "everything"}
_NOT_DEFAULT = {"Commandstats"}


@group.command("INFO [section [section ...]]", "Returns information about the server.", "loading stale")
def info(session: Session, arguments: list[bytes]) -> Reply:
    wanted = {argument.decode("utf-8", "replace").lower() for argument in arguments[1:]} or {"default"}
    parts = []
    for title, section in _SECTIONS.items():
        is_default = "default" in wanted and title not in _NOT_DEFAULT
        if title.lower() in wanted or wanted & _EVERYTHING or is_default:
            lines = [f"{name}:{value}\r\n" for name, value in section(session).items()]
            parts.append(f"# {title}\r\n" + "".join(lines))
    return encoder.text_string("\r\n".join(parts), session.version)
