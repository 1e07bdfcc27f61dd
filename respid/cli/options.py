"""Building blocks of options: value types, environment variables, and how an option fills a field of Config."""

import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from respid.cli.variables import is_service_link
from respid.ids.layout import Layout
from respid.ids.timestamp import format_timestamp, parse_timestamp_ms
from respid.worker.config import Config

MAX_PORT = 65535
MAX_SECONDS = 1_000_000_000  # 31 years; timers cannot hold much more
CONFIG_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}


Decorator = Callable[..., Any]


class NamedPath(click.Path[Path]):
    """The path of a file or a directory. A mistaken one is refused: it could be that of an empty state directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if fault := _path_fault(str(value)):
            self.fail(fault, param, ctx)
        return super().convert(value, param, ctx)


def _path_fault(path: str) -> str | None:
    """Returns why the path is hardly meant as it is written; None if it is."""
    if not path:  # as from an unset variable: the current directory
        return "the path is empty."
    if path != path.strip():  # such as the line break at the end of a file
        return f"{path!r} begins or ends with white space."
    if len(path) > 1 and path[0] == path[-1] and path[0] in "\"'":  # docker --env-file does not remove them
        return f"{path!r} is in quotation marks: leave them out."
    if path.startswith("~"):
        return f"{path!r} begins with ~, which only a shell replaces: write the whole path."
    return None


READABLE_FILE = NamedPath(dir_okay=False, path_type=Path)
DIRECTORY = NamedPath(file_okay=False, path_type=Path)


class Integer(click.IntRange):
    """An integer between two bounds. Errors repeat the name, which is "integer range" in click."""

    name = "integer"


class Seconds(click.FloatRange):
    """A duration in seconds, up to MAX_SECONDS. "nan", which passes any comparison with a bound, is refused."""

    name = "seconds"

    def __init__(self, least: float = 0, *, min_open: bool = False) -> None:
        super().__init__(least, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if math.isnan(seconds) or seconds > MAX_SECONDS:
            self.fail(f"{value!r} is not a number of seconds up to {MAX_SECONDS:,}.", param, ctx)
        return float(super().convert(value, param, ctx))


class FileMode(click.ParamType[int]):
    """The permissions of a file in octal digits, such as 660."""

    name = "octal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):  # the default
            return value
        if re.fullmatch("0?[0-7]{3}", value) is None:
            self.fail(f"{value!r} is not a file mode such as 660.", param, ctx)
        return int(value, 8)


class Addresses(click.ParamType[tuple[str, ...]]):
    """Host names and IP addresses, separated by commas or spaces; an IPv6 address may be in brackets."""

    name = "addresses"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):  # the default
            return value
        addresses = tuple(re.sub(r"^\[(.*:.*)\]$", r"\1", each) for each in value.replace(",", " ").split())
        if not addresses:
            self.fail("it names no address; use * for all.", param, ctx)
        for address in addresses:
            if re.search(r"[\[\]]|:[0-9]+$", address) and not _is_ipv6(address):
                self.fail(f"{address!r} is not an address; the port is an option of its own.", param, ctx)
        return addresses


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


class Names(click.ParamType[tuple[str, ...]]):
    """Names that are separated by commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):  # the default
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} contains an empty name.", param, ctx)
        return names


class NameAndPort(click.ParamType[tuple[str, int]]):
    """A DNS name or an address and a port, such as ids-ready:6379 or [::1]:6379."""

    name = "name:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, port = str(value).rpartition(":")
        if not name or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) <= MAX_PORT:
            self.fail(f"{value!r} is not a name and a port, such as ids-ready:6379.", param, ctx)
        return name.removeprefix("[").removesuffix("]"), int(port)


class Setting(click.Option):
    """An option with an environment variable. An empty value and a Kubernetes service link count as unset."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        if isinstance(self.envvar, str) and value is not None and is_service_link(self.envvar, value):
            return None
        return value


def setting(
    flag: str,
    help_text: str,
    *,
    field: str | None = None,
    variable: str | tuple[str, ...] | None = None,
    cls: type[Setting] = Setting,
    **attributes: Any,
) -> Decorator:
    """An option with an environment variable: RESPID_ and the flag's name, unless `variable` names another.

    `field` is the name of the command's parameter; by default it follows from the flag.
    """
    names = [flag, field] if field else [flag]
    variable = variable or "RESPID_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, cls=cls, envvar=variable, show_envvar=True, help=help_text, **attributes)


def config_setting(field: str, flag: str, help_text: str, *, show_default: bool | str = True, **attributes: Any) -> Any:
    """A setting that fills this field of Config and has the default of the field."""
    default = CONFIG_DEFAULTS[field]
    return setting(flag, help_text, field=field, default=default, show_default=show_default, **attributes)


def combine(*options: Decorator) -> Decorator:
    """One decorator that adds all these options to a command, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


layout_settings = combine(
    setting(
        "--epoch",
        "Start of the timestamps in IDs: ISO 8601 or Unix milliseconds.",
        metavar="TIME",
        default=format_timestamp(Layout().epoch_ms),
        show_default=True,
    ),
    setting(
        "--layout",
        "Bits of timestamp, worker ID and sequence. Up to 53 bits in total, such as 41/4/8, are safe in JavaScript.",
        metavar="BITS",
        default=Layout().widths,
        show_default=True,
    ),
)

http_settings = combine(
    config_setting(
        "http_bind",
        "--http-bind",
        "Addresses of the HTTP listener for metrics and health checks; `*` is all.",
        type=Addresses(),
        metavar="ADDRESS[,...]",
    ),
    config_setting("http_port", "--http-port", "Port of the HTTP listener.", type=Integer(1, MAX_PORT), metavar="PORT"),
)


def parse_layout(layout: str, epoch: str) -> Layout:
    """Returns the layout that the values of --layout and --epoch describe. Raises click.UsageError."""
    try:
        epoch_ms = parse_timestamp_ms(epoch)
    except ValueError as error:
        raise click.UsageError(f"epoch {error}") from None
    try:
        return Layout.parse(layout, epoch_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
