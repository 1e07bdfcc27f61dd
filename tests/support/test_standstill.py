"""A process notices that it stood still."""

import signal
import subprocess
import sys
import time

from tests.support.standstill import STANDSTILL_SECONDS

PROGRAM = """
from tests.support.standstill import Standstills
with Standstills() as standstills:
    before = standstills.count()
    print("ready", flush=True)
    input()
    print(standstills.count() > before)
"""


def test_stop_is_noticed() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2 * STANDSTILL_SECONDS)
        process.send_signal(signal.SIGCONT)
        assert process.communicate("\n")[0] == "True\n"
