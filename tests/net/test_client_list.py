"""CLIENT LIST of a running server: the fields that say something about sockets, and the filters."""

import contextlib
from pathlib import Path

import redis

from tests.support.byte_streams import request
from tests.support.raw_client import RawClient
from tests.support.running import WAIT_SECONDS, RunningServer, StartServer, wait_until

NEEDED = {"laddr", "fd", "idle", "flags", "sub", "psub", "qbuf", "omem", "tot-mem", "events"}


def connect(server: RunningServer) -> redis.Redis:
    return redis.Redis(port=server.port, socket_timeout=WAIT_SECONDS)


def test_fields_have_the_order_of_redis(server: RunningServer, redis_port: int) -> None:
    with contextlib.closing(connect(server)) as client, contextlib.closing(redis.Redis(port=redis_port)) as oracle:
        ours = list(client.client_info())
        assert ours == [field for field in oracle.client_info() if field in ours]
        assert set(ours) >= NEEDED


def test_fields_describe_the_socket(server: RunningServer) -> None:
    with contextlib.closing(connect(server)) as client:
        info = client.client_info()
        assert info["laddr"] == f"127.0.0.1:{server.port}"
        assert int(info["fd"]) > 2
        assert (info["flags"], info["events"]) == ("N", "r")


def test_flags_show_a_transaction_and_tracking(server: RunningServer) -> None:
    with RawClient(server.port) as watched, contextlib.closing(connect(server)) as client:
        watched.send(request("CLIENT", "ID"))
        identifier = int(watched.receive_reply()[1:])
        watched.send(request("CLIENT", "TRACKING", "ON", "BCAST"), request("MULTI"))
        watched.receive_lines(2)
        (line,) = client.client_list(client_id=[identifier])
        assert (line["flags"], line["multi"], line["redir"]) == ("xtB", "0", "0")


def test_idle_seconds_rise_until_the_next_request(server: RunningServer) -> None:
    with RawClient(server.port) as silent, contextlib.closing(connect(server)) as client:
        silent.send(request("CLIENT", "ID"))
        identifier = int(silent.receive_reply()[1:])

        def idle() -> int:
            return int(client.client_list(client_id=[identifier])[0]["idle"])

        def is_reset() -> bool:
            """False where the machine has stood still since the request."""
            silent.send(request("PING"))
            silent.receive_reply()
            return idle() == 0

        wait_until(lambda: idle() > 0)
        wait_until(is_reset)


def test_unread_bytes_are_counted(server: RunningServer) -> None:
    with RawClient(server.port) as client, contextlib.closing(connect(server)) as other:
        client.send(request("CLIENT", "SETNAME", "half") + b"*2\r\n$4\r\nECHO\r\n$5\r\nab")
        client.receive_reply()
        (line,) = [line for line in other.client_list() if line["name"] == "half"]
        assert int(line["tot-mem"]) == int(line["qbuf"]) > 0


def test_clients_are_filtered_by_type_and_id(server: RunningServer) -> None:
    with contextlib.closing(connect(server)) as client:
        own = client.client_id()
        assert own in [int(line["id"]) for line in client.client_list(_type="normal")]
        assert client.client_list(_type="pubsub") == []
        assert [int(line["id"]) for line in client.client_list(client_id=[own, 10**9])] == [own]


def test_unix_socket_has_its_flag(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "respid.sock"
    start_server(RESPID_UNIX_SOCKET=str(path))
    with contextlib.closing(redis.Redis(unix_socket_path=str(path))) as client:
        info = client.client_info()
        assert (info["flags"], info["laddr"]) == ("U", "unix:0")
