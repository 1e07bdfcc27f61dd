"""The image, as far as it can be checked without building it."""

import json
import os
import re
import stat
import subprocess
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
    """By its tag here, where Dependabot finds it, and by its digest in a release."""
    first, *others = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"\S+:\d+\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", first[0])
    assert f"ARG BASE_IMAGE={first[1]}\n" in DOCKERFILE
    assert [image for image, _ in others] == ["${BASE_IMAGE}", "${BASE_IMAGE}", "scratch"]
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "sed -n 's/^FROM \\(.*\\) AS python$/\\1/p' Dockerfile" in release
    assert "BASE_IMAGE=${{ steps.base.outputs.image }}" in release


@pytest.mark.skipif("RESPID_TEST_IMAGE" not in os.environ, reason="RESPID_TEST_IMAGE names no image that was built")
def test_image_has_neither_pip_nor_setuid_programs() -> None:
    image = os.environ["RESPID_TEST_IMAGE"]
    layers = json.loads(_run("buildah", "inspect", "--type", "image", image))["OCIv1"]["rootfs"]["diff_ids"]
    assert len(layers) == 1, "what was removed would still be in a lower layer"
    container = _run("buildah", "from", "--pull-never", image)
    try:
        root = Path(_run("buildah", "mount", container))
        modes = {path: path.lstat().st_mode for path in root.rglob("*")}
    finally:
        _run("buildah", "rm", container)
    assert [path for path, mode in modes.items() if stat.S_ISREG(mode) and mode & 0o6000] == []
    assert [path for path in modes if path.match("*-packages/pip") or path.match("bin/pip*")] == []
    assert [path for path in modes if path.name == "ensurepip"] == []


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif("RESPID_TEST_SKIP_NOTHING" not in os.environ, reason="only CI chooses its Python by the image")
def test_tests_run_on_the_python_of_the_image() -> None:
    base = re.search(r"^FROM \S+/python:(\d+)\.(\d+)\.", DOCKERFILE, re.MULTILINE)
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
