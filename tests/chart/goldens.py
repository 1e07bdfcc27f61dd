"""What the chart renders, as it was last agreed to: `.venv/bin/python -m tests.chart.goldens` writes it anew.

A change to the chart shows in the diff of these files. Needs the program helm on the PATH for the cases with KEDA.
"""

from pathlib import Path

import yaml

from tests.chart.rendering import CASES, Render, render_case

DIRECTORY = Path(__file__).parent / "goldens"


def golden_path(case: str) -> Path:
    return DIRECTORY / f"{case}.yaml"


def as_golden(rendered: Render) -> str:
    """The objects by kind and name, and the notes as comments."""
    objects = sorted(rendered.objects, key=lambda each: (each["kind"], each["metadata"]["name"]))
    return yaml.safe_dump_all(objects, width=120, allow_unicode=True) + "".join(
        f"# {line}".rstrip() + "\n" for line in rendered.notes.splitlines()
    )


if __name__ == "__main__":
    for case in CASES:
        golden_path(case).write_text(as_golden(render_case(case)))
