"""The list of planted bugs, and how one is added to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.simulation.events import Event
from tests.simulation.faults import FAULTS, Fault

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]


@dataclass(frozen=True)
class PlantedBug:
    """A bug, the stores that can have it, and the faults that bring it to light soon."""

    bug: Bug
    stores: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        return self.bug.__name__


ALL: list[PlantedBug] = []


def _register(*stores: str) -> Callable[..., Callable[[Bug], Bug]]:
    """A decorator for bugs in these stores. It may be given events, where others would seldom help to find the bug."""

    def register(*events: Event) -> Callable[[Bug], Bug]:
        def add(bug: Bug) -> Bug:
            ALL.append(PlantedBug(bug, stores, (Fault(events),) if events else FAULTS))
            return bug

        return add

    return register


in_any_store = _register("file", "lease")
in_the_file_store = _register("file")
in_the_lease_store = _register("lease")


async def do_nothing(*_: Any) -> None:
    """In place of what should happen."""
