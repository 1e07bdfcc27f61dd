"""The picture is small, reproducible and independent of the machine."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks import plot
from benchmarks.results import Curve

CURVES = [
    Curve("respid", "random", ((1, 100_000), (16, 900_000), (500, 4_000_000))),
    Curve("Redis", "fixed", ((1, 110_000), (16, 1_000_000), (500, 2_000_000))),
]


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]


def test_picture_names_curves_limit_and_depths() -> None:
    shown = texts(plot.render(CURVES))
    for text in ("respid, random keys", "Redis, fixed key", "limit of the layout", "1", "16", "500"):
        assert text in shown


def test_depth_axis_is_logarithmic() -> None:
    ticks = ET.fromstring(plot.render(CURVES)).iter("{http://www.w3.org/2000/svg}text")
    x = {tick.text: float(tick.attrib["x"]) for tick in ticks if tick.text in {"1", "16", "500"}}
    assert 0.4 < (x["16"] - x["1"]) / (x["500"] - x["1"]) < 0.5


def test_picture_is_small_and_reproducible() -> None:
    picture = plot.render(CURVES)
    assert picture == plot.render(CURVES)
    assert len(picture) < 30_000
    assert "date" not in picture.lower()
    assert str(Path.home()) not in picture


def test_picture_suits_light_and_dark_pages() -> None:
    picture = plot.render(CURVES)
    assert not re.search(r"#(000000|ffffff)|black|white", picture)
    assert all("fill: #" in style for style in re.findall(r'<text style="([^"]*)"', picture))
