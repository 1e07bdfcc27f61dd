"""A systemd of its own, as process 1 of new namespaces, with the unit of packaging/systemd. It needs root.

It sees the files of this machine, but loses its changes of /etc in the end. It has no units but that one and empty
targets, no network but a loopback interface, and directories of its own wherever services write.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tests.support.needed_tools import leave_out, need_tool
from tests.support.running import wait_until

UNITS = ROOT / "packaging/systemd"
TARGETS = ("sysinit", "basic", "multi-user", "network-online", "time-sync", "shutdown")
# The working directory has the files that the setup needs; its last program is process 1.
OUTER = """
mount -t cgroup2 cgroup2 cgroup
mkdir cgroup/$GROUP
exec unshare --pid --fork --kill-child sh -euc "$MIDDLE"
"""
MIDDLE = """
echo 0 >cgroup/$GROUP/cgroup.procs
exec unshare --cgroup sh -euc "$INNER"
"""
# Changes of /etc go to memory.
OVERLAY = """
mount -t tmpfs tmpfs changes
mkdir changes/upper changes/work
mount -t overlay -o "lowerdir=/etc,upperdir=$PWD/changes/upper,workdir=$PWD/changes/work" overlay /etc
"""
INNER = f"""
ip link set lo up
mount -t proc proc /proc
for directory in /proc/sys /sys; do mount --bind -o ro $directory $directory; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/python /opt/packages /opt/source/respid
mount --bind "$PYTHON" /opt/python
mount --bind "$PACKAGES" /opt/packages
mount --bind "$SOURCE" /opt/source/respid
install -D program /opt/respid/bin/respid
{OVERLAY}
rm -rf /etc/systemd/system
cp -r units /etc/systemd/system
systemd-sysusers "$UNITS/respid.conf"
for directory in /run /var/lib /var/tmp /tmp; do mount -t tmpfs -o mode=755 tmpfs $directory; done
exec env -i container=test SYSTEMD_UNIT_PATH=/etc/systemd/system PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=multi-user.target --show-status=no --log-target=null
"""
# Commands that only a root with all privileges may run. A container's CI has no other.
PRIVILEGED = f"""
mount -t cgroup2 cgroup2 cgroup
mkdir cgroup/$GROUP
rmdir cgroup/$GROUP
{OVERLAY}
"""
CLEAN_UP = """
mount -t cgroup2 cgroup2 cgroup
for _ in $(seq 3000); do  # processes that were killed take a moment to end
  if find cgroup/$GROUP -depth -type d -exec rmdir {} + 2>/dev/null; then exit; fi
  sleep 0.1
done
exit 1
"""
PROGRAM = f"""\
#!/bin/sh
export PYTHONHOME=/opt/python PYTHONPATH=/opt/packages:/opt/source LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor} -m respid "$@"
"""


class SystemdMachine:
    """Runs programs where the systemd is process 1."""

    def __init__(self, first_process: int) -> None:
        self._enter = ("nsenter", "--target", str(first_process), "--all", "--")

    def try_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *command], capture_output=True, text=True, check=False)

    def run(self, *command: str) -> str:
        """Returns the output. Raises AssertionError if the program fails."""
        ran = self.try_run(*command)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    def show(self, unit: str, name: str) -> str:
        """Returns a property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-euc", 'mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"', "sh", path, text)


@contextmanager
def running_systemd(directory: Path) -> Iterator[SystemdMachine]:
    """Starts a systemd. Skips the test where this is not possible."""
    if os.geteuid() != 0:
        leave_out("only root can start a systemd")
    for tool in ("systemctl", "systemd-sysusers", "unshare", "nsenter", "ip"):
        need_tool(tool)
    _write_files(directory)
    variables = {"PYTHON": sys.base_prefix, "PACKAGES": sysconfig.get_path("purelib"), "SOURCE": str(ROOT / "respid")}
    variables |= {"UNITS": str(UNITS), "GROUP": f"respid-test-{os.getpid()}", "MIDDLE": MIDDLE, "INNER": INNER}
    environment = os.environ | variables
    unshare = ("unshare", "--mount", "--net", "--ipc", "--uts", "sh", "-euc")
    probe = subprocess.run([*unshare, PRIVILEGED], cwd=directory, env=environment, capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"this root lacks privileges, as in a container: {probe.stderr.decode().strip()}")
    log = directory / "log"
    with log.open("w") as output:
        outer = subprocess.Popen([*unshare, OUTER], cwd=directory, env=environment, stdout=output, stderr=output)
    first_process = 0
    try:
        wait_until(lambda: _has_started(outer), explain=log.read_text)
        first_process = _child(outer)
        machine = SystemdMachine(first_process)
        wait_until(lambda: "running" in machine.try_run("systemctl", "is-system-running").stdout)
        yield machine
    finally:
        if first_process:
            os.kill(first_process, signal.SIGKILL)  # all other processes of the namespace end with the first
        outer.kill()
        outer.wait()
        clean_up = ["unshare", "--mount", "sh", "-euc", CLEAN_UP]
        subprocess.run(
            clean_up, cwd=directory, env=environment, check=bool(first_process)
        )  # else the log has the error


def _write_files(directory: Path) -> None:
    for name in ("cgroup", "changes", "units"):
        (directory / name).mkdir()
    shutil.copy(UNITS / "respid@.service", directory / "units")
    for name in TARGETS:
        (directory / "units" / f"{name}.target").write_text("[Unit]\nDescription=Empty\n")
    (directory / "program").write_text(PROGRAM)


def _has_started(outer: subprocess.Popen[bytes]) -> bool:
    assert outer.poll() is None
    first_process = _child(outer)
    with suppress(OSError):  # it has ended: there is another one before systemd
        return bool(first_process) and Path(f"/proc/{first_process}/comm").read_text() == "systemd\n"
    return False


def _child(process: subprocess.Popen[bytes]) -> int:
    """Returns the process ID of its only child, or 0."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip() or 0)
