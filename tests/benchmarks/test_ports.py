"""Ports for servers that are about to be started."""

import contextlib
import subprocess
import sys

from benchmarks.ports import PORTS

SHOW_PORTS = """
import random, sys
random.seed(1)
from benchmarks.ports import free_port
print(free_port(), free_port(), flush=True)
sys.stdin.read()
"""


def test_no_process_gets_the_ports_of_another() -> None:
    """Even if chance would have it so: a server may listen on its port only seconds after it was chosen."""
    with contextlib.ExitStack() as stack:
        shown: list[str] = []
        for _ in range(2):
            program = [sys.executable, "-c", SHOW_PORTS]
            process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            assert process.stdout
            shown += process.stdout.readline().split()
        ports = set(map(int, shown))
    assert len(ports) == len(shown) == 4
    assert ports <= set(PORTS)
