"""The chart renders what was agreed to, for each of its sets of values."""

import pytest

from tests.chart.goldens import DIRECTORY, as_golden, golden_path
from tests.chart.rendering import CASES, CASES_WITH_KEDA, CASES_WITHOUT_KEDA, render_case

ADVICE = "look at the difference; if it is meant, run .venv/bin/python tests/chart/goldens.py"


@pytest.mark.parametrize("case", CASES_WITHOUT_KEDA)
def test_the_chart_renders_what_was_agreed_to(case: str) -> None:
    assert as_golden(render_case(case)) == golden_path(case).read_text(), ADVICE


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", CASES_WITH_KEDA)
def test_the_chart_renders_what_was_agreed_to_in_a_cluster_with_keda(case: str) -> None:
    assert as_golden(render_case(case)) == golden_path(case).read_text(), ADVICE


def test_every_golden_has_its_values() -> None:
    assert sorted(path.stem for path in DIRECTORY.iterdir()) == CASES
