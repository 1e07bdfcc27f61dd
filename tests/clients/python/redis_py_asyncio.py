"""redis-py with its asyncio client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
import steps


class RedisPyAsyncio:
    """The steps of README.md."""

    client: redis.asyncio.Redis

    async def connect(self) -> None:
        self.client = redis.asyncio.Redis(**steps.options())

    async def ping(self) -> str:
        return "PONG" if await self.client.ping() else ""

    async def incr(self) -> Any:
        return await self.client.incr("orders")

    async def pipeline(self, count: int = 1_000) -> Any:
        return await self._drawn(count, transaction=False)

    async def transaction(self, count: int = 10) -> Any:
        return await self._drawn(count, transaction=True)

    async def block(self) -> Any:
        return await self.client.incrby("orders", 100)

    async def string(self) -> Any:
        return (await self.client.execute_command("ID.NEXT", "AS", "STRING")).decode()

    async def pool(self) -> Any:
        async with redis.asyncio.Redis(**steps.options(), max_connections=10) as client:
            drawn = await asyncio.gather(*(draw(client, 100) for _ in range(10)))
        return [each for ids in drawn for each in ids]

    async def load(self) -> Any:
        ends = asyncio.get_running_loop().time() + 1
        draws: list[Callable[[], Awaitable[Any]]] = [
            *[self.incr] * 8,
            lambda: self._drawn(100, transaction=False),
            lambda: self._drawn(10, transaction=True),
        ]
        return [each for ids in await asyncio.gather(*(repeat(draw, ends) for draw in draws)) for each in ids]

    async def idle(self) -> Any:
        async with redis.asyncio.Redis(**steps.options(), health_check_interval=1) as client:
            first = await client.incr("orders")
            await asyncio.sleep(2)
            return [first, await client.incr("orders")]

    async def close(self) -> None:
        await self.client.aclose()

    async def _drawn(self, count: int, *, transaction: bool) -> list[int]:
        async with self.client.pipeline(transaction=transaction) as pipeline:
            for _ in range(count):
                pipeline.incr("orders")
            return await pipeline.execute()


async def draw(client: redis.asyncio.Redis, count: int) -> list[Any]:
    """As many IDs, one by one."""
    return [await client.incr("orders") for _ in range(count)]


async def repeat(draw: Callable[[], Awaitable[Any]], ends: float) -> list[Any]:
    """Draws until the time has come, with pauses."""
    ids: list[Any] = []
    while asyncio.get_running_loop().time() < ends:
        drawn = await draw()
        ids += drawn if isinstance(drawn, list) else [drawn]
        await asyncio.sleep(steps.PAUSE_SECONDS)
    return ids


if __name__ == "__main__":
    steps.run(RedisPyAsyncio())
