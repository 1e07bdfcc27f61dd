"""A wall clock that is off, for one process: libfaketime."""

from pathlib import Path

from tests.support.needed_tools import need_tool

LIBRARIES = ["/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"]


def faked_clock(offset_seconds: int, file: Path | None = None) -> dict[str, str]:
    """The variables that move a process's wall clock, and leave its other clocks alone.

    The content of the file moves it while the process runs.
    """
    need_tool("faketime")
    (library, *_) = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    variables = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    if file is None:
        return variables | {"FAKETIME": f"{offset_seconds:+d}"}
    move_clock(file, offset_seconds)
    return variables | {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def move_clock(file: Path, offset_seconds: int) -> None:
    moved = file.with_suffix(".new")
    moved.write_text(f"{offset_seconds:+d}\n")
    moved.replace(file)
