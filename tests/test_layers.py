"""The command line imports the server only for `serve`. import-linter checks all other imports (pyproject.toml)."""

import subprocess
import sys


def test_command_line_loads_no_server_before_it_serves() -> None:
    """`decode`, `healthcheck` and errors about settings start at once."""
    code = "import sys, respid.cli.group; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in loaded
    assert not {"asyncio", "uvloop", "prometheus_client", "h11", "lightkube", "http", "ssl"} & set(loaded)
