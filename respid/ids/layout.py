"""The layout of an ID's bits: epoch, widths, composing and decomposing. It reads no clock."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from respid.ids.timestamp import format_timestamp

DEFAULT_EPOCH_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
MAX_BITS = 63  # a Redis integer is a signed 64-bit number
YEAR_MS = 365 * 24 * 3600 * 1000


class IdParts(NamedTuple):
    """The parts of an ID: its time in Unix milliseconds, the worker ID, and the sequence within the millisecond."""

    timestamp_ms: int
    worker_id: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The widths of an ID's fields, most significant first, and the epoch that its timestamps count from.

    >>> Layout().fingerprint
    '41/10/12@1704067200000'

    Raises ValueError if a width is too small, the widths add up to more than 63 bits, or the epoch is before 1970.
    """

    timestamp_bits: int = 41
    worker_bits: int = 10
    sequence_bits: int = 12
    epoch_ms: int = DEFAULT_EPOCH_MS

    def __post_init__(self) -> None:
        bits = self.timestamp_bits + self.worker_bits + self.sequence_bits
        if self.timestamp_bits < 1 or self.worker_bits < 0 or self.sequence_bits < 1:
            raise ValueError(f"layout {self.widths}: the timestamp and the sequence need at least one bit each")
        if bits > MAX_BITS:
            raise ValueError(
                f"layout {self.widths} has {bits} bits; at most {MAX_BITS} fit into a signed 64-bit integer"
            )
        if self.epoch_ms < 0:
            raise ValueError(f"epoch {self.epoch_ms} is before 1970-01-01T00:00:00Z")

    @classmethod
    def parse(cls, widths: str, epoch_ms: int = DEFAULT_EPOCH_MS) -> "Layout":
        """The layout of `timestamp/worker/sequence` bits, such as 41/10/12. Raises ValueError for any other text."""
        match = re.fullmatch(r"(\d{1,3})/(\d{1,3})/(\d{1,3})", widths, re.ASCII)
        if match is None:
            raise ValueError(f"layout {widths!r} is not of the form timestamp/worker/sequence bits, such as 41/10/12")
        timestamp_bits, worker_bits, sequence_bits = map(int, match.groups())
        return cls(timestamp_bits, worker_bits, sequence_bits, epoch_ms)

    @classmethod
    def parse_fingerprint(cls, fingerprint: str) -> "Layout":
        """The layout with this fingerprint. Raises ValueError if it is not a fingerprint."""
        widths, _, epoch_ms = fingerprint.partition("@")
        if not epoch_ms.isascii() or not epoch_ms.isdigit():
            raise ValueError(f"{fingerprint!r} is not the fingerprint of a layout, such as 41/10/12@1704067200000")
        return cls.parse(widths, int(epoch_ms))

    @property
    def widths(self) -> str:
        return f"{self.timestamp_bits}/{self.worker_bits}/{self.sequence_bits}"

    @property
    def fingerprint(self) -> str:
        """Names the layout. IDs of layouts with different fingerprints must not be mixed."""
        return f"{self.widths}@{self.epoch_ms}"

    @property
    def workers(self) -> int:
        """The number of worker IDs, which start at 0."""
        return 1 << self.worker_bits

    @property
    def sequence_size(self) -> int:
        """The number of IDs that one worker can issue in one millisecond."""
        return 1 << self.sequence_bits

    @property
    def timestamp_shift(self) -> int:
        return self.worker_bits + self.sequence_bits

    @property
    def end_ms(self) -> int:
        """The first Unix millisecond that is too late for the timestamp bits."""
        return self.epoch_ms + (1 << self.timestamp_bits)

    def compose(self, timestamp_ms: int, worker_id: int, sequence: int) -> int:
        """The ID of these parts. Does not check that they are in range."""
        return (timestamp_ms - self.epoch_ms) << self.timestamp_shift | worker_id << self.sequence_bits | sequence

    def decompose(self, identifier: int) -> IdParts:
        """The parts of an ID. Raises ValueError if the number is not an ID of this layout."""
        if not 0 <= identifier < 1 << (self.timestamp_bits + self.timestamp_shift):
            raise ValueError(f"{identifier} is not an ID of the layout {self.widths}")
        return IdParts(
            (identifier >> self.timestamp_shift) + self.epoch_ms,
            identifier >> self.sequence_bits & (self.workers - 1),
            identifier & (self.sequence_size - 1),
        )

    def least_id(self, timestamp_ms: int) -> int:
        """The least ID that any worker can issue in this Unix millisecond. Raises ValueError if it is out of range."""
        if not self.epoch_ms <= timestamp_ms < self.end_ms:
            span = f"{format_timestamp(self.epoch_ms)} to {format_timestamp(self.end_ms - 1)}"
            raise ValueError(f"{timestamp_ms} ms is outside the range of the layout, {span}")
        return self.compose(timestamp_ms, 0, 0)

    def first_above(self, identifier: int) -> int:
        """The first Unix millisecond whose IDs are all greater than this number, which can be an ID of any layout."""
        return max(self.epoch_ms, self.epoch_ms + (identifier >> self.timestamp_shift) + 1)

    def refuse_above(self, identifier: int, now_ms: int, lead_limit_ms: int) -> None:
        """Raises ValueError if IDs above this number would be too far ahead of the clock, or there are none."""
        self.refuse_no_id_above(identifier)
        ahead_ms = self.first_above(identifier) - now_ms
        if ahead_ms <= lead_limit_ms:
            return
        latest_epoch_ms = now_ms - 1 - (identifier >> self.timestamp_shift)
        epoch = (
            f"--epoch to {format_timestamp(latest_epoch_ms)} or earlier" if latest_epoch_ms >= 0 else "another layout"
        )
        raise ValueError(
            f"IDs greater than {identifier} are those of {format_timestamp(self.first_above(identifier))} and later,"
            f" {ahead_ms / 1000:.0f} s ahead of the clock, more than the {lead_limit_ms / 1000:g} s of max clock lead:"
            f" set the clock if it is wrong, raise --max-clock-lead, or set {epoch}"
        )

    def refuse_no_id_above(self, identifier: int) -> None:
        """Raises ValueError if this number is not an ID of the layout, nor any of its IDs greater."""
        if self.first_above(identifier) >= self.end_ms:
            raise ValueError(f"no ID of layout {self.widths} is greater than {identifier}: use more bits")

    def greatest_id(self, timestamp_ms: int) -> int:
        """The greatest ID that any worker can issue in this Unix millisecond. Raises ValueError like `least_id`."""
        return self.least_id(timestamp_ms) | ((1 << self.timestamp_shift) - 1)

    def refuse_unusable(self, released_ms: int, now_ms: int) -> None:
        """Raises ValueError if the epoch is after the program's release, or the layout ends within a year.

        The wall clock may be wrong, so it condemns no layout alone: one that it shows to have ended is let through.
        """
        if released_ms < self.epoch_ms:
            raise ValueError(
                f"epoch {format_timestamp(self.epoch_ms)} is in the future: the latest that this release takes is"
                f" {format_timestamp(released_ms)}"
            )
        if released_ms + YEAR_MS >= self.end_ms or now_ms < self.end_ms <= now_ms + YEAR_MS:
            raise ValueError(
                f"layout {self.widths} with epoch {format_timestamp(self.epoch_ms)} ends within a year,"
                f" {format_timestamp(self.end_ms)}: choose more timestamp bits or a later epoch"
            )
