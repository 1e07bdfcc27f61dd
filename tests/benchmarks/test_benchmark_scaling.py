"""The picture of docs/scaling.md."""

from pathlib import Path

from benchmarks import scaling

DOCS = Path(__file__).parents[2] / "docs"


def test_picture_is_drawn_from_the_recorded_data() -> None:
    assert (DOCS / "scaling.svg").read_text() == scaling.render(scaling.read(DOCS / "scaling.csv"))
