"""The dates of a release."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

from respid import BUILD_DATE

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def test_build_date_is_not_after_the_release() -> None:
    released = re.findall(r"^## \S+ - (\d{4}-\d\d-\d\d)$", CHANGELOG.read_text(), re.MULTILINE)
    today = datetime.now(UTC).date().isoformat()
    assert (
        date.fromisoformat(BUILD_DATE) <= date.fromisoformat(max(released, default=today)) <= date.fromisoformat(today)
    )
