"""Where the worker ID comes from: the first source that has a value, and never a guess."""

from collections.abc import Mapping

import pytest

from respid.cli.worker_id import WorkerId, WorkerIdError, find_worker_id
from tests.support.command_line import run_command_line


def find(
    explicit: str | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    hostname: str = "host",
    offset: int = 0,
    workers: int = 1024,
) -> WorkerId:
    return find_worker_id(explicit, environment or {}, hostname, offset=offset, workers=workers)


def refusal(
    explicit: str | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    hostname: str = "host",
    offset: int = 0,
    workers: int = 1024,
) -> str:
    """The message of the refusal."""
    with pytest.raises(WorkerIdError) as refused:
        find(explicit, environment, hostname=hostname, offset=offset, workers=workers)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("explicit", "environment", "hostname", "found"),
    [
        ("3", {"WORKER_ID": "4", "RESPID_WORKER_ID": "5", "POD_NAME": "respid-6"}, "respid-7", (3, "--worker-id")),
        (None, {"WORKER_ID": "4"}, "respid-7", (4, "WORKER_ID")),
        (None, {"RESPID_WORKER_ID": "5"}, "respid-7", (5, "RESPID_WORKER_ID")),
        (None, {"WORKER_ID": "4", "RESPID_WORKER_ID": "4", "POD_NAME": "respid-4"}, "host", (4, "WORKER_ID")),
        (None, {"WORKER_ID": "4", "RESPID_WORKER_ID": "", "POD_NAME": "respid"}, "respid-7", (4, "WORKER_ID")),
        (None, {"WORKER_ID": "", "RESPID_WORKER_ID": "5"}, "host", (5, "RESPID_WORKER_ID")),
        (None, {"POD_NAME": "respid-6"}, "respid-7", (6, "POD_NAME")),
        ("", {"WORKER_ID": "", "RESPID_WORKER_ID": "", "POD_NAME": "respid-6"}, "host", (6, "POD_NAME")),
        (None, {}, "respid-7", (7, "hostname")),
        (None, {"POD_NAME": "respid"}, "respid-7", (7, "hostname")),
        ("0", {"WORKER_ID": "4"}, "host", (0, "--worker-id")),
        ("1023", {}, "host", (1023, "--worker-id")),
        ("007", {}, "host", (7, "--worker-id")),
    ],
)
def test_uses_the_first_source_with_a_value(
    explicit: str | None, environment: dict[str, str], hostname: str, found: tuple[int, str]
) -> None:
    assert find(explicit, environment, hostname=hostname) == found


def test_refuses_variables_that_differ() -> None:
    message = refusal(None, {"WORKER_ID": "4", "RESPID_WORKER_ID": "5"})
    assert message == "WORKER_ID is 4 and RESPID_WORKER_ID is 5: unset one of them, or set both to the same number"
    assert find(None, {"WORKER_ID": "4", "RESPID_WORKER_ID": "04"}).number == 4


@pytest.mark.parametrize(
    "variables",
    [
        {"WORKER_ID": "", "RESPID_WORKER_ID": "5"},  # the label is missing, and a ConfigMap sets the other
        {"RESPID_WORKER_ID": "5"},
        {"WORKER_ID": "5"},
        {"WORKER_ID": "5", "RESPID_WORKER_ID": "5"},
    ],
)
def test_refuses_a_variable_that_is_not_the_ordinal(variables: dict[str, str]) -> None:
    message = refusal(None, variables | {"POD_NAME": "respid-3"})
    assert "is 5, but POD_NAME respid-3 is the pod with number 3: unset " in message
    assert message.endswith("or use --worker-id if this pod is the only one")
    assert find(None, variables | {"POD_NAME": "respid-5"}).number == 5
    assert find("5", variables | {"POD_NAME": "respid-3"}).number == 5


@pytest.mark.parametrize(("name", "ordinal"), [("respid-0", 0), ("my-respid-12", 12), ("a1-b2-3", 3), ("v2-7", 7)])
def test_a_name_ends_with_its_ordinal(name: str, ordinal: int) -> None:
    assert find(None, {"POD_NAME": name}) == (ordinal, "POD_NAME")
    assert find(hostname=name) == (ordinal, "hostname")


@pytest.mark.parametrize(
    "name",
    ["respid-07", "respid-00", "respid-", "-7", "7", "respid7", "respid-7.local", "respid-x", "respid-" + "9" * 5000],
)
def test_refuses_a_name_without_an_ordinal(name: str) -> None:
    for message in (refusal(None, {"POD_NAME": name}), refusal(hostname=name)):
        assert message.startswith("no worker ID: ")


@pytest.mark.parametrize("name", ["ip-10-0-0-12", "2024-7", "team-7-0"])
def test_refuses_a_hostname_that_may_be_an_address(name: str) -> None:
    assert refusal(hostname=name).startswith("no worker ID: ")
    assert find(None, {"POD_NAME": name}) == (int(name.rpartition("-")[2]), "POD_NAME")


def test_names_all_sources_if_none_has_a_value() -> None:
    message = refusal("", {"WORKER_ID": "", "POD_NAME": "respid-07"}, hostname="ip-10-0-0-12")
    assert message == (
        "no worker ID: --worker-id, WORKER_ID and RESPID_WORKER_ID are not set, and neither POD_NAME 'respid-07' nor"
        " the hostname 'ip-10-0-0-12' is of the form name-N: set --worker-id, to a different number for each server"
    )


@pytest.mark.parametrize("text", ["abc", "-1", "+1", "1.0", "1e3", " 1", "1\n", "0x1", "\u0663", "1_0"])
def test_refuses_text_without_trying_other_sources(text: str) -> None:
    message = refusal(text, {"WORKER_ID": "1", "POD_NAME": "respid-7"})
    assert message == f"worker ID {text!r} (from --worker-id) is not a number: set it to 0 or greater"
    for variable in ("WORKER_ID", "RESPID_WORKER_ID"):
        message = refusal(None, {variable: text, "POD_NAME": "respid-7"})
        assert message == f"worker ID {text!r} (from {variable}) is not a number: set it to 0 or greater"


@pytest.mark.parametrize(
    ("explicit", "environment", "offset", "workers", "beginning"),
    [
        ("1024", {}, 0, 1024, "worker ID 1024 (from --worker-id) is not between 0 and 1023: "),
        (None, {"WORKER_ID": "16"}, 0, 16, "worker ID 16 (from WORKER_ID) is not between 0 and 15: "),
        (None, {"POD_NAME": "respid-1024"}, 0, 1024, "worker ID 1024 (from POD_NAME) is not between 0 and 1023: "),
        ("24", {}, 1000, 1024, "worker ID 24 + offset 1000 = 1024 (from --worker-id) is not between 0 and 1023: "),
        ("3", {}, -4, 1024, "worker ID 3 + offset -4 = -1 (from --worker-id) is not between 0 and 1023: "),
    ],
)
def test_refuses_a_worker_id_out_of_range(
    explicit: str | None, environment: dict[str, str], offset: int, workers: int, beginning: str
) -> None:
    message = refusal(explicit, environment, offset=offset, workers=workers)
    assert message.startswith(beginning)
    assert "change --worker-id or --worker-id-offset" in message


def test_adds_the_offset_to_any_source() -> None:
    assert find("3", offset=100) == (103, "--worker-id")
    assert find(None, {"POD_NAME": "respid-3"}, offset=100) == (103, "POD_NAME")
    assert find(offset=1020, hostname="respid-3") == (1023, "hostname")


@pytest.mark.parametrize(
    ("arguments", "variables", "found"),
    [
        (("--worker-id", "3"), {"WORKER_ID": "4", "RESPID_WORKER_ID": "5"}, (3, "--worker-id")),
        ((), {"WORKER_ID": "4"}, (4, "WORKER_ID")),
        ((), {"RESPID_WORKER_ID": "4", "POD_NAME": "respid-4"}, (4, "RESPID_WORKER_ID")),
        ((), {"WORKER_ID": "", "POD_NAME": "respid-7"}, (7, "POD_NAME")),
        (("--worker-id", ""), {"POD_NAME": "respid-7", "RESPID_WORKER_ID_OFFSET": "100"}, (107, "POD_NAME")),
    ],
)
def test_serve_names_the_source(arguments: tuple[str, ...], variables: dict[str, str], found: tuple[int, str]) -> None:
    config = run_command_line(*arguments, variables=variables).config
    assert config is not None
    assert (config.worker_id, config.worker_id_source) == found


def test_serve_refuses_variables_that_differ() -> None:
    outcome = run_command_line(variables={"WORKER_ID": "4", "RESPID_WORKER_ID": "5"})
    assert outcome.exit_code == 2
    assert outcome.error_line.startswith("respid: WORKER_ID is 4 and RESPID_WORKER_ID is 5: ")
