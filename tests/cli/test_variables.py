"""Unknown RESPID_* variables, and those that Kubernetes sets for Services."""

import pytest

from tests.support.command_line import run_command_line

# The variables that Kubernetes sets in every pod for Services named respid, respid-http and respid-foo.
SERVICE_LINKS = {
    "RESPID_SERVICE_HOST": "10.96.0.7",
    "RESPID_SERVICE_PORT": "6379",
    "RESPID_SERVICE_PORT_RESP_TLS": "6380",
    "RESPID_PORT": "tcp://10.96.0.7:6379",
    "RESPID_PORT_6379_TCP": "tcp://10.96.0.7:6379",
    "RESPID_PORT_6379_TCP_PROTO": "tcp",
    "RESPID_PORT_6379_TCP_PORT": "6379",
    "RESPID_PORT_6379_TCP_ADDR": "10.96.0.7",
    "RESPID_HTTP_SERVICE_HOST": "10.96.0.8",
    "RESPID_HTTP_PORT": "udp://10.96.0.8:80",
    "RESPID_HTTP_PORT_80_UDP_ADDR": "10.96.0.8",
    "RESPID_FOO_SERVICE_HOST": "10.96.0.9",
    "RESPID_FOO_SERVICE_PORT": "1",
    "RESPID_FOO_PORT": "sctp://10.96.0.9:1",
    "RESPID_FOO_PORT_1_SCTP": "sctp://10.96.0.9:1",
}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("RESPID_EPCH", "RESPID_EPCH (did you mean RESPID_EPOCH?)"),
        ("RESPID_REQUIREPASS_FILE", "RESPID_REQUIREPASS_FILE (did you mean RESPID_PASSWORD_FILE?)"),
        ("RESPID_PASWORD", "RESPID_PASWORD (did you mean RESPID_PASSWORD?)"),
        ("RESPID_WORKERID", "RESPID_WORKERID (did you mean RESPID_WORKER_ID?)"),
        ("RESPID_FOO", "RESPID_FOO"),
        ("RESPID_FOO_PORT", "RESPID_FOO_PORT (did you mean RESPID_PORT?)"),
        ("RESPID_FOO_PORT_1", "RESPID_FOO_PORT_1"),
        ("RESPID_", "RESPID_"),
        ("RESPID_Port", "RESPID_Port (did you mean RESPID_PORT?)"),
        ("respid_worker_id", "respid_worker_id (did you mean RESPID_WORKER_ID?)"),
    ],
)
def test_serve_refuses_unknown_variables(name: str, shown: str) -> None:
    outcome = run_command_line("--worker-id", "1", variables={name: "hunter2"})
    assert (outcome.exit_code, outcome.config) == (2, None)
    assert outcome.error_line == (
        f"respid: unknown environment variable {shown}: unset it, or set RESPID_UNKNOWN_VARIABLES=warn"
    )


def test_names_all_unknown_variables() -> None:
    outcome = run_command_line("--worker-id", "1", variables={"RESPID_EPCH": "x", "RESPID_FOO": "y"})
    assert "variable RESPID_EPCH (did you mean RESPID_EPOCH?), RESPID_FOO: unset" in outcome.error_line


def test_can_start_with_unknown_variables(caplog: pytest.LogCaptureFixture) -> None:
    variables = {"RESPID_EPCH": "hunter2", "RESPID_UNKNOWN_VARIABLES": "warn"}
    assert run_command_line("--worker-id", "1", variables=variables).config is not None
    assert caplog.messages == ["ignored unknown environment variable RESPID_EPCH (did you mean RESPID_EPOCH?)"]


@pytest.mark.parametrize("name", ["RESPID_TEST_KILLS", "RESPID_CI_CLUSTER", "RESPIDENT", "respid_epch", "worker_id"])
def test_ignores_other_variables(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert run_command_line("--worker-id", "1", variables={name: "1"}).config is not None
    assert caplog.messages == []


def test_empty_variable_counts_as_unset() -> None:
    config = run_command_line("--worker-id", "1", variables={"RESPID_EPCH": "", "RESPID_HTTP_PORT": ""}).config
    assert config is not None
    assert config.http_port == 8080


def test_ignores_service_links(caplog: pytest.LogCaptureFixture) -> None:
    config = run_command_line("--worker-id", "1", variables=SERVICE_LINKS).config
    assert config is not None
    assert (config.port, config.http_port) == (6379, 8080)
    assert caplog.messages == [
        "ignored RESPID_HTTP_PORT=udp://10.96.0.8:80: it is set by Kubernetes for a Service",
        "ignored RESPID_PORT=tcp://10.96.0.7:6379: it is set by Kubernetes for a Service",
    ]


@pytest.mark.parametrize("arguments", ["decode 1", "check localhost:1 --seconds 0.1", "healthcheck"])
def test_other_commands_ignore_unknown_variables(arguments: str) -> None:
    outcome = run_command_line(*arguments.split(), variables={"RESPID_EPCH": "x"})
    assert outcome.exit_code in (0, 1)
    assert "RESPID_EPCH" not in outcome.stderr
