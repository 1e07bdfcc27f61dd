"""Celery: a result backend draws IDs; a broker stores messages, and is refused."""

from typing import Any

import steps
from celery import Celery


class CeleryApplication:
    def connect(self) -> None:
        given = steps.options()
        url = f"redis://{given['host']}:{given['port']}"
        self.application = Celery("orders", broker=url, backend=url)

    def incr(self) -> Any:
        return self.application.backend.incr("orders")

    def publish(self) -> Any:
        return self.application.send_task("orders.add")

    def close(self) -> None:
        self.application.close()


if __name__ == "__main__":
    steps.run(CeleryApplication())
