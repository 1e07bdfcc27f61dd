"""The lists of modules, tests and equivalent mutants are those of the code as it is now."""

import json
from pathlib import Path

import pytest

from tests.mutation import __main__ as mutation
from tests.mutation import selection
from tests.mutation.report import Change, change_of, known_equivalents, print_report
from tests.mutation.selection import ROOT, Module, read_modules

MODULES = read_modules()
MUTATED = """
class Store:
    def xǁStoreǁload__mutmut_orig(self, least: int = 1) -> int:
        return max(least, 2)

    def xǁStoreǁload__mutmut_1(self, least: int = 2) -> int:
        return max(least, 2)

    def xǁStoreǁload__mutmut_2(self, least: int = 1) -> int:
        return max(least, None)

def x__open__mutmut_orig() -> None:
    pass

def x__open__mutmut_1() -> None:
    return
"""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_modules_and_their_tests_exist(module: Module) -> None:
    assert (ROOT / module.source).exists()
    for test in module.tests:
        path, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / path).read_text()


@pytest.mark.parametrize("change", sorted(known_equivalents()), ids=lambda change: change.function)
def test_equivalent_mutants_change_todays_code(change: Change) -> None:
    (module,) = [module for module in MODULES if change.function.startswith(f"{module.name}.")]
    lines = [line.strip() for line in (ROOT / module.source).read_text().splitlines()]
    assert f"def {change.function.rpartition('.')[2]}(" in "\n".join(lines)
    assert [line for line in change.before.splitlines() if line not in lines] == []


@pytest.mark.parametrize(
    ("mutant", "change"),
    [
        ("xǁStoreǁload__mutmut_1", ("Store.load", "self, least: int = 1) -> int:", "self, least: int = 2) -> int:")),
        ("xǁStoreǁload__mutmut_2", ("Store.load", "return max(least, 2)", "return max(least, None)")),
        ("x__open__mutmut_1", ("_open", "pass", "return")),
    ],
)
def test_finds_change_of_mutant(mutant: str, change: tuple[str, str, str]) -> None:
    function, before, after = change
    assert change_of(f"respid.module.{mutant}", MUTATED) == Change(f"respid.module.{function}", before, after)


@pytest.mark.parametrize(
    ("before", "after", "is_wording"),
    [
        ('_log.info("it is back", extra=extra)', '_log.info("XXit is backXX", extra=extra)', True),
        ('raise StoreError(f"no room: {error}")', "raise StoreError(None)", True),
        ('"a sentence"\n"of two parts"', "None", True),
        ('raise StoreError(f"no room: {error}")', 'raise StoreError(f"no room: {None}")', True),
        ('_log.info("it is %s", state)', "_log.info(state)", True),
        ('text = "" if state else ": it is back"', 'text = "" if state else "XX: it is backXX"', True),
        ('text = "" if state else "back"', 'text = "" if state else "BACK"', False),
        ("load(None, state)", "load(state)", False),
        ('extra={"event": "clock_step"}', 'extra={"event": "CLOCK_STEP"}', False),
        ("return 1", "return 2", False),
        ("", "", False),
    ],
)
def test_tells_wording_from_behaviour(before: str, after: str, *, is_wording: bool) -> None:
    assert Change("respid.module.function", before, after).is_wording == is_wording
    assert not Change("respid.resp.reader.function", before, after).is_wording


def test_module_without_results_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    module = MODULES[0]
    assert print_report([module], set()) == 1
    module.results.parent.mkdir(parents=True)
    module.results.write_text(json.dumps({"exit_code_by_key": {f"{module.name}.x_a__mutmut_1": None}}))
    assert print_report([module], set()) == 1
    assert capsys.readouterr().out == f"{module.name}: no mutant was tried\n" * 2
    module.mutated.write_text("")
    module.results.write_text(json.dumps({"exit_code_by_key": {f"{module.name}.x_a__mutmut_1": 1}}))
    assert print_report([module], set()) == 0


@pytest.mark.parametrize(("is_fresh", "output"), [(True, "2 of 2 tried, 2 killed"), (False, "1 of 2 tried, 1 killed")])
def test_failed_import_kills_mutant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_fresh: bool, output: str
) -> None:
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    module = MODULES[0]._replace(is_fresh=is_fresh)
    module.results.parent.mkdir(parents=True)
    module.mutated.write_text("")
    names = [f"{module.name}.x_a__mutmut_{number}" for number in (1, 2)]
    module.results.write_text(json.dumps({"exit_code_by_key": dict(zip(names, (1, 2), strict=True))}))
    assert print_report([module], set()) == 0
    assert output in capsys.readouterr().out


def test_mutants_that_all_keep_pytest_from_starting_are_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    module = MODULES[0]
    module.results.parent.mkdir(parents=True)
    module.results.write_text(json.dumps({"exit_code_by_key": {f"{module.name}.x_a__mutmut_1": 255}}))
    assert print_report([module], set()) == 1
    assert capsys.readouterr().out == f"{module.name}: no mutant was tried\n"


def test_mutmut_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mutmut"
    program.write_text("#!/bin/sh\ntrap '' INT\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    monkeypatch.setattr(mutation, "MUTMUT", str(program))
    monkeypatch.setattr(mutation, "STOP_SECONDS", 0.1)
    module = MODULES[0]
    module.directory.mkdir(parents=True)
    mutation.run(module, [], 2)


def test_unknown_module_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["scripts/mutate", "respid.ids.generators"])
    with pytest.raises(SystemExit):
        mutation.main()
    assert "respid.ids.generators is not in tests/mutation/modules.toml" in capsys.readouterr().err
