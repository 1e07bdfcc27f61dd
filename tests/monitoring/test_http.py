"""HTTP connections from the outside: the three paths, the rules of HTTP, and invalid requests."""

import http.client
import json
import threading
from collections.abc import Iterator

import pytest

from tests.hostile.bystander import cpu_seconds
from tests.support.byte_streams import request
from tests.support.raw_client import RawClient, exchange
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: respid\r\n\r\n"
JSON = "application/json"


@pytest.fixture
def http_client(server: RunningServer) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=WAIT_SECONDS)
    yield client
    client.close()


def test_healthz_and_readyz(server: RunningServer) -> None:
    assert server.get("/healthz") == (200, '{"status": "alive"}\n')
    assert server.get("/readyz") == (200, '{"status": "ready"}\n')


@pytest.mark.parametrize(
    ("accept", "content_type", "ending"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0", b"# EOF\n"),
        ("application/openmetrics-text; version=a", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("application/openmetrics-text; version=" + "1" * 5000, "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("text/plain; version=1.0.0\xe9", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
    ],
)
def test_metrics_format_follows_accept(
    http_client: http.client.HTTPConnection, accept: str, content_type: str, ending: bytes
) -> None:
    http_client.request("GET", "/metrics", headers={"Accept": accept})
    response = http_client.getresponse()
    assert (response.status, (response.getheader("Content-Type") or "").startswith(content_type)) == (200, True)
    assert response.read().endswith(ending)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/readyz?verbose=1", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/status", 200),
        ("GET", "/status/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/%6detrics", 404),
        ("POST", "/nowhere", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("OPTIONS", "/readyz", 405),
    ],
)
def test_paths_and_methods_keep_connection(
    http_client: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    http_client.request(method, path)
    response = http_client.getresponse()
    body = response.read()
    assert response.status == status
    assert response.getheader("Allow") == ("GET, HEAD" if status == 405 else None)
    assert not response.will_close
    assert (method == "HEAD") == (body == b"")
    if status >= 400:
        assert json.loads(body)["error"]
    http_client.auto_open = 0
    http_client.request("GET", "/healthz")
    assert http_client.getresponse().status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_bodies_are_refused_unread(server: RunningServer, framing: bytes) -> None:
    """In chunks of one byte, a megabyte of body used to take half a minute of the event loop."""
    with RawClient(server.http_port) as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: respid\r\n" + framing + b"\r\n\r\n", b"1\r\nx\r\n" * 10_000)
        head, _, body = client.receive_to_the_end().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close" in head
    assert json.loads(body) == {"error": "request bodies are not accepted"}


def test_head_has_the_headers_of_get(http_client: http.client.HTTPConnection) -> None:
    headers = []
    for method in ("GET", "HEAD"):
        http_client.request(method, "/healthz")
        response = http_client.getresponse()
        response.read()
        headers.append(response.getheaders())
    assert headers[0] == headers[1]


def test_pipelined_requests_keep_order(server: RunningServer) -> None:
    answered = exchange(server.http_port, GET * 2 + GET.replace(b"/healthz", b"/nowhere"), GET)
    statuses = [line.split()[1] for line in answered.splitlines() if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"200", b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /readyz HTTP/1.0\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: respid\r\nConnection: close\r\n\r\n",
    ],
    ids=["HTTP/1.0", "Connection: close"],
)
def test_connection_close_is_honoured(server: RunningServer, sent: bytes) -> None:
    with RawClient(server.http_port) as client:
        client.send(sent)
        answered = client.receive_to_the_end()
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert answered.endswith(b'\r\n\r\n{"status": "ready"}\n')


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"400"),
        (request("INCR", "orders"), b"400"),
        (b"PING\r\n\r\n", b"400"),
        (b"GET /readyz HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /readyz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: respid\r\nX: " + b"x" * 200_000, b"431"),
        (b"GET /" + b"x" * 200_000, b"431"),
    ],
    ids=["TLS", "RESP", "inline", "no Host", "two Hosts", "bad length", "long header", "long path"],
)
def test_invalid_request_gets_a_reason(server: RunningServer, sent: bytes, status: bytes) -> None:
    with RawClient(server.http_port) as client:
        client.send(sent)
        answered = client.receive_to_end()
    head, _, body = answered.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %s " % status)
    assert json.loads(body)["error"]
    assert server.get("/readyz")[0] == 200


@pytest.mark.parametrize("cut", [1, 5, 25, 47, 49])
def test_request_in_pieces(server: RunningServer, cut: int) -> None:
    sent = b"GET /healthz HTTP/1.1\r\nHost: respid\r\nAccept: */*\r\n\r\n"
    with RawClient(server.http_port) as client:
        client.send(sent[:cut])
        assert server.get("/healthz")[0] == 200  # the first piece has been read by then
        client.send(sent[cut:])
        statuses = [line for line in client.finish().splitlines() if line.startswith(b"HTTP/")]
    assert [status.split()[1] for status in statuses] == [b"200"]


def test_saturated_worker_answers_scrapes(server: RunningServer) -> None:
    saturated = threading.Event()
    ended = threading.Event()

    def saturate() -> None:
        with RawClient(server.port) as client:
            while not ended.is_set():
                client.send(request("INCR", "orders") * 20_000)
                client.receive_lines(20_000)
                saturated.set()

    pipelines = [threading.Thread(target=saturate) for _ in range(3)]
    for pipeline in pipelines:
        pipeline.start()
    try:
        assert saturated.wait(WAIT_SECONDS)
        generated = server.metric("id_generator_ids_generated_total")
        for path in ("/metrics", "/healthz", "/readyz", "/status", "/") * 3:
            before = cpu_seconds(server)
            assert server.get(path)[0] == 200
            assert cpu_seconds(server) - before < 0.5  # CPU time, because the machine may be busy with other tests
        assert server.metric("id_generator_ids_generated_total") > generated
    finally:
        ended.set()
        for pipeline in pipelines:
            pipeline.join()


def test_draining_server_is_not_ready(start_server: StartServer) -> None:
    server = start_server("--drain-delay", "3600")
    server.process.terminate()
    wait_until(lambda: server.get("/readyz")[0] == 503)
    status, body = server.get("/readyz")
    assert (status, json.loads(body)) == (503, {"status": "not ready", "reason": "the server is draining"})
    assert server.get("/healthz")[0] == 200
    assert server.metric("id_generator_ready") == 0
    assert server.stop_at_once() == 143
