"""Runs the examples of the documents, and compares the tables of docs/reference.md with the code."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support import documents
from tests.support.needed_tools import need_tool
from tests.support.running import RunningServer

ID = re.compile(r"\d{18,}")
TIME = re.compile(r"\b\d{13}\b|\d{4}-\d\d-\d\dT[\d:.]+Z")


def conversations(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


CONSOLE = [
    conversation
    for page in (documents.README, documents.REFERENCE, documents.TIME_RANGES)
    for block in documents.code_blocks("console", page)
    for conversation in conversations(block)
]


def without_ids_and_times(text: str) -> str:
    return TIME.sub("TIME", ID.sub("ID", text))


@pytest.mark.parametrize(("command", "output"), [each for each in CONSOLE if each[0].startswith("redis-cli")])
def test_redis_cli_session_is_real(server: RunningServer, command: str, output: str) -> None:
    redis_cli = need_tool("redis-cli")
    _, *arguments = shlex.split(command)
    printed = subprocess.run(
        [redis_cli, "-p", str(server.port), "--no-raw", *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert without_ids_and_times(printed) == without_ids_and_times(output)
    if any(name in command for name in ("ID.DECODE", "ID.MIN", "ID.MAX")):
        assert printed == output


@pytest.mark.parametrize(("command", "output"), [each for each in CONSOLE if each[0].startswith("respid")])
def test_command_line_examples_are_real(command: str, output: str) -> None:
    _, *arguments = command.split()
    run = [sys.executable, "-m", "respid", *arguments]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, env={"TZ": "UTC"}).stdout
    assert printed == output


def test_python_example_runs(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = server.client()
    monkeypatch.setattr(redis, "Redis", lambda **_: client)
    for code in documents.code_blocks("python"):
        exec(code, {})


def test_two_commands_are_executable() -> None:
    commands = documents.code_blocks("sh")[0].splitlines()
    assert [command.split()[0] for command in commands] == ["scripts/serve", "scripts/test"]
    for command in commands:
        assert (documents.ROOT / command.split()[0]).stat().st_mode & 0o111


def test_tables_are_generated() -> None:
    text = documents.REFERENCE.read_text()
    assert text == documents.with_tables(text), "run .venv/bin/python -m tests.support.documents"


PAGES = [*documents.ROOT.glob("*.md"), *(documents.ROOT / "docs").glob("*.md"), documents.ROOT / "helm-chart/README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(documents.ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), target


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_event_is_explained() -> None:
    page = (documents.ROOT / "docs" / "operations.md").read_text()
    section = page.partition("## Reading the log\n")[2].partition("\n## ")[0]
    sources = "".join(path.read_text() for path in (documents.ROOT / "respid").rglob("*.py"))
    logged = set(re.findall(r'"event": "(\w+)"', sources))
    assert logged <= set(re.findall(r"`(\w+)`", section))
    assert len(logged) > 40, "the sources write events in another way"


def test_reasons_in_troubleshooting_are_real() -> None:
    page = (documents.ROOT / "docs" / "troubleshooting.md").read_text()
    table = page.partition("| reason | what to do |\n")[2].partition("\n\n")[0]
    reasons = [reason for row in table.splitlines()[1:] for reason in re.findall(r"`(.+?)`", row.split(" | ")[0])]
    messages = [message for path in (documents.ROOT / "respid").rglob("*.py") for message in string_texts(path)]
    assert len(reasons) > 5, "the table has another heading"
    for reason in reasons:
        pattern = re.compile(".*".join(map(re.escape, reason.split("…"))))
        assert any(map(pattern.match, messages)), reason


def string_texts(path: Path) -> Iterator[str]:
    """The strings in a module, with … for each replacement field."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)


def test_readme_is_short() -> None:
    assert len(documents.README.read_text().splitlines()) <= 130
