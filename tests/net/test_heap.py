"""Memory that has been freed does not stay with the process."""

import ctypes
import os
from pathlib import Path

import pytest

from respid.net.heap import trim_heap

BLOCK_BYTES = 100_000  # less than what the C library takes from the system by itself


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_free_memory_between_used_memory_is_returned() -> None:
    blocks = [b"x" * BLOCK_BYTES for _ in range(1_000)]
    used = blocks[::10]
    del blocks
    before = resident_bytes()
    trim_heap()
    assert before - resident_bytes() > 500 * BLOCK_BYTES
    assert used
