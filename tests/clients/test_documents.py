"""The examples for drivers in docs/clients.md and README.md run, and their tables match the tests."""

import re
from pathlib import Path

import pytest

from tests.clients.drivers import Driver, all_drivers, all_snippets
from tests.support.raw_client import are_rising
from tests.support.running import RunningServer

pytestmark = pytest.mark.timeout(1_800)  # a driver's packages may have to be fetched and built first
ROOT = Path(__file__).parent.parent.parent
PAGES = ("docs/clients.md", "docs/bulk.md", "docs/id-types.md", "docs/javascript.md", "README.md")
CLIENTS, BULK, ID_TYPES, JAVASCRIPT, README = ((ROOT / page).read_text() for page in PAGES)
SNIPPET = re.compile(r"<!-- snippet: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (name, code) for text in (CLIENTS, BULK, ID_TYPES, JAVASCRIPT, README) for name, code in SNIPPET.findall(text)
]
LOADING = {"error": "raises immediately", "retries": "retries, then raises", "waits": "waits if it is connecting"}
RESTART = {
    "silent": "reconnects silently",
    "error": "one error, then reconnects",
    "reconnect": "errors until you reconnect",
}


@pytest.mark.parametrize(("name", "code"), [pytest.param(*each, id=each[0]) for each in EXAMPLES])
def test_example_prints_exact_ids(server: RunningServer, name: str, code: str) -> None:
    printed = all_snippets()[name].printed(code.replace("6379", str(server.port)))
    ids = [int(each) for each in printed.split()]
    assert ids
    assert are_rising(ids)
    assert all(each > 1 << 53 and each >> 12 & 1023 == 1 for each in ids)


def test_every_example_is_tested() -> None:
    for page in (CLIENTS, BULK, ID_TYPES, JAVASCRIPT):
        assert page.count("\n```") == 2 * len(SNIPPET.findall(page))


@pytest.mark.parametrize("driver", [pytest.param(driver, id=driver.name) for driver in all_drivers()])
def test_tables_match_the_drivers(driver: Driver) -> None:
    (row,) = re.findall(rf"^\| `{driver.name}` \|.*$", CLIENTS, re.MULTILINE)
    *_, returned, loading, restart = [cell.strip() for cell in row.strip("| ").split("|")]
    assert returned.startswith("an exact" if driver.exact else "a double")
    assert (loading, restart) == (LOADING[driver.loading], RESTART[driver.restart])
