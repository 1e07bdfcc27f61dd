"""Asks all workers for their state at the same time, once per round, over connections that stay open."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncGenerator, Sequence
from ssl import SSLContext
from typing import NamedTuple

from respid.check.client_connection import CONNECTION_ERRORS, Address, ClientConnection, connected, describe_error
from respid.fleet.sample import SECTIONS, Sample, ids_per_second, read_sample
from respid.fleet.table import Row

ANSWER_SECONDS = 3.0  # connecting not included


class Plan(NamedTuple):
    """The workers to ask, and how."""

    addresses: tuple[Address, ...]
    interval_seconds: float  # between two rounds: rates are averages over it
    connections: int  # for each address
    password: str
    tls: SSLContext | None


async def observe(plan: Plan) -> AsyncGenerator[list[Row]]:
    """Yields the rows of one round after the other, without end. The first one takes two samples of each worker."""
    observers = [_Observer(address, plan) for address in plan.addresses for _ in range(plan.connections)]
    try:
        await asyncio.gather(*(observer.ask() for observer in observers))
        while True:
            await asyncio.sleep(plan.interval_seconds)
            rows = await asyncio.gather(*(observer.ask() for observer in observers))
            yield _merge(rows)
    finally:
        for observer in observers:
            await observer.close()


def _merge(rows: Sequence[Row]) -> list[Row]:
    """Returns one row for each process, and one for each error, of an address."""
    distinct: dict[tuple[str, str], Row] = {}
    for row in rows:
        distinct.setdefault((row.address, row.sample.run_id if row.sample else row.error), row)
    groups = itertools.groupby(distinct.values(), key=lambda row: row.address)
    return [row for _, group in groups for row in sorted(group, key=_order)]


def _order(row: Row) -> tuple[bool, int]:
    return (row.sample is None, row.sample.worker_id if row.sample else 0)


class _Observer:
    """One connection to an address. It is opened again if it was lost."""

    def __init__(self, address: Address, plan: Plan) -> None:
        self._address = address
        self._plan = plan
        self._stack = contextlib.AsyncExitStack()
        self._connection: ClientConnection | None = None
        self._last: Sample | None = None

    async def ask(self) -> Row:
        """Returns the state of the worker that answers, or why none does."""
        address = str(self._address)
        try:
            sample = await self._take_sample()
        except CONNECTION_ERRORS as error:
            await self.close()
            return Row(address, error=describe_error(error))
        earlier, self._last = self._last, sample
        return Row(address, sample, ids_per_second(earlier, sample))

    async def _take_sample(self) -> Sample:
        """Raises CONNECTION_ERRORS."""
        if self._connection is None:
            self._connection = await self._open()
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await self._connection.ask(b"INFO", *SECTIONS)
        return read_sample(reply, asyncio.get_running_loop().time())

    async def _open(self) -> ClientConnection:
        connection = await self._stack.enter_async_context(connected(self._address, self._plan.tls))
        if self._plan.password:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.ask(b"AUTH", os.fsencode(self._plan.password))
        return connection

    async def close(self) -> None:
        self._connection = None
        await self._stack.aclose()
