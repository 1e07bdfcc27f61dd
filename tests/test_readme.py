"""What README.md says is so: its examples are run, and its tables are those of the code."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support import readme
from tests.support.needed_tools import need_tool
from tests.support.running import RunningServer

ID = re.compile(r"\d{18,}")
TIME = re.compile(r"\b\d{13}\b|\d{4}-\d\d-\d\dT[\d:.]+Z")


def conversations(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


CONSOLE = [conversation for block in readme.code_blocks("console") for conversation in conversations(block)]


def without_ids_and_times(text: str) -> str:
    return TIME.sub("TIME", ID.sub("ID", text))


@pytest.mark.parametrize(("command", "output"), [each for each in CONSOLE if each[0].startswith("redis-cli")])
def test_the_session_with_redis_cli_is_real(server: RunningServer, command: str, output: str) -> None:
    redis_cli = need_tool("redis-cli")
    _, *arguments = shlex.split(command)
    printed = subprocess.run(
        [redis_cli, "-p", str(server.port), "--no-raw", *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert without_ids_and_times(printed) == without_ids_and_times(output)
    if "ID.DECODE" in command or "ID.MIN" in command:
        assert printed == output


@pytest.mark.parametrize(("command", "output"), [each for each in CONSOLE if each[0].startswith("respid")])
def test_the_examples_of_the_command_line_are_real(command: str, output: str) -> None:
    _, *arguments = command.split()
    run = [sys.executable, "-m", "respid", *arguments]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, env={"TZ": "UTC"}).stdout
    assert printed == output


def test_the_example_in_python_runs(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = server.client()
    monkeypatch.setattr(redis, "Redis", lambda **_: client)
    for code in readme.code_blocks("python"):
        exec(code, {})


def test_the_two_commands_exist_and_are_executable() -> None:
    commands = readme.code_blocks("sh")[0].splitlines()
    assert [command.split()[0] for command in commands] == ["scripts/serve", "scripts/test"]
    for command in commands:
        assert (readme.PATH.parent / command.split()[0]).stat().st_mode & 0o111


def test_the_tables_are_those_of_the_code() -> None:
    text = readme.PATH.read_text()
    assert text == readme.with_tables(text), "run .venv/bin/python tests/readme.py"


def test_the_places_that_are_linked_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme.PATH.read_text()):
        assert target.startswith("https://") or (readme.PATH.parent / Path(target)).exists()
