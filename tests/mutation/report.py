"""Which mutants were killed, which behave like the original, and which have survived."""

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.mutation.selection import ROOT, Module

EQUIVALENT = Path(__file__).parent / "equivalent.toml"
OUTCOMES = {0: "survived", 5: "not covered", 33: "not covered", None: "not tried", 2: "not tried", 255: "not started"}
TIMED_OUT = (-9, 24, -24, 36, 152)
ALIVE = ("survived", "not covered")
_FAILED = 1
_NOT_RUN = (
    2  # pytest was interrupted, or the tests could not be imported: where a mutant imports everything, it fails so
)
_STRING = re.compile(r'(?:f?"[^"]*"\s*)+')
_EXACT_TEXTS = "respid.resp."  # clients get these texts, and redis-server's are the same


class Change(NamedTuple):
    """The lines of a function that a mutant changes, without their indentation."""

    function: str
    before: str
    after: str

    @property
    def is_wording(self) -> bool:
        """Whether it changes only a sentence for people, or leaves it out. Tests look for events and types instead."""
        before, after = map(_without_sentences, (self.before, self.after))
        return before != self.before and before == after and not self.function.startswith(_EXACT_TEXTS)


def _without_sentences(code: str) -> str:
    without = _STRING.sub(lambda match: "None" if " " in match[0].strip() else match[0], code)
    return without.replace("None, ", "") if without != code else code


def print_report(modules: list[Module], known: set[Change]) -> int:
    """Prints the score of each module, and the survivors that are not known to be equivalent.

    Returns 1 if there are any, or if no mutant of a module was tried: its tests may fail without a mutant, too.
    """
    survivors: list[tuple[str, Change]] = []
    untried = [module for module in modules if not _was_tried(module)]
    for module in modules:
        if module in untried:
            print(f"{module.name}: no mutant was tried")
        else:
            survivors += _print_score(module, known)
    for name, change in survivors:
        print(f"\n{name}\n- {change.before}\n+ {change.after}")
    return 1 if survivors or untried else 0


def _was_tried(module: Module) -> bool:
    if not module.results.exists():
        return False
    # Some mutants keep pytest from starting. If all do, something else does.
    outcomes = {outcome(code) for code in _results(module)["exit_code_by_key"].values()}
    return not outcomes <= {"not tried", "not started"}


def _print_score(module: Module, known: set[Change]) -> list[tuple[str, Change]]:
    outcomes = Counter(outcome(code) for code in _results(module)["exit_code_by_key"].values())
    changes = _survivors(module)
    equivalent = sum(change in known for change in changes.values())
    wording = sum(change.is_wording and change not in known for change in changes.values())
    tried = outcomes.total() - outcomes["not tried"]
    killed, counted = tried - len(changes), tried - equivalent - wording
    print(
        f"{module.name}: {tried} of {outcomes.total()} tried, {killed} killed ({outcomes['timed out']} hung),"
        f" {equivalent} equivalent, {wording} of wording: {100 * killed / counted if counted else 100:.1f} %"
    )
    return [(name, change) for name, change in changes.items() if is_open(change, known)]


def is_open(change: Change, known: set[Change]) -> bool:
    """Whether the mutant should have been killed."""
    return change not in known and not change.is_wording


def retry_survivors(module: Module, known: set[Change]) -> None:
    """Makes mutmut try again the mutants that have survived and should not have: tests may be new."""
    if not module.results.exists():
        return
    results = _results(module)
    for name, change in _survivors(module).items():
        if is_open(change, known):
            results["exit_code_by_key"][name] = None
    module.results.write_text(json.dumps(results))


def leave_out_tried(module: Module, names: list[str]) -> list[str]:
    """Those of these mutants that have not been tried in the present source."""
    source = ROOT / module.source
    if not module.results.exists() or module.mutated.stat().st_mtime < source.stat().st_mtime:
        return names
    codes = _results(module)["exit_code_by_key"]
    return [name for name in names if outcome(codes.get(name)) == "not tried"]


def outcome(code: int | None) -> str:
    """A mutant that makes the tests hang or crash is killed, too."""
    return "timed out" if code in TIMED_OUT else OUTCOMES.get(code, "killed")


def known_equivalents() -> set[Change]:
    entries = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    return {Change(entry["function"], entry["before"].strip(), entry["after"].strip()) for entry in entries}


def _results(module: Module) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(module.results.read_text())
    if module.is_fresh:
        codes = results["exit_code_by_key"]
        results["exit_code_by_key"] = {name: _FAILED if code == _NOT_RUN else code for name, code in codes.items()}
    return results


def _survivors(module: Module) -> dict[str, Change]:
    source = module.mutated.read_text()
    codes = _results(module)["exit_code_by_key"]
    return {name: change_of(name, source) for name, code in codes.items() if outcome(code) in ALIVE}


def change_of(name: str, source: str) -> Change:
    """The change of a mutant, from the source with all mutants that mutmut has made."""
    module, _, mutant = name.rpartition(".")
    function = re.sub(r"__mutmut_\d+$", "", mutant)
    original, changed = (_function_lines(source, each) for each in (f"{function}__mutmut_orig", mutant))
    differences = list(difflib.ndiff(original, changed))
    before, after = (
        "\n".join(line[2:].strip() for line in differences if line.startswith(sign)) for sign in ("- ", "+ ")
    )
    readable = function.removeprefix("x").replace("ǁ", ".").replace("_", "", not function.startswith("xǁ"))
    return Change(f"{module}.{readable.strip('.')}", before, after)


def _function_lines(source: str, name: str) -> list[str]:
    """The lines of a function, from its head on."""
    return list(_lines_of(source.splitlines(), re.compile(rf"(\s*)(async )?def {re.escape(name)}\(")))


def _lines_of(lines: list[str], head: re.Pattern[str]) -> Iterator[str]:
    indent = None
    for line in lines:
        if indent is None:
            if match := head.match(line):
                indent = len(match[1])
                yield line[match.end() :]
        elif line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith(")"):
            return
        elif line.strip():
            yield line
