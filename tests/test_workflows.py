"""The workflows and templates of GitHub, as far as they can be judged without running them."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.needed_tools import need_tool

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MANIFESTS = {"pip": "requirements-dev.txt", "github-actions": ".github/workflows", "docker": "Dockerfile"}
SHELL_SCRIPTS = sorted(path for folder in ("scripts", ".ci") for path in (ROOT / folder).iterdir())


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def minor_of(version: str) -> int:
    """The 13 of "3.13"."""
    return int(version.removeprefix("3."))


def test_workflows_pass_actionlint() -> None:
    done = subprocess.run([need_tool("actionlint")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("script", [pytest.param(path, id=path.name) for path in SHELL_SCRIPTS])
def test_scripts_pass_shellcheck(script: Path) -> None:
    done = subprocess.run([need_tool("shellcheck"), str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tests_of_a_cluster_can_be_collected() -> None:
    """They run by name only, so nothing else would notice a module that cannot be imported."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "tests/cluster"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_checks_run_on_every_supported_python() -> None:
    checked = read(GITHUB / "workflows" / "checks.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    supported = [minor_of(each.rpartition(" ")[2]) for each in PROJECT["classifiers"] if each.startswith(prefix)]
    oldest = minor_of(PROJECT["requires-python"].removeprefix(">="))
    assert supported == list(range(oldest, oldest + len(supported)))
    # The last one may be ahead of the classifiers: it is checked before it is supported.
    assert [minor_of(each) for each in checked] in (supported, [*supported, supported[-1] + 1])


def test_dependabot_watches_each_kind_of_manifest() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    assert [(each["package-ecosystem"], each["directory"]) for each in updates] == [(name, "/") for name in MANIFESTS]
    assert all((ROOT / manifest).exists() for manifest in MANIFESTS.values())


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_have_what_github_requires(name: str) -> None:
    form = read(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert form["name"]
    assert form["description"]
    questions = [element for element in form["body"] if element["type"] != "markdown"]
    assert all(element["attributes"]["label"] for element in questions)
    identifiers = [element["id"] for element in questions]
    assert len(identifiers) == len(set(identifiers))
