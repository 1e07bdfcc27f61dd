"""Asks the API server through `kubectl proxy`, in a fraction of the time that a kubectl takes each time."""

import atexit
import functools
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any

ANSWER_SECONDS = 30
RETRY_SECONDS = 90
PAUSE_SECONDS = 0.5
WATCH_SECONDS = 5
# The answers of a busy API server, or of one that cannot reach a busy node.
PASSING = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
# The paths of the kinds that tests look at again and again.
GROUPS = {
    "hpa": "apis/autoscaling/v2/{}/horizontalpodautoscalers",
    "lease": "apis/coordination.k8s.io/v1/{}/leases",
    "pod": "api/v1/{}/pods",
    "poddisruptionbudget": "apis/policy/v1/{}/poddisruptionbudgets",
    "service": "api/v1/{}/services",
    "statefulset": "apis/apps/v1/{}/statefulsets",
}


@functools.cache
def _proxy_url() -> str:
    """Starts a proxy that runs as long as this process."""
    command = ["kubectl", "proxy", "--port=0"]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(proxy.kill)
    assert proxy.stdout is not None
    return f"http://{proxy.stdout.readline().split()[-1]}"  # Starting to serve on 127.0.0.1:12345


def read(namespace: str, kind: str, path: str = "") -> str:
    """Returns what the API server has below the path of a kind. Raises AssertionError if that is nothing."""
    return _request(f"{_collection(namespace, kind)}{path}")


def changes(namespace: str, kind: str, name: str, over: threading.Event) -> Iterator[dict[str, Any]]:
    """Yields an object as it is now and after each change, until the event is set. An interruption loses no change."""
    seen = ""
    watch = f"{_collection(namespace, kind)}?watch=1&timeoutSeconds={WATCH_SECONDS}&fieldSelector=metadata.name={name}"
    while not over.is_set():
        try:
            if not seen:
                found = json.loads(read(namespace, kind, f"/{name}"))
                seen = found["metadata"]["resourceVersion"]
                yield found
            with _open(f"{watch}&resourceVersion={seen}") as lines:
                for line in lines:
                    change = json.loads(line)["object"]
                    seen = change["metadata"].get("resourceVersion", "")  # an error, such as a lost history, has none
                    if seen:
                        yield change
        except (AssertionError, OSError, HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == HTTPStatus.GONE:
                seen = ""
            over.wait(PAUSE_SECONDS)


def evict(namespace: str, pod: str) -> None:
    """Does what `kubectl drain` does with a pod. Raises AssertionError if the API server refuses."""
    metadata = {"name": pod, "namespace": namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    _request(f"api/v1/namespaces/{namespace}/pods/{pod}/eviction", json.dumps(eviction).encode())


def _collection(namespace: str, kind: str) -> str:
    return GROUPS[kind].format(f"namespaces/{namespace}")


def _open(path: str, body: bytes | None = None) -> HTTPResponse:
    request = urllib.request.Request(f"{_proxy_url()}/{path}", body, {"Content-Type": "application/json"})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=ANSWER_SECONDS)
    return response


def _request(path: str, body: bytes | None = None) -> str:
    """Tries again, for a limited time, if there is no answer or one that a busy machine explains."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            with _open(path, body) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            is_final, text = error.code not in PASSING, f"{path}: {error.code} {error.read().decode()}"
        except (OSError, HTTPException) as error:
            is_final, text = False, f"{path}: {error}"
        assert not is_final, text
        assert time.monotonic() < deadline, text
        time.sleep(PAUSE_SECONDS)
