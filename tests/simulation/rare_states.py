"""States that a run of the simulation must reach now and then: if it never does, it no longer tests them."""

from enum import Enum


class Rare(Enum):
    """A state that only some histories reach."""

    TWO_HOLDERS_ISSUED = "two processes that held one worker ID, both alive, had both issued IDs"
    HOLDER_LOST = "a process stopped because another one had its worker ID"
    HOLDER_SUSPENDED = "a host was suspended while a worker on it issued IDs"
    TAKEN_FROM_SILENT_POD = "a pod took the worker ID of one with another name that had been silent"
    STARTED_IN_A_LEAD = "a process began ahead of its wall clock"
    KILLED_IN_A_WRITE = "a process was killed between two system calls of a write"
    RELEASED = "a process stopped cleanly, and its successor began where it had ended"
    POWER_LOSS_UNDID_A_RENAME = "a power loss undid a change of names that was not synced"
    POWER_LOSS_TORE_A_FILE = "a power loss left a part of a file"
    LOST_REPLY_RECOGNISED = "the reply to a write was lost, and its process went on as the holder"
    LATE_WRITE = "a write reached the API server after its process had given up waiting"
    WRITE_OF_THE_DEAD = "a write reached the API server after its process had died"
    LISTED_LATE = "a process listed the Leases after that had failed, and had written nothing meanwhile"
    STALE_READ = "a read returned a former version of a Lease"
    CONFLICT = "a write met another version of its Lease"
    CEILING_LOWERED = "a running process lowered its stored mark"
    STOPPED_AT_THE_CEILING = "IDs were refused since the reservation was used up"
    STOPPED_IN_A_LEAD = "IDs were refused since the wall clock was too far behind"
    STOPPED_AT_THE_LAYOUT_END = "IDs were refused since the layout had ended"
    MARK_REWRITTEN = "a running process wrote its deleted mark again"
    START_REFUSED = "a start was refused"
    LAYOUT_CHANGED = "workers of two layouts issued IDs, one after the other, in one store"
    WORKER_ID_CHANGED = "a place issued IDs with two worker IDs"
    STORE_CHANGED = "a worker ID was used in two stores, one after the other"
    OFFSET_ROLLED_BACK = "a rolling change of worker IDs waited, and was taken back"
    STARTED_ABOVE = "a process began at the ID that it was told to start above"
    START_ABOVE_REFUSED = "a start was refused, since it would be too far ahead of the clock"
    OWN_DIRECTORY_REFUSED = "a start was refused in its own directory, since its worker ID was changed"
    OWN_DIRECTORY_TAKEN_OVER = "a process with a changed worker ID issued IDs in its own directory"
    CLOCK_WAITED_FOR = "a process issued IDs after it had started with a clock that could not be right"
    RESERVE_CHANGED = "workers with reservations of different lengths issued IDs in one store"
    REPEAT_NOT_PROMISED_AGAINST = "an ID was issued twice where the documents do not promise that it is not"


class Reached(set[Rare]):
    """The rare states of a run."""

    def missing(self, expected: frozenset[Rare] = frozenset(Rare)) -> list[str]:
        return sorted(state.value for state in expected - self)
