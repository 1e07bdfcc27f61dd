"""The HTTP listener: /metrics, /healthz and /readyz, on a port of its own. Never parses RESP, never issues an ID."""

import asyncio
import json
from collections.abc import Callable
from typing import NamedTuple, cast

import h11

IDLE_SECONDS = 120.0  # longer than Prometheus's longest usual interval between scrapes
MAX_CONNECTIONS = 256


class Response(NamedTuple):
    """What a path answers."""

    status: int
    content_type: str
    body: bytes


def json_response(status: int, content: dict[str, object]) -> Response:
    return Response(status, "application/json", json.dumps(content).encode() + b"\n")


Route = Callable[[str], Response]  # is given the Accept header


class HttpListener:
    """The routes, and the connections that are open."""

    def __init__(self, routes: dict[str, Route], loop: asyncio.AbstractEventLoop) -> None:
        self.routes = routes
        self.loop = loop
        self.transports: set[asyncio.Transport] = set()

    def answer(self, request: h11.Request) -> Response:
        path = request.target.decode("ascii", "replace").partition("?")[0]
        route = self.routes.get(path)
        if route is None:
            return json_response(404, {"error": f"no such path; there are {', '.join(self.routes)}"})
        if request.method not in (b"GET", b"HEAD"):
            return json_response(405, {"error": "only GET and HEAD are answered here"})
        accept = b", ".join(value for name, value in request.headers if name == b"accept")
        return route(accept.decode("latin-1"))

    def close(self) -> None:
        for transport in list(self.transports):
            transport.close()


class HttpProtocol(asyncio.Protocol):
    """One HTTP client's socket."""

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._http = h11.Connection(h11.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._deadline = self._listener.loop.call_later(IDLE_SECONDS, self._transport.close)
        self._listener.transports.add(self._transport)
        if len(self._listener.transports) > MAX_CONNECTIONS:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._deadline.cancel()
        self._listener.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while isinstance(event := self._http.next_event(), h11.Event):
                if isinstance(event, h11.Request):
                    self._send(event, self._listener.answer(event))
                elif isinstance(event, h11.EndOfMessage):
                    self._start_next_cycle()
                elif isinstance(event, h11.ConnectionClosed):
                    self._transport.close()
                    return
            if self._http.their_state is h11.IDLE and self._http.trailing_data[0].startswith(b"*"):
                # A client of Redis: without this it would wait for an answer as long as h11 for the end of a header.
                self._refuse(h11.RemoteProtocolError("this is the HTTP port; clients of Redis need the other one"))
            if event is h11.PAUSED or self._http.our_state is h11.MUST_CLOSE:
                self._transport.close()
        except h11.RemoteProtocolError as error:
            self._refuse(error)

    def _start_next_cycle(self) -> None:
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
            self._deadline.cancel()
            self._deadline = self._listener.loop.call_later(IDLE_SECONDS, self._transport.close)

    def _send(self, request: h11.Request | None, response: Response) -> None:
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        parts = [self._http.send(h11.Response(status_code=response.status, headers=headers))]
        if request is None or request.method != b"HEAD":
            parts.append(self._http.send(h11.Data(data=response.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        self._transport.write(b"".join(part for part in parts if part))

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(None, json_response(error.error_status_hint, {"error": str(error)}))
        self._transport.close()
