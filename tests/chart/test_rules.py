"""The rules that the chart keeps, each a test of its own."""

import json

import pytest

from respid import __version__
from respid.cli.serve import known_variables, serve
from respid.server import KEEPER_STOP_SECONDS, STOP_SECONDS, STORE_STOP_SECONDS
from tests.chart.rendering import KEDA_API, Values, ci_values, render, render_with_apis

STOPPING_SECONDS = STOP_SECONDS + STORE_STOP_SECONDS + KEEPER_STOP_SECONDS  # after the drain's delay

KEDA_OFF: Values = {"autoscaling": {"keda": {"enabled": False}}}
FIXED: Values = {"autoscaling": {"enabled": False}}


def test_the_values_that_people_have_work_as_they_are() -> None:
    rendered = render(ci_values("existing"))
    scaler = rendered.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
    assert rendered.container["resources"] == {
        "requests": {"memory": "128Mi", "cpu": "250m"},
        "limits": {"memory": "256Mi", "cpu": "1000m"},
    }


def test_the_chart_and_the_program_have_one_version() -> None:
    assert render().container["image"] == f"respid:{__version__}"


def test_the_workers_are_a_statefulset_that_starts_them_all_at_once() -> None:
    rendered = render()
    workers = rendered.one("StatefulSet")["spec"]
    assert workers["podManagementPolicy"] == "Parallel"
    headless = next(service for service in rendered.all("Service") if service["spec"].get("clusterIP") == "None")
    assert workers["serviceName"] == headless["metadata"]["name"]
    for service in rendered.all("Service"):
        assert service["spec"]["selector"] == workers["selector"]["matchLabels"]
        assert service["spec"]["selector"].items() <= workers["template"]["metadata"]["labels"].items()


def test_the_worker_id_is_the_pod_index() -> None:
    """Before Kubernetes 1.28 the label is missing, and the ordinal in POD_NAME is used."""
    sources = {each["name"]: each["valueFrom"] for each in render().container["env"] if "valueFrom" in each}
    pod_index = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    assert sources == {
        "WORKER_ID": pod_index,
        "RESPID_WORKER_ID": pod_index,
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
    }


def test_sets_no_variable_that_an_older_image_refuses() -> None:
    """With default values: those of version 0.1, to which a rollback can go. Add no name to this list."""
    assert {each["name"] for each in render().container["env"]} == {
        "WORKER_ID",
        "RESPID_WORKER_ID",
        "POD_NAME",
        "RESPID_WORKER_ID_OFFSET",
        "RESPID_LAYOUT",
        "RESPID_EPOCH",
        "RESPID_MAX_CLOCK_LEAD",
        "RESPID_STORE",
        "RESPID_LEASE_ID_SPACE",
        "RESPID_RESERVE",
        "RESPID_PORT",
        "RESPID_HTTP_PORT",
        "RESPID_MAX_CONNECTION_AGE",
        "RESPID_DRAIN_DELAY",
        "RESPID_LOG_FORMAT",
        "RESPID_LOG_LEVEL",
    }


@pytest.mark.parametrize("values", [{}, ci_values("lease-store"), ci_values("file-store"), ci_values("nothing")])
def test_serve_knows_the_variables(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = render(values).environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serve.make_context("serve", []) as context:
        assert context.params["store"] == values.get("store", "lease")
        assert context.params["layout"] == values.get("layout", "41/10/12")
        assert context.params["worker_id_offset"] == values.get("workerIdOffset", 0)
    assert environment.keys() <= known_variables(serve)


def test_service_links_are_off() -> None:
    assert render(release="respid").pod["enableServiceLinks"] is False


def test_a_large_number_is_written_in_full() -> None:
    assert render({"epoch": 1704067200000}).environment["RESPID_EPOCH"] == "1704067200000"


def test_the_addresses_of_the_listeners_are_the_images() -> None:
    assert not {"RESPID_BIND", "RESPID_HTTP_BIND"} & set(render().environment)


# Autoscalers


def test_without_keda_in_the_cluster_the_hpa_takes_its_place_and_the_notes_say_so() -> None:
    rendered = render({"autoscaling": {"keda": {"enabled": True}}})
    assert "HorizontalPodAutoscaler" in rendered.kinds
    assert "ScaledObject" not in rendered.kinds
    assert "this cluster has no KEDA" in rendered.notes


@pytest.mark.kubernetes
def test_with_keda_in_the_cluster_there_is_a_scaledobject_and_no_hpa() -> None:
    rendered = render_with_apis({}, KEDA_API)
    target = rendered.one("ScaledObject")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-respid"}
    assert "HorizontalPodAutoscaler" not in rendered.kinds


@pytest.mark.kubernetes
def test_with_keda_disabled_there_is_an_hpa_though_the_cluster_has_keda() -> None:
    rendered = render_with_apis(KEDA_OFF, KEDA_API)
    assert "HorizontalPodAutoscaler" in rendered.kinds
    assert "ScaledObject" not in rendered.kinds


@pytest.mark.kubernetes
def test_with_autoscaling_disabled_there_is_neither_though_the_cluster_has_keda() -> None:
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & render_with_apis(FIXED, KEDA_API).kinds


def test_with_autoscaling_disabled_there_is_no_hpa_and_the_notes_say_so() -> None:
    rendered = render(FIXED)
    assert "HorizontalPodAutoscaler" not in rendered.kinds
    assert "autoscaling.enabled is false" in rendered.notes


@pytest.mark.kubernetes
def test_the_scaledobject_adds_one_pod_at_a_time_keeps_what_the_load_needs_and_watches_the_core() -> None:
    exhausted, ids, cpu = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert [exhausted["name"], ids["name"], cpu["type"]] == ["exhausted", "ids", "cpu"]
    assert exhausted["metadata"]["threshold"] == "5"
    assert ids["metadata"]["threshold"] == str(60 * 4_096_000 // 100)
    assert cpu == {"type": "cpu", "name": "cpu", "metricType": "AverageValue", "metadata": {"value": "700m"}}
    for trigger in (exhausted, ids):
        assert trigger["metricType"] == "AverageValue"
        assert trigger["metadata"]["ignoreNullValues"] == "false"


@pytest.mark.kubernetes
def test_the_capacity_of_a_worker_is_the_layouts() -> None:
    _, ids, _ = render_with_apis({"layout": "41/4/8"}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert ids["metadata"]["threshold"] == str(60 * 256_000 // 100)


@pytest.mark.kubernetes
def test_whole_queries_can_be_replaced() -> None:
    values: Values = {"autoscaling": {"keda": {"queries": {"exhausted": 'a{b="c"}', "ids": "sum(d)"}}}}
    exhausted, ids, _ = render_with_apis(values, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert (exhausted["metadata"]["query"], ids["metadata"]["query"]) == ('a{b="c"}', "sum(d)")


@pytest.mark.kubernetes
def test_both_autoscalers_have_the_same_behavior_bounds_and_cpu_target() -> None:
    hpa = render().one("HorizontalPodAutoscaler")["spec"]
    keda = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (hpa["minReplicas"], hpa["maxReplicas"])
    (metric,) = hpa["metrics"]
    assert metric["resource"]["target"] == {"type": "AverageValue", "averageValue": "700m"}


def test_workers_are_added_by_two_each_30_s_and_taken_away_by_one_a_minute_after_five() -> None:
    behavior = render().one("HorizontalPodAutoscaler")["spec"]["behavior"]
    assert behavior["scaleUp"]["policies"] == [{"type": "Pods", "value": 2, "periodSeconds": 30}]
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


@pytest.mark.kubernetes
def test_keda_may_take_over_the_hpa_of_the_chart() -> None:
    hpa = render().one("HorizontalPodAutoscaler")
    scaled = render_with_apis({}, KEDA_API).one("ScaledObject")
    assert scaled["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
    assert scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == hpa["metadata"]["name"]


def test_while_an_autoscaler_owns_the_number_of_workers_a_new_installation_sets_none() -> None:
    assert "replicas" not in render().one("StatefulSet")["spec"]
    assert render(FIXED).one("StatefulSet")["spec"]["replicas"] == 3


def test_connections_have_a_maximum_age_with_autoscaling_alone() -> None:
    assert render().environment["RESPID_MAX_CONNECTION_AGE"] == "600"
    assert render(FIXED).environment["RESPID_MAX_CONNECTION_AGE"] == "0"
    assert render({"maxConnectionAgeSeconds": 0}).environment["RESPID_MAX_CONNECTION_AGE"] == "0"
    assert render(FIXED | {"maxConnectionAgeSeconds": 30}).environment["RESPID_MAX_CONNECTION_AGE"] == "30"


# What stands around the pods


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}),
        ({"minAvailable": 2}, {"minAvailable": 2}),
        ({"minAvailable": 0}, {"minAvailable": 0}),
    ],
)
def test_the_budget_has_one_bound_never_both(values: Values, expected: Values) -> None:
    budget = render({"podDisruptionBudget": values}).one("PodDisruptionBudget")["spec"]
    budget.pop("selector")
    assert budget == expected


def test_one_service_matches_the_servicemonitor_so_that_no_pod_is_scraped_twice() -> None:
    rendered = render({"serviceMonitor": {"enabled": True}})
    monitor = rendered.one("ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = [each for each in rendered.all("Service") if wanted <= each["metadata"]["labels"].items()]
    (endpoint,) = monitor["endpoints"]
    (port,) = [port for port in service["spec"]["ports"] if port["name"] == endpoint["port"]]
    assert port["targetPort"] in {each["name"] for each in rendered.container["ports"]}


def test_one_service_alone_has_a_port_for_metrics() -> None:
    ports = [port["name"] for service in render().all("Service") for port in service["spec"]["ports"]]
    assert ports.count("metrics") == 1


def test_a_worker_that_is_not_ready_still_has_a_name_and_is_scraped() -> None:
    (headless,) = [each for each in render().all("Service") if each["spec"].get("clusterIP") == "None"]
    assert headless["spec"]["publishNotReadyAddresses"] is True


def test_the_pods_are_confined() -> None:
    for pod in (render().pod, render().one("Pod")["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize(("store", "needed"), [("lease", True), ("file", False), ("none", False)])
def test_only_the_lease_store_has_a_token_and_a_role(store: str, needed: bool) -> None:  # noqa: FBT001
    rendered = render({"store": store})
    assert rendered.pod["automountServiceAccountToken"] is needed
    assert ("Role" in rendered.kinds, "RoleBinding" in rendered.kinds) == (needed, needed)
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False


def test_the_role_permits_what_the_lease_store_does_and_no_more() -> None:
    rendered = render()
    assert rendered.one("Role")["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    ]
    (subject,) = rendered.one("RoleBinding")["subjects"]
    assert subject["name"] == rendered.pod["serviceAccountName"] == rendered.one("ServiceAccount")["metadata"]["name"]


def test_the_lease_belongs_to_no_release() -> None:
    assert render(release="one").environment["RESPID_LEASE_ID_SPACE"] == "default"
    assert "Lease" not in render().kinds
    assert "helm uninstall keeps the Leases respid-default-N" in render().notes


def test_the_file_store_has_a_volume_for_each_worker() -> None:
    rendered = render({"store": "file"})
    (claim,) = rendered.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    (mount,) = rendered.container["volumeMounts"]
    assert mount == {"name": claim["metadata"]["name"], "mountPath": rendered.environment["RESPID_STATE_DIR"]}
    assert rendered.pod["securityContext"]["fsGroup"] == 10001


def test_the_store_none_is_warned_of() -> None:
    assert "WARNING: store is none" in render({"store": "none"}).notes


def test_workers_are_spread_over_nodes_and_zones() -> None:
    constraints = render().pod["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for each in constraints:
        assert each["labelSelector"]["matchLabels"] == render().one("StatefulSet")["spec"]["selector"]["matchLabels"]


def test_the_probes_ask_the_http_listener_and_liveness_does_not_ask_for_readiness() -> None:
    container = render().container
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert all(container[f"{name}Probe"]["httpGet"]["port"] == "http" for name in paths)


def test_the_grace_period_is_longer_than_the_drain() -> None:
    rendered = render()
    stop_seconds = float(rendered.environment["RESPID_DRAIN_DELAY"]) + STOPPING_SECONDS
    assert rendered.pod["terminationGracePeriodSeconds"] > stop_seconds
    assert STOPPING_SECONDS == 16, "what _refuse.tpl adds to the drain"


def test_the_network_policy_lets_workers_reach_the_api_server_for_leases_alone() -> None:
    policy = render({"networkPolicy": {"enabled": True}}).one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}]
    policy = render({"store": "file", "networkPolicy": {"enabled": True}}).one("NetworkPolicy")["spec"]
    assert "egress" not in policy


def test_the_network_policy_lets_helm_test_through() -> None:
    rendered = render(ci_values("everything"))
    clients = rendered.one("NetworkPolicy")["spec"]["ingress"][0]["from"]
    assert {"podSelector": {"matchLabels": rendered.one("Pod")["metadata"]["labels"]}} in clients


def test_passwords_are_a_file_from_a_secret() -> None:
    rendered = render({"auth": {"existingSecret": "ids", "secretKey": "pass", "username": "app"}})
    (volume,) = rendered.pod["volumes"]
    assert volume["secret"] == {"secretName": "ids", "items": [{"key": "pass", "path": "passwords"}]}
    (mount,) = rendered.container["volumeMounts"]
    assert rendered.environment["RESPID_PASSWORD_FILE"] == f"{mount['mountPath']}/passwords"
    assert rendered.environment["RESPID_USERNAME"] == "app"
    assert rendered.one("Pod")["spec"]["volumes"] == [volume]


def test_tls_is_served_beside_the_plain_port_or_in_its_place() -> None:
    tls = {"enabled": True, "existingSecret": "ids-tls", "port": 6999, "authClients": "optional"}
    beside, alone = render({"tls": tls}), render({"tls": tls | {"only": True}})
    assert _client_ports(beside.all("Service")) == [("resp", 6379), ("resp-tls", 6999)]
    assert _client_ports(alone.all("Service")) == [("resp-tls", 6999)]
    assert (beside.environment["RESPID_PORT"], alone.environment["RESPID_PORT"]) == ("6379", "0")
    assert beside.environment["RESPID_TLS_PORT"] == "6380"
    assert beside.environment["RESPID_TLS_CA_CERT_FILE"] == "/etc/respid/tls/ca.crt"
    assert "RESPID_TLS_CA_CERT_FILE" not in render({"tls": tls | {"authClients": "no"}}).environment


def _client_ports(services: list[Values]) -> list[tuple[str, int]]:
    (clients,) = [service for service in services if service["spec"].get("clusterIP") != "None"]
    return [(port["name"], port["port"]) for port in clients["spec"]["ports"]]


def test_no_name_is_longer_than_kubernetes_permits() -> None:
    rendered = render(release="a" * 53)
    names = [manifest["metadata"]["name"] for manifest in rendered.objects]
    assert max(map(len, names)) <= 63
    # Kubernetes labels the pods with the name and a hyphen and ten more.
    assert len(rendered.one("StatefulSet")["metadata"]["name"]) <= 52


def test_every_object_is_in_the_namespace_and_has_the_releases_labels() -> None:
    for manifest in render(ci_values("everything")).objects:
        assert manifest["metadata"]["namespace"] == "shop"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


def test_the_notes_say_how_to_draw_the_first_id() -> None:
    assert "redis-cli -p 6379 INCR orders" in render().notes
    tls_only = render({"tls": {"enabled": True, "existingSecret": "x", "only": True}})
    assert "redis-cli -p 6380 --tls --insecure INCR orders" in tls_only.notes


@pytest.mark.kubernetes
@pytest.mark.parametrize("version", ["1.23.0", "1.27.0", "1.34.2", "1.30.1-gke.100"])
def test_the_chart_renders_for_every_kubernetes_from_1_23_on(version: str) -> None:
    assert json.dumps(render_with_apis({}, kube_version=version).objects) == json.dumps(
        render_with_apis({}, kube_version="1.33.0").objects
    )
