"""The command and the address that the start line suggests. Never opens a socket."""

import shlex

from respid.net.address import host_port, is_all, local_addresses
from respid.worker.config import Config

_LOCAL_ADDRESSES = ("127.0.0.1", "localhost")  # those that redis-cli connects to by itself
_REDIS_PORT = 6379


def suggest_command(config: Config, *, password_needed: bool) -> str:
    """Returns a redis-cli command that draws an ID from this server.

    >>> suggest_command(Config(worker_id=1, worker_id_source="test", port=6380), password_needed=True)
    'redis-cli -p 6380 --askpass INCR orders'
    """
    command = ["redis-cli", *_find_listener(config)]
    if config.username:
        command += ["--user", config.username]
    if password_needed:
        command.append("--askpass")
    return shlex.join([*command, "INCR", "orders"])


def _find_listener(config: Config) -> list[str]:
    if not config.port and not config.tls_port:
        return ["-s", str(config.unix_socket)]
    addresses = local_addresses(config.bind)
    host = [] if set(addresses) & set(_LOCAL_ADDRESSES) else ["-h", addresses[0]]
    if not config.port:
        return [*host, "-p", str(config.tls_port), "--tls"]
    return host if config.port == _REDIS_PORT else [*host, "-p", str(config.port)]


def status_page_url(config: Config) -> str:
    """Returns the address of the status page.

    >>> status_page_url(Config(worker_id=1, worker_id_source="test", http_bind=("::1",)))
    'http://[::1]:8080/'
    """
    host = "localhost" if is_all(config.http_bind) else config.http_bind[0]
    return f"http://{host_port(host, config.http_port)}/"
