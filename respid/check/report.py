"""The result of a check: a table of the workers, notes, and one line for each failure. Pure."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from respid.check.run import Check, CheckedWorker


class Report:
    """Presents a check that has run."""

    def __init__(self, check: Check, max_clock_difference_seconds: float) -> None:
        self._check = check
        order = [str(address) for address in check.plan.addresses]
        workers = check.workers.values()
        self._workers = sorted(workers, key=lambda worker: (order.index(worker.address), worker.worker_id))
        self._max_clock_difference_seconds = max_clock_difference_seconds
        layouts = find_different_layouts((worker.layout.fingerprint, worker.address) for worker in self._workers)
        failures = [*self._unusable(), *layouts, *self._different_clocks()]
        self.failures = [printable(line) for line in [*failures, *check.ledger.violations.lines()]]

    def notes(self) -> list[str]:
        """Returns observations that may explain the figures, one line each."""
        notes = [*self._interruption(), *self._same_processes(), *self._undrawn(), *self._leads(), *self._connections()]
        return [f"note: {printable(note)}" for note in notes]

    @property
    def ids(self) -> int:
        return sum(worker.ids for worker in self._workers)

    def table(self) -> Iterator[str]:
        """Yields a heading and a line for each worker; nothing if no worker was found."""
        if not self._workers:
            return
        rows = [("ADDRESS", "WORKER ID", "IDS", "IDS/S", "CLOCK OFFSET")]
        for worker in self._workers:
            clock = f"{worker.clock.seconds * 1000:+.1f} ms ±{worker.clock.error_seconds * 1000:.1f}"
            rows.append((worker.address, str(worker.worker_id), f"{worker.ids:,}", f"{self._rate(worker):,.0f}", clock))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for address, *figures in rows:
            aligned = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
            yield "  ".join([address.ljust(widths[0]), *aligned])

    def verdict(self) -> str:
        """Returns the result in one line."""
        workers = len({(worker.layout, worker.worker_id) for worker in self._workers if worker.ids})
        drawn = f"{self.ids:,} ID{'s' * (self.ids != 1)} from {workers} worker{'s' * (workers != 1)}"
        if self.failures:
            return f"FAILED: {len(self.failures)} failure{'s' * (len(self.failures) != 1)}, {drawn}"
        (fingerprint,) = {worker.layout.fingerprint for worker in self._workers}
        above = "" if self._check.plan.above is None else f", all above {self._check.plan.above}"
        clocks = f"; clocks within {self._max_clock_difference_seconds:g} s" if workers > 1 else ""
        return f"OK: {drawn}, all unique and in order{above}; layout {fingerprint}{clocks}"

    def as_json(self) -> dict[str, Any]:
        addresses = self._check.addresses
        return {
            "ok": not self.failures,
            "seconds": round(self._check.seconds, 3),
            "ids": self.ids,
            "connections_ended": sum(checked.lost for checked in addresses),
            "loading_replies": sum(checked.loading_replies for checked in addresses),
            "workers": [self._describe(worker) for worker in self._workers],
            "notes": [note.removeprefix("note: ") for note in self.notes()],
            "failures": self.failures,
        }

    def _describe(self, worker: CheckedWorker) -> dict[str, Any]:
        return {
            "address": worker.address,
            "worker_id": worker.worker_id,
            "fingerprint": worker.layout.fingerprint,
            "ids": worker.ids,
            "ids_per_second": round(self._rate(worker)),
            "clock_difference_seconds": round(worker.clock.seconds, 6),
            "clock_difference_error_seconds": round(worker.clock.error_seconds, 6),
            "clock_lead_seconds": worker.lead_seconds,
        }

    def _rate(self, worker: CheckedWorker) -> float:
        return worker.ids / (self._check.seconds or self._check.plan.seconds)

    def _unusable(self) -> Iterator[str]:
        for checked in self._check.addresses:
            if not checked.open:
                reason = checked.last_error or "timed out before it could connect"
                yield f"cannot check {checked.address}: {reason}{advice(reason)}"
            elif not any(worker.ids for worker in self._workers if worker.address == str(checked.address)):
                reason = checked.last_error or "the check was too short, or its rate too low"
                yield f"{checked.address} returned no ID: {reason}"

    def _different_clocks(self) -> Iterator[str]:
        """Compares the least difference that the measured round trips allow."""
        if not self._workers:
            return
        ahead = max(self._workers, key=lambda worker: worker.clock.seconds - worker.clock.error_seconds)
        behind = min(self._workers, key=lambda worker: worker.clock.seconds + worker.clock.error_seconds)
        difference_seconds = ahead.clock.seconds - behind.clock.seconds
        error_seconds = ahead.clock.error_seconds + behind.clock.error_seconds
        if difference_seconds - error_seconds > self._max_clock_difference_seconds:
            more = f"more than {self._max_clock_difference_seconds:g} s"
            yield f"clocks differ by {difference_seconds:.3f} s, {more}: {behind.address} is behind {ahead.address}"

    def _interruption(self) -> Iterator[str]:
        drawn, planned = self._check.seconds, self._check.plan.seconds
        if 0 < drawn < planned:
            yield f"drew IDs for {drawn:.1f} s instead of {planned:g} s"

    def _same_processes(self) -> Iterator[str]:
        for one, other in itertools.combinations(self._workers, 2):
            if one.run_ids & other.run_ids:
                yield f"{one.address} and {other.address} are the same process (worker ID {one.worker_id})"

    def _undrawn(self) -> Iterator[str]:
        """Names each worker that others at its address have hidden: a Service may have sent it no request."""
        for worker in self._workers:
            if not worker.ids and any(other.ids for other in self._workers if other.address == worker.address):
                yield f"{worker.address}: worker ID {worker.worker_id} returned no ID, so none of its IDs were verified"

    def _leads(self) -> Iterator[str]:
        for worker in self._workers:
            if worker.lead_seconds > self._max_clock_difference_seconds:
                yield f"{worker.address}: its IDs were up to {worker.lead_seconds:.1f} s ahead of its clock"

    def _connections(self) -> Iterator[str]:
        for checked in self._check.addresses:
            if checked.lost:
                yield f"{checked.address}: connections lost: {checked.lost:,}"
            if checked.loading_replies:
                yield f"{checked.address}: LOADING replies: {checked.loading_replies:,} ({checked.last_loading})"
            missing = self._check.plan.connections - checked.open
            if missing and checked.open:
                yield f"{checked.address}: connections not open at the end: {missing:,} ({checked.last_error})"


def find_different_layouts(workers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Takes the fingerprint and the address of each worker. Yields a line if the fingerprints differ."""
    addresses = defaultdict[str, dict[str, None]](dict)  # in order, and each of them once
    for fingerprint, address in workers:
        addresses[fingerprint][address] = None
    if len(addresses) > 1:
        each = [f"{fingerprint} at {', '.join(where)}" for fingerprint, where in addresses.items()]
        yield f"the workers have different layouts, so that their IDs can be equal: {'; '.join(each)}"


def printable(line: str) -> str:
    """Replaces control characters by spaces: parts of the line may come from a hostile server."""
    return "".join(character if character.isprintable() else " " for character in line)


def advice(error: str) -> str:
    """Returns what to do about the error of a connection, to be appended to it; usually an empty string."""
    if error.startswith(("NOAUTH", "WRONGPASS")):
        return " (set RESPID_PASSWORD or RESPID_PASSWORD_FILE)"
    return " (not a respid worker)" if error.startswith("ERR unknown command") else ""
