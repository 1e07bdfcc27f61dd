"""The behaviour that every store must show during an outage, whatever its cause."""

import time
from collections.abc import Callable

from tests.support.byte_streams import request
from tests.support.drawer import Drawer, are_disjoint_and_rising
from tests.support.raw_client import RawClient
from tests.support.running import RunningServer, wait_until

INCR = request("INCR", "orders")
READY = "id_generator_ready"
FAILURES = "id_generator_reservation_failures_total"


def through_an_outage(
    server: RunningServer, begin: Callable[[], None], end: Callable[[], None], reason: str, seconds: float = 0
) -> None:
    """Checks a server under load: it issues up to the ceiling, refuses with the reason, and recovers by itself.

    The outage lasts at least this many seconds.
    """
    drawers = [Drawer(server.port) for _ in range(2)]
    wait_until(lambda: all(drawer.spans for drawer in drawers))
    begin()
    began = time.monotonic()
    wait_until(lambda: server.metric(READY) == 0)
    wait_until(lambda: server.metric("id_generator_reservation_remaining_seconds") == 0)
    wait_until(lambda: all(drawer.refusals for drawer in drawers))
    wait_until(lambda: server.metric(FAILURES) > 0)
    wait_until(lambda: reason in server.get("/readyz")[1])
    with RawClient(server.port) as client:
        client.send(INCR)
        assert reason.encode() in client.receive_reply()
        client.send(request("PING"))
        assert client.receive_reply() == b"+PONG\r\n"
        client.send(request("INFO", "persistence"))
        assert b"loading:1" in client.receive_reply()
    assert server.get("/healthz")[0] == 200
    time.sleep(max(0, began + seconds - time.monotonic()))
    end()
    wait_until(lambda: server.get("/readyz")[0] == 200)
    drawn = [len(drawer.spans) for drawer in drawers]
    wait_until(lambda: all(len(drawer.spans) > before for drawer, before in zip(drawers, drawn, strict=True)))
    assert are_disjoint_and_rising([[drawer.finish() for drawer in drawers]])
    *outages, _ = server.log.split("the reservation is extended again")  # a machine that stands still may cause another
    assert outages
    for outage in outages:
        assert "the reservation cannot be extended: " in outage
        assert outage.count(f"the reservation cannot be extended: {reason}") <= 1
