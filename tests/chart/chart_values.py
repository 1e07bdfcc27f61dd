"""The comments of the chart's values; `.venv/bin/python -m tests.chart.chart_values` writes the table in its README.

A value is documented by the comment right above its key. A mapping without one is a group, whose keys have comments.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "helm-chart"
README = CHART / "README.md"
OPENING, CLOSING = "<!-- values -->\n", "<!-- /values -->\n"


@dataclass(frozen=True)
class DocumentedValue:
    """A value: its path with dots, its default, and the comment above it, which may be empty."""

    path: str
    default: Any
    comment: str


def documented_values() -> list[DocumentedValue]:
    text = (CHART / "values.yaml").read_text()
    return list(_walk(yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text), text.splitlines(), ""))


def _walk(node: yaml.Node | None, values: dict[str, Any], lines: list[str], prefix: str) -> Iterator[DocumentedValue]:
    assert isinstance(node, yaml.MappingNode)
    for key_node, value_node in node.value:
        key = str(key_node.value)
        comment = _comment_above(lines, key_node.start_mark.line)
        if comment or not isinstance(value_node, yaml.MappingNode):
            yield DocumentedValue(prefix + key, values[key], comment)
        else:
            yield from _walk(value_node, values[key], lines, f"{prefix}{key}.")


def _comment_above(lines: list[str], line: int) -> str:
    comment: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        comment.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(comment)


def readme_table() -> Iterator[str]:
    yield "| value | default | |"
    yield "|---|---|---|"
    for value in documented_values():
        default = json.dumps(value.default, separators=(", ", ": "))
        yield f"| `{value.path}` | `{default}` | {value.comment} |"


def with_table(text: str) -> str:
    """Returns the README with the table generated from the values."""
    before, _, rest = text.partition(OPENING)
    _, _, after = rest.partition(CLOSING)
    return before + OPENING + "\n".join(readme_table()) + "\n" + CLOSING + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
