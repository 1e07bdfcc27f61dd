"""Moves the wall clock of a process with libfaketime, and leaves its other clocks alone."""

from pathlib import Path

from tests.support.needed_tools import need_tool

_PATTERNS = ["usr/lib/*/faketime/libfaketime.so.1", "usr/lib/faketime/libfaketime.so.1"]


def faketime_library() -> Path:
    need_tool("faketime")
    (library, *_) = [path for pattern in _PATTERNS for path in Path("/").glob(pattern)]
    return library


def faked_clock(offset_seconds: int, file: Path | None = None) -> dict[str, str]:
    """Returns the environment variables for this offset. `move_clock` with the same file changes it while they run."""
    variables = {"LD_PRELOAD": str(faketime_library()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    if file is None:
        return variables | {"FAKETIME": f"{offset_seconds:+d}"}
    move_clock(file, offset_seconds)
    return variables | {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def move_clock(file: Path, offset_seconds: int) -> None:
    """Replaces the file at once, so that no process reads a part of it."""
    moved = file.with_suffix(".new")
    moved.write_text(f"{offset_seconds:+d}\n")
    moved.replace(file)
