"""`respid check`: the verifier, with its options, its progress bar and its exit code."""

import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from respid.cli.options import READABLE_FILE, Seconds, combine, setting
from respid.worker.credentials import read_passwords

if TYPE_CHECKING:
    import ssl

    from respid.check import Check, Report

MAX_ID = (1 << 63) - 1


def parse_address(text: str) -> tuple[str, int]:
    """Returns the host and the port of HOST:PORT. An IPv6 address is in brackets. Raises click.BadParameter."""
    match = re.fullmatch(r"(?:\[([^\s\[\]]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65535:  # noqa: PLR2004 - the highest port
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT, such as localhost:6379.")
    return match[1] or match[2], int(match[3])


tls_options = combine(
    click.option("--tls", is_flag=True, help="Connect with TLS."),
    click.option(
        "--tls-ca-cert-file",
        type=READABLE_FILE,
        show_default="the system's CA certificates",
        help="CA certificates used to verify the workers' certificates (PEM).",
    ),
    click.option(
        "--tls-cert-file",
        type=READABLE_FILE,
        show_default="none",
        help="Client certificate chain (PEM). May include the private key.",
    ),
    click.option(
        "--tls-key-file",
        type=READABLE_FILE,
        show_default="the certificate's file",
        help="Private key of the client certificate (PEM, not encrypted).",
    ),
)


@click.command("check")
@click.argument("addresses", nargs=-1, required=True, type=parse_address, metavar="HOST:PORT...")
@click.option("--seconds", type=Seconds(min_open=True), default=10, show_default=True, help="Seconds to draw IDs for.")
@click.option(
    "--connections",
    type=click.IntRange(1),
    metavar="N",
    default=10,
    show_default=True,
    help="Connections to each address.",
)
@click.option(
    "--max-clock-difference",
    type=Seconds(),
    default=1,
    show_default=True,
    help="Seconds by which the workers' clocks may differ.",
)
@click.option(
    "--rate",
    type=click.IntRange(1),
    metavar="N",
    show_default="no limit",
    help="Draw at most this many IDs per second in total, to check workers in production gently.",
)
@click.option(
    "--above",
    type=click.IntRange(0, MAX_ID),
    metavar="ID",
    show_default="none",
    help="Fail if any ID is not greater than this one, such as the result of SELECT max(id).",
)
@tls_options
@setting(
    "--password-file",
    "File with the workers' password in its first line.",
    type=READABLE_FILE,
    show_default="none",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def check(
    addresses: tuple[tuple[str, int], ...],
    *,
    seconds: float,
    connections: int,
    max_clock_difference: float,
    rate: int | None,
    above: int | None,
    tls: bool,
    tls_ca_cert_file: Path | None,
    tls_cert_file: Path | None,
    tls_key_file: Path | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Draw IDs from all workers at once and verify respid's guarantees.

    Name every worker. Each ID must be unique, carry the worker ID of its worker, and be greater than the IDs received
    before it. All workers must have the same layout, different worker IDs, and clocks that agree.

    Exits 0 if every check passes, otherwise 1 with one line per failure. Ctrl-C ends the check early, with a summary.
    The password can also be set in RESPID_PASSWORD.
    """
    from respid.check import Address, Check, Plan, Report  # noqa: PLC0415 - asyncio, which only this command needs

    distinct = tuple(Address(*address) for address in dict.fromkeys(addresses))
    context = _make_tls_context(tls_ca_cert_file, tls_cert_file, tls_key_file) if tls else None
    password = _find_password(password_file)
    run = Check(Plan(distinct, seconds, connections, password, context, rate or math.inf, above))
    _run_or_stop(run)
    report = Report(run, max_clock_difference)
    _print_report(report, as_json=as_json)
    sys.exit(1 if report.failures else 0)


def _run_or_stop(run: "Check") -> None:
    """Runs the check until its time is over or Ctrl-C stops it."""
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415

    async def run_with_signal(on_progress: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C ends it without a summary
            run.stop()

        loop.add_signal_handler(signal.SIGINT, stop)
        await run.run(on_progress)

    with _progress_bar(run.plan.seconds) as on_progress:
        asyncio.run(run_with_signal(on_progress))


def _print_report(report: "Report", *, as_json: bool) -> None:
    for line in [json.dumps(report.as_json())] if as_json else [*report.table(), *report.notes()]:
        click.echo(line)
    for failure in report.failures:
        click.echo(f"respid: {failure}", err=True)
    if not as_json:
        click.echo(report.verdict())


def _find_password(path: Path | None) -> str:
    """Returns the first password of the file, or else the variable's. Raises click.UsageError."""
    if path is None:
        return os.environ.get("RESPID_PASSWORD", "")
    try:
        return os.fsdecode(read_passwords(path.read_bytes())[0])
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _make_tls_context(ca_cert_file: Path | None, cert_file: Path | None, key_file: Path | None) -> "ssl.SSLContext":
    """Raises click.UsageError."""
    import ssl  # noqa: PLC0415 - only this command needs it

    if key_file and not cert_file:
        raise click.UsageError("--tls-key-file needs --tls-cert-file")
    try:
        context = ssl.create_default_context(cafile=ca_cert_file)
        if cert_file:
            context.load_cert_chain(cert_file, key_file, _refuse_encrypted_key)
    except (OSError, ValueError) as error:
        files = " and ".join(str(path) for path in (ca_cert_file, cert_file, key_file) if path)
        raise click.UsageError(f"{files}: {getattr(error, 'strerror', None) or error}") from None
    return context


def _refuse_encrypted_key() -> str:
    """Without it, the library would ask for the passphrase at the terminal."""
    raise ValueError("the key is encrypted: decrypt it, and protect it with the permissions of its file")


@contextlib.contextmanager
def _progress_bar(seconds: float) -> Iterator[Callable[[float], None]]:
    """Shows a bar if standard error is a terminal. Yields a function that takes the seconds that have passed."""
    if not sys.stderr.isatty():
        yield lambda _passed: None
        return
    steps = 1000
    with click.progressbar(length=steps, label="drawing IDs", show_eta=False, file=sys.stderr) as bar:
        yield lambda passed: bar.update(round(steps * passed / seconds) - bar.pos)
