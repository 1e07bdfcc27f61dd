"""A clock that a test sets."""

from dataclasses import dataclass, field


@dataclass
class ScriptedClock:
    """The wall clock can be set to any time; the monotonic clock only advances."""

    wall: int = 1_767_225_600_000  # 2026-01-01, in ms
    monotonic: int = field(default=10**15)  # ns

    def boot_ns(self) -> int:
        return self.monotonic

    def wall_ns(self) -> int:
        return self.wall * 1_000_000

    def wall_ms(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    def pass_ms(self, milliseconds: float) -> None:
        """Advances both clocks."""
        self.wall += int(milliseconds)
        self.monotonic += int(milliseconds * 1_000_000)

    def step_ms(self, milliseconds: int) -> None:
        """Sets the wall clock forward or back; no time passes."""
        self.wall += milliseconds
