"""Servers on disks that fill, fail, hang or are tampered with: the file store from the outside."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.support.byte_streams import request
from tests.support.drawer import Drawer, are_disjoint_and_rising
from tests.support.faked_clock import faked_clock
from tests.support.hanging_disk import HangingDisk
from tests.support.needed_tools import need_strace, need_tool
from tests.support.outage import READY, through_an_outage
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, StartServer, wait_until

SOON_USED_UP = ("--reserve", "3")  # so that an outage is soon noticed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system of 64 KiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        [need_tool("mount"), "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> None:
    """Fills the file system, until the file `filler` is removed."""
    with (directory / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 512):
            pass


def remount(directory: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", directory], check=True)


def without_capabilities() -> tuple[str, ...]:
    """A prefix that makes file modes apply to root as well."""
    if os.geteuid() != 0:
        return ()
    return (need_tool("setpriv"), "--bounding-set", "-all", "--inh-caps", "-all")


def refused_start(server: RunningServer) -> str:
    """Returns the only line that a failed start logged."""
    assert server.wait() == 1
    (line,) = server.log.splitlines()
    return line


def ceiling_ms(state_dir: Path) -> int:
    return int(json.loads((state_dir / "worker-1.json").read_text())["ceiling_ms"])


def test_full_disk_is_outage_until_freed(start_server: StartServer, small_disk: Path) -> None:
    server = start_server("--state-dir", str(small_disk), *SOON_USED_UP)
    through_an_outage(
        server,
        partial(fill, small_disk),
        (small_disk / "filler").unlink,
        "No space left on device; make room there",
    )
    assert server.stop() == 0
    assert start_server("--state-dir", str(small_disk)).stop() == 0


def test_read_only_directory_is_outage_until_writable(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--state-dir", str(tmp_path), *SOON_USED_UP, prefix=without_capabilities())
    through_an_outage(server, lambda: tmp_path.chmod(0o500), lambda: tmp_path.chmod(0o700), "Permission denied")
    assert server.stop() == 0


def test_refuses_start_on_full_or_read_only_disk(start_server: StartServer, small_disk: Path) -> None:
    start_server("--state-dir", str(small_disk)).stop()
    before_ms = ceiling_ms(small_disk)
    fill(small_disk)
    line = refused_start(start_server("--state-dir", str(small_disk), wait=False))
    assert "No space left on device; make room there, or set --state-dir" in line
    (small_disk / "filler").unlink()
    remount(small_disk, "ro")
    line = refused_start(start_server("--state-dir", str(small_disk), wait=False))
    assert "Read-only file system; " in line
    remount(small_disk, "rw")
    assert ceiling_ms(small_disk) == before_ms
    assert start_server("--state-dir", str(small_disk)).stop() == 0


@pytest.mark.parametrize(("name", "mode"), [("", 0o500), ("worker-1.json", 0), ("worker-1.lock", 0o400)])
def test_error_names_inaccessible_path(start_server: StartServer, tmp_path: Path, name: str, mode: int) -> None:
    state = tmp_path / "state"
    start_server("--state-dir", str(state)).stop()
    if name:
        (state / name).chmod(mode)
    else:
        (state / "worker-1.lock").unlink()
        state.chmod(mode)
    line = refused_start(start_server("--state-dir", str(state), wait=False, prefix=without_capabilities()))
    state.chmod(0o700)
    assert line.startswith(f"respid: cannot use {state}")
    assert (
        f": Permission denied; make {state} a local directory that this user can write to, or set --state-dir" in line
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is damaged: it is empty"),
        (b"\0" * 200, "is damaged: it is not JSON"),
        (b'{"some": "file"}', "is damaged: it is not a high-water mark of respid"),
    ],
)
def test_refuses_and_keeps_invalid_state_file(
    start_server: StartServer, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "worker-1.json").write_bytes(content)
    line = refused_start(start_server("--state-dir", str(tmp_path), wait=False))
    assert line.startswith(f"respid: {tmp_path}/worker-1.json {reason}")
    assert "start with --start-above set to the greatest ID issued" in line
    assert (tmp_path / "worker-1.json").read_bytes() == content


def test_recreates_deleted_state_directory(start_server: StartServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start_server("--state-dir", str(state))
    drawer = Drawer(server.port)
    wait_until(lambda: drawer.spans)
    shutil.rmtree(state)
    wait_until((state / "worker-1.json").exists)
    assert "is in use by pid" in refused_start(start_server("--state-dir", str(state), wait=False))
    server.process.kill()
    server.process.wait()
    successor = start_server("--state-dir", str(state))
    after = Drawer(successor.port)
    wait_until(lambda: after.spans)
    assert not drawer.refusals
    assert are_disjoint_and_rising([[drawer.finish()], [after.finish()]])


def test_rewrites_state_file_damaged_while_running(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--state-dir", str(tmp_path))
    (tmp_path / "worker-1.json").write_text("what is this")
    wait_until(lambda: (tmp_path / "worker-1.json").read_text().startswith("{"))
    assert server.metric(READY) == 1
    assert server.stop() == 0


def test_foreign_mark_stops_server(start_server: StartServer, tmp_path: Path) -> None:
    """As on a file system whose locks do not work across machines."""
    server = start_server("--state-dir", str(tmp_path))

    def has_ended() -> bool:
        """A write of the server may be under way, and replace this one."""
        state = json.loads((tmp_path / "worker-1.json").read_text())
        (tmp_path / "other").write_text(json.dumps(state | {"nonce": "another"}))
        (tmp_path / "other").replace(tmp_path / "worker-1.json")
        return server.process.poll() is not None

    wait_until(has_ended)
    assert server.wait() == 1
    assert "respid: worker ID 1 was taken by another process: " in server.log.splitlines()[-1]


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> HangingDisk:
    return HangingDisk(tmp_path_factory.mktemp("disk"))


def test_hung_disk_is_outage_until_it_responds(start_server: StartServer, tmp_path: Path, disk: HangingDisk) -> None:
    server = start_server("--state-dir", str(tmp_path), *SOON_USED_UP, **disk.variables)
    through_an_outage(server, disk.hang, disk.go_on, "the store file does not answer")
    assert server.stop() == 0


@pytest.mark.parametrize("when", ["start", "later"])
def test_hung_disk_does_not_delay_stop(start_server: StartServer, tmp_path: Path, disk: HangingDisk, when: str) -> None:
    if when == "start":
        disk.hang()
        server = start_server("--state-dir", str(tmp_path), wait=False, **disk.variables)
        wait_until(lambda: _answers(server))
        assert server.get("/readyz")[0] == 503
    else:
        server = start_server("--state-dir", str(tmp_path), *SOON_USED_UP, **disk.variables)
        disk.hang()
        wait_until(lambda: server.get("/readyz")[0] == 503)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "the store did not answer within 5 s: " in server.log
    assert " stopped after " in server.log.splitlines()[-1]


def _answers(server: RunningServer) -> bool:
    with contextlib.suppress(OSError):
        return server.get("/healthz")[0] == 200
    return False


def test_syncs_mark_before_issuing_below_it(start_server: StartServer, tmp_path: Path) -> None:
    """Checks the system calls, on a disk where each fsync takes a while."""
    trace = tmp_path / "trace"
    options = f"-D -f -qq -o {trace} -e trace=openat,fsync,rename -e inject=fsync:delay_enter=300000".split()
    server = start_server("--state-dir", str(tmp_path / "state"), prefix=(need_strace(), *options))
    steps = {
        r"openat\(.*/worker-1\.tmp\"": "make",
        r"fsync\(": "sync",
        r"rename\(.*worker-1\.json\"": "rename",
        r"openat\(.*/state\", (?!.*O_NONBLOCK).*O_DIRECTORY": "open directory",
    }
    ready = [step for line in trace.read_text().splitlines() for call, step in steps.items() if re.search(call, line)]
    assert server.stop() == 0
    assert ready[:6] == ["sync", "make", "sync", "rename", "open directory", "sync"], "the first is of a new directory"


def test_start_without_free_port_keeps_mark(start_server: StartServer, tmp_path: Path) -> None:
    port = free_port()
    serving = start_server("--state-dir", str(tmp_path), port=port)
    line = refused_start(start_server("--state-dir", str(tmp_path / "other"), port=port, wait=False))
    assert "cannot listen on" in line
    assert not (tmp_path / "other").exists()
    assert serving.stop() == 0


# Transitions: changes that an operator can make, and the IDs issued after them.


@pytest.mark.parametrize("how", ["moved", "emptied", "parent moved"])
def test_refuses_second_server_after_directory_moved(start_server: StartServer, tmp_path: Path, how: str) -> None:
    state = tmp_path / "parent" / "state"
    server = start_server("--state-dir", str(state))
    server.process.send_signal(signal.SIGSTOP)  # so that it cannot put its lock back before the other one starts
    if how == "emptied":
        for path in state.iterdir():
            path.unlink()
    else:
        moved = state if how == "moved" else state.parent
        moved.rename(moved.with_suffix(".old"))
        state.mkdir(parents=True)
    line = refused_start(start_server("--state-dir", str(state), wait=False))
    assert f"worker ID 1 is in use by pid {server.process.pid} " in line
    server.process.send_signal(signal.SIGCONT)
    assert server.stop() == 0
    assert start_server("--state-dir", str(state)).stop() == 0, "stopping the first server permits the start"


def test_one_of_two_isolated_servers_stops(start_server: StartServer, tmp_path: Path) -> None:
    """As in two containers, which do not see that the other one uses the path."""
    state = tmp_path / "state"
    server = start_server("--state-dir", str(state))
    state.rename(tmp_path / "old")
    prefix = (need_tool("unshare"), "--net")
    other = start_server("--state-dir", str(state), wait=False, prefix=prefix)
    wait_until(lambda: server.process.poll() is not None or other.process.poll() is not None)
    loser = server if server.process.poll() is not None else other
    assert loser.wait() == 1
    assert re.search("was taken by pid|is in use by pid|was taken by another", loser.log.splitlines()[-1])


def test_recreates_directory_before_extension(start_server: StartServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start_server("--state-dir", str(state), "--reserve", "300")  # the first extension is after half of that
    shutil.rmtree(state)
    wait_until((state / "worker-1.json").exists)
    assert "was moved or deleted, and was created again" in server.log
    assert server.stop() == 0


def test_refuses_second_layout_while_first_runs(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    first = start_server(*state)
    other = ("--layout", "41/11/11", "--accept-layout-change")
    line = refused_start(start_server(*state, *other, worker_id="2", wait=False))
    assert "worker ID 1 (pid " in line
    assert "runs with layout 41/10/12@1704067200000" in line
    drawn = draw(first)
    assert first.stop() == 0
    line = refused_start(start_server(*state, *other[:2], worker_id="2", wait=False))
    assert "stop all workers and start them with --accept-layout-change" in line
    second = start_server(*state, *other, worker_id="2")
    assert min(draw(second)) > max(drawn)
    line = refused_start(start_server(*state, worker_id="1", wait=False))
    assert "runs with layout 41/11/11@1704067200000" in line
    assert second.stop() == 0


def test_layout_change_begins_above_fast_clock(start_server: StartServer, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))
    first = start_server(*state, **faked_clock(3600))
    drawn = draw(first)
    assert first.stop() == 0
    assert start_server(*state, worker_id="2").stop() == 0
    other = ("--layout", "41/11/11", "--accept-layout-change")
    second = start_server(*state, *other, worker_id="2", wait=False)
    wait_until(lambda: "ahead of the wall clock: no ID is issued" in second.log)
    assert second.get("/readyz")[0] == 503
    assert second.stop() == 0
    second = start_server(*state, *other, "--max-clock-lead", "7200", worker_id="2")
    assert min(draw(second)) > max(drawn)
    assert second.stop() == 0


def test_refuses_offset_change_on_own_volumes(start_server: StartServer, tmp_path: Path) -> None:
    """Five pods with a volume each, worker IDs 2 to 6; then the offset is set to 0, and pod 4 is replaced first."""
    pods = [start_pod(start_server, tmp_path, pod, offset=2) for pod in range(5)]
    old_drawer = Drawer(pods[2].port)  # worker 4
    wait_until(lambda: old_drawer.spans)
    drawn = draw(pods[4])
    assert pods[4].stop() == 0
    line = refused_start(start_pod(start_server, tmp_path, 4, offset=0, wait=False))
    assert "has the mark of worker ID 6, and this is worker ID 4" in line
    assert "go back to the former worker ID offset; or stop all workers and start them with --start-above" in line

    back = start_pod(start_server, tmp_path, 4, offset=2)
    assert min(draw(back)) > max(drawn), "going back to the former offset works"
    assert old_drawer.finish()
    for server in (*pods[:4], back):
        assert server.stop() == 0


def start_pod(start_server: StartServer, volumes: Path, pod: int, *, offset: int, wait: bool = True) -> RunningServer:
    volume = ("--state-dir", str(volumes / f"state-{pod}"), "--state-dir-exclusive")
    return start_server(*volume, "--worker-id-offset", str(offset), worker_id=str(pod), wait=wait)


def draw(server: RunningServer, count: int = 1000) -> list[int]:
    with RawClient(server.port) as client:
        return client.draw(request("INCR", "orders") * count, count)
