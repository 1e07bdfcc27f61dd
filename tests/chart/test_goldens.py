"""For each values file in ci/, the chart renders the reviewed output."""

import pytest

from tests.chart.goldens import DIRECTORY, as_golden, golden_path
from tests.chart.rendering import CASES, CASES_WITH_KEDA, CASES_WITHOUT_KEDA, render_case

ADVICE = "check the difference; if it is intended, run .venv/bin/python -m tests.chart.goldens"


@pytest.mark.parametrize("case", CASES_WITHOUT_KEDA)
def test_cases_match_their_goldens(case: str) -> None:
    assert as_golden(render_case(case)) == golden_path(case).read_text(), ADVICE


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", CASES_WITH_KEDA)
def test_keda_cases_match_their_goldens(case: str) -> None:
    assert as_golden(render_case(case)) == golden_path(case).read_text(), ADVICE


def test_every_golden_has_its_values() -> None:
    assert sorted(path.stem for path in DIRECTORY.iterdir()) == CASES
