"""The processes of a pod, where the node is this machine."""

import contextlib
import os
import signal
from pathlib import Path

from tests.cluster.installation import Namespace
from tests.support.needed_tools import leave_out


class Container:
    """The main process of a pod's container, where the node is this machine."""

    def __init__(self, namespace: Namespace, pod: str) -> None:
        self.uid = namespace.get("pod", pod)["metadata"]["uid"]
        found = [pid for pid in _pids() if self.uid in _read(pid, "cgroup") and "respid" in _read(pid, "cmdline")]
        if not found:
            leave_out("the cluster's node is another machine: its processes cannot be frozen from here")
        (self._pid,) = found
        # The runtime that would kill the container for the kubelet is frozen too, as on a node that hangs.
        self._shim = int(_read(self._pid, "stat").rsplit(")", 1)[1].split()[1])

    def kill(self) -> None:
        """Ends it as the kernel does when memory runs out. The kubelet starts it again."""
        os.kill(self._pid, signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self._shim, signal.SIGSTOP)
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def let_go(self) -> None:
        """Thaws it, so that the kubelet can kill it."""
        for pid in (self._pid, self._shim):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return (Path("/proc") / str(pid) / name).read_text()
    except OSError:
        return ""
