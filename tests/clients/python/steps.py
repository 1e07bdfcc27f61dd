"""Shared by the programs: the connection options and the loop over the steps."""

import asyncio
import inspect
import os
import sys
from typing import Any

PAUSE_SECONDS = 0.01  # between the requests of the step `load`
PATIENCE_SECONDS = 60  # the timeout of redis-py; README.md has the reason


def options() -> dict[str, Any]:
    """Returns the keyword arguments of redis-py."""
    given: dict[str, Any] = {"host": os.environ["REDIS_HOST"], "port": int(os.environ["REDIS_PORT"])}
    given |= {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
    for name in ("username", "password"):
        if value := os.environ.get(f"REDIS_{name.upper()}"):
            given[name] = value
    if ca_file := os.environ.get("REDIS_CA_FILE"):
        given |= {"ssl": True, "ssl_ca_certs": ca_file}
    if protocol := os.environ.get("REDIS_PROTOCOL"):
        given["protocol"] = int(protocol)
    return given


def run(driver: object) -> None:
    """Runs the steps from stdin, blocking or not, in one task: coredis must be closed in the task that opened it."""
    asyncio.run(_serve(driver))


async def _serve(driver: object) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(await _answer(driver, line.strip()) + "\n")
        sys.stdout.flush()


async def _answer(driver: object, step: str) -> str:
    try:
        name, *counts = step.split()
        values = getattr(driver, name)(*map(int, counts))
        if inspect.isawaitable(values):
            values = await values
    except Exception as error:  # noqa: BLE001 (whatever the driver raises)
        return f"error {type(error).__name__}: {error}".replace("\n", " ")
    listed = [] if values is None else values if isinstance(values, list) else [values]
    return " ".join(["ok", *map(str, listed)])
