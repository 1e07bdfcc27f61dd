"""A short run from the command line, and the parts of a run."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__, against, connections, cut, deceptive, drivers, short_replies, streams, transports
from benchmarks.against import has_changed
from benchmarks.load import Load
from benchmarks.machine import Cores
from benchmarks.plan import LEAST_ROUNDS, Plan
from benchmarks.results import Measured, Table, at_most
from benchmarks.rounds import estimate
from benchmarks.servers import Transport, redis_with_tls, running_redis, running_respid
from tests.clients.drivers import all_drivers
from tests.support.environment import clean_environment
from tests.support.needed_tools import need_strace, need_tool

ROOT = Path(__file__).parent.parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    environment = clean_environment(measured=False)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_partial_run_writes_only_its_output(tmp_path: Path) -> None:
    published = (ROOT / "docs" / "benchmarks.md").read_text()
    output = tmp_path / "page.md"
    done = bench("--only", "bulk,cut", "--rounds", "1", "--scale", "0.002", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert output.read_text() == done.stdout
    assert "`ID.RANGE 8192` | CPU, share of a core |" in done.stdout
    assert "| respid | 500 |" in done.stdout
    assert "[1/2] cut" in done.stderr
    assert list(tmp_path.iterdir()) == [output]
    assert (ROOT / "docs" / "benchmarks.md").read_text() == published


@pytest.mark.parametrize(
    ("options", "replaced"),
    [
        (["--rounds", str(LEAST_ROUNDS)], True),
        (["--rounds", str(LEAST_ROUNDS - 1)], False),
        (["--scale", "0.5"], False),
        (["--only", "bulk"], False),
    ],
)
def test_only_a_whole_run_of_enough_rounds_replaces_the_page(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replaced: bool
) -> None:
    need_tool("openssl")
    monkeypatch.setattr(__main__, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(__main__, "run", lambda *_: ([], []))
    ran = CliRunner().invoke(__main__.bench, options, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "benchmarks.md").exists() is replaced
    assert ("too short" in ran.output) is (not replaced and "--only" not in options)


def test_unknown_part_is_refused() -> None:
    done = bench("--only", "bulk,nonsense")
    assert done.returncode == 2
    assert (
        "unknown part nonsense: choose from pipelines, streams, short-replies, drivers, tls, unix, connections, cut"
        in done.stderr
    )


@pytest.mark.parametrize("depth", cut.DEPTHS)
def test_pieces_have_segment_size_and_cut_frames(depth: int) -> None:
    for [batch] in itertools.islice(Load("INCR", "random", depth).batches().series, 9):
        pieces = cut.pieces(batch)
        assert b"".join(pieces) == batch
        assert len(pieces) > 1
        assert {len(piece) for piece in itertools.islice(pieces, len(pieces) - 1)} == {1448}
        assert bytes(batch).count(b"INCR") == depth
        assert bytes(pieces[1][:2]) != b"*2"


def test_streams_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream, by respid and by Redis."""
    monkeypatch.setattr(streams, "DEPTHS", (16,))
    throughput, cpu, _ = streams.measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    assert [row.labels[0] for row in throughput.rows] == [row.labels[0] for row in cpu.rows] == list(streams.STREAMS)
    assert _cores_per_row(throughput) == {2}


def test_long_pipelines_of_blocks_have_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "DEPTHS", (16, 100))
    stream = streams.STREAMS["INCRBY 100"]
    monkeypatch.setattr(streams, "STREAMS", {"INCR": streams.STREAMS["INCR"], "INCRBY 100": stream})
    *_, blocks = streams.measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    assert [(row.labels[1], row.target) for row in blocks.rows] == [("16", None), ("100", at_most(2))]


def test_short_replies_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream, by respid, the stripped server and Redis."""
    monkeypatch.setattr(short_replies, "DEPTHS", (1, 16))
    throughput, cpu, long = short_replies.measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    names = list(short_replies.SHORT_REPLIES)
    assert [row.labels[0] for row in throughput.rows] == [row.labels[0] for row in long.rows] == names
    assert [row.labels for row in cpu.rows if row.target] == [(name, "16") for name in names]
    assert _cores_per_row(throughput) == {2}


def _cores_per_row(table: Table) -> set[int]:
    """A server that is not full, because the sender is, hides the difference between the two."""
    return {sum(" %" in shown for shown in row.inputs) for row in table.rows}


def test_deceptive_streams_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream, by respid with and without its fast path."""
    monkeypatch.setattr(deceptive, "DEPTHS", (16,))
    [table] = deceptive.measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    assert [row.labels[0] for row in table.rows] == list(deceptive.DECEPTIVE)
    assert "for 8 rounds of 0.6 ms each" in table.text


@pytest.mark.parametrize("measure", [transports.measure_tls, transports.measure_unix], ids=["tls", "unix"])
def test_other_transports_are_measured(measure: Callable[[Plan], Measured], monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("redis-server", "openssl"):
        need_tool(program)
    monkeypatch.setattr(transports, "CASES", [Load("INCR", "fixed", 16)])
    [table] = measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    assert [row.labels for row in table.rows] == [("fixed", "16")]


@pytest.mark.parametrize("transports_with", [transports.tls, transports.unix_socket], ids=["tls", "unix"])
def test_redis_is_ready_once_it_listens_for_the_benchmark(
    transports_with: Callable[[Path], tuple[Transport, Transport]], tmp_path: Path
) -> None:
    """It listens on TCP first. Here each listener takes a while."""
    for program in ("redis-server", "openssl"):
        need_tool(program)
    delayed = tmp_path / "redis-server"
    tracing = f"{need_strace()} -D -f -qq -o {os.devnull} -e trace=listen -e inject=listen:delay_enter=300000"
    delayed.write_text(f'#!/bin/sh\nexec {tracing} {redis_with_tls()} "$@"\n')
    delayed.chmod(0o755)
    _, theirs = transports_with(tmp_path)
    core = Cores.of_this_process().server
    with running_redis(core, str(delayed), theirs) as redis, redis.connect() as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"


def test_busy_and_idle_connections_are_as_many_as_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = Transport(("--max-clients", "60"), ("--maxclients", "60"))
    monkeypatch.setattr(connections, "running_respid", partial(running_respid, transport=limited))
    monkeypatch.setattr(connections, "running_redis", partial(running_redis, transport=limited))
    for name, value in {"MOST": 60, "FEW": 5, "MANY": 20}.items():
        monkeypatch.setattr(connections, name, value)
    _, kept = connections.measure(Plan(Cores.of_this_process(), rounds=1, scale=1)).tables
    assert [row.labels for row in kept.rows] == [(name, depth) for name in ("respid", "Redis") for depth in ("1", "16")]


def test_comparison_has_enough_rounds_for_its_confidence() -> None:
    assert 2 / 2**against.LEAST_ROUNDS <= against.DOUBT < 4 / 2**against.LEAST_ROUNDS


def test_revisions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(against, "cases", lambda _: [("INCR", 1), ("the same, cut", 100)])
    plan = Plan(Cores.of_this_process(), rounds=1, scale=0.02)
    assert [row.labels for row in against.measure(plan, "HEAD").rows] == [("INCR", "1"), ("the same, cut", "100")]
    with pytest.raises(subprocess.CalledProcessError):
        against.measure(plan, "no-such-revision")


@pytest.mark.parametrize(
    ("ratios", "changed"),
    [
        ([1.0, 1.02, 0.97, 1.01, 0.99] * 3, False),
        ([0.5, 0.52, 0.48, 0.5, 0.51] * 3, True),
        ([1.1] * 14 + [0.3], True),  # one round was disturbed
        ([1.1] * 13 + [0.3, 0.9], False),
        ([1.02] * 15, False),  # as two processes of the same code
    ],
)
def test_change_exceeds_noise(ratios: list[float], *, changed: bool) -> None:
    assert has_changed(estimate(ratios, against.DOUBT)) is changed


def test_pipelines_and_transactions_of_drivers_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one driver, and without one that cannot be installed here."""
    monkeypatch.setattr(drivers, "DRIVERS", ("redis-py", "phpredis"))
    php = next(driver for driver in all_drivers() if driver.name == "phpredis")
    python = next(driver for driver in all_drivers() if driver.name == "redis-py")
    missing = replace(php, language=replace(php.language, tools=("no-such-program",)))
    monkeypatch.setattr(drivers, "all_drivers", lambda: [python, missing])
    monkeypatch.setattr(drivers, "SIZES", (10,))
    [table] = drivers.measure(Plan(Cores.of_this_process(), rounds=1, scale=0.02)).tables
    assert [row.labels for row in table.rows] == [("redis-py", "pipelines", "10"), ("redis-py", "transactions", "10")]
    assert "in 1 rounds of 2 ms" in table.text


def test_driver_that_fails_ends_the_run_with_a_reason() -> None:
    with (
        pytest.raises(RuntimeError, match=r"redis-py: .*nonsense"),
        running_respid(Cores.of_this_process().server) as server,
        drivers.driving("redis-py", server) as sender,
    ):
        sender.sends("nonsense", 10)
