"""The memory and CPU time that the process has used."""

import resource
import sys
from pathlib import Path

from respid.worker.worker import ProcessUsage


def read_process_usage() -> ProcessUsage:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        resident_bytes = pages * resource.getpagesize()
    except OSError:  # not Linux: the peak is the closest value available
        resident_bytes = peak_bytes
    peak_bytes = max(peak_bytes, resident_bytes)  # the kernel updates the peak now and then only
    return ProcessUsage(resident_bytes, peak_bytes, usage.ru_utime, usage.ru_stime)
