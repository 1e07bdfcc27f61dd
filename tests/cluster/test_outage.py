"""Stops the API server for a minute. Needs the cluster's commands that stop and start it."""

import os
import shlex
import subprocess
import time

import pytest

from tests.cluster.installation import SMALL, Client, Release, repeated, wait_for
from tests.support.needed_tools import leave_out

SECONDS = float(os.environ.get("RESPID_TEST_OUTAGE_SECONDS", "60"))


@pytest.fixture(scope="module")
def commands() -> tuple[list[str], list[str]]:
    """The commands that stop and start the API server."""
    try:
        stop, start = os.environ["RESPID_TEST_STOP_API_SERVER"], os.environ["RESPID_TEST_START_API_SERVER"]
    except KeyError as error:
        leave_out(f"{error.args[0]} is not set to a command")
    return shlex.split(stop), shlex.split(start)


def test_workers_serve_without_an_api_server(release: Release, commands: tuple[list[str], list[str]]) -> None:
    stop, start = commands
    release.install(SMALL)
    release.wait_for_rollout()
    client = Client(release.namespace, release.name)
    try:
        subprocess.run(stop, check=True, stdout=subprocess.DEVNULL)
        time.sleep(SECONDS)
    finally:
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: release.ready == 2, "both workers are ready")
    after = client.answered
    wait_for(lambda: client.answered > after + 300, "IDs are drawn after it")
    drawn = client.finish()
    assert repeated(drawn) == 0
    assert drawn.errors.get("-LOADING respid cannot issue IDs", 0) == 0
    assert drawn.longest_pause < 10
    for pod in release.pods():
        (status,) = release.namespace.get(*pod.split("/"))["status"]["containerStatuses"]
        assert status["restartCount"] == 0
