"""The memory and CPU time of the process."""

import resource
from types import SimpleNamespace

import pytest

from respid.monitoring.process_usage import read_process_usage


def test_peak_is_no_less_than_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    late = SimpleNamespace(ru_maxrss=1, ru_utime=2.0, ru_stime=3.0)  # the kernel updates the peak now and then only
    monkeypatch.setattr(resource, "getrusage", lambda _who: late)
    usage = read_process_usage()
    assert usage.peak_bytes >= usage.resident_bytes > 0
    assert (usage.cpu_user_seconds, usage.cpu_system_seconds) == (2.0, 3.0)
