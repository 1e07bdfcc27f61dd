"""`respid decode`."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.support.command_line import run_command_line, run_process
from tests.support.environment import clean_environment

AN_ID = "379216510486319104"


def test_prints_the_fields_of_ids() -> None:
    outcome = run_process("decode", AN_ID, "1", TZ="UTC-2")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == [
        AN_ID,
        "  time       2026-11-12T10:31:01.602Z  (local 2026-11-12 12:31:01.602+02:00)",
        "  worker ID  1",
        "  sequence   0",
        "1",
        "  time       2024-01-01T00:00:00.000Z  (local 2024-01-01 02:00:00.000+02:00)",
        "  worker ID  0",
        "  sequence   1",
    ]


def test_says_that_it_waits_for_the_terminal() -> None:
    terminal, stdin = pty.openpty()
    command = [sys.executable, "-m", "respid", "decode"]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.write(terminal, f"{AN_ID}\n\x04".encode())
        stdout, stderr = process.communicate()
    assert stdout.startswith(AN_ID)
    assert stderr == "reading standard input; end it with Ctrl-D\n"
    os.close(terminal)
    os.close(stdin)


@pytest.mark.parametrize(("arguments", "stdin"), [([AN_ID, "1"], ""), ([], f"{AN_ID}\n\n 1\n"), ([], f"{AN_ID} 1")])
def test_reads_arguments_or_standard_input(arguments: list[str], stdin: str) -> None:
    outcome = run_command_line("decode", "--json", *arguments, stdin=stdin)
    first, second = map(json.loads, outcome.stdout.splitlines())
    assert first == {
        "id": int(AN_ID),
        "id_string": AN_ID,
        "time": "2026-11-12T10:31:01.602Z",
        "timestamp_ms": 1_794_479_461_602,
        "worker_id": 1,
        "sequence": 0,
    }
    assert second["sequence"] == 1


def test_uses_the_layout_and_the_epoch() -> None:
    arguments = ["--layout", "41/4/8", "--epoch", "1000", str(5 << 12 | 3 << 8 | 7)]
    fields = json.loads(run_command_line("decode", "--json", *arguments).stdout)
    assert (fields["timestamp_ms"], fields["worker_id"], fields["sequence"]) == (1005, 3, 7)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["1", "x"], "'x' is not an ID"),
        (["-5"], "'-5' is not an ID"),
        (["--jsn", "5"], "No such option '--jsn'"),
        (["1_0"], "'1_0' is not an ID"),
        (["9" * 5000], "'" + "9" * 64 + "' is not an ID"),
        (["9223372036854775808"], "9223372036854775808 is not an ID"),
    ],
    ids=["letter", "negative", "option", "underscore", "5000 digits", "too large"],
)
def test_refuses_what_is_not_an_id(arguments: list[str], reason: str) -> None:
    outcome = run_command_line("decode", *arguments)
    assert outcome.exit_code == 2
    assert outcome.error_line.startswith(f"respid: {reason}")


def test_bad_lines_do_not_stop_the_others() -> None:
    outcome = run_command_line("decode", "--json", stdin=f"\"{AN_ID}\",\n-5\nx y\n'1'\n")
    assert outcome.exit_code == 1
    assert [json.loads(line)["id_string"] for line in outcome.stdout.splitlines()] == [AN_ID, "1"]
    assert [line.split(" is not")[0] for line in outcome.stderr.splitlines()] == [
        "respid: line 2: '-5'",
        "respid: line 3: 'x'",
        "respid: line 3: 'y'",
    ]


def test_bad_arguments_do_not_stop_the_others() -> None:
    outcome = run_command_line("decode", "--json", "x", f'"{AN_ID}"')
    assert (outcome.exit_code, json.loads(outcome.stdout)["id_string"]) == (2, AN_ID)


@pytest.mark.parametrize("column", ["2", "order id"])
def test_reads_a_column_of_csv(column: str) -> None:
    table = f'name,order id\n"Smith, J.","{AN_ID}"\nJones,\nMiller,oops\n'
    outcome = run_command_line("decode", "--json", "--column", column, stdin=table)
    assert json.loads(outcome.stdout)["id_string"] == AN_ID
    assert "respid: line 4: 'oops' is not an ID" in outcome.stderr
    assert outcome.exit_code == 1


def test_names_the_columns_there_are() -> None:
    outcome = run_command_line("decode", "--column", "id", stdin="name,order_id\n")
    assert outcome.exit_code == 2
    assert outcome.error_line.endswith("no column 'id' in the first line of standard input: name, order_id")


def test_columns_are_counted_from_one() -> None:
    outcome = run_command_line("decode", "--column", "0", stdin=f"{AN_ID}\n")
    assert outcome.exit_code == 2
    assert outcome.error_line.endswith("--column starts at 1")


@pytest.mark.parametrize("column", ["3", "²", "9" * 5000])
def test_refuses_a_missing_column(column: str) -> None:
    outcome = run_command_line("decode", "--column", column, stdin=f"name,order_id\nSmith,{AN_ID}\n")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert f"no column {column}" in outcome.error_line.replace("'", "")


def decode_bytes(stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """In a process whose standard input is strict about UTF-8, as with most locales."""
    command = [sys.executable, "-m", "respid", "decode", "--json", *arguments]
    environment = clean_environment() | {"PYTHONIOENCODING": "utf-8:strict"}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment)


def test_bytes_that_are_not_utf_8_do_not_stop_the_others() -> None:
    ended = decode_bytes(b"caf\xe9\n" + AN_ID.encode())
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["id_string"] == AN_ID
    assert ended.stderr.startswith(b"respid: line 1: 'caf")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["--column", "id"], ["--column", "1"], []])
def test_takes_the_byte_order_mark_of_a_spreadsheet(arguments: list[str]) -> None:
    table = f"id,name\n{AN_ID},Müller\n" if "id" in arguments else f"{AN_ID},\n"
    ended = decode_bytes(table.encode("utf-8-sig"), *arguments)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["id_string"] == AN_ID


@pytest.mark.parametrize("column", ["id", "1"])
def test_takes_carriage_returns_as_line_ends(column: str) -> None:
    table = f"id,note\r{AN_ID},a\r\n{AN_ID},b\rc\n" if column == "id" else f"{AN_ID},a\r{AN_ID},b\r"
    ended = decode_bytes(table.encode(), "--column", column)
    assert [json.loads(line)["id_string"] for line in ended.stdout.splitlines()] == [AN_ID] * 2, ended.stderr


def test_other_columns_may_hold_whole_documents() -> None:
    outcome = run_command_line("decode", "--json", "--column", "id", stdin=f"text,id\n{'x' * 200_000},{AN_ID}\n")
    assert (outcome.exit_code, json.loads(outcome.stdout)["id_string"]) == (0, AN_ID)


def test_decodes_a_time_that_has_no_local_date() -> None:
    outcome = run_command_line("decode", "--layout", "51/4/8", "--epoch", "0", str((1 << 63) - 1))
    assert outcome.exit_code == 0
    assert "out of range" in outcome.stdout
