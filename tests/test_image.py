"""The image, as far as it can be checked without building it."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))


def test_pins_fit_the_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["kubernetes"],
        *project["build-system"]["requires"],
    ]
    for requirement in map(Requirement, needed):
        assert requirement.specifier.contains(PINS[requirement.name]), f"{requirement}: run scripts/pin"


def test_base_image_is_pinned() -> None:
    assert re.search(r"^ARG BASE_IMAGE=\S+:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE_IMAGE}"}


@pytest.mark.skipif("RESPID_TEST_SKIP_NOTHING" not in os.environ, reason="only CI chooses its Python by the image")
def test_tests_run_on_the_python_of_the_image() -> None:
    base = re.search(r"^ARG BASE_IMAGE=\S+/python:(\d+)\.(\d+)\.", DOCKERFILE, re.MULTILINE)
    assert base
    assert tuple(map(int, base.groups())) == sys.version_info[:2]


def test_image_listens_on_ipv4_and_ipv6() -> None:
    assert re.findall(r"RESPID_(?:HTTP_)?BIND=(\S+)", DOCKERFILE) == ["*", "*"]


def test_image_runs_as_a_numeric_user() -> None:
    """Kubernetes can tell only a number from root."""
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)


def test_build_context_has_only_copied_files() -> None:
    copied = {name for line in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied
    assert "*" in ignore
