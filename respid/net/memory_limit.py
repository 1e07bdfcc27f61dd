"""How much memory clients may hold, unless it is set: a quarter of what the process may use."""

import os
from pathlib import Path

PART = 4
_CGROUP_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def default_limit_bytes() -> int:
    """Derived from the limit of the cgroup, as in a container, or from the memory of the machine."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine_bytes, *filter(None, map(_read_limit, _CGROUP_FILES))]) // PART


def _read_limit(path: Path) -> int | None:
    """Returns a cgroup's limit in bytes; None if there is none, or no such file."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
