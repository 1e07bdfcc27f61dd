"""The drivers under test, from each language's drivers.toml; README.md in this folder explains the fields."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.needed_tools import leave_out, need_tool
from tests.support.running import WAIT_SECONDS

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "respid-clients"
BUILD_ENVIRONMENT = os.environ | {"PYTHON": sys.executable, "CLIENTS_CACHE": str(CACHE)}


@dataclass(frozen=True)
class Language:
    """A folder with a drivers.toml."""

    name: str
    tools: tuple[str, ...]
    build: str

    @property
    def folder(self) -> Path:
        return HERE / self.name

    def installed(self, name: str) -> Path:
        """Returns the copy of the folder in which everything is built. Skips the test if it cannot be built."""
        for tool in self.tools:
            need_tool(tool, f"{name} is left out: ")
        directory = CACHE / f"{self.name}-{self._hash()}"
        with self.locked():
            if not (directory / "built").exists():
                shutil.rmtree(directory, ignore_errors=True)
                shutil.copytree(self.folder, directory)
                self._build(directory, name)
                (directory / "built").touch()
        return directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time build for this language."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _build(self, directory: Path, name: str) -> None:
        done = subprocess.run(
            self.build, shell=True, cwd=directory, env=BUILD_ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            leave_out(f"{name} is left out, it cannot be built here: {(done.stdout + done.stderr)[-2000:]}")

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework and its program; README.md explains the fields."""

    name: str
    language: Language
    run: str
    requires: str = "true"
    package: str = ""

    def start(self, **options: str) -> "Program":
        """Starts its program with these options to connect (the variables in lower case, without REDIS_)."""
        directory = self.language.installed(self.name)
        if subprocess.run(self.requires, shell=True, cwd=directory, capture_output=True, check=False).returncode:
            leave_out(f"{self.name} is left out: {self.package} is not installed")
        return Program(self.run, directory, {f"REDIS_{name.upper()}": value for name, value in options.items()})


@dataclass(frozen=True, kw_only=True)
class Driver(Framework):
    """A driver and its program; README.md explains the fields."""

    restart: str
    loading: str
    protocols: tuple[int, ...] = (2, 3)
    tls: bool = True
    exact: bool = True
    health_check: bool = False
    ages: bool = False
    moves: bool = False
    transactions: bool = True
    extra_steps: tuple[str, ...] | list[str] = ()


@dataclass(frozen=True)
class Snippet:
    """How an example in the documents is built and run."""

    name: str
    language: Language
    file: str
    run: str

    def printed(self, code: str) -> str:
        """Runs the code and returns its output. Raises AssertionError if it fails or writes to stderr."""
        directory = self.language.installed(self.name)
        with self.language.locked():
            path = directory / self.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
            done = subprocess.run(
                self.run,
                shell=True,
                cwd=directory,
                env=BUILD_ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


class StepError(Exception):
    """The error that a driver raised."""


class NoAnswerError(AssertionError):
    """A step took too long or ended the program."""


class Program:
    """A driver's program: it reads a line for each step and writes one."""

    def __init__(self, command: str, directory: Path, variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=directory,
            env={name: value for name, value in os.environ.items() if not name.startswith("REDIS_")} | dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error:
            self._process.kill()
        if self._given_up:
            return
        _, complaints = self._process.communicate(timeout=WAIT_SECONDS)
        if not error:
            assert (self._process.returncode, complaints) == (0, "")

    def step(self, name: str, seconds: float = WAIT_SECONDS) -> list[str]:
        """Returns the values of a step. Raises StepError with the error that the driver raised.

        Kills the program and raises NoAnswerError if the step takes too long.
        """
        answer = self._answer(name, seconds)
        outcome, _, rest = answer.partition(" ")
        if outcome == "error":
            raise StepError(rest)
        assert outcome == "ok", f"{name}: {answer!r}"
        return rest.split()

    def ids(self, name: str) -> list[int]:
        """Returns the IDs that a step drew."""
        return [int(value) for value in self.step(name)]

    def _answer(self, step: str, seconds: float) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(step + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not answer:
            self._given_up = True
            self._process.kill()
            raise NoAnswerError(f"{step}: no answer; complaints: {self._process.communicate()[1]}")
        return answer.strip()


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def _language(path: Path, declared: dict[str, Any]) -> Language:
    return Language(path.parent.name, tuple(declared["tools"]), declared["build"])


def all_drivers() -> list[Driver]:
    return [
        Driver(name=name, language=_language(path, declared), **fields)
        for path in sorted(HERE.glob("*/drivers.toml"))
        for declared in [_read(path)]
        for name, fields in declared.get("drivers", {}).items()
    ]


def framework(name: str) -> Framework:
    (found,) = [
        Framework(name=name, language=_language(path, declared), **declared["frameworks"][name])
        for path in HERE.glob("*/drivers.toml")
        if name in (declared := _read(path)).get("frameworks", {})
    ]
    return found


def all_snippets() -> dict[str, Snippet]:
    return {
        name: Snippet(name, _language(path, declared), **fields)
        for path in sorted(HERE.glob("*/drivers.toml"))
        for declared in [_read(path)]
        for name, fields in declared.get("snippets", {}).items()
    }
