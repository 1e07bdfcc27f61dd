"""SCAN, of which the cursor is checked although no key is stored."""

import pytest

from tests.support.command_client import CommandClient
from tests.support.cpu_time import least_seconds


@pytest.mark.parametrize("cursor", ["0", "00", "0" * 5000, str(2**64 - 1), "0" * 5000 + str(2**64 - 1)])
def test_cursor_ends_the_scan(client: CommandClient, cursor: str) -> None:
    assert client.tell(f"SCAN {cursor}") == b"*2\r\n$1\r\n0\r\n*0\r\n"


@pytest.mark.parametrize("cursor", ["x", "-1", "+1", "1x", "0x", str(2**64), "1" + "0" * 5000, "\u0661"])
def test_cursor_is_no_number_of_64_bits(client: CommandClient, cursor: str) -> None:
    assert client.tell(f"SCAN {cursor}") == b"-ERR invalid cursor\r\n"


def test_no_cursor_is_slow(client: CommandClient) -> None:
    request = f"SCAN {'0' * 500_000}x"
    assert client.tell(request).startswith(b"-ERR")
    (seconds,) = least_seconds(lambda: client.tell(request))
    assert seconds < 0.05
