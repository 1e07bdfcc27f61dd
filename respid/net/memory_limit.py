"""How much memory clients may hold, unless it is set: a quarter of what the process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

PART = 4
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def default_limit_bytes() -> int:
    """Derived from the limits of the cgroup, as in a container or a systemd unit, or from the memory of the machine."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine_bytes, *filter(None, map(_read_limit, _limit_files()))]) // PART


def _limit_files() -> Iterator[Path]:
    """The files with the limits of the process's own cgroup and of those around it, of version 2 and version 1."""
    try:
        lines = _OWN_CGROUPS.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    for line in (*lines, "0::/", "0:memory:/"):  # a container may see its own cgroup as the root
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _with_parents(_CGROUPS, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _with_parents(_CGROUPS / "memory", path, "memory.limit_in_bytes")


def _with_parents(root: Path, path: str, name: str) -> Iterator[Path]:
    own = Path(path)
    for each in (own, *own.parents):
        yield root / str(each).lstrip("/") / name


def _read_limit(path: Path) -> int | None:
    """Returns a cgroup's limit in bytes; None if there is none, or no such file."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
