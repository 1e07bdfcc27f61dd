"""The rules that the chart's output follows, one test each."""

import json
import re
from pathlib import Path

import pytest

from respid import __version__
from respid.cli.serve import known_variables, serve
from respid.server import KEEPER_STOP_SECONDS, STOP_SECONDS, STORE_STOP_SECONDS
from tests.chart.rendering import CHART, KEDA_API, Values, ci_values, render, render_with_apis

STOPPING_SECONDS = STOP_SECONDS + STORE_STOP_SECONDS + KEEPER_STOP_SECONDS  # after the drain's delay

KEDA_OFF: Values = {"autoscaling": {"keda": {"enabled": False}}}
FIXED: Values = {"autoscaling": {"enabled": False}}


def test_existing_values_files_still_work() -> None:
    rendered = render(ci_values("existing"))
    scaler = rendered.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
    assert rendered.container["resources"] == {
        "requests": {"memory": "128Mi", "cpu": "250m"},
        "limits": {"memory": "256Mi", "cpu": "1000m"},
    }


def test_image_tag_is_the_version() -> None:
    assert render().container["image"] == f"localhost/respid:{__version__}"


def test_default_image_is_ours() -> None:
    """A name without a registry would be one of Docker Hub's, where we publish nothing."""
    assert "--set image.repository=" in render().notes
    published: list[Values] = [{"repository": "registry.example.com/respid"}, {"registry": "registry.example.com"}]
    for image in published:
        assert "--set image.repository=" not in render({"image": image}).notes


def test_release_sets_the_published_image() -> None:
    workflow = (CHART.parent / ".github" / "workflows" / "release.yml").read_text()
    replaced = re.findall(r"sed --in-place \"s\|(.+?)\|.* helm-chart/(\S+)", workflow)
    assert [file for _, file in replaced] == ["values.yaml", "Chart.yaml"]
    for pattern, file in replaced:
        assert len(re.findall(pattern, (CHART / file).read_text(), re.MULTILINE)) == 1


def test_workers_are_a_parallel_statefulset() -> None:
    rendered = render()
    workers = rendered.one("StatefulSet")["spec"]
    assert workers["podManagementPolicy"] == "Parallel"
    headless = next(service for service in rendered.all("Service") if service["spec"].get("clusterIP") == "None")
    assert workers["serviceName"] == headless["metadata"]["name"]
    for service in rendered.all("Service"):
        assert service["spec"]["selector"] == workers["selector"]["matchLabels"]
        assert service["spec"]["selector"].items() <= workers["template"]["metadata"]["labels"].items()


def test_worker_id_is_pod_index() -> None:
    """Before Kubernetes 1.28 the label is missing, and the ordinal in POD_NAME is used."""
    sources = {each["name"]: each["valueFrom"] for each in render().container["env"] if "valueFrom" in each}
    pod_index = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    assert sources == {
        "WORKER_ID": pod_index,
        "RESPID_WORKER_ID": pod_index,
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "POD_UID": {"fieldRef": {"fieldPath": "metadata.uid"}},
    }


def test_sets_no_variable_that_an_older_image_refuses() -> None:
    """With default values: those of version 0.1, to which a rollback can go. Add no name to this list.

    RESPID_PEERS is the exception, because without it new workers get no traffic: a rollback of the image alone needs
    moveToNewWorkers: false, and `helm rollback` takes the variable back, too.
    """
    refused_if_unknown = {each["name"] for each in render().container["env"] if each["name"].startswith("RESPID_")}
    assert refused_if_unknown == {
        "RESPID_WORKER_ID",
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
        "RESPID_PEERS",
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


def test_large_numbers_are_written_in_full() -> None:
    assert render({"epoch": 1704067200000}).environment["RESPID_EPOCH"] == "1704067200000"


def test_image_sets_the_listener_addresses() -> None:
    assert not {"RESPID_BIND", "RESPID_HTTP_BIND"} & set(render().environment)


# Autoscalers


def test_hpa_replaces_keda_where_the_cluster_has_none() -> None:
    rendered = render({"autoscaling": {"keda": {"enabled": True}}})
    assert "HorizontalPodAutoscaler" in rendered.kinds
    assert "ScaledObject" not in rendered.kinds
    assert "this cluster has no KEDA" in rendered.notes


@pytest.mark.kubernetes
def test_keda_in_the_cluster_gives_a_scaledobject_only() -> None:
    rendered = render_with_apis({}, KEDA_API)
    target = rendered.one("ScaledObject")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-respid"}
    assert "HorizontalPodAutoscaler" not in rendered.kinds


@pytest.mark.kubernetes
def test_keda_disabled_gives_an_hpa() -> None:
    rendered = render_with_apis(KEDA_OFF, KEDA_API)
    assert "HorizontalPodAutoscaler" in rendered.kinds
    assert "ScaledObject" not in rendered.kinds


@pytest.mark.kubernetes
def test_autoscaling_disabled_gives_no_scaledobject() -> None:
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & render_with_apis(FIXED, KEDA_API).kinds


def test_autoscaling_disabled_gives_no_hpa() -> None:
    rendered = render(FIXED)
    assert "HorizontalPodAutoscaler" not in rendered.kinds
    assert "autoscaling.enabled is false" in rendered.notes


@pytest.mark.kubernetes
def test_scaledobject_has_three_triggers() -> None:
    exhausted, ids, cpu = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert [exhausted["name"], ids["name"], cpu["type"]] == ["exhausted", "ids", "cpu"]
    assert exhausted["metadata"]["threshold"] == "5"
    assert ids["metadata"]["threshold"] == str(60 * 4_096_000 // 100)
    assert cpu["metricType"] == "AverageValue"
    assert cpu["metadata"]["value"] == "700m"
    for trigger in (exhausted, ids):
        assert trigger["metricType"] == "AverageValue"
        assert trigger["metadata"]["ignoreNullValues"] == "false"


@pytest.mark.kubernetes
def test_keda_asks_kube_prometheus() -> None:
    exhausted, _, _ = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    address = "http://prometheus-k8s.monitoring.svc.cluster.local"
    assert exhausted["metadata"]["serverAddress"] == f"{address}:9090"
    exhausted, _, _ = render_with_apis(ci_values("existing"), KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert exhausted["metadata"]["serverAddress"] == address


@pytest.mark.kubernetes
def test_capacity_follows_the_layout() -> None:
    _, ids, _ = render_with_apis({"layout": "41/4/8"}, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert ids["metadata"]["threshold"] == str(60 * 256_000 // 100)


@pytest.mark.kubernetes
def test_queries_can_be_replaced() -> None:
    values: Values = {"autoscaling": {"keda": {"queries": {"exhausted": 'a{b="c"}', "ids": "sum(d)"}}}}
    exhausted, ids, _ = render_with_apis(values, KEDA_API).one("ScaledObject")["spec"]["triggers"]
    assert (exhausted["metadata"]["query"], ids["metadata"]["query"]) == ('a{b="c"}', "sum(d)")


@pytest.mark.kubernetes
def test_both_autoscalers_are_configured_alike() -> None:
    hpa = render().one("HorizontalPodAutoscaler")["spec"]
    keda = render_with_apis({}, KEDA_API).one("ScaledObject")["spec"]
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (hpa["minReplicas"], hpa["maxReplicas"])
    (metric,) = hpa["metrics"]
    assert metric["containerResource"]["target"] == {"type": "AverageValue", "averageValue": "700m"}


@pytest.mark.kubernetes
def test_keda_can_take_over_the_charts_hpa() -> None:
    hpa = render().one("HorizontalPodAutoscaler")
    scaled = render_with_apis({}, KEDA_API).one("ScaledObject")
    assert scaled["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
    assert scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == hpa["metadata"]["name"]


def test_autoscaler_owns_replicas_from_the_start() -> None:
    assert "replicas" not in render().one("StatefulSet")["spec"]
    assert render(FIXED).one("StatefulSet")["spec"]["replicas"] == 3


def test_only_autoscaling_limits_connection_age() -> None:
    assert render().environment["RESPID_MAX_CONNECTION_AGE"] == "600"
    assert render({"moveToNewWorkers": False}).environment["RESPID_MAX_CONNECTION_AGE"] == "120"
    assert render(FIXED).environment["RESPID_MAX_CONNECTION_AGE"] == "0"
    assert render({"maxConnectionAgeSeconds": 0}).environment["RESPID_MAX_CONNECTION_AGE"] == "0"
    assert render(FIXED | {"maxConnectionAgeSeconds": 30}).environment["RESPID_MAX_CONNECTION_AGE"] == "30"


# Objects around the pods


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}),
        ({"minAvailable": 2}, {"minAvailable": 2}),
        ({"minAvailable": 0}, {"minAvailable": 0}),
    ],
)
def test_disruption_budget_has_one_bound(values: Values, expected: Values) -> None:
    budget = render({"podDisruptionBudget": values}).one("PodDisruptionBudget")["spec"]
    budget.pop("selector")
    assert budget.pop("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    assert budget == expected


def test_servicemonitor_selects_one_service() -> None:
    rendered = render({"serviceMonitor": {"enabled": True}})
    monitor = rendered.one("ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = [each for each in rendered.all("Service") if wanted <= each["metadata"]["labels"].items()]
    (endpoint,) = monitor["endpoints"]
    (port,) = [port for port in service["spec"]["ports"] if port["name"] == endpoint["port"]]
    assert port["targetPort"] in {each["name"] for each in rendered.container["ports"]}


def test_only_one_service_has_a_metrics_port() -> None:
    ports = [port["name"] for service in render().all("Service") for port in service["spec"]["ports"]]
    assert ports.count("metrics") == 1


def test_unready_worker_keeps_its_name_and_is_scraped() -> None:
    rendered = render()
    name = rendered.one("StatefulSet")["spec"]["serviceName"]
    (headless,) = [each for each in rendered.all("Service") if each["metadata"]["name"] == name]
    assert headless["spec"]["publishNotReadyAddresses"] is True


def test_pods_are_confined() -> None:
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
def test_only_the_lease_store_has_a_token_and_role(store: str, needed: bool) -> None:  # noqa: FBT001
    rendered = render({"store": store})
    assert rendered.pod["automountServiceAccountToken"] is False
    assert [each["name"] for each in rendered.pod.get("volumes", [])] == (["api-access"] if needed else [])
    assert ("Role" in rendered.kinds, "RoleBinding" in rendered.kinds) == (needed, needed)
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False


def test_role_permits_only_lease_calls() -> None:
    rendered = render()
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    own = [f"respid-default-{worker_id}" for worker_id in range(32)]
    assert rendered.one("Role")["rules"] == [
        leases | {"verbs": ["create", "list"]},
        leases | {"verbs": ["get", "update"], "resourceNames": own},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    ]
    (subject,) = rendered.one("RoleBinding")["subjects"]
    assert subject["name"] == rendered.pod["serviceAccountName"] == rendered.one("ServiceAccount")["metadata"]["name"]


def test_role_names_only_leases_of_release() -> None:
    lease = {"idSpace": "orders", "permittedWorkers": 2}
    assert lease_names({"workerIdOffset": 7, "lease": lease, "replicaCount": 2} | FIXED) == [
        "respid-orders-7",
        "respid-orders-8",
    ]


@pytest.mark.parametrize(
    ("values", "workers"),
    [
        ({"replicaCount": 40} | FIXED, 40),
        ({"autoscaling": {"maxReplicas": 50}}, 50),
        ({"layout": "41/4/8"}, 16),
        ({"workerIdOffset": 1020, "replicaCount": 2} | FIXED, 4),
    ],
    ids=str,
)
def test_role_names_a_lease_for_each_possible_worker(values: Values, workers: int) -> None:
    assert len(lease_names(values)) == workers


def lease_names(values: Values) -> list[str]:
    (rule,) = (rule for rule in render(values).one("Role")["rules"] if "get" in rule["verbs"])
    names: list[str] = rule["resourceNames"]
    return names


def test_volume_claim_records_id_settings() -> None:
    rendered = render({"store": "file", "workerIdOffset": 2})
    assert rendered.environment["RESPID_STATE_DIR_EXCLUSIVE"] == "true"
    (claim,) = rendered.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["annotations"] == {
        "respid.io/issues": "offset 2, layout 41/10/12, epoch 2024-01-01T00:00:00Z"
    }
    assert "RESPID_STATE_DIR_EXCLUSIVE" not in render().environment


@pytest.mark.parametrize("value", ["7000000000000000000", 7000])
def test_start_above_is_passed_to_the_workers(value: object) -> None:
    rendered = render({"startAbove": value})
    assert rendered.environment["RESPID_START_ABOVE"] == str(value)
    assert f"startAbove is {value}: remove it once all workers have started" in rendered.notes
    assert "RESPID_START_ABOVE" not in render().environment


def test_kubectl_describe_shows_refused_start() -> None:
    assert render().container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert "describe pod says why a worker is not ready" in render().notes


@pytest.mark.parametrize(
    ("workers", "budget", "blocks"),
    [
        (3, {}, False),
        (3, {"minAvailable": 2}, False),
        (3, {"minAvailable": 3}, True),
        (3, {"minAvailable": "66%"}, False),
        (3, {"minAvailable": "67%"}, True),  # of three, rounded up
        (3, {"maxUnavailable": 0}, True),
        (3, {"maxUnavailable": "0%"}, True),
        (3, {"maxUnavailable": "1%"}, False),
        (3, {"maxUnavailable": 0, "enabled": False}, False),
        (0, {"minAvailable": 1}, False),
    ],
)
def test_notes_warn_of_a_budget_that_blocks_drains(workers: int, budget: Values, *, blocks: bool) -> None:
    fixed: Values = {"autoscaling": {"enabled": False}, "replicaCount": workers}
    for values in (fixed, {"autoscaling": {"minReplicas": workers}} if workers else fixed):
        assert ("permits no eviction" in render(values | {"podDisruptionBudget": budget}).notes) == blocks


@pytest.mark.parametrize(("workers", "text"), [(1, "with 1 worker, "), (2, "with 2 workers, ")])
def test_notes_count_workers_of_a_blocked_drain(workers: int, text: str) -> None:
    values: Values = {"autoscaling": {"enabled": False}, "replicaCount": workers}
    assert text in render(values | {"podDisruptionBudget": {"maxUnavailable": 0}}).notes


def test_lease_belongs_to_no_release() -> None:
    assert render(release="one").environment["RESPID_LEASE_ID_SPACE"] == "default"
    assert "Lease" not in render().kinds
    assert "helm uninstall keeps the Leases respid-default-N" in render().notes


def test_file_store_has_a_volume_per_worker() -> None:
    rendered = render({"store": "file"})
    (claim,) = rendered.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    (mount,) = rendered.container["volumeMounts"]
    assert mount == {"name": claim["metadata"]["name"], "mountPath": rendered.environment["RESPID_STATE_DIR"]}
    assert rendered.pod["securityContext"]["fsGroup"] == 10001


def test_store_none_gives_a_warning() -> None:
    assert "WARNING: store is none" in render({"store": "none"}).notes


def test_workers_spread_over_nodes_and_zones() -> None:
    constraints = render().pod["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for each in constraints:
        assert each["labelSelector"]["matchLabels"] == render().one("StatefulSet")["spec"]["selector"]["matchLabels"]


def test_probes_use_the_http_listener() -> None:
    container = render().container
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert all(container[f"{name}Probe"]["httpGet"]["port"] == "http" for name in paths)


def test_worker_that_lacks_cpu_is_not_restarted() -> None:
    """It still serves. A restart closes all its connections, and needs more CPU than its answers."""
    container = render().container
    startup, liveness, readiness = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert unanswered_seconds(startup) >= 300
    assert unanswered_seconds(liveness) >= 60
    assert 7 <= unanswered_seconds(readiness) <= 15, (
        "the only worker stays in the Service, and one that hangs leaves it"
    )
    assert all(probe["timeoutSeconds"] >= 5 for probe in (startup, liveness, readiness))


def unanswered_seconds(probe: Values) -> int:
    """The least time without an answer after which a probe has failed."""
    periods: int = probe["periodSeconds"] * (probe["failureThreshold"] - 1)
    return periods + int(probe["timeoutSeconds"])


def test_grace_period_exceeds_the_drain() -> None:
    rendered = render()
    stop_seconds = float(rendered.environment["RESPID_DRAIN_DELAY"]) + STOPPING_SECONDS
    assert rendered.pod["terminationGracePeriodSeconds"] > stop_seconds
    assert STOPPING_SECONDS == 16, "change it in _refuse.tpl, too"


def test_network_policy_permits_the_api_server_for_leases() -> None:
    addresses = ["10.96.0.1", "192.0.2.0/28", "2001:db8::1"]
    values: Values = {"networkPolicy": {"enabled": True, "apiServerAddresses": addresses}}
    policy = render(values).one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"][0] == {
        "to": [{"ipBlock": {"cidr": each}} for each in ("10.96.0.1/32", "192.0.2.0/28", "2001:db8::1/128")],
        "ports": [{"port": 443}, {"port": 6443}],
    }


def test_network_policy_permits_nothing_but_name_servers_for_files() -> None:
    values: Values = {"store": "file", "networkPolicy": {"enabled": True}}
    (rule,) = render(values).one("NetworkPolicy")["spec"]["egress"]
    assert rule["ports"] == [{"port": port, "protocol": name} for port in (53, 5353) for name in ("UDP", "TCP")]
    assert "egress" not in render(values | {"moveToNewWorkers": False}).one("NetworkPolicy")["spec"]


def test_workers_look_up_the_service_of_ready_pods() -> None:
    rendered = render({"tls": {"enabled": True, "existingSecret": "tls", "only": True}})
    name, port = rendered.environment["RESPID_PEERS"].split(":")
    (ready,) = (each for each in rendered.all("Service") if each["metadata"]["name"] == name)
    assert ready["spec"]["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in ready["spec"]
    assert int(port) in [each["port"] for each in ready["spec"]["ports"]]
    (scraped,) = (each for each in rendered.all("Service") if "metrics" in str(each["spec"]["ports"]))
    labels = (scraped["metadata"]["labels"], ready["metadata"]["labels"])
    assert labels[0] != labels[1], "a ServiceMonitor must not select both"


def test_workers_need_not_look_for_new_ones() -> None:
    rendered = render({"moveToNewWorkers": False})
    assert "RESPID_PEERS" not in rendered.environment
    assert len(rendered.all("Service")) == 2


def test_network_policy_permits_helm_test() -> None:
    rendered = render(ci_values("everything"))
    clients = rendered.one("NetworkPolicy")["spec"]["ingress"][0]["from"]
    selected = [each["podSelector"]["matchLabels"].items() for each in clients if "podSelector" in each]
    assert any(labels <= rendered.one("Pod")["metadata"]["labels"].items() for labels in selected)


@pytest.mark.parametrize(
    "values",
    [
        {"auth": {"existingSecret": "ids"}},
        {"extraEnv": [{"name": "RESPID_PASSWORD", "value": "secret"}]},
        {"tls": {"enabled": True, "existingSecret": "x", "only": True, "authClients": "yes"}},
    ],
)
def test_a_service_for_the_outside_asks_for_a_password_or_a_certificate(values: Values) -> None:
    for service_type in ("LoadBalancer", "NodePort"):
        assert "Clients need no password" not in render(values | {"service": {"type": service_type}}).notes
    assert "Clients need no password" in render().notes
    allowed = render({"service": {"type": "NodePort", "allowUnauthenticated": True}})
    assert "Clients need no password: anyone who can reach the load balancer or a node" in allowed.notes


def test_passwords_come_from_a_secrets_file() -> None:
    rendered = render({"auth": {"existingSecret": "ids", "secretKey": "pass", "username": "app"}})
    _, volume = rendered.pod["volumes"]
    assert volume["secret"] == {"secretName": "ids", "items": [{"key": "pass", "path": "passwords"}]}
    _, mount = rendered.container["volumeMounts"]
    assert rendered.environment["RESPID_PASSWORD_FILE"] == f"{mount['mountPath']}/passwords"
    assert rendered.environment["RESPID_USERNAME"] == "app"
    assert rendered.one("Pod")["spec"]["volumes"] == [volume]


def test_revocation_lists_are_mounted() -> None:
    tls = {"enabled": True, "existingSecret": "x", "authClients": "yes", "crl": {"existingConfigMap": "lists"}}
    rendered = render({"tls": tls})
    path = Path(rendered.environment["RESPID_TLS_CRL_FILE"])
    mounts = {each["name"]: each["mountPath"] for each in rendered.container["volumeMounts"]}
    volumes = {each["name"]: each for each in rendered.one("StatefulSet")["spec"]["template"]["spec"]["volumes"]}
    assert Path(mounts["crl"]) / volumes["crl"]["configMap"]["items"][0]["path"] == path
    assert "crl" not in {each["name"] for each in render({"tls": tls | {"crl": {}}}).container["volumeMounts"]}


def test_tls_adds_or_replaces_the_plain_port() -> None:
    tls = {"enabled": True, "existingSecret": "ids-tls", "port": 6999, "authClients": "optional"}
    both, alone = render({"tls": tls}), render({"tls": tls | {"only": True}})
    assert _client_ports(both.all("Service")) == [("resp", 6379), ("resp-tls", 6999)]
    assert _client_ports(alone.all("Service")) == [("resp-tls", 6999)]
    assert (both.environment["RESPID_PORT"], alone.environment["RESPID_PORT"]) == ("6379", "0")
    assert both.environment["RESPID_TLS_PORT"] == "6380"
    assert both.environment["RESPID_TLS_CA_CERT_FILE"] == "/etc/respid/tls/ca.crt"
    assert "RESPID_TLS_CA_CERT_FILE" not in render({"tls": tls | {"authClients": "no"}}).environment


def _client_ports(services: list[Values]) -> list[tuple[str, int]]:
    (clients,) = [service for service in services if service["spec"].get("clusterIP") != "None"]
    return [(port["name"], port["port"]) for port in clients["spec"]["ports"]]


def test_long_release_names_stay_within_limits() -> None:
    rendered = render(release="a" * 53)
    names = [manifest["metadata"]["name"] for manifest in rendered.objects]
    assert max(map(len, names)) <= 63
    # Kubernetes labels the pods with the name, a hyphen and ten more characters.
    assert len(rendered.one("StatefulSet")["metadata"]["name"]) <= 52


def test_objects_have_namespace_and_labels() -> None:
    for manifest in render(ci_values("everything")).objects:
        assert manifest["metadata"]["namespace"] == "shop"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


def test_notes_show_the_first_command() -> None:
    assert "redis-cli -p 6379 INCR orders" in render().notes
    tls_only = render({"tls": {"enabled": True, "existingSecret": "x", "only": True}})
    assert "redis-cli -p 6380 --tls --insecure INCR orders" in tls_only.notes


@pytest.mark.kubernetes
@pytest.mark.parametrize("version", ["1.27.0", "1.34.2", "1.30.1-gke.100"])
def test_renders_the_same_from_kubernetes_1_27(version: str) -> None:
    assert json.dumps(render_with_apis({}, kube_version=version).objects) == json.dumps(
        render_with_apis({}, kube_version="1.33.0").objects
    )
