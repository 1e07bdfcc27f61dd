"""A program of test_addresses.py, which runs it in a network of its own: starts a server and reports who reaches it.

    python -m tests.net.reachability_program LOG BIND

Prints a JSON object: what each address of the loopback interface gets, what the healthcheck says, and the log.
"""

import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.running import WAIT_SECONDS, wait_until

RESPID = [sys.executable, "-m", "respid"]
ADDRESSES = ("127.0.0.1", "::1")
PORT, HTTP_PORT = 6379, 8080


def draw(host: str) -> str:
    """Returns the address of the client as the server sees it, or the error."""
    try:
        with socket.create_connection((host, PORT), WAIT_SECONDS) as connection, connection.makefile("rb") as replies:
            connection.sendall(b"INCR orders\r\nCLIENT INFO\r\n")
            assert replies.readline().startswith(b":")
            return replies.read(int(replies.readline()[1:])).decode().split()[1].rpartition(":")[0]
    except OSError as error:
        return type(error).__name__


def ready(host: str) -> str:
    """Returns the status of /readyz, or the error."""
    try:
        connection = http.client.HTTPConnection(host, HTTP_PORT, timeout=WAIT_SECONDS)
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except OSError as error:
        return type(error).__name__


def check_health(bind: str) -> str:
    command = [*RESPID, "healthcheck", "--http-bind", bind, "--timeout", str(WAIT_SECONDS)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return (ended.stdout + ended.stderr).strip()


def main(log: Path, bind: str) -> None:
    options = ["--worker-id", "1", "--store", "none", "--bind", bind, "--http-bind", bind]
    with log.open("w") as output:
        server = subprocess.Popen([*RESPID, "serve", *options], stderr=output)
    try:
        wait_until(lambda: " serves RESP on " in log.read_text() or server.poll() is not None)
        seen = {
            "resp": {host: draw(host) for host in ADDRESSES},
            "http": {host: ready(host) for host in ADDRESSES},
            "healthcheck": check_health(bind),
            "log": log.read_text(),
        }
    finally:
        server.kill()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
