"""Logs what a start has found in the store."""

import logging

from respid.highwater.floor import describe_change, find_changed
from respid.highwater.stores import Mark, Survey
from respid.highwater.stores.none import NoStore
from respid.ids.generator import Obstacle
from respid.worker.worker import Worker

_log = logging.getLogger(__name__)


def log_start(worker: Worker, store: str, survey: Survey, floor_ms: int | None, now_ms: int) -> None:
    """Logs how the marks that a start has found compare with its layout and the clock.

    `floor_ms` is where IDs begin, in Unix milliseconds. Call it once the start has succeeded: that may take many tries.
    """
    _log_change(worker, survey)
    if floor_ms is None:
        _log_no_floor(worker, store, survey.own)
        return
    lead_ms = floor_ms - now_ms
    if worker.generator.obstacle() is Obstacle.LEAD:
        _log.error(
            "the high-water mark is %d s ahead of the wall clock: no ID is issued until the clock comes within %d s"
            " of it; set the clock if it is wrong, or raise --max-clock-lead to issue IDs ahead of the clock",
            lead_ms // 1000,
            worker.generator.lead_limit_ms // 1000,
            extra={"event": "mark_too_far_ahead"},
        )
    elif lead_ms > 0:
        message = "the high-water mark is %d ms ahead of the wall clock: issuing IDs ahead of it until it catches up"
        _log.warning(message, lead_ms, extra={"event": "mark_ahead"})


def _log_change(worker: Worker, survey: Survey) -> None:
    layout = worker.generator.layout
    former = find_changed(survey, layout)
    if former is None:
        return
    _log.warning("%s: accepted", describe_change(former, layout), extra={"event": "layout_change"})
    if not survey.knows_all:
        _log.warning(
            "layout changed to %s, but not all marks of other workers are known: IDs can repeat if one of them was"
            " ahead of this worker's clock, or still runs",
            layout.fingerprint,
            extra={"event": "layout_change_unverified"},
        )


def _log_no_floor(worker: Worker, store: str, own: Mark | None) -> None:
    """Logs why no mark says where IDs begin. Only without a store is that a reason to worry at each start."""
    worker_id = worker.generator.worker_id
    if own is not None:
        message = "the high-water mark shows that worker ID %d has not issued an ID yet"
        _log.info(message, worker_id, extra={"event": "mark_unused"})
    elif store == NoStore.name:
        message = "store none keeps no high-water mark: IDs can repeat if the clock was set back since the last start"
        _log.warning(message, extra={"event": "mark_missing"})
    elif worker.config.start_above is None:
        _log.info(
            "first start of worker ID %d (no high-water mark in store %s); if it has issued IDs before, its state"
            " was lost: stop it, and start it with --start-above",
            worker_id,
            store,
            extra={"event": "mark_missing"},
        )
