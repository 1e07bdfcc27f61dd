"""`python -m tests.support.coverage_check`: prints how much of respid/ the tests cover, and fails below the least."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

LEAST_BRANCHES_PERCENT = 97


def main() -> int:
    """Returns the exit code: 0, or 1 after a table of what is not covered."""
    with TemporaryDirectory() as directory:
        report = Path(directory) / "coverage.json"
        _coverage("json", "--quiet", "-o", str(report))
        totals = json.loads(report.read_text())["totals"]
    lines, branches = totals["percent_statements_covered"], totals["percent_branches_covered"]
    print(f"coverage of respid/: {lines:.1f} % of lines, {branches:.1f} % of branches")  # noqa: T201 - its purpose
    if branches >= LEAST_BRANCHES_PERCENT:
        return 0
    print(f"too few: {LEAST_BRANCHES_PERCENT} % of branches is the least", file=sys.stderr)  # noqa: T201
    _coverage("report")
    return 1


def _coverage(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "coverage", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
