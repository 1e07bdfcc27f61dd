"""`respid serve`: turns options and environment variables into a Config, and runs the server."""

import gc
import itertools
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from respid import BUILD_DATE
from respid.cli.options import parse_layout
from respid.cli.serve_options import serve_settings
from respid.cli.variables import describe_unknown, find_ignored_settings, find_unknown
from respid.cli.worker_id import WorkerId, WorkerIdError, find_worker_id
from respid.ids.clock import SystemClock
from respid.ids.generator import max_sequence_reset
from respid.ids.layout import Layout
from respid.ids.timestamp import format_timestamp, parse_timestamp_ms
from respid.net.address import ALL
from respid.worker.config import Config

PASSWORD_VARIABLE = "RESPID_PASSWORD"
LEAST_EPOCH_MS = 100_000_000_000  # as a number, apart from 0; ISO 8601 can name a time before this one of 1973
_log = logging.getLogger(__name__)


@click.command("serve", short_help="Serve IDs over the Redis protocol.")
@serve_settings
@click.pass_context
def serve(context: click.Context, /, unknown_variables: str, **settings: Any) -> None:
    """Serve IDs over the Redis protocol, and metrics and health checks over HTTP.

    RESPID_PASSWORD sets a password that clients must send with AUTH or HELLO, in addition to those in the password
    file. It has no option, because other users can see the arguments of a process.
    """
    gc.disable()  # imports leave hardly any garbage, but collections would take a tenth of their time
    from respid.cli.log import set_up_log  # noqa: PLC0415 - decode and healthcheck start faster without these

    set_up_log(settings["log_format"], settings["log_level"])  # before what can fail
    from respid.highwater.stores import StoreError  # noqa: PLC0415
    from respid.net.bind import StartError  # noqa: PLC0415
    from respid.server import serve as serve_config  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    known = known_variables(context.command)
    unknown = [describe_unknown(name, known) for name in find_unknown(os.environ, known)]
    if unknown and unknown_variables == "refuse":
        raise click.UsageError(
            f"unknown environment variable {', '.join(unknown)}: unset it, or set RESPID_UNKNOWN_VARIABLES=warn"
        )
    config = make_config(settings, os.environ, socket.gethostname())
    set_up_log(config.log_format, config.log_level, config.worker_id)
    _warn(config, unknown, find_ignored_settings(os.environ, known))
    try:
        serve_config(config)
    except (StartError, StoreError) as error:
        raise click.ClickException(str(error)) from None


def _warn(config: Config, unknown: list[str], ignored: list[str]) -> None:
    for name in unknown:
        _log.warning("ignored unknown environment variable %s", name, extra={"event": "variable_unknown"})
    for name in ignored:
        message = "ignored %s=%s: it is set by Kubernetes for a Service"
        _log.warning(message, name, os.environ[name], extra={"event": "service_link_ignored"})
    if config.worker_id_source == "hostname":
        _log.warning(
            "worker ID %d is derived from the hostname; set --worker-id to make it explicit",
            config.worker_id,
            extra={"event": "worker_id_from_hostname"},
        )


def known_variables(command: click.Command) -> set[str]:
    """The RESPID_* variables, and WORKER_ID, that the command reads."""
    known = {PASSWORD_VARIABLE}
    for option in command.params:
        known.update([option.envvar] if isinstance(option.envvar, str) else option.envvar or ())
    return known


def make_config(settings: Mapping[str, Any], environment: Mapping[str, str], hostname: str) -> Config:
    """Builds the Config from the options' values, each of which fills the field of its name, and the environment.

    Raises click.UsageError.
    """
    fields = dict(settings)
    layout = parse_layout(fields.pop("layout"), fields.pop("epoch"))
    _refuse_mistaken_epoch(settings["epoch"], layout.epoch_ms)
    _refuse_unusable(layout, settings["start_above"])
    worker_id = _find_worker_id(fields.pop("worker_id"), fields.pop("worker_id_offset"), layout, environment, hostname)
    if fields["store"] == "file":
        fields["state_dir"] = _absolute(fields["state_dir"] or _user_state_dir())  # as messages should name it
    config = Config(
        worker_id=worker_id.number,
        worker_id_source=worker_id.source,
        layout=layout,
        pod_name=environment.get("POD_NAME") or hostname,
        pod_uid=environment.get("POD_UID", ""),
        password=environment.get(PASSWORD_VARIABLE, ""),
        **fields,
    )
    _refuse_contradictions(config)
    return config


def _refuse_mistaken_epoch(epoch: str, epoch_ms: int) -> None:
    """Raises click.UsageError for a year, a date or Unix seconds: an epoch cannot be corrected once it has IDs."""
    if epoch.isdigit() and 0 < epoch_ms < LEAST_EPOCH_MS:
        raise click.UsageError(
            f"epoch {epoch} would be {format_timestamp(epoch_ms)}: write a date, such as 2024-01-31, or Unix"
            " milliseconds"
        )


def _refuse_unusable(layout: Layout, start_above: int | None) -> None:
    """Raises click.UsageError if the layout cannot be used, or has no ID above `start_above`."""
    try:
        if start_above is not None:
            layout.refuse_no_id_above(start_above)
        layout.refuse_unusable(parse_timestamp_ms(BUILD_DATE), SystemClock().wall_ms())
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _find_worker_id(
    explicit: str | None, offset: int, layout: Layout, environment: Mapping[str, str], hostname: str
) -> WorkerId:
    try:
        return find_worker_id(explicit, environment, hostname, offset=offset, workers=layout.workers)
    except WorkerIdError as error:
        raise click.UsageError(str(error)) from None


def _user_state_dir() -> Path:
    import platformdirs  # noqa: PLC0415 - a twentieth of the start-up time, and not needed with --state-dir

    try:
        return platformdirs.user_state_path("respid")
    except RuntimeError:  # a user that is not in /etc/passwd and has no HOME
        raise click.UsageError("this user has no home directory to keep the state in: set --state-dir") from None


def _absolute(state_dir: Path) -> Path:
    try:
        return state_dir.absolute()
    except FileNotFoundError:
        raise click.UsageError(f"--state-dir {state_dir} is in the current directory, which was removed") from None


def _refuse_contradictions(config: Config) -> None:
    """Raises click.UsageError if settings conflict."""
    if not (config.port or config.tls_port or config.unix_socket):
        raise click.UsageError("--port 0 leaves no listener: set --tls-port or --unix-socket")
    _refuse_equal_ports(config)
    _refuse_tls(config)
    if config.reuse_port:
        _refuse_shared_port(config)
    if not is_user_name(config.username):
        raise click.UsageError(f"--username {config.username!r} contains white space, or characters that are not text")
    if config.password.isspace():
        raise click.UsageError("RESPID_PASSWORD contains nothing but white space")
    if not {"\n", "\r"}.isdisjoint(config.password):  # of a file that was made with echo: clients would have to send it
        raise click.UsageError("RESPID_PASSWORD contains a line break: remove it, or set RESPID_PASSWORD_FILE")
    if config.username and not (config.password or config.password_file):
        raise click.UsageError("--username needs a password: set RESPID_PASSWORD_FILE or RESPID_PASSWORD")
    _refuse_numbers(config)


def _refuse_equal_ports(config: Config) -> None:
    """Raises click.UsageError if two of the server's own listeners would have the same address."""
    ports = {"--port": config.port, "--tls-port": config.tls_port}
    if ALL in (*config.bind, *config.http_bind) or not set(config.bind).isdisjoint(config.http_bind):
        ports["--http-port"] = config.http_port
    for (option, port), (other, other_port) in itertools.combinations(ports.items(), 2):
        if port and port == other_port:
            raise click.UsageError(f"{option} and {other} are both {port}: choose another port for one of them")


def _refuse_tls(config: Config) -> None:
    """Raises click.UsageError if settings of TLS conflict or lack something."""
    if config.tls_port and not (config.tls_cert_file and config.tls_key_file):
        raise click.UsageError("--tls-port needs --tls-cert-file and --tls-key-file")
    tls_files = (config.tls_cert_file, config.tls_key_file, config.tls_ca_cert_file, config.tls_crl_file)
    if not config.tls_port and any(tls_files):
        raise click.UsageError("TLS files without a TLS port: set --tls-port, or remove --tls-*-file")
    if config.tls_auth_clients != "no" and not config.tls_ca_cert_file:
        raise click.UsageError(f"--tls-auth-clients {config.tls_auth_clients} needs --tls-ca-cert-file")
    if config.tls_crl_file and config.tls_auth_clients == "no":
        raise click.UsageError("--tls-crl-file without --tls-auth-clients: no client certificate is verified")
    if config.tls_client_names and config.tls_auth_clients != "yes":
        raise click.UsageError("--tls-client-names needs --tls-auth-clients yes, or clients without a name get in")


def _refuse_shared_port(config: Config) -> None:
    """Raises click.UsageError if two workers with one worker ID could share a port unnoticed."""
    if sys.platform != "linux":
        raise click.UsageError("--reuse-port needs Linux: other systems do not spread the connections")
    if config.store == "none":
        raise click.UsageError(
            "--reuse-port needs a store: without one, nothing keeps the IDs of a restarted worker apart from its former"
            " ones"
        )


def is_user_name(text: str) -> bool:
    """Whether CLIENT LIST can show it: it is UTF-8, printable and has no spaces. True for an empty text."""
    return text.isprintable() and " " not in text


def _refuse_numbers(config: Config) -> None:
    largest = max_sequence_reset(config.layout)
    if config.sequence_reset is not None and config.sequence_reset > largest:
        raise click.UsageError(
            f"--sequence-reset {config.sequence_reset} is above {largest}, the most for layout {config.layout.widths}"
        )
    has_own_reserve = config.store == "lease" or config.reserve_seconds is not None
    if has_own_reserve and config.reserve_ms > config.max_clock_lead_seconds * 500:
        raise click.UsageError(
            f"--reserve {config.reserve_ms / 1000:g} is more than half of --max-clock-lead"
            f" {config.max_clock_lead_seconds:g}: a restarted worker could be too far ahead of its clock; reduce"
            " --reserve or increase --max-clock-lead"
        )
