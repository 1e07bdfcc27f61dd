"""Where the worker ID comes from: the first source that holds something, and never a guess."""

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
    """The one line that refuses."""
    with pytest.raises(WorkerIdError) as refused:
        find(explicit, environment, hostname=hostname, offset=offset, workers=workers)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("explicit", "worker_id", "pod_name", "hostname", "found"),
    [
        ("3", "4", "respid-5", "respid-6", (3, "--worker-id")),
        (None, "4", "respid-5", "respid-6", (4, "WORKER_ID")),
        (None, None, "respid-5", "respid-6", (5, "POD_NAME")),
        (None, None, None, "respid-6", (6, "hostname")),
        ("", "", "respid-7", "host", (7, "POD_NAME")),
        ("", "", "", "respid-7", (7, "hostname")),
        (None, None, "respid", "respid-7", (7, "hostname")),
        ("0", "4", None, "host", (0, "--worker-id")),
        ("1023", None, None, "host", (1023, "--worker-id")),
        ("007", None, None, "host", (7, "--worker-id")),
    ],
)
def test_the_first_source_that_holds_something_gives_the_worker_id(
    explicit: str | None, worker_id: str | None, pod_name: str | None, hostname: str, found: tuple[int, str]
) -> None:
    environment = {
        name: value for name, value in (("WORKER_ID", worker_id), ("POD_NAME", pod_name)) if value is not None
    }
    assert find(explicit, environment, hostname=hostname) == found


@pytest.mark.parametrize(("name", "ordinal"), [("respid-0", 0), ("my-respid-12", 12), ("a1-b2-3", 3), ("v2-7", 7)])
def test_the_ordinal_of_a_pod_is_at_the_end_of_its_name(name: str, ordinal: int) -> None:
    assert find(None, {"POD_NAME": name}) == (ordinal, "POD_NAME")
    assert find(hostname=name) == (ordinal, "hostname")


@pytest.mark.parametrize(
    "name",
    ["respid-07", "respid-00", "respid-", "-7", "7", "respid7", "respid-7.local", "respid-x", "respid-" + "9" * 5000],
)
def test_a_name_that_only_looks_like_a_pods_is_refused(name: str) -> None:
    for message in (refusal(None, {"POD_NAME": name}), refusal(hostname=name)):
        assert message.startswith("no worker ID: ")


@pytest.mark.parametrize("name", ["ip-10-0-0-12", "2024-7", "team-7-0"])
def test_numbers_before_the_last_make_a_hostname_doubtful_but_not_the_name_of_a_pod(name: str) -> None:
    assert refusal(hostname=name).startswith("no worker ID: ")
    assert find(None, {"POD_NAME": name}) == (int(name.rpartition("-")[2]), "POD_NAME")


def test_when_nothing_is_found_each_source_is_named_with_what_it_held_and_what_to_set() -> None:
    message = refusal("", {"WORKER_ID": "", "POD_NAME": "respid-07"}, hostname="ip-10-0-0-12")
    assert message == (
        "no worker ID: --worker-id and WORKER_ID are not set, POD_NAME is 'respid-07', the hostname is 'ip-10-0-0-12',"
        " neither of the form name-N: set --worker-id, a different one for every running server"
    )


@pytest.mark.parametrize("text", ["abc", "-1", "+1", "1.0", "1e3", " 1", "1\n", "0x1", "\u0663", "1_0"])
def test_what_is_no_number_is_refused_and_no_later_source_is_asked(text: str) -> None:
    told_by_option = refusal(text, {"WORKER_ID": "1", "POD_NAME": "respid-7"})
    assert told_by_option == f"worker ID {text!r} (from --worker-id) is not a number: set it to 0 or above"
    told_by_variable = refusal(None, {"WORKER_ID": text, "POD_NAME": "respid-7"})
    assert told_by_variable == f"worker ID {text!r} (from WORKER_ID) is not a number: set it to 0 or above"


@pytest.mark.parametrize(
    ("explicit", "environment", "offset", "workers", "beginning"),
    [
        ("1024", {}, 0, 1024, "worker ID 1024 (from --worker-id) is not 0 to 1023: "),
        (None, {"WORKER_ID": "16"}, 0, 16, "worker ID 16 (from WORKER_ID) is not 0 to 15: "),
        (None, {"POD_NAME": "respid-1024"}, 0, 1024, "worker ID 1024 (from POD_NAME) is not 0 to 1023: "),
        ("24", {}, 1000, 1024, "worker ID 24 + offset 1000 = 1024 (from --worker-id) is not 0 to 1023: "),
        ("3", {}, -4, 1024, "worker ID 3 + offset -4 = -1 (from --worker-id) is not 0 to 1023: "),
    ],
)
def test_a_worker_id_that_does_not_fit_is_refused_with_what_to_set(
    explicit: str | None, environment: dict[str, str], offset: int, workers: int, beginning: str
) -> None:
    message = refusal(explicit, environment, offset=offset, workers=workers)
    assert message.startswith(beginning)
    assert "set --worker-id and --worker-id-offset" in message


def test_the_offset_is_added_whatever_the_source() -> None:
    assert find("3", offset=100) == (103, "--worker-id")
    assert find(None, {"POD_NAME": "respid-3"}, offset=100) == (103, "POD_NAME")
    assert find(offset=1020, hostname="respid-3") == (1023, "hostname")


@pytest.mark.parametrize(
    ("arguments", "variables", "found"),
    [
        (("--worker-id", "3"), {"WORKER_ID": "4"}, (3, "--worker-id")),
        ((), {"WORKER_ID": "4", "POD_NAME": "respid-7"}, (4, "WORKER_ID")),
        ((), {"WORKER_ID": "", "POD_NAME": "respid-7"}, (7, "POD_NAME")),
        (("--worker-id", ""), {"POD_NAME": "respid-7", "RESPID_WORKER_ID_OFFSET": "100"}, (107, "POD_NAME")),
    ],
)
def test_the_command_line_names_the_source_that_was_used(
    arguments: tuple[str, ...], variables: dict[str, str], found: tuple[int, str]
) -> None:
    config = run_command_line(*arguments, variables=variables).config
    assert config is not None
    assert (config.worker_id, config.worker_id_source) == found
