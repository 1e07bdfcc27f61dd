"""What a server does before it is ready, and what it leaves for later."""

import re
from pathlib import Path

from tests.support.byte_streams import request
from tests.support.running import StartServer, wait_until

# What no server needs, or only some do, or later. Most of these take a millisecond or more to import.
NEEDLESS = {
    "csv",  # decode --column
    "ctypes",  # trims the heap
    "difflib",  # suggests a variable
    "email",
    "hiredis",
    "http.server",
    "lightkube",
    "platformdirs",
    "prometheus_client",
    "respid.check",
    "respid.fleet",
    "respid.highwater.stores.lease",
    "respid.monitoring.metrics",
    "stringprep",  # host names that are not ASCII
    "urllib.request",
}
LONG_PATTERN = 2000  # bytes: those of runs with keys of any length are longer, all others shorter
BLOCKED_MODULE = """
import pathlib, time
while not pathlib.Path({path!r}).exists():
    time.sleep(0.01)
raise ImportError("the test has ended")
"""
NOTED_PATTERNS = f"""
import re, sys
compile = re.compile
def note(pattern, *flags):
    if len(pattern) > {LONG_PATTERN}:
        print("a pattern of", len(pattern), "bytes", file=sys.stderr, flush=True)
    return compile(pattern, *flags)
re.compile = note
"""


def test_start_imports_only_what_it_needs(start_server: StartServer) -> None:
    server = start_server(measured=False, PYTHONPROFILEIMPORTTIME="1")
    before_ready, started, _ = server.log.partition(" serves RESP on ")
    assert started
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", before_ready, re.MULTILINE))
    assert {"respid.server", "asyncio"} < imported
    assert sorted(imported & NEEDLESS) == []


def test_start_collects_no_garbage(start_server: StartServer) -> None:
    """All collections until the server is ready would take 10 ms, and a full one takes as long."""
    server = start_server(measured=False)
    assert server.metric('python_gc_collections_total{generation="1"}') < 6
    assert server.metric('python_gc_collections_total{generation="2"}') == 0


def test_answers_while_it_loads_metrics(start_server: StartServer, tmp_path: Path) -> None:
    """It is ready before, and the event loop need not wait."""
    end = tmp_path / "end"
    package = tmp_path / "prometheus_client"
    package.mkdir()
    (package / "__init__.py").write_text(BLOCKED_MODULE.format(path=str(end)))
    try:
        server = start_server(measured=False, PYTHONPATH=str(tmp_path))
        with server.connect() as connection:
            for _ in range(3):
                connection.sendall(request("INCR", "key"))
                assert connection.recv(100).startswith(b":")
    finally:
        end.touch()
    wait_until(lambda: "the test has ended" in server.log)


def test_compiles_patterns_of_pipelines_before_the_first_one(start_server: StartServer, tmp_path: Path) -> None:
    """The event loop would wait for it with all clients."""
    (tmp_path / "sitecustomize.py").write_text(NOTED_PATTERNS)
    server = start_server(measured=False, PYTHONPATH=str(tmp_path))
    wait_until(lambda: server.log.count("a pattern of") == 2)
