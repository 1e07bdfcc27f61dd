"""Django's cache: its own backend for Redis, and that of django-redis."""

from typing import Any

import django
import steps
from django.conf import settings
from django.core.cache import caches
from django_redis import get_redis_connection

BACKENDS = {
    "core": "django.core.cache.backends.redis.RedisCache",
    "django_redis": "django_redis.cache.RedisCache",
}


class Django:
    def connect(self) -> None:
        given = steps.options()
        location = f"redis://{given['host']}:{given['port']}?socket_timeout={steps.PATIENCE_SECONDS}"
        settings.configure(CACHES={name: {"BACKEND": each, "LOCATION": location} for name, each in BACKENDS.items()})
        django.setup()

    def add(self) -> Any:
        """As an application does before incr(), which refuses a key that does not exist."""
        return [caches[name].add("orders", 0) for name in ("core", "django_redis")]

    def incr(self) -> Any:
        return caches["core"].incr("orders")

    def block(self) -> Any:
        return caches["core"].incr("orders", 100)

    def store(self) -> Any:
        return caches["core"].set("orders", 1)

    def lock(self) -> Any:
        return caches["core"].add("lock", "owner", timeout=30)

    def script(self) -> Any:
        return caches["django_redis"].incr("orders")

    def client(self) -> Any:
        return get_redis_connection("django_redis").incr("orders")

    def close(self) -> None:
        caches.close_all()


if __name__ == "__main__":
    steps.run(Django())
