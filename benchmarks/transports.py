"""Compares respid with Redis for INCR with TLS, and on a Unix socket."""

import socket
import ssl
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import Load, fill, in_turn
from benchmarks.machine import redis_server_version
from benchmarks.plan import Plan
from benchmarks.ports import free_port
from benchmarks.results import RATIO, Measured, Row, Table, Target, at_least
from benchmarks.rounds import CORES, median, server_core, throughput
from benchmarks.servers import Transport, connect_tcp, redis_with_tls, running_redis, running_respid

CASES = [Load("INCR", keys, depth) for keys in ("random", "fixed") for depth in (1, 16)]

TLS = at_least(0.9)
UNIX = at_least(1)


def measure_tls(plan: Plan) -> Measured:
    """Raises RuntimeError if no redis-server was built with TLS."""
    program = redis_with_tls()
    text = f"Redis is {redis_server_version(program)}, the newest redis-server here that was built with TLS"
    with TemporaryDirectory() as directory:
        return _measure(plan, "TLS", text, tls(Path(directory)), target=TLS, program=program)


def measure_unix(plan: Plan) -> Measured:
    with TemporaryDirectory() as directory:
        return _measure(plan, "Unix socket", "Both servers listen on one", unix_socket(Path(directory)), target=UNIX)


def tls(directory: Path) -> tuple[Transport, Transport]:
    """Makes a certificate. Returns how respid and Redis are reached by it."""
    certificate, key = str(directory / "certificate.pem"), str(directory / "key.pem")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = ("--tls-cert-file", certificate, "--tls-key-file", key)

    client = ssl.create_default_context(cafile=certificate)

    def on(port: int) -> Transport:
        options = ("--tls-port", str(port), *files)

        def connect(_: int) -> socket.socket:
            return client.wrap_socket(connect_tcp(port), server_hostname="127.0.0.1")

        return Transport(options, (*options, "--tls-auth-clients", "no"), connect)

    return on(free_port()), on(free_port())


def unix_socket(directory: Path) -> tuple[Transport, Transport]:
    """Returns how respid and Redis are reached by a socket in this directory."""

    def at(path: str) -> Transport:
        def connect(_: int) -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
            except OSError:
                connection.close()
                raise
            return connection

        return Transport(("--unix-socket", path), ("--unixsocket", path), connect)

    return at(str(directory / "respid.sock")), at(str(directory / "redis.sock"))


def _measure(
    plan: Plan,
    title: str,
    text: str,
    transports: tuple[Transport, Transport],
    *,
    target: Target,
    program: str | None = None,
) -> Measured:
    table = Table(
        title,
        f"INCR on 50 connections. {text}. Thousand replies per second, with CPU microseconds per request in brackets, "
        f"and {CORES}",
        ("keys", "depth", "respid", "Redis", "core, respid", "core, Redis", "respid / Redis"),
        RATIO,
    )
    ours, theirs = transports
    with (
        running_respid(plan.cores.server, transport=ours) as respid,
        running_redis(plan.cores.server, program, theirs) as redis,
    ):
        fill(redis)
        for load in CASES:
            rounds = in_turn(plan, [(respid, load), (redis, load)])
            shown = tuple(
                f"{cost.requests_per_second / 1000:,.0f} ({cost.server_cpu_us:.2f})" for cost in map(median, rounds)
            )
            figure = throughput(rounds[0], rounds[1], target)
            loads = tuple(server_core(each) for each in rounds)
            table.rows.append(Row((load.keys, str(load.depth)), (*shown, *loads), figure, target))
            plan.say(f"  {title}, {load.keys} keys, depth {load.depth}: {shown[0]}, Redis {shown[1]}")
    return Measured((table,))
