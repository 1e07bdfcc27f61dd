"""README.md, and the tables of docs/reference.md that are generated from the code.

`.venv/bin/python -m tests.support.documents` writes the tables.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import click

from respid.cli.group import respid
from respid.cli.serve import serve
from respid.commands import COMMANDS, REFUSALS
from respid.commands.handshake import MOST_WRONG_PASSWORDS
from respid.commands.ids import BULK_MILLISECONDS
from respid.commands.table import CONSTANT
from respid.ids.layout import Layout
from respid.monitoring.metrics import WorkerCollector
from respid.net.flow_control import HIGH_WATER_BYTES
from respid.net.tls_listener import HANDSHAKE_SECONDS, MAX_HANDSHAKES
from respid.resp.reader import RequestLimits, unauthenticated_limits
from respid.worker.config import Config
from respid.worker.worker import PATIENCE_MS
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import start_worker

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference.md"
TIME_RANGES = ROOT / "docs" / "time-ranges.md"
CHECK = ROOT / "docs" / "check.md"
CODE_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(language: str, page: Path = README) -> list[str]:
    """The blocks of a page in this language."""
    return [code for name, code in CODE_BLOCK.findall(page.read_text()) if name == language]


_GROUPS = ("string", "hash", "generic", "transactions", "connection", "server", "cluster")


def commands_table() -> Iterable[str]:
    """The commands whose replies depend on the request or on the server."""
    return _rows(is_constant=False)


def constants_table() -> Iterable[str]:
    """The commands that are answered with the same reply each time."""
    return _rows(is_constant=True)


def _rows(*, is_constant: bool) -> Iterable[str]:
    for command in sorted(COMMANDS.values(), key=lambda command: _GROUPS.index(command.group)):
        declared = command.subcommands.values() or [command]
        for each in declared:
            if not each.name.endswith("|help") and (CONSTANT in each.flags) is is_constant:
                usage = each.usage.text.replace("|", "\\|")
                yield f"| `{usage}` | {each.summary} |"


def refused_table() -> Iterable[str]:
    for refusal in REFUSALS:
        names = ", ".join(f"`{name.replace('|', ' ')}`" for name in refusal.names.split())
        yield f"| {refusal.reason} | {refusal.advice} | {names} |"


def settings_table() -> Iterable[str]:
    for option in serve.params:
        if isinstance(option, click.Option) and option.envvar:
            default = _shown_default(option)
            variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar
            shown_variables = ", ".join(f"`{variable}`" for variable in variables)
            yield f"| `{option.opts[0]}` | {shown_variables} | {default} | {option.help} |"


def options_table() -> Iterable[str]:
    """The options of all commands but `serve`."""
    rows: dict[str, list[str]] = {}
    for name, command in respid.commands.items():
        for option in command.params:
            if command is not serve and isinstance(option, click.Option):
                row = f"| `{option.opts[0]}` | {_shown_default(option)} | {option.help} |"
                rows.setdefault(row, []).append(f"`{name}`")
    for row, names in rows.items():
        yield f"| {', '.join(names)} {row}"


def _shown_default(option: click.Option) -> str:
    shown = option.show_default
    value = ", ".join(option.default) if isinstance(option.default, tuple) else option.default
    if option.is_flag:  # without a default, click has a sentinel for one
        value = "on" if value is True else "off"
    return shown if isinstance(shown, str) else f"`{value}`" if shown or option.is_flag else ""


def metrics_table() -> Iterable[str]:
    for metric in WorkerCollector(start_worker(ScriptedClock())).collect():
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        labels = sorted({label for sample in metric.samples for label in sample.labels})
        shown = "{" + ", ".join(labels) + "}" if labels else ""
        yield f"| `{metric.name}{suffix}{shown}` | {metric.documentation} |"


def limits_table() -> Iterable[str]:
    config, sequence = Config(worker_id=0, worker_id_source=""), Layout().sequence_size
    unauthenticated = unauthenticated_limits(
        RequestLimits(config.max_request_bytes, config.max_arguments, config.max_inline_bytes)
    )
    rows = [
        ("IDs per millisecond and worker", f"{sequence:,}", "requests wait for the next millisecond"),
        ("a block (`INCRBY`)", f"{sequence:,} IDs", "an error"),
        ("a bulk request (`ID.NEXT COUNT`, `ID.RANGE`)", f"{BULK_MILLISECONDS * sequence:,} IDs", "an error"),
        (
            "clients (`--max-clients`)",
            f"{config.max_clients:,}, or as many as the open-file limit permits",
            "a client that has run no command makes room; otherwise `-ERR max number of clients reached`",
        ),
        (
            "bytes of a request (`--max-request-bytes`)",
            f"{config.max_request_bytes:,}; {unauthenticated.request_bytes:,} before `AUTH`",
            "Redis's protocol error, then closed",
        ),
        (
            "arguments of a request (`--max-arguments`)",
            f"{config.max_arguments:,}; {unauthenticated.arguments:,} before `AUTH`",
            "Redis's protocol error, then closed",
        ),
        (
            "bytes of an inline command (`--max-inline-bytes`)",
            f"{config.max_inline_bytes:,}; {unauthenticated.inline_bytes:,} before `AUTH`",
            "Redis's protocol error, then closed",
        ),
        (
            "commands in a transaction (`--max-queued-commands`)",
            f"{config.max_queued_commands:,}; each KiB of arguments counts as one more",
            "`-OOM …`, and `EXEC` fails",
        ),
        ("TLS handshakes at a time", f"{MAX_HANDSHAKES:,}, {HANDSHAKE_SECONDS:g} s for each", "the oldest is closed"),
        ("time until authenticated (`--auth-timeout`)", f"{config.auth_timeout_seconds:g} s", "closed"),
        ("wrong passwords on one connection", f"{MOST_WRONG_PASSWORDS}", "closed"),
        ("time without a command (`--idle-timeout`)", "none", "closed"),
        (
            "age of a connection (`--max-connection-age`)",
            "none",
            "asked to reconnect, or closed between two requests, if its driver is known to reconnect without an error",
        ),
        (
            "replies that a client does not read",
            f"{HIGH_WATER_BYTES:,} bytes and the system's buffers",
            "respid stops reading from that client",
        ),
        ("time that requests wait while no ID can be issued", f"{PATIENCE_MS} ms", "`-LOADING`"),
        (
            "lead of IDs over a wall clock that was set back (`--max-clock-lead`)",
            f"{config.max_clock_lead_seconds:g} s",
            "`-LOADING` until the clock has caught up",
        ),
    ]
    return (f"| {' | '.join(row)} |" for row in rows)


TABLES = {
    "commands": commands_table,
    "constants": constants_table,
    "refused": refused_table,
    "settings": settings_table,
    "options": options_table,
    "metrics": metrics_table,
    "limits": limits_table,
}


def with_tables(text: str) -> str:
    """The text with each table's rows as the code has them now."""
    for name, rows in TABLES.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, _, rest = text.partition(opening)
        table, _, after = rest.partition(closing)
        heading = table.splitlines()[:2]
        text = before + opening + "\n".join([*heading, *rows()]) + "\n" + closing + after
    return text


if __name__ == "__main__":
    REFERENCE.write_text(with_tables(REFERENCE.read_text()))
