"""redis-py with its blocking client."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
import steps


class RedisPy:
    """The steps of README.md."""

    client: redis.Redis

    def connect(self) -> None:
        self.client = redis.Redis(**steps.options())

    def ping(self) -> str:
        return "PONG" if self.client.ping() else ""

    def incr(self) -> Any:
        return self.client.incr("orders")

    def pipeline(self, count: int = 1_000) -> Any:
        return self._drawn(count, transaction=False)

    def transaction(self, count: int = 10) -> Any:
        return self._drawn(count, transaction=True)

    def block(self) -> Any:
        return self.client.incrby("orders", 100)

    def string(self) -> Any:
        return self.client.execute_command("ID.NEXT", "AS", "STRING").decode()

    def pool(self) -> Any:
        with redis.Redis(**steps.options(), max_connections=10) as client, ThreadPoolExecutor(10) as threads:
            return [each for ids in threads.map(lambda _: draw(client, 100), range(10)) for each in ids]

    def load(self) -> Any:
        ends = time.monotonic() + 1
        draws: list[Callable[[], Any]] = [
            *[self.incr] * 8,
            lambda: self._drawn(100, transaction=False),
            lambda: self._drawn(10, transaction=True),
        ]
        with ThreadPoolExecutor(len(draws)) as threads:
            return [each for ids in threads.map(lambda draw: repeat(draw, ends), draws) for each in ids]

    def idle(self) -> Any:
        with redis.Redis(**steps.options(), health_check_interval=1) as client:
            first = client.incr("orders")
            time.sleep(2)
            return [first, client.incr("orders")]

    def close(self) -> None:
        self.client.close()

    def _drawn(self, count: int, *, transaction: bool) -> list[int]:
        with self.client.pipeline(transaction=transaction) as pipeline:
            for _ in range(count):
                pipeline.incr("orders")
            return pipeline.execute()


def draw(client: redis.Redis, count: int) -> list[Any]:
    """As many IDs, one by one."""
    return [client.incr("orders") for _ in range(count)]


def repeat(draw: Callable[[], Any], ends: float) -> list[Any]:
    """Draws until the time has come, with pauses."""
    ids: list[Any] = []
    while time.monotonic() < ends:
        drawn = draw()
        ids += drawn if isinstance(drawn, list) else [drawn]
        time.sleep(steps.PAUSE_SECONDS)
    return ids


if __name__ == "__main__":
    steps.run(RedisPy())
