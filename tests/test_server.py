"""A complete server, from the outside."""

from respid.ids.layout import Layout
from tests.support.running import RunningServer


def test_incr_returns_rising_ids(server: RunningServer) -> None:
    with server.client() as client:
        first, second = client.incr("orders"), client.incr("invoices")
    assert 0 < first < second
    assert Layout().decompose(second).worker_id == 1
