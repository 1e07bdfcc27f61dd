"""The statements of docs/time-ranges.md, run by the databases that they are for."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respid.ids.layout import Layout
from respid.ids.time_range import greatest_id_in, least_id_in
from tests.support import databases, documents

PAGE = documents.ROOT / "docs" / "time-ranges.md"
STATEMENT = re.compile(r"<!-- sql: (\w+) (\w+) -->\n```sql\n(.*?)```", re.DOTALL)
STATEMENTS = {(database, name): sql for database, name, sql in STATEMENT.findall(PAGE.read_text())}
SERVERS: dict[str, Callable[[Path], AbstractContextManager[databases.Run]]] = {
    "sqlite": databases.sqlite,
    "postgresql": databases.postgresql,
    "mysql": databases.mariadb,
}
LAYOUT = Layout()
DAY = "2026-11-12"
FIRST, LAST = least_id_in(LAYOUT, DAY), greatest_id_in(LAYOUT, DAY)
IDS = [1, FIRST - 1, FIRST, FIRST + 1, 379216510486319104, LAST, LAST + 1, (1 << 63) - 1]


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[tuple[str, databases.Run]]:
    """A database's name, and how to run statements on its table of orders. Its path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="sql-") as directory, SERVERS[request.param](Path(directory)) as run:
        run(f"CREATE TABLE orders (id bigint PRIMARY KEY); INSERT INTO orders VALUES {rows(IDS)};")
        yield request.param, run


def rows(numbers: list[int]) -> str:
    return ", ".join(f"({number})" for number in numbers)


def test_every_database_has_both_statements() -> None:
    assert STATEMENTS.keys() == {(server, name) for server in SERVERS for name in ("times", "day")}


def test_ids_become_their_times(database: tuple[str, databases.Run]) -> None:
    name, run = database
    in_utc = "SET TIME ZONE 'UTC'; " if name == "postgresql" else ""
    found = {int(number): as_ms(time) for number, time in run(in_utc + STATEMENTS[name, "times"])}
    assert found == {number: LAYOUT.decompose(number).timestamp_ms for number in IDS}


def as_ms(time: str) -> int:
    moment = datetime.fromisoformat(time)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def test_a_day_finds_its_ids(database: tuple[str, databases.Run]) -> None:
    name, run = database
    assert [int(number) for (number,) in run(STATEMENTS[name, "day"])] == [n for n in IDS if FIRST <= n <= LAST]
