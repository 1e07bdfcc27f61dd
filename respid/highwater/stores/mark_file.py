"""The content of a file that holds a high-water mark. Pure: it reads and writes no file."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from respid.highwater.stores import NO_ID, Mark, StoreError
from respid.ids.layout import Layout

_FORMAT = "respid high-water mark"
_VERSION = 1
_MAX_VERSION = 1000  # more is no version of a release to come
_MAX_MS = 1 << 63
_MAX_ID = 1 << 63


class DamagedError(StoreError):
    """The file exists, but no mark can be read from it: it is damaged, or from a newer release."""


class StoredMark(NamedTuple):
    """A mark, and the process that wrote it."""

    mark: Mark
    nonce: str


def write_mark(worker_id: int, mark: Mark, nonce: str) -> bytes:
    state = {
        "format": _FORMAT,
        "version": _VERSION,
        "worker_id": worker_id,
        "layout": mark.fingerprint,
        "ceiling_ms": mark.ceiling_ms,
        "former_id": mark.former_id,
        "nonce": nonce,
    }
    return json.dumps(state).encode() + b"\n"


def read_mark(content: bytes, path: Path, worker_id: int) -> StoredMark:
    """The mark in a file's content. Raises DamagedError, which names the path."""
    try:
        state = json.loads(content)
    except (ValueError, RecursionError):
        raise damaged(path, "it is not JSON" if content.strip() else "it is empty") from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise damaged(path, "it is not a high-water mark of respid")
    version = state.get("version")
    if type(version) is int and _VERSION < version < _MAX_VERSION:
        raise DamagedError(
            f"{path} was written by a newer release of respid: it has version {version}, and this release reads version"
            f" {_VERSION}; do not remove it, and start the newer release again"
        )
    if version != _VERSION:
        raise damaged(path, f"it has version {version!r}"[:100] + f"; this respid reads {_VERSION}")
    if state.get("worker_id") != worker_id:
        raise damaged(path, f"it belongs to worker ID {state.get('worker_id')!r}"[:100])
    ceiling_ms = _number(state, "ceiling_ms", 0, _MAX_MS, path)
    former_id = _number({"former_id": NO_ID} | state, "former_id", NO_ID, _MAX_ID, path)
    nonce = state.get("nonce")
    if not isinstance(nonce, str):
        raise damaged(path, f"its nonce is {nonce!r}"[:100])
    return StoredMark(Mark(ceiling_ms, _fingerprint(state.get("layout"), path), former_id), nonce)


def _number(state: dict[str, Any], name: str, least: int, end: int, path: Path) -> int:
    number = state.get(name)
    if type(number) is not int or not least <= number < end:
        raise damaged(path, f"its {name} is {number!r}"[:100])
    return number


def _fingerprint(value: object, path: Path) -> str:
    try:
        return Layout.parse_fingerprint(value).fingerprint  # type: ignore[arg-type]
    except (ValueError, AttributeError):
        raise damaged(path, f"its layout is {value!r}"[:100]) from None


def damaged(path: Path, why: str) -> DamagedError:
    return DamagedError(
        f"{path} is damaged: {why}. Without it respid cannot know which IDs were issued: remove it, and start with"
        " --start-above set to the greatest ID issued, or with a worker ID that was never used"
    )
