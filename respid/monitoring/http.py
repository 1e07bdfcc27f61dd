"""HTTP connections for metrics, health and the status page, on another port. Never parses RESP, never issues an ID."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import h11

from respid.net.crowd import Crowd
from respid.net.flow_control import FlowControl, Next, State
from respid.net.peer import describe_peer

IDLE_SECONDS = 120.0  # longer than usual scrape intervals
MAX_CONNECTIONS = 32  # the server reserves file descriptors for as many


class Response(NamedTuple):
    """The response of a route."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # in addition to those of every response


def json_response(status: int, content: dict[str, object], headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, "application/json", json.dumps(content).encode() + b"\n", headers)


BODY_REFUSED = json_response(413, {"error": "request bodies are not accepted"})

Route = Callable[[str], Response]  # takes the Accept header


class HttpClients:
    """The connected HTTP clients, their turns, and the routes that answer them.

    A scrape takes milliseconds, during which no IDs are issued, so each turn of the event loop answers one request,
    however many were sent. When there are too many connections, the longest idle one is closed, of the peer that has
    most, so idle or slow clients cannot keep a health check out.
    """

    def __init__(
        self, routes: dict[str, Route], loop: asyncio.AbstractEventLoop, count_rejection: Callable[[str, str], None]
    ) -> None:
        """Calls `count_rejection` with "http_connections" and the address of a connection that made room."""
        self.routes = routes
        self.loop = loop
        self._count_rejection = count_rejection
        self._protocols: Crowd[HttpProtocol] = Crowd()  # the longest idle first
        self._queue: deque[HttpProtocol] = deque()

    def add(self, protocol: "HttpProtocol") -> None:
        if len(self._protocols) >= MAX_CONNECTIONS:
            longest_idle = self._protocols.longest_waiting()
            self._count_rejection("http_connections", longest_idle.address)
            longest_idle.abort()
        self._protocols.add(protocol, protocol.address)

    def remove(self, protocol: "HttpProtocol") -> None:
        self._protocols.discard(protocol)

    def touch(self, protocol: "HttpProtocol") -> None:
        """Marks the connection as the least idle one."""
        self._protocols.touch(protocol)

    def join(self, protocol: "HttpProtocol") -> None:
        """Gives the connection a turn, after those that are already waiting."""
        self._queue.append(protocol)
        if len(self._queue) == 1:
            self.loop.call_soon(self._serve)

    def _serve(self) -> None:
        protocol = self._queue.popleft()
        if self._queue:
            self.loop.call_soon(self._serve)
        protocol.take_turn()

    def answer(self, request: h11.Request) -> Response:
        path = request.target.decode("ascii", "replace").partition("?")[0]
        route = self.routes.get(path)
        if route is None:
            return json_response(404, {"error": f"not found; the paths are {', '.join(self.routes)}"})
        if request.method not in (b"GET", b"HEAD"):
            return json_response(405, {"error": "method not allowed; use GET or HEAD"}, (("Allow", "GET, HEAD"),))
        accept = b", ".join(value for name, value in request.headers if name == b"accept")
        return route(accept.decode("latin-1"))

    def close(self) -> None:
        for protocol in self._protocols:
            protocol.close()


class HttpProtocol(FlowControl):
    """One HTTP client's socket."""

    address: str
    _deadline: asyncio.TimerHandle

    def __init__(self, clients: HttpClients) -> None:
        super().__init__(clients.loop)
        self._clients = clients
        self._http = h11.Connection(h11.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.address = describe_peer(self._transport)
        self._deadline = self._loop.call_later(IDLE_SECONDS, self.abort)
        self._clients.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._deadline.cancel()
        self._clients.remove(self)

    def data_received(self, data: bytes) -> None:
        if self._state is State.CLOSING:
            return
        self._http.receive_data(data)
        if self._state is State.READING:
            self._step(Next.TURN)

    def schedule_turn(self) -> None:
        self._clients.join(self)

    def close(self) -> None:
        """Closes once the responses are written."""
        self._step(Next.CLOSE)

    def abort(self) -> None:
        """Closes at once; a client that does not read its responses would otherwise keep the connection forever."""
        self._clients.remove(self)
        super().abort()

    def answer(self) -> Next:
        """Answers one request, if one is complete. Later requests of the same read have their turn next."""
        try:
            return self._answer_next()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
            return Next.CLOSE

    def _answer_next(self) -> Next:
        while isinstance(event := self._http.next_event(), h11.Event):
            if isinstance(event, h11.Request):
                if self._has_body(event):
                    self._send(event, BODY_REFUSED, closes=True)
                    return Next.CLOSE
                self._send(event, self._clients.answer(event))
            elif isinstance(event, h11.EndOfMessage):
                self._start_next_cycle()
                return Next.TURN
            elif isinstance(event, h11.ConnectionClosed):
                return Next.CLOSE
        if self._http.their_state is h11.IDLE and self._http.trailing_data[0].startswith(b"*"):
            # A Redis client. h11 would wait for the end of a header, and the client for a reply.
            raise h11.RemoteProtocolError("this is the HTTP port; Redis clients must use the RESP port")
        is_over = event is h11.PAUSED or self._http.our_state is h11.MUST_CLOSE
        return Next.CLOSE if is_over else Next.READ

    @staticmethod
    def _has_body(request: h11.Request) -> bool:
        """Whether one follows. It is not even read: in pieces of a byte, each would cost as much as a request."""
        names = {b"content-length": b"0", b"transfer-encoding": b""}
        return any(names.get(name, value) != value for name, value in request.headers)

    def _start_next_cycle(self) -> None:
        self._clients.touch(self)
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
            self._deadline.cancel()
            self._deadline = self._loop.call_later(IDLE_SECONDS, self.abort)

    def _send(self, request: h11.Request | None, response: Response, *, closes: bool = False) -> None:
        headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
        headers += response.headers
        if closes:
            headers.append(("Connection", "close"))
        parts = [self._http.send(h11.Response(status_code=response.status, headers=headers))]
        if request is None or request.method != b"HEAD":
            parts.append(self._http.send(h11.Data(data=response.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        self._transport.write(b"".join(part for part in parts if part))

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(None, json_response(error.error_status_hint, {"error": str(error)}))
