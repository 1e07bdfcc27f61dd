"""The start line's suggestion: it works as it is printed."""

import re
import shlex
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from respid.net.suggestion import status_page_url, suggest_command
from respid.worker.config import Config
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS, StartServer


def config(**settings: Any) -> Config:
    return Config(worker_id=1, worker_id_source="test", **settings)


@pytest.mark.parametrize(
    ("settings", "password_needed", "command"),
    [
        ({}, False, "redis-cli INCR orders"),
        ({"bind": ("*",), "port": 6380}, False, "redis-cli -p 6380 INCR orders"),
        ({"bind": ("10.0.0.5", "fd00::1")}, True, "redis-cli -h 10.0.0.5 --askpass INCR orders"),
        ({"bind": ("::1",), "username": "ann"}, True, "redis-cli -h ::1 --user ann --askpass INCR orders"),
        ({"bind": ("10.0.0.5", "127.0.0.1")}, False, "redis-cli INCR orders"),
        ({"bind": ("::",)}, False, "redis-cli -h ::1 INCR orders"),
        ({"port": 0, "tls_port": 6380}, False, "redis-cli -p 6380 --tls INCR orders"),
        ({"port": 0, "unix_socket": Path("/run/my respid")}, False, "redis-cli -s '/run/my respid' INCR orders"),
    ],
)
def test_command_fits_the_settings(settings: dict[str, Any], password_needed: bool, command: str) -> None:  # noqa: FBT001
    assert suggest_command(config(**settings), password_needed=password_needed) == command


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("*", "http://localhost:8080/"),
        ("0.0.0.0", "http://localhost:8080/"),
        ("fe80::1", "http://[fe80::1]:8080/"),
    ],
)
def test_url_fits_the_settings(bind: str, url: str) -> None:
    assert status_page_url(config(http_bind=(bind,))) == url


def test_start_line_ends_with_what_works(start_server: StartServer) -> None:
    redis_cli = need_tool("redis-cli")
    log = start_server().log
    match = re.search(r"; try: redis-cli (.+), (http://\S+)$", log, re.MULTILINE)
    assert match, log
    command, url = match.groups()
    printed = subprocess.run([redis_cli, *shlex.split(command)], capture_output=True, text=True, check=True).stdout
    assert printed.strip().isdigit()
    with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as response:
        assert b": ready" in response.read()
