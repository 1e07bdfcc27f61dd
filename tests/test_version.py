"""The version stands in `respid/__init__.py`; everything else that names it must agree."""

import re
import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from respid import BUILD_DATE, __version__

ROOT = Path(__file__).parent.parent
CHANGELOG_SECTIONS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
DOCUMENTS = [ROOT / "README.md", ROOT / "helm-chart" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_version_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_chart_has_the_version() -> None:
    chart = yaml.safe_load((ROOT / "helm-chart" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_newest_release_in_the_changelog_has_the_version() -> None:
    releases = [section.split()[0] for section in CHANGELOG_SECTIONS if section != "Unreleased"]
    assert releases[:1] in ([], [__version__])
    assert releases or CHANGELOG_SECTIONS == ["Unreleased"]


@pytest.mark.parametrize("document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS])
def test_documents_name_the_image_of_this_version(document: Path) -> None:
    named = re.findall(r"\brespid[:-]v?(\d+\.\d+\.\d+)", document.read_text())
    assert set(named) <= {__version__}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with the files that scripts/check-release reads: version 1.2.3, released."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check-release", tmp_path / "scripts")
    (tmp_path / "respid").mkdir()
    (tmp_path / "respid" / "__init__.py").write_text('"""respid"""\n\n__version__ = "1.2.3"\n')
    sections = "# Changelog\n\n## 1.2.3 - 2026-12-01\n\n### Added\n\n- New.\n\n## 1.2.2 - 2026-11-01\n\n- Old.\n"
    (tmp_path / "CHANGELOG.md").write_text(sections)
    return tmp_path


def check_release(checkout: Path, tag: str) -> tuple[int, str, str]:
    command = [str(checkout / "scripts" / "check-release"), tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


def test_release_prints_its_section_of_the_changelog(checkout: Path) -> None:
    assert check_release(checkout, "v1.2.3") == (0, "### Added\n\n- New.", "")


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2.4", "v1.2", "v1.2.3-rc1"])
def test_release_refuses_a_tag_of_another_version(checkout: Path, tag: str) -> None:
    returncode, notes, error = check_release(checkout, tag)
    assert (returncode, notes) == (1, "")
    assert f"the tag is {tag}, but respid/__init__.py has version 1.2.3" in error


@pytest.mark.parametrize("heading", ["Unreleased", "1.2.33 - 2026-12-01", "1.2.3-rc1"])
def test_release_refuses_a_changelog_without_its_section(checkout: Path, heading: str) -> None:
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- New.\n")
    returncode, notes, error = check_release(checkout, "v1.2.3")
    assert (returncode, notes) == (1, "")
    assert 'has no section "## 1.2.3"' in error


def test_build_date_is_not_after_the_release() -> None:
    released = re.findall(r"^## \S+ - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    today = datetime.now(UTC).date()
    release_day = max(map(date.fromisoformat, released), default=today)
    assert date.fromisoformat(BUILD_DATE) <= release_day <= today
