"""What every part of a run is told: where, how often, how long."""

from dataclasses import dataclass

import click

from benchmarks.machine import Cores

LIMIT_PER_SECOND = 4_096_000  # of the default layout: 4,096 IDs a millisecond and worker


@dataclass(frozen=True)
class Plan:
    """A run."""

    cores: Cores
    rounds: int
    scale: float  # a factor on the length of everything

    def say(self, text: str, *, ends: bool = True) -> None:
        """Progress, on standard error."""
        click.echo(text, nl=ends, err=True)
