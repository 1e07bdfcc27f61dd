"""Records sessions of the real drivers with a real redis-server, and replays them to respid.

Each driver runs a session behind a recording proxy. respid must answer the recorded requests with replies of the same
types and texts. IDs, and what describes the server or the connection, are compared by type only.
"""

import dataclasses
from collections.abc import Iterator

import pytest
import redis

from tests.clients.drivers import Driver, all_drivers
from tests.support.proxy import Recording, proxy
from tests.support.raw_client import exchange
from tests.support.redis_oracle import running_redis
from tests.support.reply_parser import Reply, parse_replies, parse_reply
from tests.support.running import RunningServer, StartServer

pytestmark = pytest.mark.timeout(1_800)  # a driver's packages may have to be fetched and built first
PASSWORD = "secret"  # fred sends HELLO as a line, without quotes
STEPS = ("connect", "ping", "incr", "block", "pipeline", "pool")
# Replies that differ between two servers, or two connections: only their types are compared.
DESCRIPTIONS = ("INFO", "COMMAND", "CLIENT ID", "CLIENT INFO", "CLIENT LIST")
DIFFERENT_FIELDS = (b"version", b"id", b"modules")  # of HELLO
DIFFERENCES = {
    "EVAL": "respid runs no scripts",
    "CLIENT MAINT_NOTIFICATIONS": "Redis 8.2 has it only in its commercial edition",
}


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A request and the reply to it."""

    request: list[bytes]
    reply: Reply

    @property
    def command(self) -> str:
        """The name, with the subcommand of a container."""
        words = [word.decode().upper() for word in self.request[:2]]
        return " ".join(words if words[0] in ("CLIENT", "CLUSTER", "COMMAND", "CONFIG") else words[:1])

    @property
    def comparable(self) -> Reply:
        match self.command:
            case "INCR" | "INCRBY" | "EXEC":
                return without_numbers(self.reply)
            case "HELLO":
                return without_fields(self.reply)
            case command if command.startswith(DESCRIPTIONS):
                return Reply(self.reply.type)
        return self.reply


def without_numbers(reply: Reply) -> Reply:
    text = None if reply.type == ":" else reply.text
    return Reply(reply.type, text, [without_numbers(element) for element in reply.elements])


def without_fields(reply: Reply) -> Reply:
    names = [Reply(""), *reply.elements]
    elements = [
        Reply(element.type) if name.text in DIFFERENT_FIELDS else element
        for name, element in zip(names, reply.elements, strict=False)
    ]
    return Reply(reply.type, reply.text, elements)


def exchanges(sent: bytes, received: bytes) -> list[Exchange]:
    """Pairs the requests with their replies. A client that has closed the connection misses the last ones."""
    replies = [reply for reply in parse_replies(received) if reply.type != ">"]
    return [Exchange(*pair) for pair in zip(split_requests(sent), replies, strict=False)]


def split_requests(sent: bytes) -> Iterator[list[bytes]]:
    position = 0
    while position < len(sent):
        if sent[position : position + 1] == b"*":
            request, position = parse_reply(sent, position)
            yield [element.text or b"" for element in request.elements]
        else:
            line, _, rest = sent[position:].partition(b"\r\n")
            position = len(sent) - len(rest)
            yield line.split()


@pytest.fixture(scope="module")
def locked_redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_redis(tmp_path_factory.mktemp("redis"), "--requirepass", PASSWORD) as port:
        with redis.Redis(port=port, password=PASSWORD) as client:
            client.incr("orders")  # on respid, each key exists
        yield port


@pytest.fixture(scope="module")
def locked_server(start_module_server: StartServer) -> RunningServer:
    return start_module_server(RESPID_PASSWORD=PASSWORD)


def record(driver: Driver, redis_port: int) -> list[Recording]:
    """The connections of a session of the driver with redis-server."""
    recordings: list[Recording] = []
    # A driver of doubles has ID.NEXT in its transaction, which redis-server lacks.
    steps = [*STEPS, "transaction"] if driver.exact and driver.transactions else STEPS
    with (
        proxy(redis_port, recordings=recordings) as port,
        driver.start(host="127.0.0.1", port=str(port), password=PASSWORD) as program,
    ):
        for step in (*steps, "close"):
            program.step(step)
    return recordings


@pytest.mark.parametrize("driver", [pytest.param(driver, id=driver.name) for driver in all_drivers()])
def test_recorded_session_is_answered_alike(
    driver: Driver, locked_redis_port: int, locked_server: RunningServer
) -> None:
    compared = 0
    for recording in record(driver, locked_redis_port):
        sent = bytes(recording.sent)
        recorded = exchanges(sent, bytes(recording.received))
        replayed = exchanges(sent, exchange(locked_server.port, sent))
        assert len(replayed) >= len(recorded)
        for theirs, ours in zip(recorded, replayed, strict=False):
            if theirs.command not in DIFFERENCES:
                assert ours.comparable == theirs.comparable, theirs.request
        compared += len(recorded)
    assert compared > 2_000
