"""The environment variables of programs that tests start."""

import os


def clean_environment(*, measured: bool = True) -> dict[str, str]:
    """Returns the environment without the variables that respid reads.

    A process that is not `measured` runs without coverage, at its usual speed.
    """
    read = ("WORKER_ID", "POD_NAME")
    prefixes = ("RESPID_",) if measured else ("RESPID_", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes) and name not in read}
