"""The log: one line per event in both formats, whatever the event contains."""

import ast
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import respid
from respid.cli.log import set_up_log

MOMENT = 1_767_225_600.123  # 2026-01-01
PACKAGE = Path(respid.__file__).parent
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
FORGED = "a client said\n2026-01-01T00:00:00.123Z info all is well\r\v\f\x1c\x85\u2028and more"


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of(capsys: pytest.CaptureFixture[str], log_format: str, *records: logging.LogRecord) -> list[str]:
    """The lines written for these records, split at any kind of line break."""
    set_up_log(log_format, "info", worker_id=7)
    for record in records:
        logging.getLogger(record.name).handle(record)
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.endswith("\n") or not records
    return written.err.splitlines()


def event(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    error_information = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(
        "respid.highwater.keeper", logging.WARNING, __file__, 1, message, arguments, error_information
    )
    record.created = MOMENT
    record.event = "clock_step"
    return record


def raised() -> Exception:
    """An error with a traceback."""
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(FORGED)
    return caught.value


def test_text_has_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "text", event("set %s by %d ms", "back", 50), event("100 %"))
    assert lines == [
        "2026-01-01T00:00:00.123Z warning set back by 50 ms",
        "2026-01-01T00:00:00.123Z warning 100 %",
    ]


def test_json_is_one_object_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines_of(capsys, "json", event("set %s by %d ms", "back", 50))
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.123Z",
        "level": "warning",
        "event": "clock_step",
        "logger": "respid.highwater.keeper",
        "worker_id": 7,
        "pid": os.getpid(),
        "message": "set back by 50 ms",
    }


def test_json_of_another_library_has_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log("json", "info")
    logging.getLogger("httpx2").warning("retrying")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["worker_id"], line["message"]) == (None, None, "retrying")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_cannot_forge_another_line(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    (line,) = lines_of(capsys, log_format, event("%s", FORGED))
    assert "a client said" in line
    assert "and more" in line


def test_json_keeps_the_whole_message(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines_of(capsys, "json", event("%s", FORGED))
    assert json.loads(line)["message"] == FORGED


def test_json_has_the_exception_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines_of(capsys, "json", event("failed", error=raised()))
    fields = json.loads(line)
    assert fields["message"] == "failed"
    assert fields["exception"].startswith("Traceback (most recent call last):\n")
    assert fields["exception"].endswith(f"RuntimeError: {FORGED}")


def test_text_indents_the_exception(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, *rest = lines_of(capsys, "text", event("failed", error=raised()))
    assert first == "2026-01-01T00:00:00.123Z warning failed"
    assert rest[0] == "  Traceback (most recent call last):"
    assert "RuntimeError: a client said" in "\n".join(rest)
    assert all(line.startswith("  ") for line in rest)


@pytest.mark.parametrize(("level", "logged"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_omits_events_below_the_level(capsys: pytest.CaptureFixture[str], level: str, logged: int) -> None:
    set_up_log("text", level)
    log = logging.getLogger("respid.test")
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert len(capsys.readouterr().err.splitlines()) == logged


@pytest.mark.parametrize(("level", "logged"), [("debug", 3), ("info", 2), ("warning", 2), ("error", 1)])
def test_logs_api_requests_at_debug_only(capsys: pytest.CaptureFixture[str], level: str, logged: int) -> None:
    set_up_log("text", level)
    log = logging.getLogger("httpx2")
    for write in (log.info, log.warning, log.error):
        write("HTTP Request: GET https://10.96.0.1/")
    assert len(capsys.readouterr().err.splitlines()) == logged


def log_calls(source: str) -> Iterator[ast.Call]:
    """The calls of methods of a logger, which is named log or _log."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr=method)) if method in LOG_METHODS:
                yield node


def has_event(call: ast.Call) -> bool:
    """Whether the call has `extra={"event": NAME}`, where the name is snake_case or an expression."""
    for keyword in call.keywords:
        match keyword:
            case ast.keyword(arg="extra", value=ast.Dict(keys=[ast.Constant(value="event")], values=[name])):
                return not isinstance(name, ast.Constant) or bool(re.fullmatch("[a-z]+(_[a-z0-9]+)*", str(name.value)))
    return False


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_log_call_names_its_event(path: Path) -> None:
    source = path.read_text()
    assert [f"{path}:{call.lineno}" for call in log_calls(source) if not has_event(call)] == []
    loggers = re.findall(r"^(\w+) = logging\.getLogger\(__name__\)", source, re.MULTILINE)
    assert set(loggers) <= {"log", "_log"}


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('_log.info("x")', [False]),
        ('_log.info("x", extra={"event": "Clock step"})', [False]),
        ('_log.info("x", extra={"happening": "clock_step"})', [False]),
        ('log.exception("x", extra={"event": "clock_step"})', [True]),
        ('_log.error("%s", x, extra={"event": event})', [True]),
        ('self.info("x")', []),
    ],
)
def test_finds_log_calls_without_an_event(source: str, named: list[bool]) -> None:
    assert [has_event(call) for call in log_calls(source)] == named
