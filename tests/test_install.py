"""scripts/install: it recovers from an install that did not finish, and says in one line how to fix the rest.

Each test installs a tiny project of the same name, which needs no package from elsewhere.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pip
import pytest

from tests.support.running import wait_until

ROOT = Path(__file__).parent.parent
PYPROJECT = """\
[project]
name = "respid"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# Waits while there is a file named "blocked", and then installs the package from where it is.
BACKEND = """\
import pathlib, time, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    here = pathlib.Path.cwd()
    while (here / "blocked").exists():
        (here / "building").touch()
        time.sleep(0.05)
    name = "respid-1-py3-none-any.whl"
    metadata, tag = "Metadata-Version: 2.1\\nName: respid\\nVersion: 1\\n", "Wheel-Version: 1.0\\nTag: py3-none-any\\n"
    wheel = tag.replace("Tag", "Root-Is-Purelib: true\\nTag")
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as archive:
        archive.writestr("respid.pth", str(here / "source"))
        for file, text in (("METADATA", metadata), ("WHEEL", wheel), ("RECORD", "")):
            archive.writestr(f"respid-1.dist-info/{file}", text)
    return name
"""

RETRIED = (
    "WARNING: Retrying after connection broken by"
    " 'Failed to establish a new connection: [Errno -3] Temporary failure in name resolution'"
)

# Creates an environment with the pip of these tests, in a tenth of the time that a copy of pip takes.
QUICK_VENV = f"""\
case "$*" in
"-m venv --clear "*) {sys.executable} "$1" "$2" "$3" --without-pip "$4" &&
  ln -s {Path(pip.__file__).parent} "$4"/lib/python*/site-packages ;;
*) exec {sys.executable} "$@" ;;
esac
"""


class Project:
    """A clone of the project, whose scripts/install finds no index of packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.path = ""
        (root / "scripts").mkdir()
        (root / "source" / "respid").mkdir(parents=True)
        (root / "source" / "respid" / "__init__.py").touch()
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "requirements-dev.txt").touch()
        shutil.copy(ROOT / "scripts/install", root / "scripts")
        self.use_python("python3", QUICK_VENV)

    def start(self) -> subprocess.Popen[str]:
        variables = {"PATH": self.path, "PIP_NO_INDEX": "1", "HOME": str(self.root)}
        return subprocess.Popen(
            [self.root / "scripts/install"], env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def install(self) -> tuple[int, list[str]]:
        """Runs scripts/install. Returns the exit code and the lines that it prints."""
        with self.start() as process:
            _, lines = process.communicate()
        return process.returncode, lines.splitlines()

    def is_installed(self) -> bool:
        return subprocess.run([self.venv / "bin/python", "-I", "-c", "import respid"], check=False).returncode == 0

    def use_python(self, name: str, text: str) -> None:
        """Makes a script the only program of the PATH that is a Python."""
        programs = self.root / "programs"
        programs.mkdir(exist_ok=True)
        for tool in ("sh", "dirname", "basename", "cat", "cmp", "ln", "rm"):
            if not (programs / tool).exists():
                (programs / tool).symlink_to(str(shutil.which(tool)))
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
        self.path = str(programs)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_second_run_does_nothing(project: Project) -> None:
    code, lines = project.install()
    assert (code, len(lines), project.is_installed()) == (0, 1, True)
    (project.root / "backend.py").unlink()  # anything that is installed again would fail
    assert project.install() == (0, [])


def test_recovers_from_an_environment_without_pip(project: Project) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.venv], check=True)
    assert project.install()[0] == 0
    assert project.is_installed()


def test_recovers_from_a_python_that_is_gone(project: Project) -> None:
    assert project.install()[0] == 0
    for python in (project.venv / "bin").glob("python*"):
        python.unlink()
        python.symlink_to("/nowhere/python3")
    assert project.install()[0] == 0
    assert project.is_installed()


def test_recovers_from_an_upgraded_python(project: Project) -> None:
    """The packages are in the directory of another version, so the new interpreter finds none."""
    assert project.install()[0] == 0
    packages = next((project.venv / "lib").iterdir())
    packages.rename(packages.with_name("python3.0"))
    (packages / "site-packages").mkdir(parents=True)
    assert project.install()[0] == 0
    assert project.is_installed()


def test_recovers_from_an_interrupted_install(project: Project) -> None:
    (project.root / "blocked").touch()
    with project.start() as process:
        wait_until((project.root / "building").exists)
        os.killpg(process.pid, signal.SIGKILL)  # not SIGINT, which a background job ignores
    (project.root / "blocked").unlink()
    assert process.returncode != 0
    # The packages that pip had written may be incomplete: here one is broken.
    next(project.venv.glob("lib/*/site-packages/pip")).unlink()
    assert project.install()[0] == 0
    assert project.is_installed()


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_prints_nothing(project: Project) -> None:
    """It goes to all processes of the terminal, so pip and Python would print a traceback."""
    (project.root / "blocked").touch()
    with project.start() as process:
        wait_until((project.root / "building").exists)
        os.killpg(process.pid, signal.SIGINT)
        _, printed = process.communicate()
    assert process.returncode == 130
    assert printed.splitlines() == [
        "installing respid into .venv (only the first time and after changes to the dependencies)"
    ]
    (project.root / "blocked").unlink()
    assert project.install()[0] == 0


def test_names_the_missing_venv_package(project: Project) -> None:
    project.use_python("python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    code, lines = project.install()
    advice = "install it (Debian, Ubuntu: apt install python3-venv) and try again"
    assert (code, lines) == (1, [f"scripts/install: python3 has no venv module: {advice}"])
    assert not project.venv.exists()


def test_uses_another_python_that_has_venv(project: Project) -> None:
    project.use_python("python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    project.use_python("python3.12", QUICK_VENV)
    assert project.install()[0] == 0
    assert project.is_installed()


def test_names_the_missing_python(project: Project) -> None:
    project.use_python("python3", "exit 1")
    assert project.install() == (1, ["scripts/install: no Python 3.11 or newer found: install it and try again"])


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full: free some space and try again"),
        (
            f"{RETRIED}\nERROR: No matching distribution found for hatchling",
            "no network: connect it, or give pip an index that is reachable, and try again",
        ),
        (
            "OSError: Max retries exceeded with url: / (Failed to establish a new connection: Connection refused)",
            "no network: connect it, or give pip an index that is reachable, and try again",
        ),
    ],
)
def test_known_failure_of_pip_is_one_line(project: Project, error: str, advice: str) -> None:
    working = (project.root / "backend.py").read_text()
    (project.root / "backend.py").write_text(f"raise SystemExit({error!r})")
    code, lines = project.install()
    assert (code, lines[1:]) == (1, [f"scripts/install: pip failed: {advice}"])
    (project.root / "backend.py").write_text(working)
    assert project.install()[0] == 0


def test_other_failure_of_pip_is_shown(project: Project) -> None:
    (project.root / "backend.py").unlink()
    code, lines = project.install()
    assert (code, lines[-1]) == (1, "scripts/install: pip failed: fix the error above and try again")
    assert any("backend" in line for line in lines[1:-1])


def test_failure_after_a_retried_connection_is_shown(project: Project) -> None:
    (project.root / "backend.py").write_text(f"raise SystemExit({RETRIED + ' THE REAL ERROR'!r})")
    code, lines = project.install()
    assert (code, lines[-1]) == (1, "scripts/install: pip failed: fix the error above and try again")
    assert any("THE REAL ERROR" in line for line in lines[1:-1])
