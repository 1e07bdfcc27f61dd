"""The parameters of a run, which every part gets: the cores, the number of rounds and their length."""

from dataclasses import dataclass

import click

from benchmarks.machine import Cores

LIMIT_PER_SECOND = 4_096_000  # of the default layout: 4,096 IDs per millisecond and worker


@dataclass(frozen=True)
class Plan:
    """The parameters of a run."""

    cores: Cores
    rounds: int
    scale: float  # factor applied to all lengths and sizes

    def say(self, text: str, *, ends: bool = True) -> None:
        """Reports progress on standard error."""
        click.echo(text, nl=ends, err=True)
