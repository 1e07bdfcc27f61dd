"""benchmarks.machine changes the priority of processes for a measurement only."""

import os

import pytest

from benchmarks.machine import at_real_time_priority


def test_priority_is_restored_where_only_a_part_is_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    policies: dict[int, int] = {}

    def set_policy(thread: int, policy: int, _priority: os.sched_param) -> None:
        if thread and policy == os.SCHED_FIFO:
            raise PermissionError
        policies[thread] = policy

    monkeypatch.setattr(os, "sched_setscheduler", set_policy)
    with at_real_time_priority(os.getpid()):
        assert policies == {0: os.SCHED_FIFO}
    assert set(policies.values()) == {os.SCHED_OTHER}
