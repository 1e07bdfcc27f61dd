"""When a certificate ends: as a number, in the log and as a metric."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from benchmarks.ports import free_port
from respid.highwater.stores.none import NoStore
from respid.net.certificate import end_seconds
from respid.net.credential_log import ExpiryLog
from respid.server import make_worker
from respid.worker.config import Config
from tests.support.certificates import CertificateFiles
from tests.support.running import StartServer
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_loop import run_scripted

END = "id_generator_tls_certificate_end_timestamp_seconds"


def certificate(end: datetime) -> bytes:
    return trustme.CA().issue_cert("localhost", not_after=end).cert_chain_pems[0].bytes()


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2107])
def test_end_is_read(year: int) -> None:
    end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    text = certificate(end).decode()
    assert end_seconds(text) == end.timestamp()
    assert end_seconds("comment\n" + text + certificate(end + timedelta(1)).decode()) == end.timestamp()


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nMII=\n", "x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no PEM certificate"):
        end_seconds(text)


def test_certificate_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        end_seconds("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("days", "told"),
    [(8, None), (6, " warning the TLS certificate expires at "), (-1, " error the TLS certificate expired at ")],
)
def test_near_end_is_logged(start_server: StartServer, tmp_path: Path, days: int, told: str | None) -> None:
    files, port = CertificateFiles(tmp_path), free_port()
    end = (datetime.now(UTC) + timedelta(days)).replace(microsecond=0)
    issued = files.ca.issue_cert("localhost", not_after=end)
    issued.private_key_pem.write_to_path(files.key_file)
    issued.cert_chain_pems[0].write_to_path(files.cert_file)
    server = start_server(*files.options(port))
    assert server.metric(END) == end.timestamp()
    assert server.log.count("the TLS certificate expire") == (told is not None)
    assert told is None or told in server.log


DAY = 86_400


@pytest.mark.parametrize(
    ("certificate_days", "crl_days", "expected"),
    [
        (30, None, ["certificate_ends", "certificate_ended"]),
        (5, 2, ["certificate_ends", "crl_ended", "certificate_ended"]),
        (-1, -1, ["certificate_ended", "crl_ended"]),
        (400, None, []),
        (None, None, []),
    ],
)
def test_end_that_comes_while_the_server_runs_is_logged_once(
    clock: ScriptedClock,
    caplog: pytest.LogCaptureFixture,
    certificate_days: float | None,
    crl_days: float | None,
    expected: list[str],
) -> None:
    worker = make_worker(Config(worker_id=1, worker_id_source="test", tls_port=6380), NoStore(), clock)
    ends = [None if days is None else clock.wall_ms() / 1000 + days * DAY for days in (certificate_days, crl_days)]
    worker.stats.tls_certificate_end_seconds, worker.stats.tls_crl_end_seconds = ends

    async def run_for_days() -> None:
        log = ExpiryLog(worker)
        log.note_loaded()
        running = asyncio.create_task(log.run())
        await asyncio.sleep(60 * DAY)
        running.cancel()

    run_scripted(clock, run_for_days())
    assert [getattr(record, "event", "") for record in caplog.records] == expected


def test_certificate_that_was_not_renewed_in_time_is_logged_at_each_reload(
    clock: ScriptedClock, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(Config(worker_id=1, worker_id_source="test", tls_port=6380), NoStore(), clock)
    worker.stats.tls_certificate_end_seconds = clock.wall_ms() / 1000 - DAY
    log = ExpiryLog(worker)
    for _ in range(2):
        log.note_loaded()
    assert len(caplog.records) == 2


def test_end_is_0_without_tls(start_server: StartServer) -> None:
    assert start_server().metric(END) == 0
