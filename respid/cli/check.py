"""`respid check`: the verifier, with its options, its progress bar and its exit code."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from respid.cli.options import READABLE_FILE, Seconds, setting
from respid.worker.credentials import read_passwords

if TYPE_CHECKING:
    import ssl


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, where an IPv6 address stands in brackets. Raises click.BadParameter."""
    match = re.fullmatch(r"(?:\[([^\s\[\]]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65535:  # noqa: PLR2004 - the greatest port
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT, such as localhost:6379.")
    return match[1] or match[2], int(match[3])


@click.command("check")
@click.argument("addresses", nargs=-1, required=True, type=parse_address, metavar="HOST:PORT...")
@click.option(
    "--seconds", type=Seconds(min_open=True), default=10, show_default=True, help="Seconds for which IDs are drawn."
)
@click.option(
    "--connections", type=click.IntRange(1), default=10, show_default=True, help="Connections to each address."
)
@click.option(
    "--max-clock-difference",
    type=Seconds(),
    default=1,
    show_default=True,
    help="Seconds by which the workers' clocks may differ.",
)
@click.option("--tls", is_flag=True, help="Connect with TLS.")
@click.option(
    "--tls-ca-cert-file",
    type=READABLE_FILE,
    show_default="those of this system",
    help="Certificates of those who may issue the workers' (PEM).",
)
@click.option(
    "--tls-cert-file", type=READABLE_FILE, show_default="none", help="A certificate and its key, to be shown (PEM)."
)
@setting(
    "--requirepass-file",
    "File whose first line is the password of the workers.",
    variable="RESPID_PASSWORD_FILE",
    type=READABLE_FILE,
    show_default="no password",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
def check(
    addresses: tuple[tuple[str, int], ...],
    *,
    seconds: float,
    connections: int,
    max_clock_difference: float,
    tls: bool,
    tls_ca_cert_file: Path | None,
    tls_cert_file: Path | None,
    requirepass_file: Path | None,
    as_json: bool,
) -> None:
    """Draw IDs from all workers at once, and verify what respid promises.

    Name every worker: each ID must be unique, of its worker, and above those received before; the workers must have
    one layout, worker IDs of their own, and clocks that agree. Exit 0 if all is well, else 1, and a line for each thing
    that is not. Ctrl-C ends it early, with the summary. RESPID_PASSWORD is another way to tell the workers' password.
    """
    import asyncio  # noqa: PLC0415 - only this command needs it
    import signal  # noqa: PLC0415

    from respid.check import Address, Check, Plan, Report  # noqa: PLC0415

    distinct = tuple(Address(*address) for address in dict.fromkeys(addresses))
    context = _make_tls_context(tls_ca_cert_file, tls_cert_file) if tls else None
    run = Check(Plan(distinct, seconds, connections, _find_password(requirepass_file), context))

    async def run_or_stop(on_progress: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_signal_handler(signal.SIGINT)  # a second one ends it without a summary
            run.stop()

        loop.add_signal_handler(signal.SIGINT, stop)
        await run.run(on_progress)

    with _progress_bar(seconds) as on_progress:
        asyncio.run(run_or_stop(on_progress))
    report = Report(run, max_clock_difference)
    summary = [json.dumps(report.as_json())] if as_json else [*report.table(), *report.notes()]
    for line in summary:
        click.echo(line)
    for failure in report.failures:
        click.echo(f"respid: {failure}", err=True)
    if not as_json:
        click.echo(report.verdict())
    sys.exit(1 if report.failures else 0)


def _find_password(path: Path | None) -> str:
    """The first of the file, else the variable's. Raises click.UsageError."""
    if path is None:
        return os.environ.get("RESPID_PASSWORD", "")
    try:
        return os.fsdecode(read_passwords(path.read_bytes())[0])
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _make_tls_context(ca_cert_file: Path | None, cert_file: Path | None) -> "ssl.SSLContext":
    """Raises click.UsageError."""
    import ssl  # noqa: PLC0415 - only this command needs it

    try:
        context = ssl.create_default_context(cafile=ca_cert_file)
        if cert_file:
            context.load_cert_chain(cert_file)
    except OSError as error:
        files = " and ".join(str(path) for path in (ca_cert_file, cert_file) if path)
        raise click.UsageError(f"{files}: {error.strerror or error}") from None
    return context


@contextlib.contextmanager
def _progress_bar(seconds: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error for those who watch; called with the seconds that have passed."""
    if not sys.stderr.isatty():
        yield lambda _passed: None
        return
    steps = 1000
    with click.progressbar(length=steps, label="drawing IDs", show_eta=False, file=sys.stderr) as bar:
        yield lambda passed: bar.update(round(steps * passed / seconds) - bar.pos)
