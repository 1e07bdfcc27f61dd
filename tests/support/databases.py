"""Databases that run SQL: SQLite in this process, PostgreSQL and MariaDB as servers of their own on Unix sockets."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.needed_tools import leave_out, need_tool
from tests.support.running import WAIT_SECONDS, wait_until

Rows = list[list[str]]
Run = Callable[[str], Rows]
"""Runs statements; returns the rows of the last one as text."""

_POSTGRESQL_DIRECTORIES = "/usr/lib/postgresql"  # Debian does not put the server on the PATH


@contextlib.contextmanager
def sqlite(_directory: Path) -> Iterator[Run]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:

        def run(sql: str) -> Rows:
            rows: list[tuple[Any, ...]] = []
            for statement in filter(str.strip, sql.split(";")):
                rows = connection.execute(statement).fetchall()
            return [[str(value) for value in row] for row in rows]

        yield run


@contextlib.contextmanager
def postgresql(directory: Path) -> Iterator[Run]:
    psql = need_tool("psql")
    binaries = max(Path(_POSTGRESQL_DIRECTORIES).glob("*/bin"), default=None)
    if binaries is None and (found := shutil.which("postgres")):
        binaries = Path(found).parent
    if binaries is None:
        leave_out("postgres is not installed")
    user = _unprivileged_user(directory)
    data = str(directory / "data")
    init = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(init, check=True, capture_output=True, user=user, cwd=directory)
    server = [str(binaries / "postgres"), "-D", data, "-h", "", "-k", str(directory), "-c", "fsync=off"]
    client = [psql, "-h", str(directory), "-U", "postgres", "-qAtF", "\t", "-v", "ON_ERROR_STOP=1"]
    with _running(server, client, directory, user) as run:
        yield run


@contextlib.contextmanager
def mariadb(directory: Path) -> Iterator[Run]:
    client = need_tool("mariadb")
    socket = str(directory / "socket")
    (directory / "data").mkdir()
    # Without its own tables: no statement needs them, and making them takes longer than everything else.
    server = [need_tool("mariadbd"), "--no-defaults", f"--datadir={directory}/data", f"--socket={socket}"]
    server += ["--skip-grant-tables", "--skip-networking", "--innodb=OFF", "--default-storage-engine=MEMORY"]
    if os.geteuid() == 0:
        server.append("--user=root")
    asks = [client, "--no-defaults", "-S", socket, "-N", "-B"]
    with _running(server, asks, directory, None) as run:
        run("CREATE DATABASE tests")
        asks.append("tests")
        yield run


def _unprivileged_user(directory: Path) -> str | None:
    """A user who may start PostgreSQL, which root may not, and who owns the directory."""
    if os.geteuid() != 0:
        return None
    shutil.chown(directory, "nobody")
    return "nobody"


@contextlib.contextmanager
def _running(server: list[str], client: list[str], directory: Path, user: str | None) -> Iterator[Run]:
    """A server, and what asks it: its statements come by standard input."""

    def run(sql: str) -> Rows:
        outcome = subprocess.run(client, input=sql, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in outcome.stdout.splitlines()]

    def is_ready() -> bool:
        return subprocess.run(client, input="SELECT 1;", capture_output=True, text=True, check=False).returncode == 0

    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(server, stdout=log, stderr=log, user=user, cwd=directory)
    try:
        wait_until(lambda: process.poll() is not None or is_ready())
        assert process.poll() is None, (directory / "log").read_text()
        yield run
    finally:
        process.terminate()
        process.wait(timeout=WAIT_SECONDS)
