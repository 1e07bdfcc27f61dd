"""Who imports whom: only downward, and only what its layer may."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import respid

ROOT = Path(respid.__file__).parent

# From the ground up; what stands in one line never imports another of the same line. A package is one unit.
LAYERS = [
    {"respid"},  # the version, and the map
    {"ids", "resp", "credentials"},
    {"lifecycle", "stats", "config", "worker_id", "log", "settings"},
    {"worker"},
    {"commands"},
    {"connection", "waiting"},
    {"clock_watch", "stores", "metrics", "protocol", "http", "check", "auth_log", "reload", "tls"},
    {"keeper", "listeners", "sweep"},
    {"server"},
    {"cli"},
    {"__main__"},
]
# The core: what is tested without an event loop, and gets time and storage from others.
CORE = {"ids", "resp", "connection", "waiting", "commands", "worker", "worker_id", "credentials", "stats", "lifecycle"}
NOT_IN_THE_CORE = {"asyncio", "socket", "time", "threading", "logging", "os"}
EXCEPTIONS = {
    ("respid.ids.clock", "time"),  # the one reader of time
    ("respid.commands.server", "os"),  # INFO names the process and its system
}
# Libraries and the few units that know each, so that it can be exchanged there.
KNOWN_ONLY_BY = {
    "prometheus_client": {"metrics"},
    "h11": {"http"},
    "click": {"cli", "settings"},
    "platformdirs": {"cli"},
    "uvloop": {"server"},
    "lightkube": {"stores"},
    "httpx2": {"stores"},  # what lightkube raises
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    """The modules that a module imports anywhere, functions included; of respid's own, those that are files."""
    return set(_imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "relative imports hide where they lead"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else node.module


def unit_of(module: str) -> str:
    """The name that the table knows a module by."""
    return module.split(".")[1] if "." in module else module


def layer_of(module: str) -> int:
    (layer,) = [number for number, units in enumerate(LAYERS) if unit_of(module) in units]
    return layer


def own(imported: str) -> bool:
    return imported.partition(".")[0] == "respid"


def test_each_module_has_one_layer_and_the_table_names_nothing_else() -> None:
    units = [unit for layer in LAYERS for unit in layer]
    assert sorted(units) == sorted({unit_of(module) for module in MODULES})


def test_the_map_names_the_modules_in_the_order_of_their_layers() -> None:
    bullets = re.findall(r"^- (.*(?:\n  .*)*)", respid.__doc__ or "", re.MULTILINE)
    named = [name.rstrip("/") for bullet in bullets for name in re.findall(r"`([a-z_]+/?)`", bullet)]
    assert sorted(named) == sorted({unit_of(module) for module in MODULES} - {"respid", "__main__"})
    assert [layer_of(f"respid.{unit}") for unit in named] == sorted(layer_of(f"respid.{unit}") for unit in named)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_lower_layers_and_its_own_package(module: str) -> None:
    upward = {
        imported
        for imported in imports_of(module)
        if own(imported) and unit_of(imported) != unit_of(module) and layer_of(imported) >= layer_of(module)
    }
    assert upward == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    # A package's __init__ gathers what its modules offer; that they name the package itself would be the circle.
    graph = {module: {imported for imported in imports_of(module) if own(imported)} for module in MODULES}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


@pytest.mark.parametrize("module", [module for module in MODULES if unit_of(module) in CORE])
def test_the_core_knows_no_io_no_time_and_no_log(module: str) -> None:
    imported = {name.partition(".")[0] for name in imports_of(module)}
    excepted = {name for excepted_module, name in EXCEPTIONS if excepted_module == module}
    assert imported & NOT_IN_THE_CORE == excepted


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_known_by_its_units_only(module: str) -> None:
    libraries = {name.partition(".")[0] for name in imports_of(module) if not own(name)}
    foreign = libraries - sys.stdlib_module_names
    assert {library for library in foreign if unit_of(module) not in KNOWN_ONLY_BY[library]} == set()


def test_the_command_line_loads_no_server_before_it_serves() -> None:
    """`decode`, `healthcheck` and every error about a setting come at once."""
    code = "import sys, respid.cli; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in loaded
    assert not {"asyncio", "uvloop", "prometheus_client", "h11", "lightkube", "http", "ssl"} & set(loaded)
