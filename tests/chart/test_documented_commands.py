"""Runs the procedures of the documents as they are typed, with kubectl and Helm against a real API server.

No controllers run. So commands that need a pod are left out, and numbers of workers are those that were asked for.
"""

import base64
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CHART
from tests.support.documents import ROOT
from tests.support.kubernetes_api_server import ApiServer
from tests.support.needed_tools import need_tool

pytestmark = pytest.mark.kubernetes
KUBERNETES, MOVING, TRANSITIONS = (ROOT / "docs" / f"{name}.md" for name in ("kubernetes", "moving", "transitions"))
NEED_PODS = ("kubectl rollout status", "kubectl logs", "kubectl delete pod", "kubectl exec", "helm test", "docker")
STOP, CHANGE = "To stop all workers", "To change the layout, the offset or the ID space"
FIXED, HPA = "autoscaling.enabled=false", "autoscaling.keda.enabled=false"
GREATEST_ID = "379216510486319104"
_numbers = itertools.count()


def blocks(page: Path, heading: str) -> list[list[str]]:
    """Returns the commands in each block of a section, without those that need pods."""
    _, _, rest = page.read_text().partition(f"# {heading}\n")
    section = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    commands = [[line.strip() for line in block.replace("\\\n", " ").splitlines()] for block in found]
    return [[line for line in block if not line.startswith(NEED_PODS)] for block in commands]


class Operator:
    """Types commands in a namespace of its own, in which the release `ids` is installed with these values."""

    def __init__(self, server: ApiServer, directory: Path) -> None:
        self._directory = directory
        self.namespace = f"documented-{next(_numbers)}"
        (directory / "kubeconfig").write_text(server.kubeconfig.read_text())
        self._environment = os.environ | {
            "KUBECONFIG": str(directory / "kubeconfig"),
            "HOME": str(server.kubeconfig.parent),
        }
        (directory / "helm-chart").symlink_to(CHART)
        self.type(f"kubectl create namespace {self.namespace}")
        self.type(f"kubectl config set-context --current --namespace {self.namespace}")

    def install(self, *values: str) -> None:
        given = ",".join(["image.repository=registry.example.com/respid", *values])
        self.type(f"helm install ids ./helm-chart --set {given}")

    def type(self, command: str, **meanings: str) -> str:
        """Returns the output. Raises AssertionError if the command fails."""
        given = {"RELEASE": "ids", "NAME": "ids-respid", "CHART": "./helm-chart", "GREATEST_ID": GREATEST_ID}
        for name, meaning in (given | meanings).items():
            command = re.sub(rf"(?<![A-Z:]){name}\b", meaning, command)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", command],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def workers(self) -> int:
        return int(self.type("kubectl get statefulset NAME -o jsonpath='{.spec.replicas}'"))

    def variables(self) -> dict[str, str]:
        """Returns the environment variables of the workers."""
        found = json.loads(self.type("kubectl get statefulset NAME -o json"))
        (container,) = found["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    def stop(self) -> None:
        _, scale, wait = blocks(KUBERNETES, STOP)[0]
        self.type(scale)
        self.type(wait)
        assert self.workers() == 0

    def start(self) -> None:
        self.type(blocks(KUBERNETES, STOP)[1][1])
        assert self.workers() == 3


@pytest.fixture
def operator(api_server: ApiServer, tmp_path: Path) -> Iterator[Operator]:
    for tool in ("helm", "kubectl"):
        need_tool(tool)
    operator = Operator(api_server, tmp_path)
    yield operator
    operator.type(f"kubectl delete namespace {operator.namespace} --wait=false")


def test_an_upgrade_keeps_the_other_values(operator: Operator) -> None:
    operator.install(HPA, "workerIdOffset=7")
    ((upgrade, roll_back),) = blocks(KUBERNETES, "Upgrades")
    operator.type(upgrade)
    assert operator.variables()["RESPID_LOG_LEVEL"] == "debug"
    assert operator.variables()["RESPID_WORKER_ID_OFFSET"] == "7"
    operator.type(roll_back)
    assert operator.variables()["RESPID_LOG_LEVEL"] == "info"


def test_stopped_workers_can_be_changed_and_started(operator: Operator) -> None:
    operator.install(HPA)
    (changes,) = blocks(KUBERNETES, CHANGE)
    for change in changes:
        operator.stop()
        operator.type(change)
        assert operator.workers() == 0, "the number of an autoscaler stays"
        operator.start()
    variables = operator.variables()
    assert variables["RESPID_LAYOUT"] == "41/11/11"
    assert variables["RESPID_WORKER_ID_OFFSET"] == "100"
    assert variables["RESPID_LEASE_ID_SPACE"] == "orders"
    with pytest.raises(AssertionError, match="stop all workers first"):
        operator.type(changes[0].replace("41/11/11", "41/10/12"))


def test_an_upgrade_or_a_rollback_starts_a_fixed_number(operator: Operator) -> None:
    operator.install(FIXED)
    operator.stop()
    operator.type(blocks(KUBERNETES, CHANGE)[0][1])
    assert operator.workers() == 3
    for command in blocks(TRANSITIONS, "Worker ID and offset")[0]:
        operator.type(command)
    assert operator.workers() == 3


def test_keda_can_be_paused_at_another_number(operator: Operator) -> None:
    """On the HPA, because this API server does not know ScaledObjects."""
    operator.install(HPA)
    (pause, *_), (resume, *_) = blocks(KUBERNETES, STOP)
    for command in (pause.replace("=0", "=2"), pause, resume):
        operator.type(command.replace("scaledobject", "hpa"))


def test_workers_with_volumes_get_another_offset(operator: Operator) -> None:
    operator.install(FIXED, "store=file", "workerIdOffset=5")
    *steps, clear = blocks(TRANSITIONS, "Worker ID and offset")[1]
    for command in steps:
        operator.type(command)
    assert operator.workers() == 3
    assert operator.variables()["RESPID_START_ABOVE"] == GREATEST_ID
    operator.type(clear)
    assert "RESPID_START_ABOVE" not in operator.variables()


def test_workers_move_to_another_namespace(operator: Operator) -> None:
    operator.install(FIXED, "workerIdOffset=5")
    stop, show_marks, change, move, clear = blocks(MOVING, "Moving to another store, ID space, namespace or cluster")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    labels = {"app.kubernetes.io/name": "respid", "app.kubernetes.io/component": "high-water-mark"}
    annotations = {"respid.io/ceiling-ms": "1764194400000", "respid.io/layout": "41/10/12@1704067200000"}
    for name in ("respid-OLD-0", "respid-OLD-1"):
        metadata = {"name": name.lower(), "labels": labels, "annotations": annotations}
        operator.type(f"kubectl create -f - <<< '{json.dumps(lease | {'metadata': metadata})}'")
    for command in stop:
        operator.type(command)
    (shown,) = (operator.type(command) for command in show_marks)
    assert shown.splitlines()[1].split() == ["respid-old-0", "1764194400000", "41/10/12@1704067200000"]
    _, delete = blocks(TRANSITIONS, "Store, ID space, state directory, namespace")[0]
    operator.type(delete.replace("OLD", "old"))

    for command in (*change, *clear):
        operator.type(command)
    assert operator.variables()["RESPID_LEASE_ID_SPACE"] == "orders"
    operator.stop()
    former, new = operator.namespace, f"{operator.namespace}-new"
    for command in move:
        operator.type(command, NEW=new)
    operator.type(f"kubectl config set-context --current --namespace {new}")
    assert operator.workers() == 3
    assert operator.variables().items() >= {"RESPID_START_ABOVE": GREATEST_ID, "RESPID_WORKER_ID_OFFSET": "5"}.items()
    operator.type(clear[0])
    assert "RESPID_START_ABOVE" not in operator.variables()
    operator.type(f"kubectl delete namespace {former} --wait=false")


def test_passwords_and_certificates_are_replaced(operator: Operator, tmp_path: Path) -> None:
    for name in ("FILE", "tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).write_text(f"first {name}")
    replacements = [line for block in blocks(KUBERNETES, "Changing passwords and certificates") for line in block]
    for command in replacements:
        operator.type(command.replace("replace", "create"))
        before = operator.type("kubectl get secrets,configmaps -o yaml")
        for path in tmp_path.iterdir():
            if path.name in ("FILE", "tls.crt", "tls.key", "ca.crt"):
                path.write_text(path.read_text() + " again")
        operator.type(command)
        assert operator.type("kubectl get secrets,configmaps -o yaml") != before
    secret = yaml.safe_load(operator.type("kubectl get secret respid-tls -o yaml"))
    assert secret["type"] == "kubernetes.io/tls"
    assert base64.b64decode(secret["data"]["ca.crt"]).startswith(b"first ca.crt again")


def test_a_node_can_be_declared_out_of_service(operator: Operator) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": operator.namespace}}
    operator.type(f"kubectl create -f - <<< '{json.dumps(node)}'")
    _, (taint,) = blocks(KUBERNETES, "To replace a pod on a node that hangs or is lost")
    operator.type(taint, NODE=operator.namespace)
    operator.type(f"kubectl delete node {operator.namespace}")
