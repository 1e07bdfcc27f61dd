"""compose.yaml and the files that it mounts."""

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from respid import __version__
from tests.support.documents import ROOT
from tests.support.needed_tools import need_tool

SCHEMA = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
WORKERS = [name for name in SERVICES if name.startswith("worker-")]
HAPROXY = ROOT / "packaging" / "compose" / "haproxy.cfg"


def test_follows_the_schema() -> None:
    jsonschema.validate(COMPOSE, json.loads(SCHEMA.read_text()))


def test_mounted_files_exist() -> None:
    mounted = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    local = [path for path in mounted if path.startswith("./")]
    assert len(local) == 6
    for path in local:
        assert (ROOT / path).exists(), path
    assert {path for path in mounted if not path.startswith("./")} == COMPOSE["volumes"].keys()


def test_image_is_this_version() -> None:
    assert {SERVICES[name]["image"] for name in WORKERS} == {f"${{RESPID_IMAGE:-localhost/respid:{__version__}}}"}


def test_workers_have_ids_and_volumes_of_their_own() -> None:
    assert [SERVICES[name]["command"] for name in WORKERS] == [["serve", "--worker-id", n] for n in "123"]
    assert [SERVICES[name]["volumes"] for name in WORKERS] == [[f"{name}:/var/lib/respid"] for name in WORKERS]


def test_ports_are_local() -> None:
    """There is no password."""
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_haproxy_and_prometheus_know_each_worker() -> None:
    servers = [line.split()[1:] for line in HAPROXY.read_text().splitlines() if line.startswith("  server ")]
    (group,) = yaml.safe_load((HAPROXY.parent / "targets.yml").read_text())
    assert servers == [[name, f"{name}:6379"] for name in WORKERS]
    assert group["targets"] == [f"{name}:8080" for name in WORKERS]


def test_haproxy_accepts_its_configuration() -> None:
    checked = subprocess.run([need_tool("haproxy"), "-c", "-f", HAPROXY], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "packaging").rglob("*.yml")), ids=lambda path: path.name)
def test_files_are_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())
