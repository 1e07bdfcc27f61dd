"""What the programs share: where to connect to, and the loop over the steps."""

import asyncio
import inspect
import os
import sys
from typing import Any


def options() -> dict[str, Any]:
    """The keyword arguments of redis-py; coredis has no choice of the protocol."""
    given: dict[str, Any] = {"host": os.environ["REDIS_HOST"], "port": int(os.environ["REDIS_PORT"])}
    for name in ("username", "password"):
        if value := os.environ.get(f"REDIS_{name.upper()}"):
            given[name] = value
    if ca_file := os.environ.get("REDIS_CA_FILE"):
        given |= {"ssl": True, "ssl_ca_certs": ca_file}
    if protocol := os.environ.get("REDIS_PROTOCOL"):
        given["protocol"] = int(protocol)
    return given


def run(driver: object) -> None:
    """Does the steps that come in, blocking or not, all in one task: coredis wants to be closed where it was opened."""
    asyncio.run(_serve(driver))


async def _serve(driver: object) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(await _answer(driver, line.strip()) + "\n")
        sys.stdout.flush()


async def _answer(driver: object, step: str) -> str:
    try:
        values = getattr(driver, step)()
        if inspect.isawaitable(values):
            values = await values
    except Exception as error:  # noqa: BLE001 (whatever the driver raises)
        return f"error {type(error).__name__}: {error}".replace("\n", " ")
    listed = [] if values is None else values if isinstance(values, list) else [values]
    return " ".join(["ok", *map(str, listed)])
