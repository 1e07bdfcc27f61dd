"""Runs mutmut for a while, and lists the mutants that no test has killed. Started by scripts/mutate.

What mutmut has found out before is kept in the directory mutants, so a run goes on where the last one has stopped.
Mutants that behave like the original are listed in equivalent.toml, each with the reason.
"""

import argparse
import difflib
import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MUTMUT = str(Path(sys.executable).parent / "mutmut")
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
STOP_SECONDS = 30  # that mutmut gets to write down its results
OUTCOMES = {0: "survived", 1: "killed", 3: "killed", 5: "not covered", 33: "not covered", None: "not tried"}


class Change(NamedTuple):
    """What a mutant changes: lines of a function, without their indentation."""

    function: str
    before: str
    after: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long to try mutants (30)")
    parser.add_argument("--processes", type=int, default=2, help="how many to try at a time (2)")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as respid.ids.generator (all if none)")
    arguments = parser.parse_args()
    patterns = [f"{module}*" for module in arguments.modules]
    run(["run", "--max-children", str(arguments.processes), *patterns], arguments.minutes * 60)
    return report(arguments.modules)


def run(arguments: list[str], seconds: float) -> None:
    """Lets mutmut run until it is done or the time is up."""
    process = subprocess.Popen([MUTMUT, *arguments], cwd=ROOT)
    deadline = time.monotonic() + seconds
    try:
        process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def report(modules: list[str]) -> int:
    """Prints the score of each module, and the survivors that are not known to be equivalent. 1 if there are any."""
    known = known_equivalents()
    survivors: list[tuple[str, Change]] = []
    for path in sorted((ROOT / "mutants").glob("respid/**/*.py.meta")):
        module = ".".join(path.relative_to(ROOT / "mutants").with_suffix("").with_suffix("").parts)
        results: dict[str, int | None] = json.loads(path.read_text())["exit_code_by_key"]
        if not results or (modules and module not in modules):
            continue
        outcomes = Counter(outcome(code) for code in results.values())
        alive = [name for name, code in results.items() if outcome(code) in ("survived", "not covered")]
        changes = {name: change_of(name, path.with_suffix("")) for name in alive}
        unknown = {name: change for name, change in changes.items() if change not in known}
        survivors += unknown.items()
        tried = outcomes.total() - outcomes["not tried"]
        found = tried - len(alive)
        equivalent = len(alive) - len(unknown)
        share = f"{100 * found / (tried - equivalent):.0f} %" if tried > equivalent else "-"
        print(f"{module}: {share} of {tried} killed, {equivalent} equivalent, {outcomes['not tried']} not tried yet")
    for name, change in survivors:
        print(f"\n{name}\n- {change.before}\n+ {change.after}")
    return 1 if survivors else 0


def outcome(code: int | None) -> str:
    """A mutant that makes the tests hang or crash counts as killed."""
    return OUTCOMES.get(code, "killed")


def known_equivalents() -> set[Change]:
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {Change(entry["function"], entry["before"].strip(), entry["after"].strip()) for entry in entries}


def change_of(name: str, path: Path) -> Change:
    """What a mutant changes, read from the file that mutmut has made."""
    function = re.sub(r"__mutmut_\d+$", "", name.rpartition(".")[2])
    source = path.read_text()
    original, mutant = (function_lines(source, each) for each in (f"{function}__mutmut_orig", name.rpartition(".")[2]))
    changed = list(difflib.ndiff(original, mutant))
    before, after = ("\n".join(line[2:].strip() for line in changed if line.startswith(sign)) for sign in ("- ", "+ "))
    readable = function.removeprefix("x").replace("ǁ", ".").replace("_", "", not function.startswith("xǁ"))
    return Change(f"{name.rpartition('.')[0]}.{readable.strip('.')}", before, after)


def function_lines(source: str, name: str) -> list[str]:
    """The lines of a function's body."""
    return list(_body(source.splitlines(), re.compile(rf"(\s*)(async )?def {re.escape(name)}\(")))


def _body(lines: list[str], head: re.Pattern[str]) -> Iterator[str]:
    indent = None
    for line in lines:
        if indent is None:
            match = head.match(line)
            indent = len(match[1]) if match else None
        elif line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith(")"):
            return
        else:
            yield line


if __name__ == "__main__":
    sys.exit(main())
