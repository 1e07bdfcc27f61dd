"""MULTI, EXEC, and commands between them."""

import gc
from dataclasses import replace

import pytest

from respid.ids.layout import Layout
from respid.net.connection import TURN_OUTPUT_BYTES, Connection
from respid.net.states import Next
from respid.resp import encoder, errors
from respid.worker.worker import Worker
from tests.support.byte_streams import requests
from tests.support.command_client import CommandClient
from tests.support.cpu_time import least_seconds
from tests.support.reply_parser import parse_replies
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, converse, start_worker


def test_exec_runs_commands_in_order(client: CommandClient) -> None:
    (ok, queued, *_, result) = client.ask("MULTI; INCR a; PING; INCRBY a 5; EXEC")
    assert (ok.text, queued.text) == (b"OK", b"QUEUED")
    first, pong, last = result.elements
    assert pong.text == b"PONG"
    assert int(last.text or b"") == int(first.text or b"") + 5


def test_aborted_transaction_draws_no_id(client: CommandClient) -> None:
    client.tell(
        "MULTI; INCR a; DISCARD; MULTI; INCR a; BOGUS; EXEC; MULTI; INCR a; RESET; MULTI; INCR a; EXEC x; MULTI; QUIT"
    )
    assert client.connection.session.worker.generator.ids_issued == 0


@pytest.mark.parametrize("broken", ["BOGUS", "ECHO", "CLIENT BOGUS", "CLIENT ID x", "WATCH", "MULTI x"])
def test_queueing_error_aborts(client: CommandClient, broken: str) -> None:
    assert client.tell(f"MULTI; {broken}; PING; EXEC").endswith(encoder.QUEUED + errors.EXEC_ABORTED)
    assert client.tell("MULTI; PING; EXEC").endswith(b"*1\r\n+PONG\r\n")


@pytest.mark.parametrize(
    ("harmless", "reply"), [("MULTI", errors.NESTED_MULTI), ("WATCH a", errors.WATCH_INSIDE_MULTI)]
)
def test_immediate_error_does_not_abort(client: CommandClient, harmless: str, reply: bytes) -> None:
    assert client.tell(f"MULTI; {harmless}; PING; EXEC") == encoder.OK + reply + encoder.QUEUED + b"*1\r\n+PONG\r\n"


def test_command_error_is_an_element(client: CommandClient) -> None:
    assert client.tell("MULTI; INCRBY a x; PING; EXEC").endswith(b"*2\r\n" + errors.NOT_AN_INTEGER + encoder.PONG)


def test_exec_with_arguments_aborts(client: CommandClient) -> None:
    refused = b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
    assert client.tell("MULTI; PING; EXEC x; EXEC") == encoder.OK + encoder.QUEUED + refused + errors.EXEC_WITHOUT_MULTI


def test_exec_and_discard_need_multi(client: CommandClient) -> None:
    assert client.tell("EXEC; DISCARD") == errors.EXEC_WITHOUT_MULTI + errors.DISCARD_WITHOUT_MULTI


def test_hello_inside_transaction(client: CommandClient) -> None:
    assert client.tell("MULTI; GET a; HELLO 3; GET a; EXEC; GET a").endswith(b"*0\r\n_\r\n_\r\n")


def test_quit_inside_transaction(client: CommandClient) -> None:
    assert client.tell("MULTI; PING; QUIT; EXEC") == encoder.OK + encoder.QUEUED + encoder.OK
    assert client.needs() is Next.CLOSE


def test_streams_inside_transaction(client: CommandClient) -> None:
    result = client.ask("MULTI; ID.NEXT COUNT 1500; ID.RANGE 10; PING; EXEC")[-1]
    many, ranges, pong = result.elements
    assert len(many.elements) == 1500
    assert sum(int(span.elements[1].text or b"") for span in ranges.elements) == 10
    assert pong.text == b"PONG"


@pytest.mark.parametrize("draw", ["INCR a", "INCRBY a 2", "ID.NEXT COUNT 2", "ID.RANGE 2"])
def test_exec_without_ids_fails_whole(client: CommandClient, clock: ScriptedClock, draw: str) -> None:
    client.tell(f"MULTI; PING; {draw}")
    clock.pass_ms(100_000)  # beyond the reservation
    assert client.tell("EXEC") == b""
    assert client.needs() is Next.WAIT
    clock.pass_ms(200)
    assert client.connection.resume().startswith(b"-LOADING respid cannot issue IDs: ")
    assert client.tell("EXEC; PING") == errors.EXEC_WITHOUT_MULTI + encoder.PONG


def test_exec_counts_its_commands(client: CommandClient) -> None:
    client.tell("MULTI; PING; ECHO a; INCR a; INCR b; ID.RANGE 2; GET a; INCRBY a x; ECHO b; PING; EXEC")
    counted = {"multi": 1, "ping": 2, "echo": 2, "incr": 2, "id.range": 1, "get": 1, "incrby": 1, "exec": 1}
    assert client.connection.session.worker.stats.commands == counted


def test_exec_without_draws_needs_no_id(client: CommandClient, clock: ScriptedClock) -> None:
    clock.pass_ms(100_000)
    assert client.tell("MULTI; PING; EXEC").endswith(b"*1\r\n+PONG\r\n")


def test_exec_spans_milliseconds(client: CommandClient, clock: ScriptedClock) -> None:
    begun = client.tell("INCRBY a 4094; MULTI; INCR a; INCR a; INCR a; INCR a; EXEC")
    assert client.needs() is Next.WAIT
    clock.pass_ms(1)
    ended = client.connection.resume()
    assert client.needs() is Next.READ
    *_, result = parse_replies(begun + ended)
    numbers = [int(element.text or b"") for element in result.elements]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 4


def test_run_is_queued_as_one_entry(client: CommandClient) -> None:
    sent = requests("MULTI") + requests("INCR orders") * 300 + requests("INCR other")
    for start in range(0, len(sent), 1448):
        converse(client.connection, sent[start : start + 1448])
    session = client.connection.session
    assert session.transaction is not None
    assert [queued.count for queued in session.transaction] == [301]
    assert session.queued_bytes < 1000
    assert len(client.ask("EXEC")[0].elements) == 301


@pytest.mark.parametrize("most", [1, 3, 4, 39])
def test_run_exceeds_limit_of_transaction(worker: Worker, most: int) -> None:
    worker.config = replace(worker.config, max_queued_commands=most)
    client = CommandClient(connect(worker))
    converse(client.connection, requests("INCR a") * 3)
    replies = client.tell("; ".join(["MULTI", *["INCR a"] * 40, "EXEC"]))
    assert replies.startswith(encoder.OK + encoder.QUEUED * most + errors.queue_full(most))
    assert replies.endswith(b"\r\n" + encoder.QUEUED * (39 - most) + errors.EXEC_ABORTED)
    assert worker.generator.ids_issued == 3


@pytest.mark.parametrize(("text_bytes", "fits"), [(1019, True), (1020, False)])
def test_each_kib_of_arguments_counts_as_a_request(worker: Worker, text_bytes: int, *, fits: bool) -> None:
    worker.config = replace(worker.config, max_queued_commands=2)
    client = CommandClient(connect(worker))
    refused = errors.queue_full(2)
    assert client.tell(f"MULTI; ECHO {'x' * text_bytes}") == encoder.OK + encoder.QUEUED
    assert client.tell("PING") == (encoder.QUEUED if fits else refused)
    assert client.tell("PING; PING") == (refused if fits else encoder.QUEUED) + encoder.QUEUED
    assert client.tell("EXEC; MULTI; PING; PING; EXEC").endswith(b"*2\r\n" + encoder.PONG * 2)


@pytest.mark.parametrize(
    ("queued", "held"),
    [
        ("PING", 80 + 1 * 48 + 4),
        ("ECHO hello", 80 + 2 * 48 + 9),
        ("PING; ECHO hello", 80 + 1 * 48 + 4 + 80 + 2 * 48 + 9),
        ("GET orders", 80 + 2 * 48 + 3),
        ("EXISTS orders customers", 80 + 3 * 48 + 6),
        ("MSETNX orders 12 customers 3", 80 + 5 * 48 + 6 + 3),
        ("HSETNX orders field 1", 80 + 4 * 48 + 6 + 6),
        ("INCR orders", 0),
        ("INCR orders; INCR customers; INCRBY x 1", 200 + 2 * 8),
        ("INCR orders; INCRBY orders 2; INCR orders", 200 + 2 * 8),
        ("INCR orders; INCRBY orders 0; INCR orders", 80 + 3 * 48 + 7 + 2 * 200),
    ],
)
def test_holds_what_exec_needs(client: CommandClient, queued: str, held: int) -> None:
    """200 bytes for each run or stretch of other requests, 80 for each of these, and their arguments, but no keys."""
    client.tell(f"MULTI; {queued}")
    session = client.connection.session
    assert session.queued_bytes == 200 + held
    assert session.queued_requests == queued.count(";") + 1
    assert client.tell("EXEC").startswith(b"*")
    assert session.queued_bytes == 0


@pytest.mark.parametrize("refused", ["INCR a", "PING", "ECHO y"])
def test_transaction_above_the_limit_is_freed(worker: Worker, refused: str) -> None:
    worker.config = replace(worker.config, max_queued_commands=3)
    client = CommandClient(connect(worker))
    client.tell(f"MULTI; PING; INCR a; ECHO x; {refused}")
    session = client.connection.session
    assert (session.transaction, session.queued_bytes, session.queued_requests) == ([], 0, 0)
    assert client.tell("PING; INCR a; EXEC") == encoder.QUEUED * 2 + errors.EXEC_ABORTED


def test_description_of_client_counts_what_is_queued(worker: Worker) -> None:
    """It takes as long for a large transaction as for a small one: CLIENT LIST describes all clients at once."""
    worker.config = replace(worker.config, max_queued_commands=40_004)
    client = CommandClient(connect(worker))

    def described() -> str:
        description = client.connection.session.describe()
        return description[description.index(" multi=") :].split()[0]

    for sent, counted in (
        (requests("MULTI"), "multi=0"),
        (requests("INCR a") * 3 + requests("PING"), "multi=4"),
        ((requests("INCR a") + requests("INCRBY a 2")) * 20_000, "multi=40004"),
    ):
        converse(client.connection, sent)
        assert described() == counted
    (seconds,) = least_seconds(described)
    assert seconds < 0.0005
    for words, counted in (("INCR a", "0"), ("DISCARD", "-1"), ("MULTI; INCR a", "1"), ("EXEC", "-1"), ("MULTI", "0")):
        client.tell(words)
        assert described() == f"multi={counted}"
    client.tell("RESET")
    assert described() == "multi=-1"


def test_exec_fails_by_element_once_begun(clock: ScriptedClock) -> None:
    """At the ceiling, the rest of a queued run is refused one by one."""
    worker = start_worker(clock, reserved_ms=2, layout=Layout(sequence_bits=4))
    client = CommandClient(connect(worker))
    replies = client.tell("; ".join(["MULTI", *["INCR a"] * 40, "EXEC"]))
    while client.needs() is Next.WAIT:
        clock.pass_ms(1 if worker.generator.obstacle() is None else 100)
        replies += client.connection.resume()
    elements = parse_replies(replies)[-1].elements
    assert [element.type for element in elements] == [":"] * 32 + ["-"] * 8
    assert worker.stats.errors["LOADING"] == 8
    assert worker.stats.commands["incr"] == 40


@pytest.fixture
def repeating(client: CommandClient) -> CommandClient:
    """A client whose next transaction of INCRs is answered at once, because the two before were alike."""
    for _ in range(2):
        client.tell("MULTI; INCR a; INCR a; EXEC")
    return client


@pytest.mark.parametrize("increments", [1, 2, 16, 300])
def test_run_is_answered_at_once(repeating: CommandClient, monkeypatch: pytest.MonkeyPatch, increments: int) -> None:
    """As many as a transaction may have."""
    sent = "; ".join(["MULTI", *["INCR a"] * increments, "EXEC"])
    worker = repeating.connection.session.worker
    worker.config = replace(worker.config, max_queued_commands=increments)
    monkeypatch.delattr(Connection, "_receive_requests")
    ok, *queued, result = repeating.ask(sent)
    assert [ok.text, *(reply.text for reply in queued)] == [b"OK", *[b"QUEUED"] * increments]
    numbers = [int(element.text or b"") for element in result.elements]
    assert numbers == list(range(numbers[0], numbers[0] + increments))
    assert repeating.connection.is_between_requests
    assert repeating.connection.session.last_command == "exec"
    assert worker.stats.commands == {"multi": 3, "incr": 4 + increments, "exec": 3}


def test_known_requests_are_answered_at_once(client: CommandClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = "MULTI; INCR a; PING; EXEC"
    for _ in range(2):
        client.tell(sent)
    for method in ("_receive_requests", "_answer_turn"):
        monkeypatch.delattr(Connection, method)
    assert client.tell(sent).startswith(encoder.OK + encoder.QUEUED * 2 + b"*2\r\n:")
    assert client.connection.is_between_requests


def noted_rests(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is left to the general path from now on, which does not answer it."""
    rests: list[bytes] = []

    def note(_connection: Connection, rest: bytes) -> bytes:
        rests.append(rest)
        return b""

    monkeypatch.setattr(Connection, "_receive_requests", note)
    return rests


@pytest.mark.parametrize(("transactions", "left"), [(1, 0), (3, 0), (16, 0), (17, 1)])
def test_several_are_answered_at_once(
    repeating: CommandClient, monkeypatch: pytest.MonkeyPatch, transactions: int, left: int
) -> None:
    """Of many, 16. The general path answers the others, which looks at the time."""
    rests = noted_rests(monkeypatch)
    one = "MULTI; INCR a; INCR b; EXEC"
    replies = repeating.ask("; ".join([one] * transactions))
    assert len(replies) == 4 * (transactions - left)
    assert rests == [requests(one)] * left


def test_output_of_transactions_at_once_is_limited(repeating: CommandClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rests = noted_rests(monkeypatch)
    one = requests("MULTI") + requests("INCR a") * 400 + requests("EXEC")
    output = converse(repeating.connection, one * 10)
    assert len(output) < TURN_OUTPUT_BYTES + 400 * 40
    assert rests == [one * (10 - output.count(encoder.OK))]


@pytest.mark.parametrize("command", ["INCR a", "INCRBY a 5", "ID.NEXT AS STRING", "HINCRBY a b 1", "incr a"])
def test_single_request_is_answered_at_once(
    client: CommandClient, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        client.tell(f"multi; {command}; exec")
    monkeypatch.delattr(Connection, "_receive_requests")
    assert client.tell(f"multi; {command}; exec").startswith(encoder.OK + encoder.QUEUED + b"*1\r\n")


@pytest.mark.parametrize("reads", [["MULTI", "INCR a; INCR b", "EXEC"], ["MULTI; INCR a", "INCR b; EXEC"]])
def test_parts_of_transaction_are_answered_at_once(
    repeating: CommandClient, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.delattr(Connection, "_receive_requests")
    replies = parse_replies(b"".join([repeating.tell(read) for read in reads]))
    assert [reply.text for reply in replies[:-1]] == [b"OK", b"QUEUED", b"QUEUED"]
    assert [element.type for element in replies[-1].elements] == [":", ":"]


@pytest.mark.parametrize("special", ["CLIENT TRACKING ON OPTIN; CLIENT CACHING YES", "CLIENT REPLY OFF", "MULTI"])
def test_special_state_takes_general_path(
    repeating: CommandClient, monkeypatch: pytest.MonkeyPatch, special: str
) -> None:
    repeating.tell(special)
    monkeypatch.delattr(Connection, "_receive_requests")
    with pytest.raises(AttributeError):
        repeating.tell("MULTI; INCR a; EXEC")


def test_exec_at_once_fails_whole(repeating: CommandClient, clock: ScriptedClock) -> None:
    clock.pass_ms(100_000)  # beyond the reservation
    assert repeating.tell("MULTI; INCR a; EXEC") == encoder.OK + encoder.QUEUED
    clock.pass_ms(200)
    assert repeating.connection.resume().startswith(b"-LOADING respid cannot issue IDs: ")


@pytest.mark.parametrize("after", ["", "; PING"])
@pytest.mark.parametrize("left", [0, 1, 4])
def test_exec_at_once_waits_for_the_rest(repeating: CommandClient, clock: ScriptedClock, left: int, after: str) -> None:
    """Its memory is held until then. Requests after it wait, too."""
    repeating.tell(f"INCRBY a {4096 - 4 - left}")
    replies = repeating.tell(f"MULTI; INCR a; INCR a; INCR a; INCR a; INCR a; EXEC{after}")
    assert encoder.PONG not in replies
    assert not repeating.connection.is_between_requests
    assert replies.startswith(encoder.OK + encoder.QUEUED * 5 + b"*5\r\n")
    assert replies.count(b":") == left
    assert repeating.needs() is Next.WAIT
    assert repeating.connection.session.queued_bytes > 0
    assert repeating.connection.session.worker.stats.commands["incr"] == 4 + left
    clock.pass_ms(1)
    replies += repeating.connection.resume()
    assert (encoder.PONG in replies) == bool(after)
    result = parse_replies(replies)[6]
    numbers = [int(element.text or b"") for element in result.elements]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 5
    assert repeating.connection.held_bytes < 1000
    assert repeating.connection.session.queued_bytes == 0
    assert repeating.connection.session.worker.stats.commands["incr"] == 4 + 5


def test_blocks_at_once_wait_for_all_of_their_ids(client: CommandClient, clock: ScriptedClock) -> None:
    for _ in range(2):
        client.tell("MULTI; INCRBY a 48; EXEC")
    client.tell("INCRBY a 4000")  # none is left
    replies = client.tell("MULTI; INCRBY a 48; EXEC")
    assert replies == encoder.OK + encoder.QUEUED + b"*1\r\n"
    clock.pass_ms(1)
    assert client.connection.resume().count(b":") == 1


def test_transaction_waits_for_the_one_before(repeating: CommandClient, clock: ScriptedClock) -> None:
    repeating.tell("INCRBY a 4090")  # two are left
    replies = repeating.tell("MULTI; INCR a; INCR a; INCR a; EXEC; MULTI; INCR a; EXEC")
    assert replies.count(encoder.OK) == 1
    clock.pass_ms(1)
    first, second = (reply for reply in parse_replies(replies + repeating.connection.resume()) if reply.type == "*")
    numbers = [int(element.text or b"") for element in first.elements + second.elements]
    assert numbers == sorted(set(numbers))
    assert (len(first.elements), len(second.elements)) == (3, 1)


@pytest.mark.parametrize("most", [4, 5])
def test_limit_holds_for_transaction_at_once(repeating: CommandClient, most: int) -> None:
    worker = repeating.connection.session.worker
    worker.config = replace(worker.config, max_queued_commands=most)
    replies = repeating.tell("MULTI; INCR a; INCR a; INCR a; INCR a; INCR a; EXEC")
    assert replies.endswith(errors.EXEC_ABORTED) == (most == 4)


@pytest.mark.parametrize("others", [[], ["INCR a; PING"]])
def test_transactions_that_cannot_be_answered_at_once_are_given_up(repeating: CommandClient, others: list[str]) -> None:
    """Such as runs of constant replies. But not if one in two can be."""
    run = "; ".join(["HEXISTS key field"] * 3)
    repeating.tell(f"{run}; {run}")
    for _ in range(30):
        for queued in (run, *others):
            repeating.tell(f"MULTI; {queued}; EXEC")
    assert repeating.connection._transactions.expected == bool(others)


def test_collector_need_not_look_at_queued_requests(client: CommandClient) -> None:
    """A full collection stops the server for as long as it takes to look at all objects."""
    client.tell("MULTI")
    gc.collect()
    before = len(gc.get_objects())
    client.tell("; ".join(["ECHO hello", "Get orders", "SET orders 0 NX EX 10"] * 1000))
    gc.collect()
    assert len(gc.get_objects()) - before < 100
    assert client.tell("EXEC").startswith(b"*3000\r\n$5\r\nhello\r\n")
