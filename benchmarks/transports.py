"""Compares respid with Redis for INCR with TLS, and on a Unix socket."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import Load, fill, in_turn
from benchmarks.machine import redis_server_version
from benchmarks.plan import Plan
from benchmarks.ports import free_port
from benchmarks.results import RATIO, Measured, Row, Table, Target, at_least
from benchmarks.rounds import load_core, median, throughput
from benchmarks.servers import Transport, redis_with_tls, running_redis, running_respid

ROUND_SECONDS = 0.2
CASES = [Load("INCR", keys, depth) for keys in ("random", "fixed") for depth in (1, 16)]

TLS = at_least(0.9)
UNIX = at_least(1)


def measure_tls(plan: Plan) -> Measured:
    """Raises RuntimeError if no redis-server was built with TLS."""
    program = redis_with_tls()
    text = f"Redis is {redis_server_version(program)}, the newest redis-server here that was built with TLS"
    with TemporaryDirectory() as directory:
        return _measure(plan, "TLS", text, _tls(Path(directory)), target=TLS, program=program)


def measure_unix(plan: Plan) -> Measured:
    with TemporaryDirectory() as directory:
        text = "redis-benchmark connects to the Unix sockets of both servers"
        return _measure(plan, "Unix socket", text, _unix_socket(Path(directory)), target=UNIX)


def _tls(directory: Path) -> tuple[Transport, Transport]:
    """Makes a certificate. Returns how respid and Redis are reached by it."""
    certificate, key = str(directory / "certificate.pem"), str(directory / "key.pem")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = ("--tls-cert-file", certificate, "--tls-key-file", key)

    def on(port: str) -> Transport:
        options = ("--tls-port", port, *files)
        return Transport(
            options, (*options, "--tls-auth-clients", "no"), ("-p", port, "--tls", "--cacert", certificate)
        )

    return on(str(free_port())), on(str(free_port()))


def _unix_socket(directory: Path) -> tuple[Transport, Transport]:
    def at(path: str) -> Transport:
        return Transport(("--unix-socket", path), ("--unixsocket", path), ("-s", path))

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
        f"INCR on 50 connections. {text}. Thousand replies per second, and how much of its core redis-benchmark used "
        "for each server; in brackets, CPU microseconds per request.",
        ("keys", "depth", "respid", "Redis", "load, respid", "load, Redis", "respid / Redis"),
        RATIO,
    )
    ours, theirs = transports
    with (
        running_respid(plan.cores.server, transport=ours) as respid,
        running_redis(plan.cores.server, program, theirs) as redis,
    ):
        fill(redis, min(1, plan.scale))
        for load in CASES:
            rounds = in_turn([(respid, load), (redis, load)], plan.rounds, ROUND_SECONDS * plan.scale)
            shown = tuple(
                f"{cost.requests_per_second / 1000:,.0f} ({cost.server_cpu_us:.2f})" for cost in map(median, rounds)
            )
            figure = throughput(rounds[0], rounds[1], target)
            loads = tuple(load_core(each) for each in rounds)
            table.rows.append(Row((load.keys, str(load.depth)), (*shown, *loads), figure, target))
            plan.say(f"  {title}, {load.keys} keys, depth {load.depth}: {shown[0]}, Redis {shown[1]}")
    return Measured((table,))
