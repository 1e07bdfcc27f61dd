"""Reading the reply to INFO, of this release, of an older one, and of what is no respid worker."""

import pytest

from respid.check.client_connection import RefusedError
from respid.check.wire import ErrorReply, Reply
from respid.fleet.sample import SECTIONS, Sample, ids_per_second, read_sample
from respid.worker.worker import Worker
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock


@pytest.fixture
def reply(client: CommandClient) -> bytes:
    return ask(client)


def ask(client: CommandClient) -> bytes:
    (reply,) = client.ask("INFO " + b" ".join(SECTIONS).decode())
    assert reply.text is not None
    return reply.text


def without(reply: bytes, *names: bytes) -> bytes:
    return b"\r\n".join(line for line in reply.split(b"\r\n") if line.partition(b":")[0] not in names)


def test_reads_a_worker(worker: Worker, reply: bytes) -> None:
    sample = read_sample(reply, 5.0)
    assert sample.seconds == 5.0
    assert (sample.run_id, sample.worker_id, sample.layout) == (
        worker.run_id,
        worker.generator.worker_id,
        worker.generator.layout,
    )
    assert (sample.is_ready, sample.reason, sample.ids_issued, sample.connections) == (True, "", 0, 1)
    assert sample.reservation_seconds > 0


def test_reads_the_reason(client: CommandClient, clock: ScriptedClock) -> None:
    client.tell("INCR a")
    clock.step_ms(-3_600_000)
    sample = read_sample(ask(client), 0)
    assert not sample.is_ready
    assert sample.reason.startswith("the wall clock is 3600 s behind the last ID's timestamp")
    assert sample.clock_lead_seconds == 3600


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"state:serving", ""),
        (b"state:draining", "the server is draining"),
        (b"loading:1", "no ID can be issued now"),
    ],
)
def test_older_release_reports_no_reason(reply: bytes, line: bytes, reason: str) -> None:
    older = without(reply, b"not_ready_reason", line.partition(b":")[0])
    state = b"" if line.startswith(b"state") else b"\r\nstate:serving"
    assert read_sample(older + b"\r\n" + line + state, 0).reason == reason


@pytest.mark.parametrize("name", [b"respid_version", b"worker_id", b"fingerprint", b"ids_issued", b"run_id"])
def test_refuses_other_servers(reply: bytes, name: bytes) -> None:
    with pytest.raises(RefusedError, match="not a respid worker"):
        read_sample(without(reply, name), 0)


@pytest.mark.parametrize("reply", [None, 1, [], ErrorReply("ERR"), b"", b"\xff:\xff", b"worker_id:x\r\n"])
def test_refuses_other_replies(reply: Reply) -> None:
    with pytest.raises(RefusedError):
        read_sample(reply, 0)


def test_rate_is_of_one_process(reply: bytes) -> None:
    def at(seconds: float, issued: int, run_id: bytes = b"a") -> Sample:
        fields = b"\r\nrun_id:%b\r\nids_issued:%d" % (run_id, issued)
        return read_sample(without(reply, b"run_id", b"ids_issued") + fields, seconds)

    assert ids_per_second(at(1, 100), at(3, 500)) == 200
    assert ids_per_second(None, at(3, 500)) is None
    assert ids_per_second(at(1, 100, b"b"), at(3, 500)) is None
    assert ids_per_second(at(3, 100), at(3, 500)) is None
