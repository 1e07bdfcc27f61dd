"""The command line: the group of commands, and the exit codes.

The exit codes: 0 done, or stopped when asked; 1 failed; 2 wrong use.
"""

import contextlib
import logging
import os
import sys
from typing import NoReturn

import click

from respid import __version__
from respid.cli.check import check
from respid.cli.decode import decode
from respid.cli.healthcheck import healthcheck
from respid.cli.serve import serve

EXIT_FAILED = 1
EXIT_WRONG_USE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="respid")
def respid() -> None:
    """Unique, time-ordered 64-bit IDs for any Redis client: INCR returns a Snowflake ID.

    Without a command, respid serves.
    """


for command in (serve, decode, check, healthcheck):
    respid.add_command(command)


def main() -> NoReturn:
    """Runs the command line; every error is one line."""
    _open_standard_files()
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["serve", *arguments]
    try:
        respid.main(arguments, prog_name="respid", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), EXIT_WRONG_USE if isinstance(error, click.UsageError) else EXIT_FAILED)
    except click.Abort:
        sys.exit(EXIT_FAILED)
    except Exception as error:
        # A defect of respid: where it happened is for those who look for it.
        logging.getLogger(__name__).debug("this is a defect of respid", exc_info=True)
        _fail(f"{type(error).__name__}: {error} (respid serve --log-level debug shows where)", EXIT_FAILED)
    sys.exit(0)


def _open_standard_files() -> None:
    """Opens what of descriptors 0 to 2 is closed: libuv ends the process when a socket becomes one of them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(descriptor)


def _fail(message: str, exit_code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # the exit code tells it, too
        click.echo("respid: " + " ".join(message.splitlines()), err=True)
    sys.exit(exit_code)
