"""Installs and uninstalls on a real cluster."""

import pytest

from tests.cluster.installation import (
    CHART,
    REPOSITORY,
    ROOT,
    SMALL,
    TAG,
    Client,
    Namespace,
    Release,
    repeated,
    run,
    wait_for,
)

USERS_VALUES = CHART / "ci" / "existing-values.yaml"


def test_existing_values_give_three_tested_workers(namespace: Namespace) -> None:
    image = ["--set", f"image.repository={REPOSITORY},image.tag={TAG}"]
    # The command in the documentation: helm install with the user's file.
    namespace.helm("install", "shop", str(ROOT / "helm-chart"), "--values", str(USERS_VALUES), *image)
    workers = Release(namespace, "shop-respid")
    wait_for(lambda: workers.ready == 3, "three workers are ready")
    for _ in range(2):  # the pod of the first test is still there
        assert "3 pods checked, 0 failed" in namespace.helm("test", "shop", "--logs")

    client = Client(namespace, "shop-respid")
    wait_for(lambda: client.answered > 1500, "some IDs are drawn")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.errors == {}
    assert drawn.worker_ids == {0, 1, 2}

    shell = ["exec", "shop-respid-0", "--", "python", "-c"]
    assert namespace.kubectl(*shell, "import os; print(os.getuid(), os.getgid())").split() == ["10001", "10001"]
    with pytest.raises(AssertionError, match="Read-only file system"):
        namespace.kubectl(*shell, "open('/opt/respid/x', 'w')")


def test_reinstall_continues_above_the_leases(release: Release) -> None:
    namespace = release.namespace
    before = _everything(namespace)
    assert "helm uninstall keeps the Leases" in release.install(SMALL)
    release.wait_for_rollout()
    client = Client(namespace, release.name, connections=12)
    wait_for(lambda: client.answered > 3000, "some IDs are drawn")
    first = client.finish()
    release.uninstall()
    leases = {f"lease.coordination.k8s.io/respid-default-{worker}" for worker in range(2)}
    wait_for(lambda: _everything(namespace) - before == leases, "nothing but the Leases is left")

    release.install(SMALL)
    release.wait_for_rollout()
    client = Client(namespace, release.name, connections=12)
    wait_for(lambda: client.answered > 3000, "some IDs are drawn")
    second = client.finish()
    assert repeated(first, second) == 0
    for worker in range(2):
        assert max(_of_worker(first.spans, worker)) < min(_of_worker(second.spans, worker))


def test_any_user_of_group_0_passes_restricted_pod_security(release: Release) -> None:
    """As OpenShift runs pods: under a user ID of the namespace, which the image does not know."""
    namespace, user = release.namespace, 1000640000
    namespace.kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
    release.install(SMALL, {"podSecurityContext": {"runAsUser": user, "runAsGroup": 0, "fsGroup": user}})
    release.wait_for_rollout()
    assert "2 pods checked, 0 failed" in namespace.helm("test", release.name, "--logs")
    identity = namespace.kubectl("exec", "respid-0", "--", "python", "-c", "import os; print(os.getuid(), os.getgid())")
    assert identity.split() == [str(user), "0"]


def test_release_named_respid_ignores_service_links(release: Release) -> None:
    release.install(SMALL)
    release.wait_for_rollout()
    release.namespace.kubectl("delete", "pod", "respid-0")  # the new one starts after the Service exists
    wait_for(lambda: release.ready == 2, "it is replaced")
    variables = release.namespace.kubectl("exec", "respid-0", "--", "env")
    assert "RESPID_PORT=6379\n" in variables
    assert "RESPID_SERVICE_HOST" not in variables


def test_pod_name_replaces_missing_label(release: Release) -> None:
    release.install(SMALL)
    # As before Kubernetes 1.28: the label is missing, so the variables are empty.
    empty = {"value": None, "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['none']"}}}
    release.patch({}, env=[{"name": name} | empty for name in ("WORKER_ID", "RESPID_WORKER_ID")])
    for worker in range(2):
        variables = release.namespace.kubectl("exec", f"respid-{worker}", "--", "env")
        assert "\nWORKER_ID=\n" in variables
        (info,) = [
            line
            for line in release.namespace.metrics(f"respid-{worker}").splitlines()
            if "_info{" in line and "worker_id" in line
        ]
        assert f'worker_id="{worker}"' in info
        assert 'worker_id_source="POD_NAME"' in info


def _of_worker(spans: list[tuple[int, int]], worker: int) -> list[int]:
    return [last for _, last in spans if last >> 12 & 1023 == worker]


def _everything(namespace: Namespace) -> set[str]:
    """Returns all objects of the namespace except events and pod metrics."""
    kinds = run("kubectl", "api-resources", "--verbs=list,delete", "--namespaced", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith("events") and not kind.endswith("metrics.k8s.io")]
    return set(namespace.kubectl("get", ",".join(kinds), "-o", "name", "--ignore-not-found").split())
