"""Where a worker ID comes from: set, else the ordinal of the pod's name, else of the hostname.

Pure over what it is given. Never a default: a guess here is a duplicate later.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_ORDINAL = re.compile(r"(?P<name>.+)-(?P<ordinal>0|[1-9][0-9]{0,17})", re.ASCII)


class WorkerId(NamedTuple):
    """A worker ID with the offset added, and the name of the source that gave the number."""

    number: int
    source: str


class WorkerIdError(Exception):
    """No usable worker ID; the message is one line: what was tried, what it held, what to set."""


def find_worker_id(
    explicit: str | None, environment: Mapping[str, str], hostname: str, *, offset: int, workers: int
) -> WorkerId:
    """The worker ID, 0 to `workers` - 1, from the first source that holds something; "" counts as nothing.

    `WORKER_ID` is the pod's index, which Kubernetes 1.28 and newer gives as the label apps.kubernetes.io/pod-index, and
    "" where that label is missing (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-index-label).

    Raises WorkerIdError.
    """
    number, source = _first_number(explicit, environment, hostname)
    if not 0 <= number + offset < workers:
        total = f"{number} + offset {offset} = {number + offset}" if offset else str(number)
        raise WorkerIdError(
            f"worker ID {total} (from {source}) is not 0 to {workers - 1}:"
            " set --worker-id and --worker-id-offset so that it is, or a --layout with more worker bits"
        )
    return WorkerId(number + offset, source)


def _first_number(explicit: str | None, environment: Mapping[str, str], hostname: str) -> tuple[int, str]:
    for source, text in (("--worker-id", explicit), ("WORKER_ID", environment.get("WORKER_ID"))):
        if text:
            if not _NUMBER.fullmatch(text):
                raise WorkerIdError(f"worker ID {text!r} (from {source}) is not a number: set it to 0 or above")
            return int(text), source
    pod_name = environment.get("POD_NAME", "")
    if match := _ORDINAL.fullmatch(pod_name):
        return int(match["ordinal"]), "POD_NAME"
    match = _ORDINAL.fullmatch(hostname)
    if match and not any(part.isdigit() for part in match["name"].split("-")):  # not ip-10-0-0-12
        return int(match["ordinal"]), "hostname"
    raise WorkerIdError(
        f"no worker ID: --worker-id and WORKER_ID are not set, POD_NAME is {pod_name!r}, the hostname is {hostname!r},"
        " neither of the form name-N: set --worker-id, a different one for every running server"
    )
