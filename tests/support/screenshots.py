"""Takes the screenshots of the status page for docs/. scripts/screenshots runs it.

The worker has drawn IDs for five minutes, so that its chart is full. The one that is not ready has a clock that was set
back by an hour after a run.
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.browser import running_chromium
from tests.support.documents import ROOT
from tests.support.faked_clock import faked_clock
from tests.support.running import RunningServer, accepts_connections, launch_server, wait_until

DOCS = ROOT / "docs"
LOAD_SECONDS = 310
PIPELINE_SIZES = [4, 5, 7, 6, 9, 12, 10, 14, 11, 8, 9, 13, 18, 24, 17, 12, 9, 8, 6, 7]


def draw(server: RunningServer, stop: threading.Event) -> None:
    """Draws IDs at a rate that changes every few seconds, until it is stopped."""
    started = time.monotonic()
    with server.client() as client:
        while not stop.wait(0.01):
            period = int((time.monotonic() - started) / LOAD_SECONDS * len(PIPELINE_SIZES))
            pipeline = client.pipeline(transaction=False)
            for _ in range(10 * PIPELINE_SIZES[period % len(PIPELINE_SIZES)]):
                pipeline.incr("orders")
            pipeline.execute()


@contextlib.contextmanager
def drawing(server: RunningServer) -> Iterator[None]:
    stop = threading.Event()
    load = threading.Thread(target=draw, args=(server, stop))
    load.start()
    time.sleep(LOAD_SECONDS)
    yield
    stop.set()
    load.join()


def photograph(browser: Browser, server: RunningServer, path: Path, pasted: str = "", *, dark: bool = False) -> None:
    page = browser.new_page(color_scheme="dark" if dark else "light", viewport={"width": 1080, "height": 690})
    page.goto(f"http://127.0.0.1:{server.http_port}/")
    page.locator("#ruler div").first.wait_for()
    if pasted:
        page.fill("#pasted", pasted)
        page.locator("#pasted").blur()
    page.screenshot(path=path, full_page=bool(pasted))
    page.close()


def photograph_ready(browser: Browser, directory: Path) -> None:
    server = launch_server(directory, worker_id="7")
    server.wait_until_ready()
    with drawing(server), server.client() as client:
        log = "\n".join(f"2026-11-26 09:30:0{second} order {client.incr('orders')} paid" for second in range(3))
        photograph(browser, server, DOCS / "status-light.png", log)
        photograph(browser, server, DOCS / "status-dark.png", log, dark=True)
    server.stop()


def photograph_not_ready(browser: Browser, directory: Path) -> None:
    """Continues from the state of a worker that has issued IDs."""
    clock = [f"{name}={value}" for name, value in faked_clock(-3600).items()]
    server = launch_server(directory, worker_id="7", prefix=("env", *clock))
    wait_until(lambda: accepts_connections(server.http_port))
    time.sleep(3)
    photograph(browser, server, DOCS / "status-not-ready.png")
    server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, running_chromium() as browser:
        photograph_ready(browser, Path(directory))
        photograph_not_ready(browser, Path(directory))


if __name__ == "__main__":
    main()
