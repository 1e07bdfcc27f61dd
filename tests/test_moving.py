"""The commands of docs/moving.md that need no cluster: servers that start above the IDs of another system."""

import re
from pathlib import Path

import pytest

from tests.support.command_line import run_command_line
from tests.support.documents import ROOT, code_blocks
from tests.support.running import StartServer

LAST_COUNT = "12000000"


def commands(name: str) -> list[str]:
    """The arguments of the page's commands of this name. Stands for a value that the reader has to find: LAST_COUNT."""
    blocks = "".join(code_blocks("sh", ROOT / "docs" / "moving.md"))
    found = re.findall(rf"^respid {name} ([^#…\n]*)", blocks, re.MULTILINE)
    return [arguments.replace("VALUE", LAST_COUNT) for arguments in found]


@pytest.mark.parametrize("arguments", commands("serve"))
def test_first_id_is_above_all_of_the_old_system(start_server: StartServer, tmp_path: Path, arguments: str) -> None:
    server = start_server(*arguments.replace("/var/lib/respid", str(tmp_path)).split())
    above = int(arguments.partition("--start-above ")[2].split()[0])
    assert server.client().incr("orders") > above


@pytest.mark.parametrize("arguments", commands("decode"))
def test_id_of_the_old_system_is_in_the_past(arguments: str) -> None:
    decoded = run_command_line("decode", *arguments.split())
    assert "2022-06-28T16:07:40.105Z" in decoded.stdout


def test_page_has_three_migrations() -> None:
    assert len(commands("serve")) == 3
    assert run_command_line("decode", LAST_COUNT).stdout.splitlines()[1].split()[1] == "2024-01-01T00:00:00.002Z"
