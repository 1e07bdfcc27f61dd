"""What a setting is: an option with its environment variable; and the settings of who may come in, and with how much.

The command line turns their values into a Config, and refuses those that do not fit together.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from respid.ids.layout import DEFAULT_EPOCH_MS, Layout
from respid.ids.timestamp import format_timestamp, parse_timestamp_ms

# For a Service named respid Kubernetes puts RESPID_PORT=tcp://10.96.0.7:6379 into every pod of its namespace:
# https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
SERVICE_LINK = "tcp://"


MOST_SECONDS = 1_000_000_000  # 31 years


class Seconds(click.FloatRange):
    """A span of time: 0 or more, and neither "nan", which no bound refuses, nor more than timers can hold."""

    def __init__(self, least: float = 0, *, min_open: bool = False) -> None:
        super().__init__(least, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds) or seconds > MOST_SECONDS:
            self.fail(f"{value} is not a number of seconds up to {MOST_SECONDS:,}.", param, ctx)
        return seconds


class Setting(click.Option):
    """An option with an environment variable, in which an empty value and a Kubernetes service link count as unset."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        if value is not None and value.startswith(SERVICE_LINK):
            ctx.ensure_object(list).append(
                f"{self.envvar}={value} ignored: it is a Kubernetes service link, not a setting"
            )
            return None
        return value


def setting(name: str, help_text: str, *, variable: str | None = None, **attributes: Any) -> Callable[..., Any]:
    variable = variable or "RESPID_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, cls=Setting, envvar=variable, show_envvar=True, help=help_text, **attributes)


def combine(*settings: Callable[..., Any]) -> Callable[..., Any]:
    """One decorator for several, shown in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(settings):
            command = each(command)
        return command

    return decorate


READABLE_FILE = click.Path(dir_okay=False, path_type=Path)

client_settings = combine(
    setting(
        "--requirepass-file",
        "File of the passwords that clients may give, one a line; read again on SIGHUP and when it changes.",
        variable="RESPID_PASSWORD_FILE",
        type=READABLE_FILE,
        show_default="no password",
    ),
    setting("--username", "A user name that clients may give beside `default`.", show_default="none", metavar="NAME"),
)


class FileMode(click.ParamType[int]):
    """The permissions of a file in octal digits."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if re.fullmatch("0?[0-7]{3}", value) is None:
            self.fail(f"{value!r} is not the mode of a file, such as 660.", param, ctx)
        return int(value, 8)


listener_settings = combine(
    setting("--bind", "Address of the RESP listeners.", default="127.0.0.1", show_default=True),
    setting(
        "--port",
        "Port of the plain RESP listener; 0 turns it off.",
        type=click.IntRange(0, 65535),
        default=6379,
        show_default=True,
    ),
    setting("--unix-socket", "Path of a Unix socket that speaks RESP.", type=READABLE_FILE, show_default="off"),
    setting("--unix-socket-mode", "Permissions of its file.", type=FileMode(), default="600", show_default=True),
    setting(
        "--tls-port",
        "Port of the RESP listener with TLS (1.2 or newer); 0 turns it off.",
        type=click.IntRange(0, 65535),
        default=0,
        show_default=True,
    ),
    setting(
        "--tls-cert-file",
        "Its certificate and those of its issuers (PEM); read again on SIGHUP and when it changes.",
        type=READABLE_FILE,
        show_default="none",
    ),
    setting("--tls-key-file", "The certificate's key (PEM, not encrypted).", type=READABLE_FILE, show_default="none"),
    setting(
        "--tls-ca-cert-file",
        "Certificates of those who may issue the clients' (PEM).",
        type=READABLE_FILE,
        show_default="none",
    ),
    setting(
        "--tls-auth-clients",
        "Whether clients must show a certificate.",
        type=click.Choice(["no", "optional", "yes"]),
        default="no",
        show_default=True,
    ),
)

limit_settings = combine(
    setting(
        "--max-clients", "Connections served at a time.", type=click.IntRange(1), default=10_000, show_default=True
    ),
    setting(
        "--max-request-bytes",
        "Bytes of a request's arguments; before authentication 16384 at most.",
        type=click.IntRange(64, 512 * 1024 * 1024),
        default=1024 * 1024,
        show_default=True,
    ),
    setting(
        "--max-arguments",
        "Arguments of a request; before authentication 10 at most.",
        type=click.IntRange(10, 1024 * 1024),
        default=1024,
        show_default=True,
    ),
    setting(
        "--max-inline-bytes",
        "Bytes of a request that is typed as a line.",
        type=click.IntRange(64, 1024 * 1024),
        default=64 * 1024,
        show_default=True,
    ),
    setting(
        "--max-queued-commands",
        "Commands that MULTI may queue; each KiB of a command's arguments counts as one more.",
        type=click.IntRange(1),
        default=100_000,
        show_default=True,
    ),
    setting(
        "--idle-timeout",
        "Seconds without a command after which a connection is closed; 0 is never.",
        type=Seconds(),
        default=0,
        show_default=True,
    ),
    setting(
        "--max-connection-age",
        "Seconds, give or take a tenth, after which a connection is closed between two requests; 0 is never.",
        type=Seconds(),
        default=0,
        show_default=True,
    ),
    setting(
        "--max-connection-age-clients",
        "Whose: of drivers known to reconnect without an error, or of all.",
        type=click.Choice(["reconnecting", "all"]),
        default="reconnecting",
        show_default=True,
    ),
    setting(
        "--tcp-keepalive",
        "Silence, in whole seconds, before the system asks whether a client is still there; 0 is never.",
        type=click.IntRange(0, 32767),  # of Linux
        default=300,
        show_default=True,
    ),
)


def refuse_contradictions(settings: Mapping[str, Any], *, has_password: bool) -> None:
    """Settings that make no sense together. Raises click.UsageError."""
    if not (settings["port"] or settings["tls_port"] or settings["unix_socket"]):
        raise click.UsageError("--port 0 leaves no listener: set --tls-port or --unix-socket")
    if settings["tls_port"] and not (settings["tls_cert_file"] and settings["tls_key_file"]):
        raise click.UsageError("--tls-port needs --tls-cert-file and --tls-key-file")
    if settings["tls_auth_clients"] != "no" and not settings["tls_ca_cert_file"]:
        raise click.UsageError(f"--tls-auth-clients {settings['tls_auth_clients']} needs --tls-ca-cert-file")
    if settings["username"] and not has_password:
        raise click.UsageError("--username needs a password: set RESPID_PASSWORD_FILE or RESPID_PASSWORD")


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
