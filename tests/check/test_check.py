"""`respid check` of servers that keep their promises, and of some that break each in turn."""

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.command_line import Outcome, clean_environment, run_command_line
from tests.support.documents import CHECK, code_blocks
from tests.support.fake_worker import LOADING, FakeWorker, serving
from tests.support.proxy import proxy
from tests.support.running import RunningServer, StartServer, free_port, wait_until

MILLISECOND = 1 << 22  # from one ID to the same one of the next millisecond
HERE = "127.0.0.1"
IDS_GENERATED = "id_generator_ids_generated_total"
CONNECTIONS = "id_generator_connections"


def check(*addresses: str, seconds: float = 0.6, arguments: str = "", password: str = "") -> Outcome:
    options = ["--seconds", str(seconds), "--connections", "3", *arguments.split()]
    return run_command_line("check", *addresses, *options, variables={"RESPID_PASSWORD": password})


def address_of(server: RunningServer) -> str:
    return f"{HERE}:{server.port}"


@pytest.fixture(scope="module")
def second(start_server: StartServer) -> RunningServer:
    """A server beside the shared one, with worker ID 2."""
    return start_server(worker_id="2")


def test_two_workers_are_well(server: RunningServer, second: RunningServer) -> None:
    addresses = [address_of(server), address_of(second)]
    outcome = check(*addresses, addresses[0])
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    heading, *rows, verdict = outcome.stdout.splitlines()
    assert heading.split() == ["ADDRESS", "WORKER", "ID", "IDS", "IDS/S", "CLOCK,", "FROM", "HERE"]
    assert [row.split()[:2] for row in rows] == [[addresses[0], "1"], [addresses[1], "2"]]
    assert re.fullmatch(
        r"all well: [\d,]+ IDs of 2 workers, each unique and in order; layout 41/10/12@\d+; clocks within 1 s", verdict
    )


def test_the_summary_as_json(server: RunningServer, second: RunningServer) -> None:
    outcome = check(address_of(server), address_of(second), arguments="--json")
    told = json.loads(outcome.stdout)
    assert (outcome.exit_code, told["ok"], told["failures"], told["notes"]) == (0, True, [], [])
    assert [(worker["address"], worker["worker_id"]) for worker in told["workers"]] == [
        (address_of(server), 1),
        (address_of(second), 2),
    ]
    assert told["ids"] == sum(worker["ids"] for worker in told["workers"]) > 10_000
    for worker in told["workers"]:
        assert abs(worker["clock_difference_seconds"]) <= worker["clock_difference_error_seconds"] + 0.01
        assert worker["ids_per_second"] == pytest.approx(worker["ids"] / 0.6, abs=1)


def test_two_addresses_of_one_process_are_told_and_no_failure(server: RunningServer) -> None:
    outcome = check(address_of(server), f"localhost:{server.port}")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    same = f"note: {HERE}:{server.port} and localhost:{server.port} lead to the same process (worker ID 1)"
    assert outcome.stdout.splitlines()[3] == same
    assert "IDs of 1 worker," in outcome.stdout


def test_one_worker_id_in_two_processes_fails_and_names_both(server: RunningServer, start_server: StartServer) -> None:
    twin = start_server(worker_id="1")
    addresses = sorted([address_of(server), address_of(twin)])
    outcome = check(*addresses, seconds=1.5)
    assert outcome.exit_code == 1
    in_use, *_ = [line for line in outcome.stderr.splitlines() if "in use" in line]
    assert in_use.startswith(f"respid: worker ID 1 is in use by two processes, at {addresses[0]} and at {addresses[1]}")
    assert "NOT WELL" in outcome.stdout.splitlines()[-1]


def test_different_layouts_fail(server: RunningServer, start_server: StartServer) -> None:
    small = start_server("--layout", "41/4/8", worker_id="3")
    outcome = check(address_of(server), address_of(small))
    assert outcome.exit_code == 1
    layouts = f"41/10/12@1704067200000 at {address_of(server)}; 41/4/8@1704067200000 at {address_of(small)}"
    assert outcome.stderr == f"respid: the layouts differ: {layouts}\n"


def test_an_address_where_nothing_listens_fails_with_one_line(server: RunningServer) -> None:
    nowhere = f"{HERE}:{free_port()}"
    outcome = check(address_of(server), nowhere)
    assert outcome.exit_code == 1
    assert outcome.stderr == f"respid: {nowhere} cannot be used: Connection refused\n"
    assert outcome.stdout.splitlines()[-1].startswith("NOT WELL: 1 failure, ")


def test_a_name_that_cannot_be_a_hosts_is_told_and_the_others_are_checked(server: RunningServer) -> None:
    outcome = check(address_of(server), "a..b:1")
    assert outcome.exit_code == 1
    assert outcome.stderr == "respid: a..b:1 cannot be used: no host has such a name\n"
    assert address_of(server) in outcome.stdout


def test_a_port_without_tls_is_told(server: RunningServer) -> None:
    outcome = check(address_of(server), arguments="--tls")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"respid: {address_of(server)} cannot be used: TLS failed: ")


def test_it_does_not_draw_when_no_address_answers() -> None:
    began = time.monotonic()
    outcome = check(f"{HERE}:{free_port()}", seconds=60)
    assert outcome.exit_code == 1
    assert outcome.stdout == "NOT WELL: 1 failure, 0 IDs of 0 workers\n"
    assert time.monotonic() - began < 10


def test_the_password_is_that_of_the_variable(start_server: StartServer, server: RunningServer) -> None:
    locked = start_server(worker_id="4", RESPID_PASSWORD="secret")
    assert check(address_of(locked), password="secret").exit_code == 0
    unlocked = check(address_of(locked))
    assert unlocked.exit_code == 1
    needed = "NOAUTH Authentication required. (RESPID_PASSWORD or RESPID_PASSWORD_FILE gives the password)"
    assert unlocked.stderr == f"respid: {address_of(locked)} cannot be used: {needed}\n"
    assert "WRONGPASS" in check(address_of(locked), password="wrong").stderr
    assert "without any password configured" in check(address_of(server), password="secret").stderr


def test_a_redis_server_is_refused(redis_port: int) -> None:
    outcome = check(f"{HERE}:{redis_port}")
    assert outcome.exit_code == 1
    assert f"respid: {HERE}:{redis_port} cannot be used: ERR unknown command 'ID.INFO'" in outcome.stderr


def test_a_worker_that_is_killed_and_comes_back_is_no_failure(server: RunningServer, start_server: StartServer) -> None:
    killed = start_server(worker_id="5")
    options = ["--seconds", "600", "--connections", "3", "--json"]
    command = [sys.executable, "-m", "respid", "check", address_of(server), address_of(killed), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as checking:
        wait_until(lambda: killed.metric(IDS_GENERATED) > 10_000)
        killed.stop(signal.SIGKILL)
        state = ["--port", str(killed.port), "--state-dir", str(killed.log_path.parent / "state")]
        successor = start_server(*state, worker_id="5")
        wait_until(lambda: successor.metric(IDS_GENERATED) > 10_000 and successor.metric(CONNECTIONS) == 3)
        checking.send_signal(signal.SIGINT)
        stdout, _ = checking.communicate(timeout=60)
    told = json.loads(stdout)
    assert told["failures"] == []
    assert checking.returncode == 0
    assert told["connections_ended"] == 3
    assert f"{address_of(killed)}: connections that ended and were opened again: 3" in told["notes"]


def spoiled(every: int, spoil: Callable[[int], int]) -> Callable[[int, int], int]:
    """Spoils one in so many blocks."""
    turns = itertools.count(1)
    return lambda first, _count: spoil(first) if next(turns) % every == 0 else first


def given_again() -> Callable[[int, int], int]:
    """Gives the first ID of an earlier block once more."""
    earlier: list[int] = []
    turns = itertools.count(1)

    def spoil(first: int, _count: int) -> int:
        earlier.append(first)
        return earlier[-10] if next(turns) % 50 == 0 else first

    return spoil


def test_a_worker_that_keeps_its_promises_is_well_also_when_it_is_fake() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2)) as addresses:
        assert check(*addresses).exit_code == 0


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (given_again(), r"duplicate: IDs? \d+( to \d+)? of worker ID 1 was given by ADDRESS twice"),
        (spoiled(50, lambda first: first - 500 * MILLISECOND), r"ADDRESS \(worker ID 1\) gave IDs? \d.* (after|sent)"),
        (spoiled(50, lambda first: first ^ 3 << 12), r"ADDRESS \(worker ID 1\) gave IDs? \d.*, of worker ID 2"),
        (lambda first, count: first | 4095 if count > 1 else first, r"ADDRESS .* a block that is not of one milli"),
        (spoiled(50, lambda first: -first), r"ADDRESS \(worker ID 1\) gave IDs? -.* is not an ID of the layout"),
    ],
)
def test_each_broken_promise_about_ids_is_found(spoil: Callable[[int, int], int], told: str) -> None:
    with serving(FakeWorker(spoil)) as (address,):
        outcome = check(address)
    assert outcome.exit_code == 1
    assert re.search("^respid: " + told.replace("ADDRESS", address), outcome.stderr, re.MULTILINE)
    assert len(outcome.stderr.splitlines()) <= 4
    assert outcome.stdout.splitlines()[-1].startswith("NOT WELL")


@pytest.mark.parametrize(
    ("command", "reply", "told"),
    [
        (b"INCR", b"-ERR \x1b[2Jno\r\n", "ADDRESS (worker ID 1) answered INCR respid:check with the error ERR  [2Jno"),
        (b"INCRBY", b"+OK\r\n", "ADDRESS (worker ID 1) answered INCRBY respid:check 100 with b'OK'"),
        (b"INCR", b"what\r\n", "ADDRESS (worker ID 1) answered with b'what\\r\\n' is no reply"),
        (b"ID.INFO", b"*0\r\n", "ADDRESS cannot be used: what answers is no respid: its ID.INFO tells no fingerprint"),
        (b"TIME", b"*0\r\n", "ADDRESS cannot be used: its TIME tells no time"),
        (b"ID.INFO", b"HTTP/1.1 400\r\n", "ADDRESS cannot be used: what answers does not speak the Redis protocol: "),
        (b"INCR", LOADING, None),
    ],
)
def test_other_replies_than_a_workers_are_found(command: bytes, reply: bytes, told: str | None) -> None:
    with serving(FakeWorker(instead={command: reply})) as (address,):
        outcome = check(address)
    if told is None:
        assert outcome.exit_code == 0
    else:
        assert outcome.exit_code == 1
        assert "respid: " + told.replace("ADDRESS", address) in outcome.stderr


def test_clocks_that_differ_by_more_than_permitted_fail() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2, clock_ahead_seconds=5)) as addresses:
        outcome = check(*addresses)
        permitted = check(*addresses, arguments="--max-clock-difference 6")
    assert (outcome.exit_code, permitted.exit_code) == (1, 0)
    found = re.fullmatch(
        r"respid: the clocks differ by (\S+) s, more than 1 s: (\S+) is behind (\S+)\n", outcome.stderr
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(5, abs=0.1)
    assert [found[2], found[3]] == addresses


def test_loading_is_waited_for_and_counted() -> None:
    with serving(FakeWorker(loading_seconds=0.4)) as (address,):
        outcome = check(address, seconds=1)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert re.search(rf"^note: {address}: replies without an ID yet: \d+ \(LOADING ", outcome.stdout, re.MULTILINE)


def test_a_worker_that_never_gave_an_id_fails() -> None:
    with serving(FakeWorker(), FakeWorker(worker_id=2, loading_seconds=60)) as addresses:
        outcome = check(*addresses)
    assert outcome.exit_code == 1
    reason = LOADING.decode()[1:].strip()
    assert outcome.stderr == f"respid: {addresses[1]} gave no ID: {reason}\n"


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", "localhost:0", "localhost:65536", ":1", "::1:1", "a b:1"]
)
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    outcome = check(address)
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert f"{address!r} is not of the form HOST:PORT" in line


@pytest.mark.parametrize("arguments", ["--seconds 0", "--connections 0", "--max-clock-difference nan", "--bogus"])
def test_wrong_use(arguments: str) -> None:
    outcome = check(f"{HERE}:1", arguments=arguments)
    assert outcome.exit_code == 2
    assert len(outcome.stderr.splitlines()) == 1


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    port = free_port()
    outcome = check(f"[::1]:{port}")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(f"respid: [::1]:{port} cannot be used: ")


def test_those_who_watch_see_a_progress_bar(server: RunningServer) -> None:
    terminal, end_of_process = pty.openpty()
    command = [sys.executable, "-m", "respid", "check", address_of(server), "--seconds", "0.5"]
    checked = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=end_of_process, text=True, check=True, env=clean_environment()
    )
    os.close(end_of_process)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert "drawing IDs" in shown
    assert "100%" in shown
    assert "all well" in checked.stdout


@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupt_ends_it_with_a_summary_and_a_second_one_without(server: RunningServer, signals: int) -> None:
    command = [sys.executable, "-m", "respid", "check", address_of(server), "--seconds", "600"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as checking:
        before = server.metric(IDS_GENERATED)
        wait_until(lambda: server.metric(IDS_GENERATED) > before + 10_000)
        if signals == 2:
            server.process.send_signal(signal.SIGSTOP)  # so that it waits for replies
        checking.send_signal(signal.SIGINT)
        while signals == 2 and checking.poll() is None:
            time.sleep(0.5)
            checking.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGCONT)
        stdout, stderr = checking.communicate(timeout=60)
    assert stderr.strip() == ""
    if signals == 2:
        assert (checking.returncode, stdout) == (130, "")
        return
    assert checking.returncode == 0
    *_, note, verdict = stdout.splitlines()
    assert re.fullmatch(r"note: IDs were drawn for \d+\.\d s, not for 600 s", note)
    assert verdict.startswith("all well: ")


def test_a_service_before_several_workers_is_one_address_with_all_of_them(
    server: RunningServer, second: RunningServer
) -> None:
    with proxy(server.port, second.port) as port:
        outcome = check(f"{HERE}:{port}", arguments="--connections 4")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    _, *rows, verdict = outcome.stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [[f"{HERE}:{port}", "1"], [f"{HERE}:{port}", "2"]]
    assert "IDs of 2 workers, each unique and in order" in verdict


def test_a_service_before_two_workers_with_one_worker_id_fails(
    server: RunningServer, start_server: StartServer
) -> None:
    twin = start_server(worker_id="1")
    with proxy(server.port, twin.port) as port:
        outcome = check(f"{HERE}:{port}", seconds=1.5, arguments="--connections 4")
    assert outcome.exit_code == 1
    assert f"respid: worker ID 1 is in use by two processes, both at {HERE}:{port}" in outcome.stderr


def test_documented_example_is_real(server: RunningServer, second: RunningServer) -> None:
    (example,) = [block for block in code_blocks("text", CHECK) if block.startswith("$ respid check")]
    _, *lines = example.splitlines()
    shown = check(address_of(server), address_of(second), arguments="--seconds 3").stdout
    assert shapes(shown.replace(HERE, "localhost").splitlines()) == shapes(lines)


def shapes(lines: list[str]) -> list[list[str]]:
    """The lines with all numbers alike, and the spaces before them."""
    return [re.sub(r" *[+-]?[\d,]*\d(\.\d+)?", " N", line.replace("  ", " ")).split() for line in lines]
