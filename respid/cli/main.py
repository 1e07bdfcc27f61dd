"""The command line: arguments and environment to settings, and exit codes.

The exit codes: 0 done, or stopped when asked; 1 failed; 2 wrong use.
"""

import contextlib
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from respid import __version__
from respid.cli.options import (
    READABLE_FILE,
    Seconds,
    client_settings,
    limit_settings,
    listener_settings,
    refuse_contradictions,
    setting,
)
from respid.cli.worker_id import WorkerIdError, find_worker_id
from respid.ids.clock import SystemClock
from respid.ids.layout import DEFAULT_EPOCH_MS, Layout
from respid.ids.timestamp import format_timestamp, parse_timestamp_ms
from respid.worker.config import Config
from respid.worker.credentials import read_passwords

if TYPE_CHECKING:
    import ssl

EXIT_FAILED = 1
EXIT_WRONG_USE = 2


def layout_settings(command: Callable[..., Any]) -> Any:
    epoch = setting(
        "--epoch",
        "Zero of the timestamps: ISO 8601, or Unix milliseconds.",
        default=format_timestamp(DEFAULT_EPOCH_MS),
        show_default=True,
    )
    layout = setting(
        "--layout",
        "Bits of timestamp, worker ID and sequence; 53 in all for JavaScript.",
        default="41/10/12",
        show_default=True,
    )
    return epoch(layout(command))


def parse_layout(layout: str, epoch: str) -> Layout:
    """The layout of two settings. Raises click.UsageError."""
    try:
        epoch_ms = parse_timestamp_ms(epoch)
    except ValueError as error:
        raise click.UsageError(f"epoch {error}") from None
    try:
        return Layout.parse(layout, epoch_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="respid")
def respid() -> None:
    """Unique, time-ordered 64-bit IDs for any Redis client: INCR returns a Snowflake ID.

    Without a command, respid serves.
    """


@respid.command("serve")
@setting(
    "--worker-id",
    "This worker's ID; else the N of POD_NAME or of the hostname, name-N.",
    variable="WORKER_ID",
    show_default="that N",
)
@setting(
    "--worker-id-offset",
    "Added to the worker ID, to keep releases, zones or clusters apart.",
    type=click.IntRange(0),
    default=0,
    show_default=True,
)
@listener_settings
@setting("--http-bind", "Address of the HTTP listener.", default="127.0.0.1", show_default=True)
@setting("--http-port", "Port of the HTTP listener.", type=click.IntRange(1, 65535), default=8080, show_default=True)
@layout_settings
@setting(
    "--sequence-reset",
    "Below this a new millisecond carries the sequence on.",
    type=click.IntRange(1),
    show_default="256, or a sixteenth of the sequence",
)
@setting(
    "--store",
    "Where the high-water mark is kept.",
    type=click.Choice(["file", "lease", "none"]),
    default="file",
    show_default=True,
)
@setting(
    "--state-dir",
    "Directory of the file store.",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="the user's state directory",
)
@setting(
    "--state-dir-exclusive",
    "No other worker ID uses the state directory: refuse to start if it has another one's mark. Set by the Helm chart.",
    is_flag=True,
    default=False,
)
@setting(
    "--lease-id-space",
    "Worker IDs are kept apart within it: part of the names of the lease store's Leases.",
    default="default",
    show_default=True,
)
@setting(
    "--reserve",
    "Seconds that the lease store's reservations reach ahead: how long an outage of the API server may last.",
    type=Seconds(1),
    default=300,
    show_default=True,
)
@setting(
    "--accept-layout-change",
    "Start on the mark of another layout or epoch, if all new IDs lie above its IDs.",
    is_flag=True,
    default=False,
)
@setting(
    "--max-clock-lead",
    "Seconds that IDs may lead a wall clock that was set back; beyond, none are issued.",
    type=Seconds(),
    default=600,
    show_default=True,
)
@setting(
    "--clock-jump-confirm",
    "Seconds that a wall clock set forward by more than that lead must last before it is followed.",
    type=Seconds(0),
    default=10,
    show_default=True,
)
@client_settings
@limit_settings
@setting(
    "--drain-delay",
    "Seconds to go on serving after SIGTERM, while load balancers take note.",
    type=Seconds(),
    default=0,
    show_default=True,
)
@setting(
    "--log-format",
    "One line an event, as text or JSON.",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
)
@setting(
    "--log-level",
    "The least that is logged.",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.pass_context
def serve(context: click.Context, /, **settings: Any) -> None:
    """Serve IDs over the Redis protocol, and metrics and health over HTTP.

    RESPID_PASSWORD sets a password that clients must give by AUTH or HELLO, beside those of the password file; it is
    no option, since the arguments of a process are no secret.
    """
    from respid.cli.log import set_up_log  # noqa: PLC0415 - decode and healthcheck start faster without the server
    from respid.highwater.stores import StoreError  # noqa: PLC0415
    from respid.net.listeners import StartError  # noqa: PLC0415
    from respid.server import serve as serve_config  # noqa: PLC0415

    if context.get_parameter_source("worker_id") is ParameterSource.ENVIRONMENT:
        settings["worker_id"] = None  # it is looked for there again, and named as what it comes from
    config = make_config(settings, os.environ, socket.gethostname())
    set_up_log(config.log_format, config.log_level)
    log = logging.getLogger(__name__)
    for ignored in context.obj or ():
        log.warning("%s", ignored)
    if config.worker_id_source == "hostname":
        log.warning("worker ID %d is taken from the hostname: set --worker-id to be sure of it", config.worker_id)
    try:
        serve_config(config)
    except (StartError, StoreError) as error:
        raise click.ClickException(str(error)) from None


def make_config(settings: Mapping[str, Any], environment: Mapping[str, str], hostname: str) -> Config:
    """The settings of a server from the options' values. Raises click.UsageError."""
    layout = parse_layout(settings["layout"], settings["epoch"])
    try:
        layout.refuse_unusable(SystemClock().wall_ms())
        worker_id, source = find_worker_id(
            settings["worker_id"], environment, hostname, offset=settings["worker_id_offset"], workers=layout.workers
        )
    except (ValueError, WorkerIdError) as error:
        raise click.UsageError(str(error)) from None
    sequence_reset = settings["sequence_reset"]
    if sequence_reset is not None and sequence_reset > layout.sequence_size:
        raise click.UsageError(
            f"--sequence-reset {sequence_reset} is above {layout.sequence_size}, the sequence of {layout.widths}"
        )
    reserve, max_clock_lead = settings["reserve"], settings["max_clock_lead"]
    if settings["store"] == "lease" and reserve * 2 > max_clock_lead:
        raise click.UsageError(
            f"--reserve {reserve:g} is more than half of --max-clock-lead {max_clock_lead:g}: a worker that starts"
            " again could lead its clock by too much; lower the one or raise the other"
        )
    password = environment.get("RESPID_PASSWORD", "")
    refuse_contradictions(settings, has_password=bool(password or settings["requirepass_file"]))
    return Config(
        worker_id=worker_id,
        worker_id_source=source,
        layout=layout,
        sequence_reset=sequence_reset,
        max_clock_lead_seconds=settings["max_clock_lead"],
        clock_jump_confirm_seconds=settings["clock_jump_confirm"],
        accept_layout_change=settings["accept_layout_change"],
        store=settings["store"],
        state_dir=settings["state_dir"] or (_default_state_dir() if settings["store"] == "file" else Path()),
        state_dir_exclusive=settings["state_dir_exclusive"],
        lease_id_space=settings["lease_id_space"],
        reserve_seconds=settings["reserve"],
        pod_name=environment.get("POD_NAME") or hostname,
        pod_uid=environment.get("POD_UID", ""),
        bind=settings["bind"],
        port=settings["port"],
        unix_socket=settings["unix_socket"],
        unix_socket_mode=settings["unix_socket_mode"],
        tls_port=settings["tls_port"],
        tls_cert_file=settings["tls_cert_file"] or Path(),
        tls_key_file=settings["tls_key_file"] or Path(),
        tls_ca_cert_file=settings["tls_ca_cert_file"],
        tls_auth_clients=settings["tls_auth_clients"],
        http_bind=settings["http_bind"],
        http_port=settings["http_port"],
        password=password,
        password_file=settings["requirepass_file"],
        username=settings["username"] or "",
        max_clients=settings["max_clients"],
        max_request_bytes=settings["max_request_bytes"],
        max_arguments=settings["max_arguments"],
        max_inline_bytes=settings["max_inline_bytes"],
        max_queued_commands=settings["max_queued_commands"],
        idle_timeout_seconds=settings["idle_timeout"],
        max_connection_age_seconds=settings["max_connection_age"],
        max_connection_age_clients=settings["max_connection_age_clients"],
        tcp_keepalive_seconds=settings["tcp_keepalive"],
        drain_delay_seconds=settings["drain_delay"],
        log_format=settings["log_format"],
        log_level=settings["log_level"],
    )


@respid.command("decode")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@layout_settings
def decode(ids: tuple[str, ...], *, as_json: bool, layout: str, epoch: str) -> None:
    """Show what IDs say: time, worker ID, sequence. Without an argument they are read from standard input."""
    parsed_layout = parse_layout(layout, epoch)
    for word in ids or (word for line in sys.stdin or () for word in line.split()):
        try:
            parts = parsed_layout.decompose(_parse_id(word))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if as_json:
            fields = {"id": int(word), "time": format_timestamp(parts.timestamp_ms), **parts._asdict()}
            click.echo(json.dumps(fields))
        else:
            click.echo(f"{word}")
            click.echo(
                f"  time       {format_timestamp(parts.timestamp_ms)}  (local {_local_time(parts.timestamp_ms)})"
            )
            click.echo(f"  worker ID  {parts.worker_id}")
            click.echo(f"  sequence   {parts.sequence}")


def _local_time(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that a calendar date cannot hold
        return "out of range"
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _parse_id(word: str) -> int:
    if not re.fullmatch("[0-9]{1,20}", word):  # int() takes 1_0 as well
        raise ValueError(f"{word[:64]!r} is not an ID: a number of 1 to 20 digits")
    return int(word)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, where an IPv6 address stands in brackets. Raises click.BadParameter."""
    match = re.fullmatch(r"(?:\[([^\s\[\]]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65535:  # noqa: PLR2004 - the greatest port
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT, such as localhost:6379.")
    return match[1] or match[2], int(match[3])


def _default_state_dir() -> Path:
    """Raises click.UsageError."""
    import platformdirs  # noqa: PLC0415 - it takes a twentieth of the start, and is not needed where the chart sets it

    try:
        return platformdirs.user_state_path("respid")
    except RuntimeError:  # a user without an entry and without HOME
        raise click.UsageError("this user has no home directory for the state: set --state-dir") from None


@respid.command("check")
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
    sys.exit(EXIT_FAILED if report.failures else 0)


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


@respid.command("healthcheck")
@setting("--http-bind", "Address of the HTTP listener.", default="127.0.0.1", show_default=True)
@setting("--http-port", "Port of the HTTP listener.", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--timeout", type=Seconds(min_open=True), default=2, show_default=True, help="Seconds to wait.")
def healthcheck(http_bind: str, http_port: int, timeout: float) -> None:
    """Exit 0 if the server on this machine can issue an ID now, else 1 with the reason."""
    import http.client  # noqa: PLC0415 - only this command needs it

    any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a listener is reached from here
    host = any_address.get(http_bind, http_bind)
    try:
        with contextlib.closing(http.client.HTTPConnection(host, http_port, timeout=timeout)) as connection:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body = response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise click.ClickException(
            f"no answer from {http_bind}:{http_port}: {str(error) or type(error).__name__}"
        ) from None
    if response.status != http.client.OK:
        raise click.ClickException(f"not ready: {body}")
    click.echo("ready")


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
