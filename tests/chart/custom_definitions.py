"""Definitions of custom kinds, from the Go modules of their authors."""

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.needed_tools import need_tool

# Group: Go module and directory in it.
SOURCES = {
    "keda.sh": ("github.com/kedacore/keda/v2@v2.20.2", "config/crd/bases"),
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd",
    ),
}


class Loader(yaml.CSafeLoader):
    """Takes "=", an operator of label selectors, as a string. YAML 1.1 gives it a meaning that nobody uses."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: str(node.value))


@functools.cache
def _module_directory(module: str) -> Path:
    """Returns the directory of a Go module, after downloading it if necessary."""
    command = [need_tool("go"), "mod", "download", "-json", module]
    printed = subprocess.run(command, capture_output=True, text=True, cwd="/", check=True).stdout
    return Path(json.loads(printed)["Dir"])


def definitions(group: str) -> Iterator[dict[str, Any]]:
    """Yields the CustomResourceDefinitions of a group."""
    module, directory = SOURCES[group]
    for path in (_module_directory(module) / directory).glob(f"{group}_*.yaml"):
        yield yaml.load(path.read_text(), Loader)


@functools.cache
def schema_of(api_version: str, kind: str) -> dict[str, Any]:
    """Returns the schema of a kind. Raises LookupError if there is no such kind."""
    group, _, version = api_version.partition("/")
    for definition in definitions(group):
        for each in definition["spec"]["versions"]:
            if definition["spec"]["names"]["kind"] == kind and each["name"] == version:
                schema: dict[str, Any] = each["schema"]["openAPIV3Schema"]
                return schema
    raise LookupError(f"{SOURCES[group][0]} defines no {kind} of {api_version}")
