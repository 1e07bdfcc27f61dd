"""What a whole history must have kept: the promises about IDs, ends that have a reason, and clean stops."""

import itertools
import re

from respid.highwater.stores import HolderLostError
from tests.simulation.promises import BrokenPromiseError, are_of_one_set, check
from tests.simulation.rare_states import Rare
from tests.simulation.scheduler import SECOND
from tests.simulation.world import NOTICE_SECONDS, Incarnation, World

NOTICE_LOSS_MS = 9_000  # beyond a reservation: for requests that were slow, and the end of the process


def check_history(world: World) -> None:
    """Raises AssertionError when something happened that must not."""
    if check([one.issuer for one in world.incarnations], world.losses):
        world.reached.add(Rare.REPEAT_NOT_PROMISED_AGAINST)
    for one in world.incarnations:
        _check_end(world, one)
        _check_successor(world, one)
        _check_fencing(world, one)
        _check_replaced(world, one)
        _check_layout_change(world, one)
    _note_rare_states(world)


def _check_end(world: World, one: Incarnation) -> None:
    """A process ends by itself only if another one, or an operator, has given it a reason."""
    if one.ended_by is None or one.issuer.store in world.damaged:
        return
    is_damaged = "damaged" in str(one.ended_by)
    if one.disk_failed and not is_damaged:
        return
    is_lost = isinstance(one.ended_by, HolderLostError)
    is_above_refused = _is_start_above_too_far(one) and not is_lost
    has_reason = (
        is_above_refused or _has_rival(world, one) or any(loss.store == one.issuer.store for loss in world.losses)
    )
    if is_damaged or not has_reason or _has_lost_in_vain(world, one):
        raise BrokenPromiseError(f"{one.issuer} ended without a reason: {one.ended_by}")
    world.reached.add(Rare.HOLDER_LOST if is_lost else Rare.START_REFUSED)
    if is_above_refused:
        world.reached.add(Rare.START_ABOVE_REFUSED)
    if one.settings.is_exclusive and "belongs to this worker alone" in str(one.ended_by):
        world.reached.add(Rare.OWN_DIRECTORY_REFUSED)


def _has_lost_in_vain(world: World, one: Incarnation) -> bool:
    """Whether another pod came to use its IDs, although nothing had kept it from writing its Lease in time."""
    ended_ns = one.issuer.ended_ns or world.scheduler.now_ns
    quiet_ms = (ended_ns - world.troubled_ns) * 1000 / SECOND
    is_quiet = quiet_ms > 2 * one.settings.reserve_ms + NOTICE_LOSS_MS and not one.was_held_up
    return is_quiet and (_was_taken(one) or _was_objected_to(world, one)) and not _has_lost_marks(world, one)


def _was_taken(one: Incarnation) -> bool:
    """Whether a pod of another name took its Lease. The name of one that has stopped since is unknown."""
    taken = re.search("was taken by pod ([^ ]+)", str(one.ended_by))
    return taken is not None and taken[1] not in (one.place.pod, "unknown")


def _was_objected_to(world: World, one: Incarnation) -> bool:
    """Whether another layout or ID space came to use its IDs, long after it had started, and it was not this pod."""
    if one.settings.store != "lease" or "was taken by" in str(one.ended_by) or not one.issuer.has_issued:
        return False
    ended_ns = one.issuer.ended_ns or world.scheduler.now_ns
    is_new = ended_ns - one.issuer.first_ns < (2 * one.settings.reserve_ms + NOTICE_LOSS_MS) * SECOND / 1000
    pods = {other.place.pod for other in world.incarnations if other is not one and _have_met(one, other)}
    return isinstance(one.ended_by, HolderLostError) and not is_new and one.place.pod not in pods


def _is_start_above_too_far(one: Incarnation) -> bool:
    """Whether the start is further ahead of its clock than is permitted, or past the last ID."""
    layout, identifier = one.settings.layout, one.settings.start_above
    if identifier is None:
        return False
    first_ms = (identifier >> layout.worker_bits + layout.sequence_bits) + 1 + layout.epoch_ms
    limit_ms = one.issuer.least_wall_ms + one.settings.lead_limit_seconds * 1000
    return first_ms >= limit_ms - 1 or first_ms >= layout.end_ms


def _has_rival(world: World, one: Incarnation) -> bool:
    """Whether the store has known another user of its worker ID, of another layout, or of its own directory."""
    others = [other for other in world.incarnations if other is not one]
    sets = {_set_of(other) for other in others if other.issuer.store == one.issuer.store} | {_set_of(one)}
    if one.settings.store == "lease" and any(
        other.settings.store == "lease" and _set_of(other) in sets and other.settings.layout != one.settings.layout
        for other in others
    ):
        return True  # its marks have said so, wherever the pods were that used it
    return any(are_of_one_set(other.issuer, one.issuer) and _have_met(one, other) for other in others) or any(
        other.issuer.store == one.issuer.store
        and (
            (other.settings.worker_id == one.settings.worker_id and _have_met(one, other))
            or other.settings.layout != one.settings.layout
            or one.settings.is_exclusive
        )
        for other in others
    )


def _have_met(one: Incarnation, other: Incarnation) -> bool:
    return one.issuer.runs_at(other.issuer.started_ns) or other.issuer.runs_at(one.issuer.started_ns)


def _set_of(one: Incarnation) -> str:
    """The name of its StatefulSet."""
    return one.place.pod.rpartition("-")[0]


def _check_successor(world: World, one: Incarnation) -> None:
    """The successor of one that stopped cleanly begins where it ended, or at its own clock."""
    users = [each for each in world.incarnations if each.issuer.store == one.issuer.store]
    elsewhere = [each for each in world.incarnations if each not in users]
    latter = next((each.issuer for each in users if each.issuer.first_ns > one.issuer.last_ns), None)
    if any(loss.store == one.issuer.store for loss in world.losses):
        return
    if not one.stopped_cleanly or not one.issuer.has_issued or latter is None or one.issuer.runs_at(latter.started_ns):
        return
    began = [each for each in users if each.issuer.started_ns <= latter.first_ns]
    if any(each.process.is_dead and each is not one for each in began) or len(began) > 2:
        return  # killed ones may have left a higher mark
    if any(
        (each.place is one.place and one.issuer.last_ns < each.issuer.started_ns < latter.started_ns)
        or (
            _set_of(each) == _set_of(one)
            and each.issuer.started_ns < latter.first_ns
            and each.settings.store == "lease"
        )
        for each in elsewhere
    ):
        return  # it may have left a higher mark there
    ended_ms, above_ms = (latter.timestamp_ms(each) + 1 for each in (one.issuer.greatest, latter.start_above))
    latest_ms = max(latter.first_wall_ms, ended_ms, above_ms)
    if latter.timestamp_ms(latter.least) > latest_ms:
        raise BrokenPromiseError(f"{latter} began at {latter.timestamp_ms(latter.least)}, not at {latest_ms}")
    world.reached.add(Rare.RELEASED)


def _check_fencing(world: World, latter: Incarnation) -> None:
    """A pod of another name issues IDs only once the former holder of its Lease has noticed that its time is up."""
    key = latter.issuer.store, latter.settings.worker_id
    users = [
        one
        for one in world.incarnations
        if (one.issuer.store, one.settings.worker_id) == key
        and one.issuer.started_ns < latter.issuer.first_ns
        and (one.issuer.ended_ns is None or one.issuer.ended_ns > latter.issuer.started_ns)
    ]
    if latter.settings.store != "lease" or len(users) != 2 or any(loss.store == key[0] for loss in world.losses):
        return
    former = next(one for one in users if one is not latter)
    is_first = 0 <= former.issuer.first_ns < latter.issuer.first_ns
    if not is_first or former.place.pod == latter.place.pod or former.process.host.clock.was_paused:
        return
    if former.issuer.last_ns > max(latter.issuer.first_ns, former.process.resumed_ns) + NOTICE_SECONDS * SECOND:
        raise BrokenPromiseError(f"{former.issuer} went on beside {latter.issuer}, a pod of another name")


def _check_replaced(world: World, former: Incarnation) -> None:
    """A process whose worker ID another one has taken ends at its next extension."""
    if former.process.is_dead or former.process.is_frozen or not former.issuer.has_issued:
        return
    if _has_lost_marks(world, former) or not world.is_calm(former.place):
        return
    patience_ms = former.settings.reserve_ms + NOTICE_LOSS_MS
    for latter in world.incarnations:
        # The former one may have been slower, and have issued its first ID after its successor.
        is_successor = latter.issuer.least > former.issuer.least and _has_same_mark(latter, former)
        since_ns = max(latter.issuer.first_ns, former.process.resumed_ns, world.troubled_ns)
        if is_successor and world.scheduler.now_ns - since_ns > patience_ms * SECOND / 1000:
            raise BrokenPromiseError(f"{former.issuer} goes on, although {latter.issuer} has its worker ID")


def _has_same_mark(one: Incarnation, other: Incarnation) -> bool:
    return (one.issuer.store, one.settings.worker_id) == (other.issuer.store, other.settings.worker_id)


def _has_lost_marks(world: World, one: Incarnation) -> bool:
    return one.issuer.store in world.damaged or any(loss.store == one.issuer.store for loss in world.losses)


def _check_layout_change(world: World, latter: Incarnation) -> None:
    """A layout that no start has accepted is used only where there are no marks of another one."""
    settings, issuer = latter.settings, latter.issuer
    if (
        settings.accepts_layout_change
        or settings.is_exclusive
        or not issuer.has_issued
        or _has_lost_marks(world, latter)
    ):
        return
    others = [one for one in world.incarnations if one is not latter]
    is_known = any(one.settings.layout == settings.layout and one.issuer.started_ns < issuer.first_ns for one in others)
    former = [
        one for one in others if 0 <= one.issuer.first_ns < issuer.started_ns and one.issuer.store == issuer.store
    ]
    if former and not is_known:
        raise BrokenPromiseError(f"{issuer} after {former[-1].issuer}: nobody has accepted the layout")


def _note_rare_states(world: World) -> None:
    issued = [one for one in world.incarnations if one.issuer.has_issued]
    for former, latter in itertools.combinations(issued, 2):
        _note_pair(world, former, latter)
    for each in issued:
        one = each.issuer
        begin_ms = one.timestamp_ms(one.least)
        if begin_ms > one.least_wall_ms + 5_000:
            world.reached.add(Rare.STARTED_IN_A_LEAD)
        if begin_ms == one.timestamp_ms(one.start_above) + 1:
            world.reached.add(Rare.STARTED_ABOVE)


def _note_pair(world: World, former: Incarnation, latter: Incarnation) -> None:
    one, other = former.issuer, latter.issuer
    is_one_store, is_one_id = one.store == other.store, one.worker_id == other.worker_id
    states = {
        Rare.TWO_HOLDERS_ISSUED: is_one_store
        and is_one_id
        and (one.ended_ns or world.scheduler.now_ns) > other.first_ns,
        Rare.LAYOUT_CHANGED: is_one_store and one.layout != other.layout,
        Rare.STORE_CHANGED: is_one_id and former.settings.store != latter.settings.store,
        Rare.WORKER_ID_CHANGED: former.place is latter.place and not is_one_id,
        Rare.OWN_DIRECTORY_TAKEN_OVER: is_one_store and not is_one_id and other.is_exclusive,
        Rare.RESERVE_CHANGED: is_one_store and former.settings.reserve_ms != latter.settings.reserve_ms,
    }
    world.reached |= {state for state, is_reached in states.items() if is_reached}
