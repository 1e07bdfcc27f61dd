"""A cgroup that limits the memory of a program, as a container does. Making one needs root and a writable cgroup."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_IN_CGROUP = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"'


@contextlib.contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[tuple[str, ...]]:
    """Yields what to write before a command so that it runs in the cgroup; nothing where none can be made.

    The programs in it must have ended before the context does.
    """
    path = _make(limit_bytes)
    yield () if path is None else ("sh", "-c", _IN_CGROUP, "sh", str(path))
    if path is not None:
        path.rmdir()


def _make(limit_bytes: int) -> Path | None:
    name = f"respid-test-{os.getpid()}"
    for root, sign, limits in (
        (_ROOT, "cgroup.controllers", {"memory.max": limit_bytes, "memory.swap.max": 0}),
        (_ROOT / "memory", "cgroup.procs", {"memory.limit_in_bytes": limit_bytes, "memory.swappiness": 0}),
    ):
        path = root / name
        if not (root / sign).exists():  # a directory of another kind
            continue
        with contextlib.suppress(OSError):
            path.mkdir()
            try:
                for file, value in limits.items():
                    (path / file).write_text(str(value))
            except OSError:
                path.rmdir()
            else:
                return path
    return None
