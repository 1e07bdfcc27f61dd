"""Asks the API server through `kubectl proxy`, in a fraction of the time that a kubectl takes each time."""

import atexit
import functools
import json
import subprocess
import urllib.error
import urllib.request
from http.client import HTTPException

READ_SECONDS = 30
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
    group = GROUPS[kind].format(f"namespaces/{namespace}")
    return _request(f"{group}{path}")


def evict(namespace: str, pod: str) -> None:
    """Does what `kubectl drain` does with a pod. Raises AssertionError if the API server refuses."""
    metadata = {"name": pod, "namespace": namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    _request(f"api/v1/namespaces/{namespace}/pods/{pod}/eviction", json.dumps(eviction).encode())


def _request(path: str, body: bytes | None = None) -> str:
    request = urllib.request.Request(f"{_proxy_url()}/{path}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=READ_SECONDS) as response:
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error
    except (OSError, HTTPException) as error:
        raise AssertionError(f"{path}: {error}") from error
    return content.decode()
