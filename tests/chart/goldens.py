"""The chart's last reviewed output; `.venv/bin/python -m tests.chart.goldens` updates it.

The diff of these files shows what a change to the chart does. The cases with KEDA need helm on the PATH.
"""

from pathlib import Path

import yaml

from tests.chart.rendering import CASES, Render, render_case

DIRECTORY = Path(__file__).parent / "goldens"


def golden_path(case: str) -> Path:
    return DIRECTORY / f"{case}.yaml"


def as_golden(rendered: Render) -> str:
    """Returns the objects, sorted by kind and name, and the notes as comments."""
    objects = sorted(rendered.objects, key=lambda each: (each["kind"], each["metadata"]["name"]))
    return yaml.safe_dump_all(objects, width=120, allow_unicode=True) + "".join(
        f"# {line}".rstrip() + "\n" for line in rendered.notes.splitlines()
    )


if __name__ == "__main__":
    for case in CASES:
        golden_path(case).write_text(as_golden(render_case(case)))
