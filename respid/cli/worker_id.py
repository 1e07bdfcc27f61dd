"""Where the worker ID comes from: the option, a variable, the pod's name, or the hostname. Never a default.

A guess here is a duplicate ID later. Pure: it looks only at its arguments.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

WORKER_ID_VARIABLES = ("WORKER_ID", "RESPID_WORKER_ID")
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_ORDINAL = re.compile(r"(?P<name>.+)-(?P<ordinal>0|[1-9][0-9]{0,17})", re.ASCII)


class WorkerId(NamedTuple):
    """A worker ID, including the offset, and the name of the source of the number."""

    number: int
    source: str


class WorkerIdError(Exception):
    """There is no usable worker ID. The message is one line: the sources, their values, and what to set."""


def find_worker_id(
    explicit: str | None, environment: Mapping[str, str], hostname: str, *, offset: int, workers: int
) -> WorkerId:
    """Returns the worker ID, 0 to `workers` - 1, from the first source that has a value; "" counts as no value.

    `explicit` is the value of --worker-id. The variables usually hold the label apps.kubernetes.io/pod-index, which is
    missing before Kubernetes 1.28: the variable is then empty
    (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-index-label).

    Raises WorkerIdError.
    """
    number, source = _first_number(explicit, environment, hostname)
    if not 0 <= number + offset < workers:
        total = f"{number} + offset {offset} = {number + offset}" if offset else str(number)
        raise WorkerIdError(
            f"worker ID {total} (from {source}) is not between 0 and {workers - 1}:"
            " change --worker-id or --worker-id-offset, or use a --layout with more worker bits"
        )
    return WorkerId(number + offset, source)


def _first_number(explicit: str | None, environment: Mapping[str, str], hostname: str) -> tuple[int, str]:
    if explicit:
        return _parse_number(explicit, "--worker-id"), "--worker-id"
    pod_name = environment.get("POD_NAME", "")
    pod = _ORDINAL.fullmatch(pod_name)
    variables = {name: _parse_number(environment[name], name) for name in WORKER_ID_VARIABLES if environment.get(name)}
    if variables:
        _refuse_disagreement(variables, pod)
        source, number = next(iter(variables.items()))
        return number, source
    if pod:
        return int(pod["ordinal"]), "POD_NAME"
    host = _ORDINAL.fullmatch(hostname)
    if host and not any(part.isdigit() for part in host["name"].split("-")):  # not ip-10-0-0-12
        return int(host["ordinal"]), "hostname"
    raise WorkerIdError(
        f"no worker ID: --worker-id, {' and '.join(WORKER_ID_VARIABLES)} are not set, and neither POD_NAME {pod_name!r}"
        f" nor the hostname {hostname!r} is of the form name-N: set --worker-id, to a different number for each server"
    )


def _parse_number(text: str, source: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise WorkerIdError(f"worker ID {text!r} (from {source}) is not a number: set it to 0 or greater")
    return int(text)


def _refuse_disagreement(variables: Mapping[str, int], pod: re.Match[str] | None) -> None:
    """A variable that one ConfigMap sets in all pods of a StatefulSet would make them all the same worker."""
    shown = " and ".join(f"{name} is {number}" for name, number in variables.items())
    if len(set(variables.values())) > 1:
        raise WorkerIdError(f"{shown}: unset one of them, or set both to the same number")
    if pod and set(variables.values()) != {int(pod["ordinal"])}:
        raise WorkerIdError(
            f"{shown}, but POD_NAME {pod[0]} is the pod with number {pod['ordinal']}: unset {' and '.join(variables)},"
            " set RESPID_WORKER_ID_OFFSET to move all pods, or use --worker-id if this pod is the only one"
        )
