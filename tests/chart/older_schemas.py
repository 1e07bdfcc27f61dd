"""Schemas of the Kubernetes versions that kubernetes-validate has dropped, from its last release that had them."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

RELEASE = "1.29.1"
VERSIONS = ("1.23.0", "1.24.0")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "respid-schemas"


@functools.cache
def _archive() -> zipfile.ZipFile:
    """Returns the release, after downloading it (11 MB) if necessary."""
    path = CACHE / f"kubernetes_validate-{RELEASE}-py3-none-any.whl"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as directory:  # other processes never see half a file
            _download(directory)
            (Path(directory) / path.name).rename(path)
    return zipfile.ZipFile(path)


def _download(directory: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", directory, f"kubernetes-validate=={RELEASE}"], check=True)


def has(version: str) -> bool:
    """Whether this module has the schemas of a version such as 1.23."""
    return f"{version}.0" in VERSIONS


def read(filename: str) -> Any:
    """Returns a schema. Raises FileNotFoundError if that version of Kubernetes does not have the kind."""
    try:
        return json.loads(_archive().read(f"kubernetes_validate/{filename}"))
    except KeyError as error:
        raise FileNotFoundError(filename) from error
