"""`respid min` and `respid max`."""

import json

import pytest

from tests.support.command_line import run_command_line, run_process

FIRST_OF_2024 = 0
LAST_OF_FIRST_DAY = (86_400_000 << 22) - 1


def test_min_and_max_enclose_a_day() -> None:
    first, last = run_process("min", "2024-01-01"), run_process("max", "2024-01-01")
    assert (first.exit_code, first.stdout) == (0, f"{FIRST_OF_2024}\n")
    assert (last.exit_code, last.stdout) == (0, f"{LAST_OF_FIRST_DAY}\n")


def test_uses_the_layout_and_the_epoch() -> None:
    outcome = run_command_line("max", "--layout", "41/4/8", "--epoch", "1000", "1001")
    assert outcome.stdout == f"{(2 << 12) - 1}\n"


def test_json_has_the_id_as_a_string() -> None:
    outcome = run_command_line("max", "--json", "2024-01-01")
    assert json.loads(outcome.stdout) == {
        "time": "2024-01-01",
        "id": LAST_OF_FIRST_DAY,
        "id_string": str(LAST_OF_FIRST_DAY),
    }


def test_reads_lines_of_standard_input() -> None:
    outcome = run_command_line("min", stdin='2024-01-01 00:00\n"2024-01-01T00:00:00Z"\n\nyesterday\n2020-01-01\n')
    assert (outcome.exit_code, outcome.stdout) == (1, "0\n0\n")
    no_time, too_early = outcome.stderr.splitlines()
    assert (
        no_time
        == "respid: line 4: 'yesterday' is neither Unix milliseconds nor an ISO 8601 time, such as 2026-01-31T12:00Z"
    )
    assert too_early.startswith("respid: line 5: '2020-01-01' is 2020-01-01T00:00:00.000Z; the layout's IDs are from ")


def test_reads_a_column_of_csv() -> None:
    outcome = run_command_line("min", "--column", "at", stdin="id,at\n7,2024-01-01\n8,2024-01-01T00:00Z\n")
    assert (outcome.exit_code, outcome.stdout) == (0, "0\n0\n")


@pytest.mark.parametrize("time", ["-1", "x"])
def test_refuses_other_times(time: str) -> None:
    outcome = run_command_line("max", time)
    assert outcome.exit_code == 2
    assert outcome.error_line.startswith(f"respid: '{time}' is ")
