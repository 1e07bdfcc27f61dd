"""`respid check` against correct servers, and against servers that each break one promise."""

import itertools
import json
import math
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from benchmarks.ports import free_port
from tests.support.command_line import TOO_SHORT, Outcome, patient_command, run_check
from tests.support.documents import CHECK, code_blocks
from tests.support.environment import clean_environment
from tests.support.fake_worker import LOADING, FakeWorker, serving
from tests.support.proxy import proxy
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

MILLISECOND = 1 << 22  # from one ID to the same one of the next millisecond
HERE = "127.0.0.1"
IDS_GENERATED = "id_generator_ids_generated_total"
CONNECTIONS = "id_generator_connections"


def check(*addresses: str, seconds: float = 0.6, arguments: str = "", password: str = "") -> Outcome:
    options = ["--connections", "3", *arguments.split()]
    return run_check(*addresses, *options, seconds=seconds, variables={"RESPID_PASSWORD": password})


def address_of(server: RunningServer) -> str:
    return f"{HERE}:{server.port}"


@pytest.fixture(scope="module")
def second(start_module_server: StartServer) -> RunningServer:
    """A second server, with worker ID 2."""
    return start_module_server(worker_id="2")


def test_two_workers_are_ok(server: RunningServer, second: RunningServer) -> None:
    addresses = [address_of(server), address_of(second)]
    outcome = check(*addresses, addresses[0])
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    heading, *rows, verdict = outcome.stdout.splitlines()
    assert heading.split() == ["ADDRESS", "WORKER", "ID", "IDS", "IDS/S", "CLOCK", "OFFSET"]
    assert [row.split()[:2] for row in rows] == [[addresses[0], "1"], [addresses[1], "2"]]
    assert re.fullmatch(
        r"OK: [\d,]+ IDs from 2 workers, all unique and in order; layout 41/10/12@\d+; clocks within 1 s", verdict
    )


def test_json_summary(server: RunningServer, second: RunningServer) -> None:
    outcome = check(address_of(server), address_of(second), arguments="--json")
    summary = json.loads(outcome.stdout)
    assert (outcome.exit_code, summary["ok"], summary["failures"], summary["notes"]) == (0, True, [], [])
    assert [(worker["address"], worker["worker_id"]) for worker in summary["workers"]] == [
        (address_of(server), 1),
        (address_of(second), 2),
    ]
    assert summary["ids"] == sum(worker["ids"] for worker in summary["workers"]) > 0
    for worker in summary["workers"]:
        assert abs(worker["clock_difference_seconds"]) <= worker["clock_difference_error_seconds"] + 0.01
        assert worker["ids_per_second"] == pytest.approx(worker["ids"] / summary["seconds"], abs=1)


def test_notes_two_addresses_of_one_process(server: RunningServer) -> None:
    outcome = check(address_of(server), f"localhost:{server.port}")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    same = f"note: {HERE}:{server.port} and localhost:{server.port} are the same process (worker ID 1)"
    assert outcome.stdout.splitlines()[3] == same
    assert "IDs from 1 worker," in outcome.stdout


def test_finds_different_layouts(server: RunningServer, start_server: StartServer) -> None:
    small = start_server("--layout", "41/4/8", worker_id="3")
    outcome = check(address_of(server), address_of(small))
    assert outcome.exit_code == 1
    layouts = f"41/10/12@1704067200000 at {address_of(server)}; 41/4/8@1704067200000 at {address_of(small)}"
    assert outcome.stderr == f"respid: the workers have different layouts, so that their IDs can be equal: {layouts}\n"


def test_refused_connection_is_one_line(server: RunningServer) -> None:
    nowhere = f"{HERE}:{free_port()}"
    outcome = check(address_of(server), nowhere)
    assert outcome.exit_code == 1
    assert outcome.stderr == f"respid: cannot check {nowhere}: Connection refused\n"
    assert outcome.stdout.splitlines()[-1].startswith("FAILED: 1 failure, ")


def test_checks_others_despite_invalid_name(server: RunningServer) -> None:
    outcome = check(address_of(server), "a..b:1")
    assert outcome.exit_code == 1
    assert outcome.stderr == "respid: cannot check a..b:1: not a valid host name\n"
    assert address_of(server) in outcome.stdout


def test_reports_port_without_tls(server: RunningServer) -> None:
    outcome = check(address_of(server), arguments="--tls")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"respid: cannot check {address_of(server)}: TLS failed: ")


def test_ends_at_once_if_no_address_answers() -> None:
    outcome = check(f"{HERE}:{free_port()}", seconds=3600)
    assert outcome.exit_code == 1
    assert outcome.stdout == "FAILED: 1 failure, 0 IDs from 0 workers\n"


def test_uses_password_from_variable(start_server: StartServer, server: RunningServer) -> None:
    locked = start_server(worker_id="4", RESPID_PASSWORD="secret")
    assert check(address_of(locked), password="secret").exit_code == 0
    unlocked = check(address_of(locked))
    assert unlocked.exit_code == 1
    needed = "NOAUTH Authentication required. (set RESPID_PASSWORD or RESPID_PASSWORD_FILE)"
    assert unlocked.stderr == f"respid: cannot check {address_of(locked)}: {needed}\n"
    assert "WRONGPASS" in check(address_of(locked), password="wrong").stderr
    assert "without any password configured" in check(address_of(server), password="secret").stderr


def test_refuses_redis_server(redis_port: int) -> None:
    outcome = check(f"{HERE}:{redis_port}")
    assert outcome.exit_code == 1
    assert f"respid: cannot check {HERE}:{redis_port}: ERR unknown command 'ID.INFO'" in outcome.stderr
    assert outcome.stderr.endswith("(not a respid worker)\n")


def test_restarted_worker_is_ok(server: RunningServer, start_server: StartServer) -> None:
    killed = start_server(worker_id="5")
    options = ["--seconds", "600", "--connections", "3", "--json"]
    command = patient_command("check", address_of(server), address_of(killed), *options)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=clean_environment(measured=False)
    ) as checking:
        wait_until(lambda: killed.metric(IDS_GENERATED) > 10_000)
        killed.stop(signal.SIGKILL)
        state = ["--port", str(killed.port), "--state-dir", str(killed.log_path.parent / "state")]
        successor = start_server(*state, worker_id="5")
        wait_until(lambda: successor.metric(IDS_GENERATED) > 10_000 and successor.metric(CONNECTIONS) == 3)
        checking.send_signal(signal.SIGINT)
        stdout, _ = checking.communicate(timeout=WAIT_SECONDS)
    summary = json.loads(stdout)
    assert summary["failures"] == []
    assert checking.returncode == 0
    assert summary["connections_ended"] == 3
    assert f"{address_of(killed)}: connections lost: 3" in summary["notes"]


def spoiled(every: int, spoil: Callable[[int], int]) -> Callable[[int, int], int]:
    """Spoils every n-th block."""
    turns = itertools.count(1)
    return lambda first, _count: spoil(first) if next(turns) % every == 0 else first


def repeated() -> Callable[[int, int], int]:
    """Returns the first ID of an earlier block again, once in 50 blocks."""
    earlier: list[int] = []
    turns = itertools.count(1)

    def spoil(first: int, _count: int) -> int:
        earlier.append(first)
        return earlier[-10] if next(turns) % 50 == 0 else first

    return spoil


def test_correct_fake_workers_are_ok() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2)) as addresses:
        assert check(*addresses).exit_code == 0


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (repeated(), r"duplicate: IDs? \d+( to \d+)? with worker ID 1 returned by ADDRESS twice"),
        (
            spoiled(50, lambda first: first - 500 * MILLISECOND),
            r"ADDRESS \(worker ID 1\) returned IDs? \d.* (after|sent)",
        ),
        (
            spoiled(50, lambda first: first ^ 3 << 12),
            r"ADDRESS \(worker ID 1\) returned IDs? \d.* with worker ID 2, expected 1",
        ),
        (
            lambda first, count: first | 4095 if count > 1 else first,
            r"ADDRESS .* a block that spans several milliseconds: ",
        ),
        (spoiled(50, lambda first: -first), r"ADDRESS \(worker ID 1\) returned IDs? -.* is not an ID of the layout"),
    ],
)
def test_finds_each_broken_promise(spoil: Callable[[int, int], int], expected: str) -> None:
    with serving(FakeWorker(spoil)) as (address,):
        outcome = check(address)
    assert outcome.exit_code == 1
    assert re.search("^respid: " + expected.replace("ADDRESS", address), outcome.stderr, re.MULTILINE)
    assert len(outcome.stderr.splitlines()) <= 4
    assert outcome.stdout.splitlines()[-1].startswith("FAILED: ")


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        (
            b"INCR",
            b"-ERR \x1b[2Jno\r\n",
            "ADDRESS (worker ID 1) replied to INCR respid:check with the error ERR  [2Jno",
        ),
        (b"INCRBY", b"+OK\r\n", "ADDRESS (worker ID 1) replied to INCRBY respid:check 100 with b'OK'"),
        (b"INCR", b"what\r\n", "ADDRESS (worker ID 1) sent an invalid reply: Protocol error, got"),
        (b"ID.INFO", b"*0\r\n", "cannot check ADDRESS: not a respid worker: its ID.INFO has no valid fingerprint"),
        (b"TIME", b"*0\r\n", "cannot check ADDRESS: its reply to TIME is not a time"),
        (b"ID.INFO", b"HTTP/1.1 400\r\n", "cannot check ADDRESS: invalid reply: Protocol error, got"),
        (b"ID.INFO", b"*1000000000\r\n", "cannot check ADDRESS: invalid reply: too large: 1,000,000,000 elements"),
        (b"ID.INFO", b"x" * 2_000_000, "cannot check ADDRESS: invalid reply: too large: 1,"),
        (b"INCR", b":1\r\n" * 2, "ADDRESS (worker ID 1) sent an invalid reply: more replies than requests"),
        (b"TIME", b"*2\r\n$19\r\n" + b"9" * 19 + b"\r\n$1\r\n0\r\n", "cannot check ADDRESS: its reply to TIME is not"),
        (
            b"ID.INFO",
            b"*2\r\n+fingerprint\r\n+41/10/12@1704067200000\r\n",
            "cannot check ADDRESS: not a respid worker: ",
        ),
        (b"INCR", LOADING, None),
    ],
)
def test_reports_unexpected_reply(command: bytes, reply: bytes, expected: str | None) -> None:
    with serving(FakeWorker(instead={command: reply})) as (address,):
        outcome = check(address)
    if expected is None:
        assert outcome.exit_code == 0
    else:
        assert outcome.exit_code == 1
        assert "respid: " + expected.replace("ADDRESS", address) in outcome.stderr


@pytest.mark.parametrize("silent", [b"ID.INFO", b"INCR"])
def test_silent_worker_fails(monkeypatch: pytest.MonkeyPatch, silent: bytes) -> None:
    monkeypatch.setattr("respid.check.client_connection.REPLY_SECONDS", 0.5)
    with serving(FakeWorker(instead={silent: b""})) as (address,):
        outcome = check(address, arguments="--connections 1")
    assert outcome.exit_code == 1
    assert re.search(f"^respid: .*{address}.*: timed out$", outcome.stderr, re.MULTILINE)


def test_finds_different_clocks() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2, clock_ahead_seconds=500)) as addresses:
        outcome = check(*addresses)
        allowed = check(*addresses, arguments="--max-clock-difference 600")
    assert (outcome.exit_code, allowed.exit_code) == (1, 0)
    found = re.fullmatch(r"respid: clocks differ by (\S+) s, more than 1 s: (\S+) is behind (\S+)\n", outcome.stderr)
    assert found is not None
    assert float(found[1]) == pytest.approx(500, abs=60)  # replies may wait on a busy machine
    assert [found[2], found[3]] == addresses


def test_worker_without_any_id_fails() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2, loading_replies=math.inf)) as addresses:
        outcome = check(*addresses)
    assert outcome.exit_code == 1
    reason = LOADING.decode()[1:].strip()
    assert outcome.stderr == f"respid: {addresses[1]} returned no ID: {reason}\n"


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", "localhost:0", "localhost:65536", ":1", "::1:1", "a b:1"]
)
def test_refuses_invalid_address(address: str) -> None:
    outcome = check(address)
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert f"{address!r} is not of the form HOST:PORT" in line


@pytest.mark.parametrize(
    "arguments",
    ["--seconds 0", "--connections 0", "--max-clock-difference nan", "--rate 0", "--above -1", "--above x", "--bogus"],
)
def test_refuses_invalid_options(arguments: str) -> None:
    outcome = check(f"{HERE}:1", arguments=arguments)
    assert outcome.exit_code == 2
    assert len(outcome.stderr.splitlines()) == 1


def test_accepts_ipv6_in_brackets() -> None:
    port = free_port()
    outcome = check(f"[::1]:{port}")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"respid: cannot check [::1]:{port}: ")


def test_terminal_shows_progress_bar(server: RunningServer) -> None:
    terminal, end_of_process = pty.openpty()
    command = patient_command("check", address_of(server), "--seconds", "0.5")
    checked = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=end_of_process, text=True, check=False, env=clean_environment()
    )
    os.close(end_of_process)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert "drawing IDs" in shown
    assert "100%" in shown
    assert "OK: " in checked.stdout or TOO_SHORT[0] in shown


@pytest.mark.parametrize("signals", [1, 2])
def test_interrupt_ends_with_summary(server: RunningServer, signals: int) -> None:
    command = patient_command("check", address_of(server), "--seconds", "600")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as checking:
        before = server.metric(IDS_GENERATED)
        wait_until(lambda: server.metric(IDS_GENERATED) > before + 10_000)
        if signals == 2:
            server.process.send_signal(signal.SIGSTOP)  # the check then waits for replies
        checking.send_signal(signal.SIGINT)
        while signals == 2 and checking.poll() is None:
            time.sleep(0.5)
            checking.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGCONT)
        stdout, stderr = checking.communicate(timeout=WAIT_SECONDS)
    if signals == 2:
        assert checking.returncode in (130, -signal.SIGINT)  # a third signal may arrive while Python exits
        assert stdout == ""
        return
    assert (checking.returncode, stderr.strip()) == (0, "")
    *_, note, verdict = stdout.splitlines()
    assert re.fullmatch(r"note: drew IDs for \d+\.\d s instead of 600 s", note)
    assert verdict.startswith("OK: ")


def test_limits_rate_of_real_workers(server: RunningServer, second: RunningServer) -> None:
    began = time.monotonic()
    outcome = check(address_of(server), address_of(second), seconds=2, arguments="--rate 500 --json")
    seconds = time.monotonic() - began
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert 0 < json.loads(outcome.stdout)["ids"] <= 500 * seconds + 50


def test_proves_that_ids_are_above(server: RunningServer) -> None:
    with server.client() as client:
        drawn = client.incr("id")
    proved = check(address_of(server), arguments=f"--above {drawn}")
    assert (proved.exit_code, proved.stderr) == (0, "")
    assert f"all unique and in order, all above {drawn}; " in proved.stdout
    limit = (1 << 63) - 1
    failed = check(address_of(server), arguments=f"--above {limit}")
    assert failed.exit_code == 1
    ids = rf"^respid: {address_of(server)} \(worker ID 1\) returned IDs? \d+.*, not above {limit} \([\d,]+ times\)$"
    assert re.fullmatch(ids, failed.stderr.rstrip())


def test_service_shows_all_its_workers(server: RunningServer, second: RunningServer) -> None:
    with proxy(server.port, second.port) as port:
        outcome = check(f"{HERE}:{port}", arguments="--connections 4")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    _, *rows, verdict = outcome.stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [[f"{HERE}:{port}", "1"], [f"{HERE}:{port}", "2"]]
    assert "IDs from 2 workers, all unique and in order" in verdict


def test_finds_twins_behind_service(server: RunningServer, start_server: StartServer) -> None:
    twin = start_server(worker_id="1")
    with proxy(server.port, twin.port) as port:
        outcome = check(f"{HERE}:{port}", seconds=1.5, arguments="--connections 4")
    assert outcome.exit_code == 1
    assert f"respid: worker ID 1 is in use by two processes, both at {HERE}:{port}" in outcome.stderr


def test_documented_example_is_real(server: RunningServer, second: RunningServer) -> None:
    (example,) = [block for block in code_blocks("text", CHECK) if block.startswith("$ respid check")]
    _, *lines = example.splitlines()
    shown = check(address_of(server), address_of(second), seconds=3).stdout
    assert shapes(shown.replace(HERE, "localhost").splitlines()) == shapes(lines)


def shapes(lines: list[str]) -> list[list[str]]:
    """Returns the lines with every number, and the spaces before it, replaced by N."""
    return [re.sub(r" *[+-]?[\d,]*\d(\.\d+)?", " N", line.replace("  ", " ")).split() for line in lines]
