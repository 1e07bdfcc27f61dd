"""A keeper that runs while a test does something else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from respid.highwater.keeper import Keeper


@contextlib.asynccontextmanager
async def keeping(keeper: Keeper) -> AsyncIterator[None]:
    """Begins, runs the keeper meanwhile, and ends it."""
    await keeper.begin()
    task = asyncio.create_task(keeper.keep())
    yield
    await keeper.end()
    await task
