"""The entry point: runs the command line, turns its errors into messages and exit codes, and logs why it failed.

Imports almost nothing at the top, so that Ctrl-C is handled before the slower imports.
"""

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from respid.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WRONG_USE

if TYPE_CHECKING:
    from types import CodeType

    import click


def main() -> None:
    """Runs the command line. Every error is one line."""
    # Until the command handles Ctrl-C itself. A KeyboardInterrupt could be lost in an import, or become another error.
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(EXIT_INTERRUPTED))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # scripts/serve blocks it while Python starts
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    """Returns the exit code."""
    import click  # noqa: PLC0415 - after Ctrl-C is handled

    from respid.cli.group import respid  # noqa: PLC0415

    _open_standard_files()
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["serve", *arguments]
    try:
        exit_code = respid.main(arguments, prog_name="respid", standalone_mode=False)
    except click.UsageError as error:
        if command := respid.commands.get(arguments[0]):
            _set_up_log(command, arguments[1:])
        _report_failure(error.format_message())
        return EXIT_WRONG_USE
    except click.ClickException as error:
        _report_failure(error.format_message())
        return EXIT_FAILED
    except click.Abort:  # Ctrl-C, after an event loop has restored Python's own handler
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a full disk, or a defect, which is reported with its traceback
        if isinstance(error, OSError) and _innermost_code(error) is click.echo.__code__:
            _report_failure(f"cannot write to standard output: {error.strerror}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python 3.11.2 writes the rest at exit, and fails again
        else:
            _report_failure(f"internal error (please report it): {type(error).__name__}: {error}", error)
        return EXIT_FAILED
    return exit_code if isinstance(exit_code, int) else 0  # of click.exceptions.Exit


def _open_standard_files() -> None:
    """Opens descriptors 0 to 2 if they are closed: libuv aborts the process if a socket gets one of these numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(descriptor)


def _set_up_log(command: "click.Command", arguments: list[str]) -> None:
    """Sets up the log of a command with wrong options, in the format that the others ask for."""
    from respid.cli.log import set_up_log  # noqa: PLC0415 - few commands need it

    context = command.make_context(
        command.name, arguments, ignore_unknown_options=True, allow_extra_args=True, resilient_parsing=True
    )
    if log_format := context.params.get("log_format"):
        set_up_log(log_format, "info")


def _innermost_code(error: BaseException) -> "CodeType | None":
    """The function in which the error was raised."""
    import traceback  # noqa: PLC0415 - only for an error

    frames = list(traceback.walk_tb(error.__traceback__))
    return frames[-1][0].f_code if frames else None


def _report_failure(message: str, defect: Exception | None = None) -> None:
    """Logs why the process fails if the log is JSON or there is a traceback, and prints it unless the log is JSON."""
    from respid.cli.log import is_json_log, log_failure  # noqa: PLC0415

    if is_json_log() or defect:
        log_failure(message, defect)
    if not is_json_log():
        _print(message)


def _print(message: str) -> None:
    import click  # noqa: PLC0415

    with contextlib.suppress(OSError):  # standard error is broken; the exit code still shows the failure
        click.echo("respid: " + " ".join(message.splitlines()), err=True)
