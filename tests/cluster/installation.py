"""Releases and client pods in namespaces of a real cluster, through kubectl and helm."""

import base64
import contextlib
import io
import itertools
import json
import os
import re
import subprocess
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import yaml

from tests.cluster import api

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm-chart"
CLIENT_PROGRAM = (Path(__file__).parent / "client_program.py").read_text()
IMAGE = os.environ.get("RESPID_TEST_IMAGE", "localhost/respid:dev")
REPOSITORY, _, TAG = IMAGE.rpartition(":")
REQUESTS = {"memory": "32Mi", "cpu": "50m"}  # with less, a pod hardly runs on a busy machine
CPU_LIMIT = os.environ.get("RESPID_TEST_CPU_LIMIT", "1000m")  # of a worker
FAILED = 1  # the exit code of a worker that gives up
WAIT_SECONDS = 420  # for what takes seconds on an idle machine
# Errors that a driver can retry: the connection was closed between two requests, or a worker is not ready.
RETRYABLE = {"closed", "-LOADING respid cannot issue IDs"}
# While no worker is ready, the node refuses connections. Linux does so once per second; other attempts get no answer.
NO_WORKERS = RETRYABLE | {"TimeoutError: no connection"}
# How to delete a pod. Without waiting, because kubectl can miss that it is gone if another one has its name already.
BY_FORCE = ("--force", "--grace-period=0", "--wait=false")
# Few resources, so that a small node has room for all.
SMALL = {
    "resources": {"requests": REQUESTS, "limits": {"memory": "256Mi", "cpu": CPU_LIMIT}},
    "autoscaling": {"enabled": False},
    "replicaCount": 2,
    "drainDelaySeconds": 2,
}

# What a command prints if a busy API server or node did not accept its request. Nothing has changed then.
NOT_ACCEPTED = {
    "kubectl": re.compile(r"TLS handshake timeout|dial tcp |connection to the server \S+ was refused"),
    "helm": re.compile("Kubernetes cluster unreachable"),  # before it begins; later, it may have done a part
}
RETRIES = 5
RETRY_PAUSE_SECONDS = 5

Values = dict[str, Any]


def run(*command: str, stdin: str = "") -> str:
    """Runs kubectl or helm and returns its output. Raises AssertionError with the output if it fails.

    Retries if the API server did not accept the request, but not if it may have done so.
    """
    for retries_left in reversed(range(RETRIES + 1)):
        done = _run_once(command, stdin)
        if done.returncode and retries_left and NOT_ACCEPTED[command[0]].search(done.stderr):
            time.sleep(RETRY_PAUSE_SECONDS)
            continue
        break
    assert done.returncode == 0, f"{' '.join(command)[:200]}: {done.stderr}{done.stdout}"
    return done.stdout


def _run_once(command: Sequence[str], stdin: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS + 20)


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Polls until the condition is true. Failed commands, such as those of a busy API server, count as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
            last = "no"
        except (AssertionError, subprocess.TimeoutExpired) as error:
            last = str(error)
        assert time.monotonic() < deadline, f"after {seconds} s: {what}: {last}"
        time.sleep(0.5)


@dataclass(frozen=True)
class Drawn:
    """The replies to each of a client's connections, in order."""

    connections: list[dict[str, Any]]

    @property
    def spans(self) -> list[tuple[int, int]]:
        return sorted((first, last) for each in self.connections for first, last in each["spans"])

    @property
    def errors(self) -> dict[str, int]:
        texts = {text for each in self.connections for text in each["errors"]}
        return {text: sum(each["errors"].get(text, 0) for each in self.connections) for text in texts}

    @property
    def was_refused(self) -> bool:
        """Whether a worker answered that it cannot issue IDs."""
        return any("LOADING" in text for text in self.errors)

    @property
    def longest_pause(self) -> float:
        return max(float(each["longest_pause"]) for each in self.connections)

    @property
    def worker_ids(self) -> set[int]:
        return {first >> 12 & 1023 for first, _ in self.spans}


def repeated(*draws: Drawn) -> int:
    """Counts the replies with an ID that another reply had."""
    spans = sorted(span for drawn in draws for span in drawn.spans)
    assert spans, "nothing was drawn"
    return sum(former[1] >= later[0] for former, later in itertools.pairwise(spans))


class Namespace:
    """A namespace of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        run("kubectl", "create", "namespace", name)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return run("kubectl", "--namespace", self.name, *arguments, stdin=stdin)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(api.read(self.name, kind, f"/{name}"))
        return found

    def log(self, pod: str, *, lines: int | None = None) -> str:
        """Returns the last lines, or all, of what a pod's first container has logged."""
        container = self.get("pod", pod)["spec"]["containers"][0]["name"]
        tail = "" if lines is None else f"&tailLines={lines}"
        return api.read(self.name, "pod", f"/{pod}/log?container={container}{tail}")

    def helm(self, *arguments: str, values: Values | None = None) -> str:
        return run("helm", "--namespace", self.name, *arguments, stdin=yaml.safe_dump(values or {}))

    def metrics(self, pod: str) -> str:
        return api.read(self.name, "pod", f"/{pod}:8080/proxy/metrics")

    def metric(self, pod: str, name: str) -> int:
        (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", self.metrics(pod), re.MULTILINE)
        return int(float(value))

    def issued(self, pod: str) -> int:
        """Returns the number of IDs that a worker has issued since it started."""
        return self.metric(pod, "id_generator_ids_generated_total")

    def create_files(self, name: str, files: dict[str, bytes]) -> None:
        """Creates a ConfigMap of the files, to mount into pods."""
        data = {file: base64.b64encode(content).decode() for file, content in files.items()}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "binaryData": data}
        self.kubectl("create", "-f", "-", stdin=json.dumps(made))

    def delete(self) -> None:
        run("kubectl", "delete", "namespace", self.name, "--wait=false")


class Release:
    """respid as Helm installs it; its objects have the release's name if "respid" is part of that."""

    def __init__(self, namespace: Namespace, name: str = "respid") -> None:
        self.namespace, self.name = namespace, name

    def install(self, *values: Values) -> str:
        return self._put("install", *values)

    def upgrade(self, *values: Values) -> str:
        """Waits until the workers are replaced and ready."""
        printed = self._put("upgrade", *values)
        self.wait_for_rollout()
        return printed

    def roll_back(self) -> None:
        self.namespace.helm("rollback", self.name)
        self.wait_for_rollout()

    def uninstall(self) -> str:
        printed = self.namespace.helm("uninstall", self.name, "--wait")
        wait_for(lambda: not self.pods(), "the pods are gone")
        return printed

    def wait_for_rollout(self) -> None:
        self.namespace.kubectl("rollout", "status", f"statefulset/{self.name}", f"--timeout={WAIT_SECONDS}s")

    def scale(self, workers: int) -> None:
        self.namespace.kubectl("scale", "statefulset", self.name, f"--replicas={workers}")

    def pods(self) -> list[str]:
        label = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/name=respid"
        pods = json.loads(api.read(self.namespace.name, "pod", f"?labelSelector={label}"))["items"]
        return [f"pod/{pod['metadata']['name']}" for pod in pods]

    @property
    def replicas(self) -> int:
        return int(self.namespace.get("statefulset", self.name)["spec"]["replicas"])

    @property
    def ready(self) -> int:
        return int(self.namespace.get("statefulset", self.name)["status"].get("readyReplicas", 0))

    @property
    def created(self) -> int:
        """The number of pods, as the StatefulSet knows it."""
        return int(self.namespace.get("statefulset", self.name)["status"].get("replicas", 0))

    @property
    def exit_codes(self) -> set[int]:
        """Those of the workers that run now, from former ends. Probes on a busy node cause others than `FAILED`."""
        return {int(end["exitCode"]) for end in self.ends}

    @property
    def ends(self) -> list[dict[str, Any]]:
        """How the containers of the workers that run now have ended before: exitCode, reason, finishedAt and others."""
        statuses = [self.namespace.get(*pod.split("/"))["status"]["containerStatuses"] for pod in self.pods()]
        ends = [each.get("lastState", {}).get("terminated") for containers in statuses for each in containers]
        return [end for end in ends if end]

    def logs(self, event: str) -> list[bool]:
        """Whether each worker that runs now has logged an event."""
        return [f'"{event}"' in self.namespace.log(pod.removeprefix("pod/")) for pod in self.pods()]

    def patch(self, specification: Values, **container: object) -> None:
        """Changes the pods' specification and their container, where the chart has no value, and waits for the pods."""
        template = {"spec": specification | {"containers": [{"name": "respid"} | container]}}
        patch = json.dumps({"spec": {"template": template}})
        self.namespace.kubectl("patch", "statefulset", self.name, "--patch", patch)
        self.wait_for_rollout()

    def _put(self, verb: str, *values: Values) -> str:
        files: Values = {"image": {"repository": REPOSITORY, "tag": TAG}}
        for each in values:
            files |= each
        return self.namespace.helm(verb, self.name, str(CHART), "--values", "-", values=files)


def _zipped(package: Path) -> bytes:
    """Returns a zip archive that a Python package can be imported from."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        for path in package.rglob("*.py"):
            files.write(path, path.relative_to(package.parent))
    return archive.getvalue()


def run_program(namespace: Namespace, container: Values, *, volumes: Sequence[Values] = ()) -> None:
    """Creates a pod of the container's name that runs it once."""
    specification: Values = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    specification |= {"containers": [container], "volumes": list(volumes)}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": container["name"]}, "spec": specification}
    namespace.kubectl("apply", "-f", "-", stdin=json.dumps(pod))


def interrupt_program(namespace: Namespace, name: str) -> str:
    """Ends a pod's program as Ctrl-C does, deletes the pod, and returns its log."""
    with contextlib.suppress(AssertionError):  # what sends the signal may end with the process that gets it
        namespace.kubectl("exec", name, "--", "python", "-c", "import os; os.kill(1, 2)")
    ends = ("Succeeded", "Failed")
    wait_for(lambda: namespace.get("pod", name)["status"]["phase"] in ends, f"the program of pod {name} ends")
    log = namespace.log(name)
    namespace.kubectl("delete", "pod", name)
    return log


class Client:
    """A pod that draws IDs until it is stopped."""

    def __init__(
        self,
        namespace: Namespace,
        host: str,
        *,
        name: str = "client",
        connections: int = 6,
        pause: float = 0.05,
        singles: int = 5,
        keeps: bool = True,
        driver: str = "none",
    ) -> None:
        self._namespace, self._name = namespace, name
        arguments = [host, "6379", str(connections), str(pause), str(singles), str(keeps), driver]
        container: dict[str, Any] = {
            "name": name,
            "image": IMAGE,
            "command": ["python", "-c", CLIENT_PROGRAM, *arguments],
            "resources": {"requests": REQUESTS},
        }
        volumes: list[Values] = []
        if driver == "redis-py":
            namespace.create_files("drivers", {"redis.zip": _zipped(Path(redis.__file__).parent)})
            container["volumeMounts"] = [{"name": "drivers", "mountPath": "/drivers"}]
            container["env"] = [{"name": "PYTHONPATH", "value": "/drivers/redis.zip"}]
            volumes = [{"name": "drivers", "configMap": {"name": "drivers"}}]
        run_program(namespace, container, volumes=volumes)
        wait_for(lambda: self.answered > 0, "the client draws")

    @property
    def answered(self) -> int:
        lines = self._namespace.log(self._name, lines=1).split()
        return int(lines[-1]) if lines else 0

    @property
    def answered_by_second(self) -> list[int]:
        """What `answered` was in each second so far."""
        return [int(line) for line in self._namespace.log(self._name).split()]

    def finish(self) -> Drawn:
        return Drawn(json.loads(interrupt_program(self._namespace, self._name).splitlines()[-1]))
