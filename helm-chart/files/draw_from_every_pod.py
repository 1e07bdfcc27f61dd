"""The program of `helm test`: draws IDs from every pod; checks that they are unique and have the pod's worker ID.

It goes through the pods by name, from name-0, until a name has no address. It draws so few IDs that neither clients nor
autoscalers notice. It uses only the standard library, and its settings are environment variables.
"""

import os
import pathlib
import socket
import ssl
import sys
import time

IDS = 500  # per pod
WAIT_SECONDS = 30  # for an address of the first pod: right after an installation, name servers may not have it
TLS_FILES = pathlib.Path("/etc/respid/tls")
AUTH_FILE = pathlib.Path("/etc/respid/auth/passwords")


def connect(host: str, port: int, *, tls: bool) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=10)
    if not tls:
        return connection
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate names the Service, but this connects to its pods
    if (TLS_FILES / "ca.crt").exists():
        context.load_verify_locations(TLS_FILES / "ca.crt")
    else:
        context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(TLS_FILES / "tls.crt", TLS_FILES / "tls.key")  # in case clients must present a certificate
    return context.wrap_socket(connection)


def first_password() -> bytes:
    """Returns the first of the passwords that the pods have; empty if clients need none."""
    if AUTH_FILE.exists():
        lines = (line.removesuffix(b"\r") for line in AUTH_FILE.read_bytes().split(b"\n"))
        return next(filter(None, lines), b"")  # the pods ignore empty lines
    return os.environ.get("RESPID_PASSWORD", "").encode()


def draw(host: str, port: int, *, tls: bool) -> list[int]:
    """Draws IDS IDs from one pod. Raises OSError, or RuntimeError for a reply that is not an ID."""
    ids = []
    with connect(host, port, tls=tls) as connection, connection.makefile("rb") as replies:
        if password := first_password():
            connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(password), password))
            if replies.readline() != b"+OK\r\n":
                raise RuntimeError("the first password was rejected")
        connection.sendall(b"*2\r\n$4\r\nINCR\r\n$9\r\nhelm-test\r\n" * IDS)
        for reply in (replies.readline() for _ in range(IDS)):
            if not reply.startswith(b":"):
                raise RuntimeError(f"INCR returned {reply.decode(errors='replace').strip() or 'no reply'}")
            ids.append(int(reply[1:]))
    return ids


def has_address(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except socket.gaierror:
        return False


def wait_for_address(host: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not has_address(host) and time.monotonic() < deadline:
        time.sleep(0.5)


def main(name: str, domain: str, port: int, offset: int, layout: str, *, tls: bool) -> int:
    """Returns the number of pods that failed the check, or 1 if there are no pods."""
    _, worker_bits, sequence_bits = map(int, layout.split("/"))
    seen: set[int] = set()
    failed = pods = 0
    wait_for_address(f"{name}-0.{domain}")
    while has_address(host := f"{name}-{pods}.{domain}"):
        expected = pods + offset
        pods += 1
        try:
            ids = draw(host, port, tls=tls)
        except (OSError, RuntimeError) as error:
            print(f"{host}: {error}")
            failed += 1
            continue
        workers = {(number >> sequence_bits) % 2**worker_bits for number in ids}
        repeated = len(ids) - len(set(ids) - seen)
        seen.update(ids)
        failed += workers != {expected} or repeated > 0
        print(f"{host}: {len(ids)} IDs, {repeated} repeated, worker ID {workers}, expected {expected}")
    print(f"{pods} pods checked, {failed} failed")
    return failed or not pods


if __name__ == "__main__":
    variables = os.environ
    sys.exit(
        main(
            variables["NAME"],
            variables["DOMAIN"],
            int(variables["PORT"]),
            int(variables["OFFSET"]),
            variables["LAYOUT"],
            tls=variables["TLS"] == "true",
        )
    )
