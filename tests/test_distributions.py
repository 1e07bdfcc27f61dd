"""The wheel and the sdist, built as a release builds them."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from respid import __version__
from tests.support.needed_tools import leave_out, need_tool

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with a wheel and an sdist of this tree."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return directory


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> set[str]:
    with zipfile.ZipFile(distributions / f"respid-{__version__}-py3-none-any.whl") as archive:
        return set(archive.namelist())


def test_wheel_has_the_package_and_nothing_else(wheel: set[str]) -> None:
    information = f"respid-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in wheel} == {"respid", information}
    assert f"{information}/licenses/LICENSE" in wheel
    kinds = (".py", ".html")
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "respid").rglob("*") if path.suffix in kinds}
    assert sources == {name for name in wheel if name.endswith(kinds)}


def test_wheel_is_marked_as_typed(wheel: set[str]) -> None:
    assert "respid/py.typed" in wheel


def test_sdist_has_every_file_of_the_repository(distributions: Path) -> None:
    if not (ROOT / ".git").exists():
        leave_out("this tree is not a clone")
    listed = subprocess.run([need_tool("git"), "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    with tarfile.open(distributions / f"respid-{__version__}.tar.gz") as archive:
        files = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert tracked - set(files) == set()
    executables = {name for name in tracked if os.access(ROOT / name, os.X_OK)}
    assert {name for name in executables if not files[name].mode & 0o100} == set()
