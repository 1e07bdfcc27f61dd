"""`respid check` as a pod, which draws IDs from a release while it changes."""

import json
from typing import Any

from tests.cluster.installation import IMAGE, REQUESTS, Release, interrupt_program, run_program, wait_for

CONNECTIONS = 2  # to each worker
IDS_PER_SECOND = 1000
WORKER_PORT = 6379
# Failures that report an address without a worker, or a worker that was reached just before the check ended.
NO_WORKER, NO_ID = "cannot check ", " returned no ID: "
WEEK_SECONDS = 7 * 24 * 60 * 60


class CheckPod:
    """Checks the workers of a release by the names of their pods, up to a number of workers, until it is stopped."""

    def __init__(self, release: Release, most_workers: int, *, name: str = "check") -> None:
        self._namespace, self._name = release.namespace, name
        pods = [f"{release.name}-{number}" for number in range(most_workers)]
        # With a dot at the end: pods that do not exist are looked up all the time, and only under this name.
        domain = f"{release.name}-headless.{release.namespace.name}.svc.cluster.local."
        options = {"seconds": WEEK_SECONDS, "connections": CONNECTIONS, "rate": IDS_PER_SECOND}
        command = ["respid", "check", *(f"{pod}.{domain}:{WORKER_PORT}" for pod in pods), "--json"]
        command += [f"--{option}={value}" for option, value in options.items()]
        container = {"name": name, "image": IMAGE, "command": command, "resources": {"requests": REQUESTS}}
        run_program(self._namespace, container)
        wait_for(self._is_connected, "the check is connected to a worker")  # if it reaches none, it ends

    def _is_connected(self) -> bool:
        program = ["python", "-c", "print(open('/proc/net/tcp').read())"]
        sockets = self._namespace.kubectl("exec", self._name, "--", *program)
        return f":{WORKER_PORT:04X} 01 " in sockets

    def finish(self) -> dict[str, Any]:
        """The summary. Its failures leave out pods that do not exist when the check ends, or started just before."""
        log = interrupt_program(self._namespace, self._name)
        (line,) = (line for line in log.splitlines() if line.startswith("{"))
        summary: dict[str, Any] = json.loads(line)
        failures = summary["failures"]
        summary["failures"] = [line for line in failures if not line.startswith(NO_WORKER) and NO_ID not in line]
        return summary
