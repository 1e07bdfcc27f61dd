"""README.md and the tables in it that come from the code; `.venv/bin/python tests/readme.py` writes them anew."""

import re
from collections.abc import Iterable
from pathlib import Path

import click

from respid.cli.serve import serve
from respid.commands import COMMANDS
from respid.monitoring.metrics import WorkerCollector
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import start_worker

PATH = Path(__file__).parents[2] / "README.md"
CODE_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(language: str) -> list[str]:
    return [code for name, code in CODE_BLOCK.findall(PATH.read_text()) if name == language]


def commands_table() -> Iterable[str]:
    groups = ("generic", "transactions", "connection", "server")
    for command in sorted(COMMANDS.values(), key=lambda command: groups.index(command.group)):
        declared = command.subcommands.values() or [command]
        for each in declared:
            if not each.name.endswith("|help"):
                usage = each.usage.text.replace("|", "\\|")
                yield f"| `{usage}` | {each.summary} |"


def settings_table() -> Iterable[str]:
    for option in serve.params:
        if isinstance(option, click.Option) and option.envvar:
            shown = option.show_default
            default = shown if isinstance(shown, str) else f"`{option.default}`" if shown or option.is_flag else ""
            variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar
            shown_variables = ", ".join(f"`{variable}`" for variable in variables)
            yield f"| `{option.opts[0]}` | {shown_variables} | {default} | {option.help} |"


def metrics_table() -> Iterable[str]:
    for metric in WorkerCollector(start_worker(ScriptedClock())).collect():
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        labels = sorted({label for sample in metric.samples for label in sample.labels})
        shown = "{" + ", ".join(labels) + "}" if labels else ""
        yield f"| `{metric.name}{suffix}{shown}` | {metric.documentation} |"


TABLES = {"commands": commands_table, "settings": settings_table, "metrics": metrics_table}


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
    PATH.write_text(with_tables(PATH.read_text()))
