"""Draws from pools of redis-py, as ../load.py describes."""

import os
import sys
import threading
import time

import redis

POOLS, CONNECTIONS = int(os.environ["POOLS"]), int(os.environ["CONNECTIONS"])
PERIOD_SECONDS = int(os.environ["PERIOD_MS"]) / 1000
stop = threading.Event()


def draw(client: redis.Redis, offset: float) -> None:
    """Draws an ID per period, when the other threads of the pool do."""
    while not stop.wait(PERIOD_SECONDS - (time.time() - offset) % PERIOD_SECONDS):
        try:
            line = str(client.incr("orders"))
        except Exception as error:  # noqa: BLE001 - whatever the application would see
            line = f"error {type(error).__name__}: {error}"
        os.write(1, f"{line}\n".encode())


def main() -> None:
    threads = []
    for number in range(POOLS):
        client = redis.Redis(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))
        offset = number / POOLS * PERIOD_SECONDS
        threads += [threading.Thread(target=draw, args=(client, offset)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
