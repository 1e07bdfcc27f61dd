"""The log: one line an event, on standard error, as text or as JSON. What an event says cannot forge another one."""

import json
import logging
import sys
from datetime import UTC, datetime


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = "\\n".join(record.getMessage().splitlines())
        line = f"{_time(record)} {record.levelname.lower()} {message}"
        if not record.exc_info:
            return line
        return "\n  ".join([line, *self.formatException(record.exc_info).splitlines()])


def set_up_log(log_format: str, level: str) -> None:
    """Sends everything of this level and above ("debug" to "error") to standard error, as "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # httpx2 tells of each request to the API server, at info: two a second while another pod holds the worker ID.
    root_level = logging.getLogger().level
    logging.getLogger("httpx2").setLevel(root_level if level == "debug" else max(logging.WARNING, root_level))
