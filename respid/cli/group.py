"""`respid` and its commands."""

import click

from respid import __version__
from respid.cli.bounds import max_command, min_command
from respid.cli.check import check
from respid.cli.decode import decode
from respid.cli.healthcheck import healthcheck
from respid.cli.serve import serve
from respid.cli.status import status

FORMER_NAMES = {"requirepass-file": "password-file"}  # of options, without the dashes: still accepted


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
        "token_normalize_func": lambda name: FORMER_NAMES.get(name, name),
    }
)
@click.version_option(__version__, prog_name="respid")
def respid() -> None:
    """Unique, time-ordered 64-bit IDs for any Redis client: INCR returns a Snowflake ID.

    Without a command, `respid` runs `respid serve`.
    """


for command in (serve, decode, min_command, max_command, check, status, healthcheck):
    respid.add_command(command)
