"""Servers that are killed under load and started again by clocks that were set: no ID comes twice, none falls.

`RESPID_TEST_KILLS` is how many servers live and die; the clocks are moved by libfaketime.
"""

import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from byte_streams import request
from needed_tools import need_tool
from raw_client import RawClient, are_rising, integers
from running import RunningServer, StartServer, wait_until

KILLS = int(os.environ.get("RESPID_TEST_KILLS", "6"))
CLOCKS_SECONDS = [0, -3600, 3600, -86_400, 0, 7200]  # by how much each server's clock is off
LIBRARIES = ["/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"]
BATCH = request("INCR", "orders") * 200 + request("INCRBY", "block", "100")


def faked_clock(offset_seconds: int) -> dict[str, str]:
    """The variables that move a process's wall clock, and leave its other clocks alone."""
    need_tool("faketime")
    (library, *_) = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{offset_seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Drawer(threading.Thread):
    """Draws until the server dies; keeps the first and last ID of everything that it was given."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__()
        self._server = server
        self.spans: list[tuple[int, int]] = []

    def run(self) -> None:
        try:
            with RawClient(self._server.port) as client:
                while True:
                    client.send(BATCH)
                    *singles, last = integers(client.receive_lines(201))
                    self.spans += [(number, number) for number in singles]
                    self.spans.append((last - 99, last))
        except (OSError, EOFError, AssertionError):
            return


def have_drawn(drawers: list[Drawer]) -> bool:
    return all(len(drawer.spans) > 500 for drawer in drawers)


@pytest.mark.timeout(60 + 10 * KILLS)
def test_killed_servers_with_moved_clocks_never_repeat_an_id(start_server: StartServer, tmp_path: Path) -> None:
    drawn: list[list[tuple[int, int]]] = []
    for life in range(KILLS):
        clock = faked_clock(CLOCKS_SECONDS[life % len(CLOCKS_SECONDS)])
        options = ["--state-dir", str(tmp_path), "--max-clock-lead", "200000"]
        server = start_server(*options, **clock)
        drawers = [Drawer(server) for _ in range(3)]
        for drawer in drawers:
            drawer.start()
        wait_until(partial(have_drawn, drawers))
        time.sleep(0.05 * (life % 4))
        server.process.kill()
        for drawer in drawers:
            drawer.join()
        drawn.append(sorted(span for drawer in drawers for span in drawer.spans))
    for spans in drawn:
        assert are_rising([number for span in spans for number in sorted(set(span))])
    assert are_rising([number for spans in drawn for number in (spans[0][0], spans[-1][1])])


def test_a_clock_a_day_behind_the_mark_issues_nothing_and_says_what_to_do(
    start_server: StartServer, tmp_path: Path
) -> None:
    options = ["--state-dir", str(tmp_path)]
    former = start_server(*options)
    with RawClient(former.port) as client:
        assert client.draw(request("INCR", "orders"), 1)
    former.stop()
    server = start_server(*options, wait=False, **faked_clock(-86_400))
    wait_until(lambda: "ahead of the wall clock" in server.log)
    with RawClient(server.port) as client:
        client.send(request("INCR", "orders"))
        refusal = client.receive_reply()
        assert refusal.startswith(b"-LOADING respid cannot issue IDs: the wall clock is 86")
        assert refusal.endswith(b"set the clock\r\n")
        client.send(request("PING"))
        assert client.receive_reply() == b"+PONG\r\n"
        client.send(request("INFO", "persistence"))
        assert b"loading:1" in client.receive_reply()
    assert server.get("/readyz")[0] == 503
    assert server.stop() == 0
    assert "no ID is issued until the clock comes within 600 s of it" in server.log
