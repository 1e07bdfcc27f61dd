"""Fixtures of the tests on a real cluster: the cluster, and a namespace for each test."""

import itertools
import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.installation import Namespace, Release
from tests.support.needed_tools import leave_out, need_tool

LOOKS = 3  # a busy API server does not answer each time
_RUN = secrets.token_hex(3)
_numbers = (f"respid-test-{_RUN}-{number}" for number in itertools.count())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """A cluster that can run pods."""
    if "KUBECONFIG" not in os.environ:
        leave_out("no cluster: KUBECONFIG is not set")
    need_tool("helm")
    command = [need_tool("kubectl"), "get", "nodes", "-o", "name", "--request-timeout=10s"]
    looks = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(LOOKS))
    if not any(nodes.stdout.strip() for nodes in looks):
        leave_out("no cluster: kubectl get nodes finds none")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    namespace = Namespace(next(_numbers))
    yield namespace
    namespace.delete()


@pytest.fixture
def release(namespace: Namespace) -> Release:
    """A release that is not installed yet."""
    return Release(namespace)
