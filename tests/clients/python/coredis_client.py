"""coredis."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import coredis
import steps

# It waits as long as it takes by default, and does not let one choose the protocol.
NOT_ITS_OPTIONS = ("socket_timeout", "socket_connect_timeout", "protocol")
OPTIONS = {name: value for name, value in steps.options().items() if name not in NOT_ITS_OPTIONS}


class Coredis:
    """The steps of README.md."""

    client: coredis.Redis[bytes]

    def __init__(self) -> None:
        self._opened = AsyncExitStack()

    async def connect(self) -> None:
        await self._opened.aclose()
        self.client = await self._opened.enter_async_context(coredis.Redis(**OPTIONS))

    async def ping(self) -> str:
        return (await self.client.ping()).decode()

    async def incr(self) -> Any:
        return await self.client.incr("orders")

    async def pipeline(self) -> Any:
        return await self._drawn(1_000, transaction=False)

    async def transaction(self) -> Any:
        return await self._drawn(10, transaction=True)

    async def block(self) -> Any:
        return await self.client.incrby("orders", 100)

    async def string(self) -> Any:
        return (await self.client.create_request(b"ID.NEXT", "AS", "STRING", callback=bytes)).decode()

    async def pool(self) -> Any:
        async with coredis.Redis(**OPTIONS, max_connections=10) as client:
            drawn = await asyncio.gather(*(draw(client, 100) for _ in range(10)))
        return [each for ids in drawn for each in ids]

    async def idle(self) -> Any:
        first = await self.client.incr("orders")
        await asyncio.sleep(2)
        return [first, await self.client.incr("orders")]

    async def close(self) -> None:
        await self._opened.aclose()

    async def _drawn(self, count: int, *, transaction: bool) -> list[int]:
        async with self.client.pipeline(transaction=transaction) as pipeline:
            drawn = [pipeline.incr("orders") for _ in range(count)]
        return [await each for each in drawn]


async def draw(client: coredis.Redis[bytes], count: int) -> list[Any]:
    """As many IDs, one by one."""
    return [await client.incr("orders") for _ in range(count)]


if __name__ == "__main__":
    steps.run(Coredis())
