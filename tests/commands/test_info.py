"""INFO."""

import pytest

from respid.resp import encoder
from tests.support.command_client import CommandClient
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import RUN_ID


def information(client: CommandClient, sections: str = "") -> dict[str, str]:
    """The fields of INFO."""
    (reply,) = client.ask(f"INFO {sections}".strip())
    return dict(line.split(":", 1) for line in (reply.text or b"").decode().split("\r\n") if ":" in line)


def test_info_has_expected_fields(client: CommandClient, clock: ScriptedClock) -> None:
    client.tell("INCR a; PING")
    clock.pass_ms(90_000_000)
    found = information(client)
    expected = {
        "redis_mode": "standalone",
        "role": "master",
        "tcp_port": "6379",
        "run_id": RUN_ID,
        "uptime_in_seconds": "90000",
        "uptime_in_days": "1",
        "connected_clients": "1",
        "used_memory": "50000000",
        "used_memory_human": "47.68M",
        "used_memory_peak_human": "57.22M",
        "maxmemory_human": "0B",
        "maxmemory_policy": "noeviction",
        "cluster_enabled": "0",
        "total_commands_processed": "3",
        "worker_id": "1",
        "ids_issued": "1",
        "layout": "41/10/12",
    }
    assert expected.items() <= found.items()


def test_info_filters_sections(client: CommandClient) -> None:
    assert information(client, "replication") == {"role": "master", "connected_slaves": "0"}
    assert information(client, "CLUSTER Replication").keys() == {"role", "connected_slaves", "cluster_enabled"}
    assert information(client, "bogus") == {}
    everything = information(client, "everything").keys()
    assert information(client, "all").keys() == everything
    assert information(client).keys() == information(client, "default").keys() < everything


def test_commandstats_count_calls_and_errors(client: CommandClient) -> None:
    client.tell("INCR a; INCR a; INCR; INCRBY a 0; BOGUS")
    client.connection.session.worker.stats.note_sample("incr", 4, 10_000)
    found = information(client, "commandstats")
    assert found == {
        "cmdstat_incr": "calls=2,usec=5,usec_per_call=2.50,rejected_calls=1,failed_calls=0",
        "cmdstat_incrby": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
        "cmdstat_info": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
    }
    assert "cmdstat_incr" not in information(client)


def test_refused_run_counts_as_failed(client: CommandClient, clock: ScriptedClock) -> None:
    clock.pass_ms(100_000)  # past the reservation
    client.tell("INCR a; INCR a; INCR a")
    clock.pass_ms(1000)
    client.connection.resume()
    assert information(client, "commandstats")["cmdstat_incr"].endswith(",rejected_calls=0,failed_calls=3")


@pytest.mark.parametrize("others", ["", "GET k; ", "CLIENT ID; "])
def test_errors_in_a_transaction_count_as_failed(client: CommandClient, clock: ScriptedClock, others: str) -> None:
    client.tell(f"MULTI; {others}INCRBY a x; INCRBY a 4096; {others}INCRBY a 4096; INCRBY a 4096; EXEC")
    clock.pass_ms(100_000)  # past the reservation
    for _ in range(2):
        client.connection.resume()
        clock.pass_ms(150)
    assert information(client, "commandstats")["cmdstat_incrby"].endswith(",rejected_calls=0,failed_calls=3")


@pytest.mark.parametrize("words", ["ID.NEXT COUNT 3", "ID.RANGE 3", "ID.NEXT"])
def test_refused_bulk_request_counts_as_failed(client: CommandClient, clock: ScriptedClock, words: str) -> None:
    clock.pass_ms(100_000)  # past the reservation
    client.tell(words)
    clock.pass_ms(150)
    client.connection.resume()
    name = words.split(maxsplit=1)[0].lower()
    assert information(client, "commandstats")[f"cmdstat_{name}"].endswith(",failed_calls=1")


def test_errorstats_count_by_code(client: CommandClient) -> None:
    client.tell("BOGUS; BOGUS")
    assert information(client, "errorstats") == {"errorstat_ERR": "count=2"}


def test_operations_are_those_of_the_last_second(client: CommandClient) -> None:
    assert information(client, "stats")["instantaneous_ops_per_sec"] == "0"
    client.connection.session.worker.stats.commands_per_second = 7
    assert information(client, "stats")["instantaneous_ops_per_sec"] == "7"


def test_info_text_format(client: CommandClient) -> None:
    text = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"
    assert client.tell("INFO cluster replication") == encoder.bulk_string(text.encode())
    client.tell("HELLO 3")
    assert client.tell("INFO cluster replication") == encoder.text_string(text, 3)


def test_info_reports_loading(client: CommandClient, clock: ScriptedClock) -> None:
    assert information(client, "persistence") == {"loading": "0"}
    clock.pass_ms(100_000)
    assert information(client, "persistence") == {"loading": "1", "loading_eta_seconds": "1"}
