"""`python -m tests.support.coverage_check`: prints the measured coverage of respid/ and fails if it is too low."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

LEAST_BRANCHES_PERCENT = 97


def main() -> int:
    """Returns the exit code: 0, or 1 after a table of the lines and branches that are not covered."""
    with TemporaryDirectory() as directory:
        report = Path(directory) / "coverage.json"
        _coverage("json", "--quiet", "-o", str(report))
        totals = json.loads(report.read_text())["totals"]
    lines, branches = totals["percent_statements_covered"], totals["percent_branches_covered"]
    print(f"coverage of respid/: {lines:.1f} % of lines, {branches:.1f} % of branches")  # noqa: T201 - its purpose
    if branches >= LEAST_BRANCHES_PERCENT or sys.platform != "linux":  # elsewhere some of the code cannot run
        return 0
    print(f"coverage of branches is below {LEAST_BRANCHES_PERCENT} %", file=sys.stderr)  # noqa: T201
    _coverage("report")
    return 1


def _coverage(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "coverage", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
