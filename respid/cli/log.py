"""The log: one event per line on standard error, as text or JSON. The content of an event cannot forge another line."""

import json
import logging
import sys
from datetime import UTC, datetime

_log = logging.getLogger(__name__)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _JsonFormatter(logging.Formatter):
    """One object per line. `event` names the kind of event; it is null in the lines of other libraries."""

    def __init__(self, worker_id: int | None) -> None:
        super().__init__()
        self._worker_id = worker_id

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", None),
            "logger": record.name,
            "worker_id": self._worker_id,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = "\\n".join(record.getMessage().splitlines())
        line = f"{_time(record)} {record.levelname.lower()} {message}"
        if not record.exc_info:
            return line
        return "\n  ".join([line, *self.formatException(record.exc_info).splitlines()])


def set_up_log(log_format: str, level: str, worker_id: int | None = None) -> None:
    """Writes events of this level ("debug" to "error") and above to standard error, as "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(worker_id) if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # httpx2 logs each request to the API server at info: two a second while another pod holds the worker ID.
    root_level = logging.getLogger().level
    logging.getLogger("httpx2").setLevel(root_level if level == "debug" else max(logging.WARNING, root_level))


def is_json_log() -> bool:
    return any(isinstance(handler.formatter, _JsonFormatter) for handler in logging.getLogger().handlers)


def log_failure(message: str, defect: Exception | None) -> None:
    """Logs why the process ends, with the traceback of a defect."""
    if not logging.getLogger().handlers:  # the command has no log, or failed before it was set up
        set_up_log("text", "error")
    event = "internal_error" if defect else "fatal"
    _log.error("%s", message, exc_info=defect, extra={"event": event})
