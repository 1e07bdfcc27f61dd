"""The parameters of a run, which every part gets: the cores, the number of rounds and their length."""

from dataclasses import dataclass

import click

from benchmarks.machine import Cores

LIMIT_PER_SECOND = 4_096_000  # of the default layout: 4,096 IDs per millisecond and worker
LEAST_ROUNDS = 6  # with fewer, not even a range over all of them has a confidence of 95 %
ROUND_SECONDS = 0.12
SHORTER = 4  # times: a round of short pipelines, of which there are as many more
LONG_PIPELINE = 100  # requests: with shorter rounds, it would show how they begin and end


@dataclass(frozen=True)
class Plan:
    """The parameters of a run."""

    cores: Cores
    rounds: int
    scale: float  # factor applied to all lengths and sizes

    @property
    def is_long_enough(self) -> bool:
        """Whether its verdicts are worth publishing."""
        return self.scale == 1 and self.rounds >= LEAST_ROUNDS

    def rounds_of(self, depth: int) -> tuple[int, float]:
        """Returns the number of rounds for batches of so many requests, and the seconds that each takes."""
        shorter = SHORTER if depth < LONG_PIPELINE else 1
        return self.rounds * shorter, ROUND_SECONDS * self.scale / shorter

    def say(self, text: str, *, ends: bool = True) -> None:
        """Reports progress on standard error."""
        click.echo(text, nl=ends, err=True)
