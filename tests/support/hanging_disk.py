"""A disk that hangs when a test says so: fsync of another process waits as long as a certain file exists."""

import subprocess
from pathlib import Path

from tests.support.needed_tools import need_tool

_SOURCE = """\
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int descriptor) {
    while (access(getenv("HANG_WHILE"), F_OK) == 0) usleep(10000);
    return syscall(SYS_fsync, descriptor);
}
"""


class HangingDisk:
    """`variables` make a process see it."""

    def __init__(self, directory: Path) -> None:
        library = directory / "hanging_fsync.so"
        command = [need_tool("cc"), "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
        subprocess.run(command, input=_SOURCE.encode(), check=True)
        self._flag = directory / "hang"
        self.variables = {"LD_PRELOAD": str(library), "HANG_WHILE": str(self._flag)}

    def hang(self) -> None:
        self._flag.touch()

    def go_on(self) -> None:
        self._flag.unlink()
