"""CONFIG GET: the settings that drivers ask for."""

from respid.commands.connection import DATABASES
from respid.commands.glob import is_pattern, matches
from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors
from respid.resp.encoder import Value

MOST_PATTERNS = 16  # each takes half a millisecond; a thousand in one CONFIG GET would delay all other clients

group = CommandGroup("server")


def _settings(session: Session) -> dict[str, str]:
    config = session.worker.config
    return {
        "appendonly": "no",
        "bind": " ".join(config.bind),
        "databases": str(DATABASES),
        "maxclients": str(config.max_clients),
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "port": str(config.port),
        "replica-read-only": "yes",
        "save": "",
        "slave-read-only": "yes",
        "slowlog-log-slower-than": "-1",  # off
        "slowlog-max-len": "0",
        "tcp-keepalive": str(config.tcp_keepalive_seconds),
        "timeout": f"{config.idle_timeout_seconds:.0f}",
    }


group.container("CONFIG", "A container for server configuration commands.", since="2.0.0")


@group.subcommand(
    "CONFIG GET parameter [parameter ...]",
    "Returns settings, of those that drivers ask for.",
    "admin noscript loading stale",
    since="2.0.0",
)
def config_get(session: Session, arguments: list[bytes]) -> Reply:
    settings = _settings(session)
    found: dict[str, Value] = {}
    parameters = [argument.decode("utf-8", "replace") for argument in arguments[2:]]
    if sum(map(is_pattern, parameters)) > MOST_PATTERNS:
        return errors.error(f"ERR CONFIG GET accepts at most {MOST_PATTERNS} patterns")
    for parameter in parameters:
        if is_pattern(parameter):
            found |= {name: value for name, value in settings.items() if matches(parameter, name)}
        elif parameter.lower() in settings:
            found[parameter] = settings[parameter.lower()]  # Redis repeats the name as the client wrote it
    return encoder.encode(found, session.version)
