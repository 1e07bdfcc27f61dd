"""Debian's Chromium, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.needed_tools import need_tool


@contextmanager
def running_chromium() -> Iterator[Browser]:
    program = need_tool("chromium")
    with sync_playwright() as playwright:
        # As root, as in containers, its sandbox does not work. The only pages it opens are respid's.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
