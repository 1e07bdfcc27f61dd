"""`respid serve`: from options and environment to the settings of a server, and the server."""

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from respid.cli.options import (
    Seconds,
    client_settings,
    layout_settings,
    limit_settings,
    listener_settings,
    parse_layout,
    refuse_contradictions,
    setting,
)
from respid.cli.worker_id import WorkerIdError, find_worker_id
from respid.ids.clock import SystemClock
from respid.worker.config import Config


@click.command("serve")
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
        lease_id_space=settings["lease_id_space"],
        reserve_seconds=settings["reserve"],
        pod_name=environment.get("POD_NAME") or hostname,
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


def _default_state_dir() -> Path:
    """Raises click.UsageError."""
    import platformdirs  # noqa: PLC0415 - it takes a twentieth of the start, and is not needed where the chart sets it

    try:
        return platformdirs.user_state_path("respid")
    except RuntimeError:  # a user without an entry and without HOME
        raise click.UsageError("this user has no home directory for the state: set --state-dir") from None
