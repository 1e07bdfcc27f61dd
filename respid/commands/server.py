"""The commands about the server: INFO, CONFIG GET, TIME, and what monitoring tools ask."""

import os
import platform
from collections.abc import Callable

from respid import __version__
from respid.commands.connection import DATABASES, REDIS_VERSION
from respid.commands.glob import is_pattern, matches
from respid.commands.ids import describe_worker
from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.encoder import Value
from respid.resp.reader import parse_integer

MOST_PATTERNS = 16  # of one CONFIG GET: each takes half a millisecond; a thousand would hold up everyone else
group = CommandGroup("server")

Section = Callable[[Session], dict[str, str | int]]


def _server(session: Session) -> dict[str, str | int]:
    uptime = int(session.worker.uptime_seconds)
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "standalone",
        "respid_version": __version__,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
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
        "blocked_clients": 0,  # none of the blocking commands is there; without it `redis-cli --stat` shows nonsense
    }


def _memory(session: Session) -> dict[str, str | int]:
    resident_bytes = session.worker.process_usage().resident_bytes
    return {"used_memory": resident_bytes, "used_memory_rss": resident_bytes, "maxmemory": 0}


def _persistence(session: Session) -> dict[str, str | int]:
    """`loading` is what drivers wait for while no ID can be issued."""
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
    "Cluster": _cluster,
    "Keyspace": _keyspace,
    "respid": _respid,
}
_ALL_SECTIONS = {"all", "default", "everything"}


@group.command("INFO [section [section ...]]", "Returns what the server says of itself.", "loading stale")
def info(session: Session, arguments: list[bytes]) -> Reply:
    wanted = {argument.decode("utf-8", "replace").lower() for argument in arguments[1:]} or _ALL_SECTIONS
    parts = []
    for title, section in _SECTIONS.items():
        if title.lower() in wanted or wanted & _ALL_SECTIONS:
            lines = [f"{name}:{value}\r\n" for name, value in section(session).items()]
            parts.append(f"# {title}\r\n" + "".join(lines))
    return encoder.text_string("\r\n".join(parts), session.version)


def _settings(session: Session) -> dict[str, str]:
    config = session.worker.config
    return {
        "appendonly": "no",
        "bind": config.bind,
        "databases": str(DATABASES),
        "maxclients": str(config.max_clients),
        "maxmemory": "0",
        "port": str(config.port),
        "replica-read-only": "yes",
        "save": "",
        "slave-read-only": "yes",
        "tcp-keepalive": str(config.tcp_keepalive_seconds),
        "timeout": f"{config.idle_timeout_seconds:.0f}",
    }


group.container("CONFIG", "A container for commands about settings.", since="2.0.0")


@group.subcommand(
    "CONFIG GET parameter [parameter ...]",
    "Returns the settings that drivers ask for.",
    "admin noscript loading stale",
    since="2.0.0",
)
def config_get(session: Session, arguments: list[bytes]) -> Reply:
    settings = _settings(session)
    found: dict[str, Value] = {}
    parameters = [argument.decode("utf-8", "replace") for argument in arguments[2:]]
    if sum(map(is_pattern, parameters)) > MOST_PATTERNS:
        return errors.error(f"ERR CONFIG GET takes at most {MOST_PATTERNS} patterns")
    for parameter in parameters:
        if is_pattern(parameter):
            found |= {name: value for name, value in settings.items() if matches(parameter, name)}
        elif parameter.lower() in settings:
            found[parameter] = settings[parameter.lower()]  # named as it was asked for
    return encoder.encode(found, session.version)


@group.command("TIME", "Returns the wall clock: seconds and microseconds.", "loading stale fast", since="2.6.0")
def time(session: Session, _arguments: list[bytes]) -> Reply:
    seconds, microseconds = divmod(session.worker.clock.wall_ns() // 1_000, 1_000_000)
    return encoder.encode([str(seconds), str(microseconds)], session.version)


@group.command("ROLE", "Returns that this is a master without replicas.", "noscript loading stale fast", since="2.8.12")
def role(session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.encode(["master", 0, []], session.version)


@group.command("DBSIZE", "Returns 0: no key is stored.", "readonly fast")
def dbsize(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)


@group.command("READONLY", "Refused as by any Redis that is no cluster.", "loading stale fast", since="3.0.0")
def readonly(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("READWRITE", "Refused as by any Redis that is no cluster.", "loading stale fast", since="3.0.0")
def readwrite(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("ASKING", "Refused as by any Redis that is no cluster.", "fast", since="3.0.0")
def asking(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


group.container("CLUSTER", "A container for commands about clusters.", since="3.0.0")


@group.subcommand("CLUSTER HELP", "Refused: this is no cluster.", "loading stale", since="5.0.0")
@group.subcommand("CLUSTER INFO", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER MYID", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER NODES", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER SHARDS", "Refused: this is no cluster.", "loading stale", since="7.0.0")
@group.subcommand("CLUSTER SLOTS", "Refused: this is no cluster.", "loading stale", since="3.0.0")
def cluster_disabled(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


group.container("SLOWLOG", "A container for commands about slow commands.", since="2.2.12")


@group.subcommand("SLOWLOG LEN", "Returns 0: no command is slow.", "admin loading stale", since="2.2.12")
def slowlog_len(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.integer(0)


@group.subcommand(
    "SLOWLOG GET [n]", "Returns an empty list: no command is slow.", "admin loading stale", since="2.2.12"
)
def slowlog_get(_session: Session, arguments: list[bytes]) -> Reply:
    match arguments[2:]:
        case []:
            count: int | None = 0
        case [text]:
            count = parse_integer(text)
        case _:
            return errors.wrong_subcommand_syntax("slowlog", arguments[1])
    return errors.SLOWLOG_COUNT if count is None or count < -1 else encoder.array([])


@group.subcommand("SLOWLOG RESET", "Does nothing: no command is slow.", "admin loading stale", since="2.2.12")
def slowlog_reset(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.OK


group.container("LATENCY", "A container for commands about latency.", since="2.8.13")


@group.subcommand(
    "LATENCY LATEST", "Returns an empty list: see the metrics.", "admin noscript loading stale", since="2.8.13"
)
def latency_latest(_session: Session, _arguments: list[bytes]) -> Reply:
    return encoder.array([])
