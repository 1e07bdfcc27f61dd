"""The tests on a cluster go on if a busy machine does not answer one of their requests."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cluster import api, installation

Answer = tuple[int, bytes] | None
TWO, THREE = ({"metadata": {"resourceVersion": str(each)}, "spec": {"replicas": each}} for each in (2, 3))


def _event(changed: object) -> bytes:
    return json.dumps({"type": "MODIFIED", "object": changed}).encode() + b"\n"


class BusyServer(ThreadingHTTPServer):
    """Gives these answers one after another, the last one again and again. None breaks the connection off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: BusyServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer:
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(answer[1])

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyServer]:
    with BusyServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setattr(api, "_proxy_url", lambda: server.url)
        monkeypatch.setattr(api, "PAUSE_SECONDS", 0.01)
        yield server
        server.shutdown()


@pytest.mark.parametrize("failure", [None, (502, b""), (503, b"busy"), (504, b"")])
def test_a_failed_look_is_repeated(server: BusyServer, failure: Answer) -> None:
    server.answers = [failure, failure, (200, b"{}")]
    assert api.read("orders", "pod", "/respid-0") == "{}"
    assert server.paths == ["/api/v1/namespaces/orders/pods/respid-0"] * 3


def test_an_answer_that_lasts_is_final(server: BusyServer) -> None:
    server.answers = [(404, b"no such pod")]
    with pytest.raises(AssertionError, match="404 no such pod"):
        api.read("orders", "pod", "/respid-0")
    server.answers = [(429, b"disruption budget")]
    with pytest.raises(AssertionError, match="disruption budget"):
        api.evict("orders", "respid-0")
    assert len(server.paths) == 2


def test_looks_end_if_nothing_answers(server: BusyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "RETRY_SECONDS", 0.1)
    server.answers = [(503, b"busy")]
    with pytest.raises(AssertionError, match="503 busy"):
        api.read("orders", "pod", "/respid-0")


def _versions(server: BusyServer) -> list[str]:
    """From which version of the object each request watched it; empty for a look at the object."""
    return [path.rpartition("=")[2] if "watch=1" in path else "" for path in server.paths]


def test_no_change_is_lost_when_a_watch_breaks_off(server: BusyServer) -> None:
    server.answers = [None, (200, json.dumps(TWO).encode()), (200, b'{"type": "MODI'), (500, b""), (200, _event(THREE))]
    over = threading.Event()
    changes = api.changes("orders", "statefulset", "respid", over)
    assert [next(changes), next(changes)] == [TWO, THREE]
    over.set()
    assert list(changes) == []
    assert _versions(server) == ["", "", "2", "2", "2"]


@pytest.mark.parametrize("status", [200, 410])
def test_a_watch_with_a_lost_history_begins_again(server: BusyServer, status: int) -> None:
    gone = {"metadata": {}, "status": "Failure", "code": 410}
    now = [(200, json.dumps(each).encode()) for each in (TWO, THREE)]
    server.answers = [now[0], (status, _event(gone)), now[1]]
    changes = api.changes("orders", "statefulset", "respid", threading.Event())
    assert [next(changes), next(changes)] == [TWO, THREE]
    assert _versions(server) == ["", "2", ""]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for programs that the tests find first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(installation, "RETRY_PAUSE_SECONDS", 0)
    return tmp_path


def _fail(program: Path, name: str, text: str, times: int) -> None:
    """Makes a program that fails so many times, and then succeeds."""
    script = f"#!/bin/sh\nruns={program}/runs\necho >> $runs\n[ $(wc -l < $runs) -gt {times} ] && exec echo done\n"
    (program / name).write_text(f"{script}echo '{text}' >&2\nexit 1\n")
    (program / name).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kubectl", "Unable to connect to the server: net/http: TLS handshake timeout"),
        ("kubectl", "error: error dialing backend: dial tcp 10.0.0.1:10250: i/o timeout"),
        (
            "kubectl",
            "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?",
        ),
        (
            "helm",
            "Error: INSTALLATION FAILED: Kubernetes cluster unreachable: Get ...: net/http: TLS handshake timeout",
        ),
    ],
)
def test_a_command_that_was_not_accepted_is_repeated(program: Path, name: str, text: str) -> None:
    _fail(program, name, text, times=2)
    assert installation.run(name, "get") == "done\n"
    _fail(program, name, text, times=100)
    with pytest.raises(AssertionError, match=re.escape(f"{name} get: {text}")):
        installation.run(name, "get")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kubectl", "Error from server (Timeout): the server was unable to return a response in the time allotted"),
        ("helm", "Error: UPGRADE FAILED: net/http: TLS handshake timeout"),
    ],
)
def test_a_command_that_may_have_done_its_work_is_not_repeated(program: Path, name: str, text: str) -> None:
    _fail(program, name, text, times=1)
    with pytest.raises(AssertionError, match=r"handshake|allotted"):
        installation.run(name, "create")
