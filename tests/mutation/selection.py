"""The modules that are mutated, and the tests of each, as modules.toml lists them."""

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MODULES = Path(__file__).parent / "modules.toml"


class Module(NamedTuple):
    """A module, such as `respid.ids.generator`, and the tests that must notice its mutants."""

    name: str
    tests: tuple[str, ...]
    is_fresh: bool  # each mutant imports it anew, since functions run at its import, and results are cached

    @property
    def source(self) -> str:
        return self.name.replace(".", "/") + ".py"

    @property
    def directory(self) -> Path:
        """Where mutmut works on it."""
        return ROOT / "mutants" / self.name

    @property
    def mutated(self) -> Path:
        """The source with all mutants, which mutmut makes."""
        return self.directory / "mutants" / self.source

    @property
    def results(self) -> Path:
        """The results of mutmut for each mutant."""
        return self.mutated.with_name(self.mutated.name + ".meta")


def read_modules() -> list[Module]:
    entries = tomllib.loads(MODULES.read_text())["module"]
    return [Module(entry["name"], tuple(entry["tests"]), entry.get("fresh", False)) for entry in entries]
