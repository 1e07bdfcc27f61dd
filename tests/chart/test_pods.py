"""The values that platform teams expect: what they change in the pods, the Services and the objects around them."""

import re
import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest

from respid.cli.options import CONFIG_DEFAULTS
from respid.cli.serve import serve
from tests.chart.rendering import CHART, KEDA_API, Values, ci_values, render, render_with_apis

# Value, variable, field of Config, a value that is not the default
OPTIONAL_VARIABLES = [
    ("sequenceReset", "RESPID_SEQUENCE_RESET", "sequence_reset", 128),
    ("clockJumpConfirmSeconds", "RESPID_CLOCK_JUMP_CONFIRM", "clock_jump_confirm_seconds", 2.5),
    ("maxClients", "RESPID_MAX_CLIENTS", "max_clients", 20_000_000),
    ("maxRequestBytes", "RESPID_MAX_REQUEST_BYTES", "max_request_bytes", 512 * 1024 * 1024),
    ("maxArguments", "RESPID_MAX_ARGUMENTS", "max_arguments", 10),
    ("maxInlineBytes", "RESPID_MAX_INLINE_BYTES", "max_inline_bytes", 64),
    ("maxQueuedCommands", "RESPID_MAX_QUEUED_COMMANDS", "max_queued_commands", 1),
    ("authTimeoutSeconds", "RESPID_AUTH_TIMEOUT", "auth_timeout_seconds", 5),
    ("maxClientMemoryBytes", "RESPID_MAX_CLIENT_MEMORY", "max_client_memory_bytes", 100_000_000),
    ("idleTimeoutSeconds", "RESPID_IDLE_TIMEOUT", "idle_timeout_seconds", 900),
    ("maxConnectionAgeClients", "RESPID_MAX_CONNECTION_AGE_CLIENTS", "max_connection_age_clients", "all"),
    ("tcpKeepaliveSeconds", "RESPID_TCP_KEEPALIVE", "tcp_keepalive_seconds", 0),
]


@pytest.mark.parametrize(("value", "variable", "field", "other"), OPTIONAL_VARIABLES)
def test_a_variable_is_set_only_if_it_is_not_the_default(value: str, variable: str, field: str, other: Any) -> None:
    with helm_python.Chart.load("helm-chart") as chart:
        assert chart.values[value] == CONFIG_DEFAULTS[field]
    assert variable not in render().environment
    assert variable not in render({value: CONFIG_DEFAULTS[field]}).environment
    assert render({value: other}).environment[variable] == str(other)


def test_null_is_no_number(tmp_path: Path) -> None:
    """Helm 3 passes a null of values.yaml on to the templates, and prints it as "<no value>"; Helm 4 leaves it out."""
    chart = shutil.copytree(CHART, tmp_path / "chart")
    (chart / "templates" / "number.yaml").write_text('length: {{ include "respid.number" nil | len }}')
    with helm_python.Chart.load(chart) as loaded:
        assert loaded.render({}, name="demo")["respid/templates/number.yaml"] == "length: 0"


def test_an_umbrella_chart_can_switch_it_on_and_share_anchors() -> None:
    shared: Values = {"enabled": True, "x-shared": [1], "global": {"imageRegistry": None, "storageClass": "fast"}}
    render(shared)
    for typo in ("enable", "xshared", "globals"):
        with pytest.raises(helm_python.HelmError, match=typo):
            render({typo: True})


@pytest.mark.parametrize(
    ("image", "registry", "expected"),
    [
        ({"repository": "registry.example.com/team/respid"}, "mirror:5000", "mirror:5000/team/respid:1"),
        ({"repository": "localhost/respid"}, "mirror:5000/", "mirror:5000/respid:1"),
        ({"repository": "team/respid"}, "mirror.example.com/hub", "mirror.example.com/hub/team/respid:1"),
        ({"repository": "registry:5000/respid", "registry": "own.example.com"}, "", "own.example.com/respid:1"),
        ({"repository": "team/respid", "registry": "own.example.com"}, "mirror:5000", "mirror:5000/team/respid:1"),
        ({"repository": "registry:5000/team/respid"}, "", "registry:5000/team/respid:1"),
        ({"repository": "[fd00::1]:5000/respid"}, "", "[fd00::1]:5000/respid:1"),
    ],
)
def test_the_registry_can_be_replaced(image: Values, registry: str, expected: str) -> None:
    rendered = render({"image": image | {"tag": 1}, "global": {"imageRegistry": registry}})
    assert rendered.container["image"] == expected
    assert rendered.one("Pod")["spec"]["containers"][0]["image"] == expected


def test_pull_secrets_are_the_charts_and_the_umbrella_charts() -> None:
    secrets: Values = {"imagePullSecrets": ["a", {"name": "b"}], "global": {"imagePullSecrets": [{"name": "c"}, "a"]}}
    rendered = render(secrets)
    assert rendered.pod["imagePullSecrets"] == [{"name": "c"}, {"name": "a"}, {"name": "b"}]
    assert rendered.one("Pod")["spec"]["imagePullSecrets"] == rendered.pod["imagePullSecrets"]


def test_common_labels_and_annotations_are_on_every_object_and_pod() -> None:
    common: Values = {"commonLabels": {"team": "ids"}, "commonAnnotations": {"contact": "ids"}}
    everything = ci_values("everything") | common | {"extraObjects": []}
    rendered = render(everything)
    pods = [rendered.one("StatefulSet")["spec"]["template"]["metadata"]]
    for metadata in [*pods, *(manifest["metadata"] for manifest in rendered.objects)]:
        assert metadata["labels"]["team"] == "ids"
        assert metadata["annotations"]["contact"] == "ids"


def test_common_labels_do_not_change_what_is_selected() -> None:
    selected = render().one("StatefulSet")["spec"]["selector"]
    labels = {"app.kubernetes.io/name": "other", "app.kubernetes.io/instance": "other"}
    rendered = render({"commonLabels": labels | {"team": "ids"}, "podLabels": labels, "store": "file"})
    workers = rendered.one("StatefulSet")["spec"]
    assert workers["selector"] == selected
    assert selected["matchLabels"].items() <= workers["template"]["metadata"]["labels"].items()
    assert "labels" not in workers["volumeClaimTemplates"][0]["metadata"], "Kubernetes would refuse to change them"


def test_variables_from_a_config_map_cannot_replace_the_worker_id() -> None:
    """Kubernetes takes those in `env` first, even if empty, and the chart sets all of these there."""
    container = render({"envFrom": [{"configMapRef": {"name": "shared"}}]}).container
    assert container["envFrom"] == [{"configMapRef": {"name": "shared"}}]
    assert {"WORKER_ID", "RESPID_WORKER_ID", "POD_NAME"} <= {each["name"] for each in container["env"]}


def test_the_worker_stays_the_first_container() -> None:
    values: Values = {"sidecars": [{"name": "proxy", "image": "p"}], "initContainers": [{"name": "wait", "image": "w"}]}
    pod = render(values).pod
    assert [each["name"] for each in pod["containers"]] == ["respid", "proxy"]
    assert [each["name"] for each in pod["initContainers"]] == ["wait"]


def test_extra_objects_are_objects_or_templates() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}}
    text = 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include "respid.fullname" . }}-b'
    rendered = render({"extraObjects": [config, text]})
    assert rendered.one("ConfigMap")["metadata"]["name"] == "demo-a"
    assert rendered.one("Secret")["metadata"]["name"] == "demo-respid-b"


def test_probes_have_their_own_timing_and_keep_their_paths() -> None:
    probes: Values = {"livenessProbe": None, "readinessProbe": {"failureThreshold": 9}}
    container = render(probes).container
    assert "livenessProbe" not in container
    assert container["readinessProbe"]["failureThreshold"] == 9
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    with pytest.raises(helm_python.HelmError, match="httpGet"):
        render({"readinessProbe": {"httpGet": {"path": "/healthz"}}})


def test_a_label_selector_of_ones_own_is_kept() -> None:
    own = {"topologyKey": "zone", "maxSkew": 1, "labelSelector": {"matchLabels": {"app": "ids"}}}
    assert render({"topologySpreadConstraints": [own]}).pod["topologySpreadConstraints"] == [own]


@pytest.mark.parametrize(("given", "expected"), [("-", ""), ("fast", "fast"), ("", None)])
def test_the_storage_class_can_be_none(given: str, expected: str | None) -> None:
    (claim,) = render({"store": "file", "persistence": {"storageClass": given}}).one("StatefulSet")["spec"][
        "volumeClaimTemplates"
    ]
    assert claim["spec"].get("storageClassName") == expected


def test_volumes_are_kept_unless_a_retention_policy_says_otherwise() -> None:
    policy = {"whenScaled": "Delete"}
    files: Values = {"store": "file", "persistence": {"retentionPolicy": policy}}
    assert render(files).one("StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"] == policy
    assert "persistentVolumeClaimRetentionPolicy" not in render({"store": "file"}).one("StatefulSet")["spec"]
    assert "persistentVolumeClaimRetentionPolicy" not in render(files | {"store": "lease"}).one("StatefulSet")["spec"]


def test_the_services_have_the_ip_families() -> None:
    families = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    for service in render({"service": families}).all("Service"):
        assert families.items() <= service["spec"].items()


def test_a_pod_monitor_scrapes_the_same_samples_as_a_service_monitor() -> None:
    rendered = render({"podMonitor": {"enabled": True, "sampleLimit": 500, "relabelings": [{"action": "keep"}]}})
    assert "ServiceMonitor" not in rendered.kinds
    monitor = rendered.one("PodMonitor")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    headless = {"action": "replace", "targetLabel": "service", "replacement": "demo-respid-headless"}
    assert endpoint["relabelings"] == [headless, {"action": "keep"}]
    assert endpoint["port"] in {port["name"] for port in rendered.container["ports"]}
    assert monitor["sampleLimit"] == 500


def test_queries_and_alerts_keep_to_one_cluster() -> None:
    labels = {"cluster": "k8s", "clusterName": "eu-1"}
    (group,) = render({"prometheusRule": {"enabled": True}, "prometheusLabels": labels}).one("PrometheusRule")["spec"][
        "groups"
    ]
    for rule in group["rules"]:
        assert rule["expr"].count('k8s="eu-1"') == rule["expr"].count("id_generator_") + rule["expr"].count("up{") + (
            rule["expr"].count("process_")
        )
    grouped = [rule["expr"] for rule in group["rules"] if " by (" in rule["expr"]]
    assert len(grouped) == 5
    assert all("by (k8s, " in each for each in grouped)


@pytest.mark.kubernetes
def test_sidecars_do_not_count_as_cpu_of_a_worker() -> None:
    (metric,) = render().one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["containerResource"]["container"] == render().container["name"]
    *_, cpu = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert cpu["metadata"]["containerName"] == render().container["name"]


@pytest.mark.kubernetes
def test_what_kubernetes_1_26_does_not_have_is_left_out_there() -> None:
    old = render_with_apis({}, kube_version="1.26.15")
    (metric,) = old.one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["type"] == "Resource"
    assert "unhealthyPodEvictionPolicy" not in old.one("PodDisruptionBudget")["spec"]
    new = render_with_apis({}, kube_version="1.27.0-eks-1")
    assert new.one("PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


# Variables that the chart does not set, and why.
VARIABLES_OF_THE_IMAGE = {"RESPID_BIND", "RESPID_HTTP_BIND"}
VARIABLES_WITHOUT_A_VALUE = {
    "RESPID_PASSWORD": "a file from a Secret can be changed without a restart",
    "RESPID_REUSE_PORT": "a pod has one process",
    "RESPID_UNKNOWN_VARIABLES": "the default finds misspelt names in extraEnv",
    "RESPID_UNIX_SOCKET": "no other pod has the file",
    "RESPID_UNIX_SOCKET_MODE": "no other pod has the file",
}


def test_every_setting_of_the_server_has_a_value_or_a_reason() -> None:
    template = (CHART / "templates" / "_statefulset.tpl").read_text()
    known = {each.envvar for each in serve.params if isinstance(each.envvar, str)}
    missing = {variable for variable in known if not re.search(rf"\b{variable}\b", template)}
    assert missing - VARIABLES_OF_THE_IMAGE <= VARIABLES_WITHOUT_A_VALUE.keys()
    assert {"RESPID_LAYOUT", "RESPID_RESERVE"} <= known - missing
