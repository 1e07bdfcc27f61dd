"""Runs mutmut for a while, and lists the mutants that no test has killed. Started by scripts/mutate.

What has been found out before is kept in the directory mutants, so a run goes on where the last one has stopped. It
tries the mutants that have survived again. modules.toml has the modules and their tests, and equivalent.toml the
mutants that behave like the original, each with the reason.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from tests.mutation.report import known_equivalents, leave_out_tried, print_report, retry_survivors
from tests.mutation.selection import ROOT, Module, read_modules

MUTMUT = str(Path(sys.executable).parent / "mutmut")
HISTORIES = "10"  # of the simulation, for each mutant
STOP_SECONDS = 30  # that mutmut gets to write down its results
PYTEST_ARGUMENTS = (
    "-p",
    "tests.mutation.cold_caches",
    "-p",
    "no:xdist",
    "-p",
    "no:cacheprovider",
    "--no-header",
    "-q",
    "-m",
    "not kubernetes and not server",
)
# A mutant that takes this many times as long as the tests took, and these seconds more, is taken to hang.
TIMEOUT_MULTIPLIER = 3
TIMEOUT_SECONDS = 5
IMPORT_SECONDS = 30  # the same, where a mutant imports everything anew
FRESH_ARGUMENTS = (
    "-p",
    "tests.mutation.early_calls",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",  # of what is preloaded
)
PRELOADED = Path(__file__).parent / "preloaded.txt"
FRESH = f"process_isolation = forkserver\nforkserver_warmup = import\npreload_modules_file = {PRELOADED}\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long to try mutants (30)")
    parser.add_argument("--processes", type=int, default=2, help="how many to try at a time (2)")
    parser.add_argument("--sample", type=int, help="how many mutants of each module to draw at random (all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as respid.ids.generator (all if none)")
    arguments = parser.parse_args()
    modules = [module for module in read_modules() if module.name in (arguments.modules or [module.name])]
    if unknown := set(arguments.modules) - {module.name for module in modules}:
        parser.error(f"{', '.join(sorted(unknown))} is not in tests/mutation/modules.toml")
    deadline = time.monotonic() + arguments.minutes * 60
    known = known_equivalents()
    for module in modules:
        prepare(module)
        retry_survivors(module, known)
        names = draw(module, arguments.sample, arguments.seed) if arguments.sample else []
        untried = leave_out_tried(module, names)  # mutmut tries again what it is told by name
        if untried or not names:
            run(module, ["run", "--max-children", str(arguments.processes), *untried], deadline - time.monotonic())
    return print_report(modules, known)


def prepare(module: Module) -> None:
    """Makes the directory in which mutmut works on this module, with its own configuration."""
    module.directory.mkdir(parents=True, exist_ok=True)
    for name in ("respid", "tests", "pyproject.toml"):
        if not (module.directory / name).is_symlink():
            (module.directory / name).symlink_to(ROOT / name)
    options = (*PYTEST_ARGUMENTS, *FRESH_ARGUMENTS) if module.is_fresh else PYTEST_ARGUMENTS
    arguments, tests = ("".join(f"\n  {each}" for each in values) for values in (options, module.tests))
    isolation = FRESH if module.is_fresh else ""
    timeout = IMPORT_SECONDS if module.is_fresh else TIMEOUT_SECONDS
    (module.directory / "setup.cfg").write_text(
        f"[mutmut]\nsource_paths = respid\nonly_mutate = {module.source}\npytest_add_cli_args ={arguments}\n"
        f"pytest_add_cli_args_test_selection ={tests}\ntimeout_multiplier = {TIMEOUT_MULTIPLIER}\n"
        f"timeout_constant = {timeout}\ntrack_dependencies = false\nuse_git_change_detection = false\n"
        f"{isolation}"
    )
    # Tests may have changed, and call other functions now.
    shutil.rmtree(module.directory / "mutants" / "tests", ignore_errors=True)
    (module.directory / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)


def draw(module: Module, size: int, seed: int) -> list[str]:
    """Draws that many mutants of a module."""
    with contextlib.chdir(module.directory):  # its configuration decides which mutants there are
        mutated = import_module("mutmut.mutation.file_mutation").mutate_file_contents(
            module.source, Path(module.source).read_text()
        )
    names = [f"{module.name}.{name}" for name in mutated.mutant_names]
    return random.Random(seed).sample(names, min(size, len(names)))


def run(module: Module, arguments: list[str], seconds: float) -> None:
    """Lets mutmut run until it is done or the time is up."""
    if seconds <= 0:
        return
    environment = os.environ | {"RESPID_TEST_HISTORIES": HISTORIES}
    with subprocess.Popen([MUTMUT, *arguments], cwd=module.directory, env=environment) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()  # a shell that starts it in the background makes it ignore the signal


if __name__ == "__main__":
    sys.exit(main())
