"""The two lock files: requirements.txt for the image, requirements-dev.txt for the tools of contributors and CI."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [
    *PROJECT["dependencies"],
    *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
]
PLATFORMS = {"linux": "x86_64", "darwin": "arm64"}


def locked_in(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if not line.startswith(("#", " "))]


def versions_in(name: str, python: str, platform: str) -> dict[str, str]:
    """The locked version of each package that this Python needs on this platform."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_machine": PLATFORMS[platform],
    }
    applying = [each for each in locked_in(name) if each.marker is None or each.marker.evaluate(environment)]
    assert len({each.name for each in applying}) == len(applying), "a package has two versions"
    return {each.name: str(each.specifier).removeprefix("==") for each in applying}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_development_lock_has_every_dependency(python: str, platform: str) -> None:
    locked = versions_in("requirements-dev.txt", python, platform)
    environment = {"python_version": python, "sys_platform": platform, "platform_machine": PLATFORMS[platform]}
    for dependency in map(Requirement, DEPENDENCIES):
        if dependency.marker is None or dependency.marker.evaluate(environment):
            assert dependency.specifier.contains(locked[dependency.name]), f"{dependency}: run scripts/pin"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tests_run_with_the_versions_of_the_image(platform: str) -> None:
    image = versions_in("requirements.txt", "3.13", platform)
    development = versions_in("requirements-dev.txt", "3.13", platform)
    assert image.items() <= development.items(), "run scripts/pin"
