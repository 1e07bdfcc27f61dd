"""The demands of admission controllers on the pods, and the peers that the pods can reach."""

import re
from pathlib import Path

import pytest

from tests.chart.rendering import CASES, Manifest, Values, render, render_case, render_with_apis

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text()
OPENSHIFT_API = "security.openshift.io/v1"
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def assert_restricted(pod: Manifest) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"].get("runAsUser") != 0
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {key for volume in pod.get("volumes", []) for key in volume} - {"name"} <= RESTRICTED_VOLUMES
    container = pod["containers"][0]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.kubernetes
@pytest.mark.parametrize("case", [case for case in CASES if case != "nothing"])
def test_the_pods_pass_the_restricted_pod_security_standard(case: str) -> None:
    rendered = render_case(case)
    for pod in (rendered.pod, rendered.one("Pod")["spec"]):
        assert_restricted(pod)


@pytest.mark.kubernetes
def test_openshift_assigns_the_user_and_group_ids() -> None:
    rendered = render_with_apis({"store": "file"}, OPENSHIFT_API)
    for pod in (rendered.pod, rendered.one("Pod")["spec"]):
        assert_restricted(pod)
        assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_the_image_works_for_any_user_of_group_0() -> None:
    """OpenShift runs it as a random user, in group 0."""
    directory = re.search(r"RESPID_STATE_DIR=(\S+)", DOCKERFILE)
    assert directory
    assert f"install --directory --owner 10001 --group 0 --mode 0770 {directory[1]}" in DOCKERFILE


def test_the_token_expires_and_is_the_workers_alone() -> None:
    values: Values = {"sidecars": [{"name": "proxy", "image": "p"}], "serviceAccount": {"tokenExpirationSeconds": 900}}
    pod = render(values).pod
    (volume,) = pod["volumes"]
    token, authority, namespace = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {"path": "token", "expirationSeconds": 900}
    assert authority["configMap"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert namespace["downwardAPI"]["items"][0]["path"] == "namespace"
    worker, proxy = pod["containers"]
    assert worker["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert "volumeMounts" not in proxy


def test_cert_manager_certifies_the_services_and_every_pod() -> None:
    manager = {"enabled": True, "issuerRef": {"name": "internal"}, "dnsNames": ["ids.example.com"]}
    rendered = render({"tls": {"enabled": True, "certManager": manager}})
    certificate = rendered.one("Certificate")["spec"]
    assert certificate["usages"] == ["server auth"]
    assert {
        "demo-respid.shop.svc",
        "demo-respid.shop.svc.cluster.local",
        "*.demo-respid-headless.shop.svc",
        "ids.example.com",
    } <= set(certificate["dnsNames"])
    secrets = [each["secret"]["secretName"] for each in rendered.pod["volumes"] if "secret" in each]
    assert secrets == [certificate["secretName"]] == ["demo-respid-tls"]


def test_cert_manager_can_fill_another_secret_and_certifies_clients_when_they_are_verified() -> None:
    manager = {"enabled": True, "issuerRef": {"name": "internal"}}
    tls = {"enabled": True, "existingSecret": "own", "authClients": "yes", "certManager": manager}
    certificate = render({"tls": tls}).one("Certificate")["spec"]
    assert certificate["secretName"] == "own"
    assert certificate["usages"] == ["server auth", "client auth"]
