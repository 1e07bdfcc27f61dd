"""Load from pools of real drivers, in processes on this machine, which has to reach the Service.

Each program in `pools/` opens POOLS pools of CONNECTIONS connections. Once in PERIOD_MS milliseconds, all connections
of a pool draw an ID by INCR at the same moment, so that all of them are in use. The program prints each ID, or `error`
and a text, on a line of its own. It ends when its input does, after the last reply.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.drivers import BUILD_ENVIRONMENT, all_drivers

PROGRAMS = Path(__file__).parent / "pools"
SIZES = {"POOLS": "16", "CONNECTIONS": "8", "PERIOD_MS": "500"}
START_SECONDS = 120  # JVMs on a busy machine
STOP_SECONDS = 60
_JAVAC = "javac -cp 'target/dependency/*' -d pools pools/Pools.java"
_JAVA = "java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp 'pools:target/dependency/*' Pools"


@dataclass(frozen=True)
class Kind:
    """A driver with its settings, and how its program is built and run."""

    name: str
    language: str
    run: str
    build: str = "true"
    moves: bool = True  # its connections go to new workers, unnoticed
    fails: bool = False  # its users may see errors when a worker stops


KINDS = (
    Kind("redis-py", "python", "venv/bin/python pools/redis_py.py"),
    Kind("go-redis", "go", "bin/pools", "go build -o bin/pools ./pools"),
    Kind("Lettuce", "java", f"{_JAVA} lettuce", _JAVAC),
    Kind("ioredis", "javascript", "node pools/ioredis.mjs"),
    Kind("node-redis with none", "javascript", "node pools/node_redis.mjs none"),
    Kind("node-redis", "javascript", "node pools/node_redis.mjs", moves=False, fails=True),
    Kind("Jedis with retries", "java", f"{_JAVA} jedis-retrying", _JAVAC, moves=False),
    Kind("Jedis", "java", f"{_JAVA} jedis", _JAVAC, moves=False, fails=True),
)


class Program:
    """A running program, and what it has printed."""

    def __init__(self, kind: Kind, host: str, port: int) -> None:
        self.kind = kind
        self.ids: list[int] = []
        self.errors: list[tuple[float, str]] = []  # with the time in seconds since 1970
        variables = {"REDIS_HOST": host, "REDIS_PORT": str(port)}
        self._process = subprocess.Popen(
            ["sh", "-c", f"exec {kind.run}"],
            cwd=_built(kind.language, kind.build),
            env=os.environ | SIZES | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # complaints count as errors
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line[:-1].isdigit():
                self.ids.append(int(line))
            else:
                self.errors.append((time.time(), line.strip()))

    def finish(self) -> None:
        """Lets the program end after its last reply."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        if self._process.returncode:
            self.errors.append((time.time(), f"ended with {self._process.returncode}"))

    def errors_between(self, begin: float, end: float) -> Counter[str]:
        return Counter(text for at, text in self.errors if begin <= at < end)


def start(host: str, port: int, kinds: Iterable[Kind] = KINDS) -> list[Program]:
    """Starts the programs and returns once each has drawn two IDs for each connection."""
    programs = [Program(kind, host, port) for kind in kinds]
    deadline = time.monotonic() + START_SECONDS
    enough = 2 * int(SIZES["POOLS"]) * int(SIZES["CONNECTIONS"])
    while waiting := [each for each in programs if len(each.ids) < enough]:
        assert time.monotonic() < deadline, [(each.kind.name, each.errors[:3]) for each in waiting]
        time.sleep(0.5)
    return programs


def repeated(programs: Iterable[Program]) -> int:
    """Counts the IDs that were returned more than once."""
    ids = [each for program in programs for each in program.ids]
    return len(ids) - len(set(ids))


@functools.cache
def _built(name: str, command: str) -> Path:
    """Returns the directory in which a language's programs can be run."""
    language = next(driver.language for driver in all_drivers() if driver.language.name == name)
    directory = language.installed(name)
    with language.locked():
        shutil.copytree(PROGRAMS, directory / "pools", dirs_exist_ok=True)
        subprocess.run(command, shell=True, cwd=directory, env=BUILD_ENVIRONMENT, check=True)
    return directory
