"""Looks at a release's pods once a second, and makes a recording of that and of what clients have drawn."""

import contextlib
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self

from benchmarks.moving import Recording
from respid.ids.layout import Layout
from tests.cluster.installation import Release
from tests.cluster.load import Program

REQUEST_SECONDS = 3
LAYOUT = Layout()


@dataclass(frozen=True)
class Look:
    """The pods at a time, in seconds since 1970."""

    at: float
    ready_since: dict[int, float]
    connections: dict[int, int]


class Observer:
    """Watches a release. Its `looks` are in order."""

    def __init__(self, release: Release) -> None:
        self.looks: list[Look] = []
        self.ended_ids: dict[str, int] = {}  # issued by each pod that has stopped, by the pod's UID
        self._release = release
        self._path = f"/api/v1/namespaces/{release.namespace.name}/pods"
        self._over = threading.Event()
        self._followed: set[str] = set()
        self._ready_since: dict[str, float] = {}  # for the first time; on a busy machine, a probe fails now and then

    def __enter__(self) -> Self:
        self._proxy = subprocess.Popen(
            ["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._proxy.stdout is not None
        address = self._proxy.stdout.readline().split()[-1]  # Starting to serve on 127.0.0.1:12345
        self._address = f"http://{address}"
        self._requests = ThreadPoolExecutor(8)
        self._thread = threading.Thread(target=self._look_again_and_again, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _: BaseException | None, _at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._proxy.kill()
        self._proxy.wait()
        if self._proxy.stdout:
            self._proxy.stdout.close()

    def issued(self) -> int:
        """Returns the number of IDs that all pods have issued, those that have stopped included."""
        pods = [pod.removeprefix("pod/") for pod in self._release.pods()]
        return sum(self._release.namespace.issued(pod) for pod in pods) + sum(self.ended_ids.values())

    def _look_again_and_again(self) -> None:
        while not self._over.wait(1 - time.time() % 1):
            # A busy API server, or a pod that just ends.
            with contextlib.suppress(OSError, HTTPException, KeyError, ValueError):
                self.looks.append(self._look())

    def _look(self) -> Look:
        at, pods = time.time(), self._pods()
        for pod in pods:
            self._follow(pod)
        started = [pod for pod in pods if _condition(pod, "ContainersReady") or "deletionTimestamp" in pod["metadata"]]
        metrics = self._requests.map(self._metrics, started)
        last = self.looks[-1].connections if self.looks else {}  # for a pod that was too busy to answer
        connections = {
            _index(pod): each.get("connections", last.get(_index(pod), 0))
            for pod, each in zip(started, metrics, strict=True)
        }
        for pod in pods:
            if since := _condition(pod, "Ready"):
                self._ready_since.setdefault(pod["metadata"]["uid"], since)
        staying = {_index(pod): pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
        ready_since = {pod: self._ready_since[uid] for pod, uid in staying.items() if uid in self._ready_since}
        return Look(at, ready_since, connections)

    def _pods(self) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self._release.name},app.kubernetes.io/name=respid"
        pods: list[dict[str, Any]] = json.loads(self._get(f"?labelSelector={selector}"))["items"]
        return pods

    def _metrics(self, pod: dict[str, Any]) -> dict[str, int]:
        try:
            text = self._get(f"/{pod['metadata']['name']}:8080/proxy/metrics").decode()
        except (OSError, HTTPException):  # it has just ended
            return {}
        found = re.findall(r"^id_generator_(connections|ids_generated_total) (\S+)$", text, re.MULTILINE)
        return {name: int(float(value)) for name, value in found}

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._address + self._path + path, timeout=REQUEST_SECONDS) as response:
            content: bytes = response.read()
        return content

    def _follow(self, pod: dict[str, Any]) -> None:
        """Reads the log of each pod until the pod stops, to learn how many IDs it has issued."""
        uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        if uid not in self._followed and _condition(pod, "ContainersReady"):
            self._followed.add(uid)
            threading.Thread(target=self._read_log, args=(uid, name), daemon=True).start()

    def _read_log(self, uid: str, name: str) -> None:
        url = f"{self._address}{self._path}/{name}/log?follow=true"
        try:
            with urllib.request.urlopen(url) as log:
                for line in log:
                    if found := re.search(rb"stopped after (\d+) IDs", line):
                        self.ended_ids[uid] = int(found[1])
        except (OSError, HTTPException):
            self._followed.discard(uid)  # the next look begins again


def record(looks: Sequence[Look], programs: Iterable[Program], begin: float, end: float) -> Recording:
    """What was seen from `begin` to `end`, a row for each second. A second without a look repeats the one before it."""
    seconds = range(int(end - begin))
    pods = range(1 + max(pod for look in looks for pod in {*look.ready_since, *look.connections}))
    rows = [_last_before(looks, begin + second + 1) for second in seconds]
    columns = {"seconds": list(seconds)}
    for pod in pods:
        times = [(look.ready_since[pod], look.at) for look in looks if pod in look.ready_since]
        columns[f"ready {pod}"] = [
            int(any(since < begin + second + 1 and at >= begin + second for since, at in times)) for second in seconds
        ]
    columns |= {f"connections {pod}": [look.connections.get(pod, 0) for look in rows] for pod in pods}
    for program in programs:
        name = program.kind.name
        counts = {pod: [0] * len(seconds) for pod in pods}
        for each in program.ids:
            parts = LAYOUT.decompose(each)
            second = int(parts.timestamp_ms / 1000 - begin)
            if 0 <= second < len(seconds):
                counts[parts.worker_id][second] += 1
        columns |= {f"{name} {pod}": counts[pod] for pod in pods}
        errors = [program.errors_between(begin + second, begin + second + 1).total() for second in seconds]
        columns[f"{name} errors"] = errors
    return Recording(columns)


def _last_before(looks: Sequence[Look], at: float) -> Look:
    return max((look for look in looks if look.at < at), key=lambda look: look.at, default=looks[0])


def _index(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["name"].rsplit("-", 1)[1])


def _condition(pod: dict[str, Any], kind: str) -> float:
    """Returns since when a pod has been in a condition; 0 if it is not."""
    for each in pod["status"].get("conditions", []):
        if each["type"] == kind and each["status"] == "True":
            return datetime.fromisoformat(each["lastTransitionTime"]).timestamp()
    return 0
