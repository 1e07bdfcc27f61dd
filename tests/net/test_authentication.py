"""Passwords of a running server: rotation, failed authentication, and the log of both."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import redis

from respid.net.rejection_log import MAX_PEERS, RejectionLog
from respid.reload import ReadError, Reloader, Source
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient, exchange
from tests.support.running import RunningServer, StartServer, wait_until
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted

WRONG_PASSWORD = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
PING = request("PING")
FAILURES = "id_generator_auth_failures_total"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "passwords"
    path.write_text("first\n")
    return path


@pytest.fixture
def locked(start_server: StartServer, password_file: Path) -> RunningServer:
    return start_server(RESPID_PASSWORD_FILE=str(password_file), RESPID_USERNAME="orders", RESPID_PASSWORD="lasting")


def hang_up(server: RunningServer) -> str:
    """Sends SIGHUP; returns the log line that reports the reload."""
    before = server.log
    server.process.send_signal(signal.SIGHUP)

    def reports() -> list[str]:
        lines = server.log.removeprefix(before).splitlines(keepends=True)
        return [line.rstrip("\n") for line in lines if "reload" in line and line.endswith("\n")]

    wait_until(reports)
    return reports()[0]


def is_right(server: RunningServer, *credentials: str) -> bool:
    answered = exchange(server.port, request("AUTH", *credentials))
    assert answered in (b"+OK\r\n", WRONG_PASSWORD)
    return answered == b"+OK\r\n"


def test_sighup_rotates_passwords(locked: RunningServer, password_file: Path) -> None:
    with RawClient(locked.port) as client:
        client.send(request("AUTH", "first"))
        assert client.receive_reply() == b"+OK\r\n"
        password_file.write_text("second\nfirst\n")
        assert hang_up(locked).endswith(" info reloaded passwords: 2")
        assert is_right(locked, "second")
        assert is_right(locked, "orders", "first")
        password_file.write_text("second\n")
        assert hang_up(locked).endswith(" info reloaded passwords: 1")
        assert not is_right(locked, "first")
        assert is_right(locked, "lasting")
        client.send(PING)
        assert client.receive_reply() == b"+PONG\r\n"


def test_changed_password_file_is_reloaded(locked: RunningServer, password_file: Path) -> None:
    replacement = password_file.with_name("replacement")
    replacement.write_text("second\n")
    replacement.rename(password_file)
    wait_until(lambda: "reloaded passwords: 1" in locked.log)
    assert is_right(locked, "second")


def test_permissions_that_are_corrected_are_a_change(password_file: Path) -> None:
    source = Source("--password-file", (password_file,), lambda: "passwords")
    source.read()
    assert not source.has_changed
    before_ns = password_file.stat().st_ctime_ns

    def correct() -> bool:
        """A file system counts time in steps of some milliseconds."""
        password_file.chmod(0o640)
        return password_file.stat().st_ctime_ns != before_ns

    wait_until(correct)
    assert [source.has_changed for _ in range(2)] == [False, True]


@pytest.mark.parametrize("kind", ["pipe", "terminal", "device", "directory"])
def test_refuses_what_is_no_file(kind: str, tmp_path: Path) -> None:
    """A pipe and a terminal block the reader, and a device such as /dev/zero has no end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    controller, terminal = os.openpty()
    (tmp_path / "terminal").symlink_to(os.ttyname(terminal))
    path = tmp_path / kind
    try:
        with pytest.raises(ReadError, match=f"--password-file: {path}: not a regular file"):
            Source("--password-file", (path,), lambda: "passwords").read()
    finally:
        os.close(controller)
        os.close(terminal)


def test_reload_waits_for_a_complete_file(clock: ScriptedClock, password_file: Path) -> None:
    """It is being written for a second when the signal comes."""
    read: list[str] = []

    def use() -> str:
        read.append(password_file.read_text())
        return "passwords"

    async def write() -> None:
        password_file.write_text("")
        Reloader([Source("--password-file", (password_file,), use)]).reload()
        with password_file.open("a") as file:
            for number in range(10):
                file.write(f"password number {number}\n")
                file.flush()
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)

    run_scripted(clock, write())
    assert read == [password_file.read_text()]


def test_short_passwords_are_logged(start_server: StartServer, password_file: Path) -> None:
    server = start_server(RESPID_PASSWORD_FILE=str(password_file), RESPID_PASSWORD="secret")
    assert " warning 1 of the passwords in the password file can be guessed, being shorter than 16 bytes" in server.log
    assert " warning 1 of the passwords in RESPID_PASSWORD can be guessed" in server.log
    password_file.write_text("x" * 16 + "\n" + "y" * 15)
    hang_up(server)
    assert server.log.count("in the password file can be guessed") == 2
    assert "y" * 15 not in server.log


def test_failed_reload_keeps_passwords(locked: RunningServer, password_file: Path) -> None:
    password_file.write_text("\n")
    assert (
        f" error reload failed, keeping the previous contents: --password-file: {password_file}: contains no"
        in hang_up(locked)
    )
    password_file.unlink()
    assert hang_up(locked).endswith(f"--password-file: {password_file}: No such file or directory")
    assert is_right(locked, "first")


@pytest.mark.parametrize("content", [None, "", "\n", "first\n\t\n", "\ufefffirst\n", "# first\n"])
def test_missing_passwords_stop_the_start(start_server: StartServer, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "passwords"
    if content is not None:
        path.write_text(content)
    server = start_server("--password-file", str(path), wait=False)
    assert server.wait() == 1
    (line,) = server.log.splitlines()
    assert line.startswith(f"respid: --password-file: {path}: ")


def test_failures_are_counted_and_logged_once(locked: RunningServer) -> None:
    for _ in range(50):
        assert not is_right(locked, "orders", "wrong")
    assert exchange(locked.port, request("HELLO", "3", "AUTH", "nobody", "first")) == WRONG_PASSWORD
    assert locked.metric(FAILURES) == 51
    assert locked.log.count("authentication failed from 127.0.0.1:") == 1
    logged = locked.log.partition("authentication failed")[2]
    assert "wrong\n" not in logged
    assert "first" not in logged


def test_client_info_shows_user_name(locked: RunningServer) -> None:
    client = locked.client(username="orders", password="first", protocol=2)
    assert client.client_info()["user"] == "orders"
    with pytest.raises(redis.AuthenticationError):
        locked.client(username="nobody", password="first").ping()


def test_sighup_with_nothing_to_reload(start_server: StartServer) -> None:
    server = start_server()
    assert " info nothing to reload: " in hang_up(server)
    assert exchange(server.port, PING) == b"+PONG\r\n"


@pytest.mark.parametrize(
    ("arguments", "exposed"),
    [
        ("--bind 0.0.0.0", ["0.0.0.0"]),
        ("--bind *", ["0.0.0.0", "[::]"]),
        ("--bind 127.0.0.1,::1", []),
        ("--bind localhost", []),
        ("--bind 0.0.0.0 --password-file {file}", []),
    ],
)
def test_open_access_is_logged_once(
    start_server: StartServer, password_file: Path, arguments: str, exposed: list[str]
) -> None:
    server = start_server(*arguments.format(file=password_file).split())
    addresses = ", ".join(f"{host}:{server.port}" for host in exposed)
    warning = f" warning no password set: anyone who can connect to {addresses} can draw IDs; "
    assert server.log.count(warning) == server.log.count("no password") == bool(exposed)


class Loop:
    """Records calls instead of making them."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, object]] = []

    def call_later(self, seconds: float, callback: object) -> None:
        self.calls.append((seconds, callback))


def test_failure_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    failures = RejectionLog(loop)  # type: ignore[arg-type]
    for number in range(1000):
        failures.note_auth_failure(f"10.0.{number % 256}.7:{number}")
    assert len(caplog.messages) == MAX_PEERS
    ((seconds, end),) = loop.calls
    end()  # type: ignore[operator]
    assert caplog.messages[-1] == "authentication failed 980 more times within 60 s"
    failures.note_auth_failure("[::1]:7000")
    assert caplog.messages[-1] == "authentication failed from [::1]:7000"
    assert seconds == 60
    assert len(loop.calls) == 2
