"""Runs programs in a network of their own, with nothing but a loopback interface."""

import subprocess
import sys
from functools import cache

import pytest

from tests.support.environment import clean_environment
from tests.support.needed_tools import need_tool
from tests.support.running import WAIT_SECONDS

DUAL_STACK = "true"
IPV4_ONLY = "ip -6 address flush dev lo"
IPV6_ONLY = "ip -4 address flush dev lo"


def run_in_network(families: str, module: str, *arguments: str) -> str:
    """Runs a Python module in a network with these families, and returns its output. Skips the test if it cannot."""
    command = [*_unshare(), "sh", "-ec", f'ip link set lo up; {families}; exec "$@"', "sh"]
    program = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(
        [*command, *program],
        capture_output=True,
        text=True,
        timeout=2 * WAIT_SECONDS,
        check=False,
        env=clean_environment(),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@cache
def _unshare() -> list[str]:
    """A command that runs another one in a new network, as root or else in a new user namespace."""
    need_tool("ip")
    unshare = need_tool("unshare")
    for options in (["-n"], ["-rn"]):
        probe = [unshare, *options, "sh", "-ec", f"ip link set lo up; {IPV4_ONLY}; {IPV6_ONLY}"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return [unshare, *options]
    pytest.skip("this user cannot make a network namespace")
