"""Asks clients to leave this worker, or closes their connections.

They leave at the maximum age, when another worker has appeared, and in a drain. Acts when the sweep looks at a
connection, and has no timers of its own.
"""

import random
from collections.abc import Iterable

from respid.net.clients import ClientSocket
from respid.net.drivers import can_be_asked, moves_silently, reconnects_silently
from respid.net.moves import NEVER, TTL_SECONDS, Departure, Numbers, Rounds, Step, age_ttl_seconds, message
from respid.worker.worker import Worker

AGE_JITTER = 0.1  # of the age, so that clients that connected together do not all reconnect together


class Departures:
    """Decides about each connection at each look, and counts the moves."""

    def __init__(self, worker: Worker) -> None:
        config = worker.config
        self._worker = worker
        self._age_seconds = config.max_connection_age_seconds
        self._closes_all = config.max_connection_age_clients == "all"
        self._ttl_seconds = age_ttl_seconds(self._age_seconds) if self._age_seconds else TTL_SECONDS
        self._numbers = Numbers(config.worker_id)
        self._rounds = Rounds(random.random, worker.started_ns / 1e9)
        self._message = b""  # of this look
        self._opened_before = -NEVER  # connections opened earlier reconnect in the round that begins with this look
        self.are_expected = bool(self._age_seconds or config.peers)

    def note_new_worker(self, now: float) -> None:
        self._rounds.note_new_worker(now)

    def plan(self, client: ClientSocket) -> Departure:
        """Returns the record of a connection that is looked at for the first time."""
        opened_at = client.session.connected_ns / 1e9
        if not self._age_seconds:
            return Departure(opened_at)
        jitter = random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - not a secret
        return Departure(opened_at, opened_at + self._age_seconds * jitter)

    def begin_look(self, ttl_seconds: int | None = None) -> None:
        """Starts a look at all connections. Clients that it asks to leave have `ttl_seconds` to follow.

        All of them get the same number, so that a pool with several connections moves once.
        """
        number = self._numbers.next(self._worker.clock.wall_ms() // 1000)
        self._message = message(number, ttl_seconds or self._ttl_seconds)
        self._opened_before = self._rounds.begin()

    def look(self, client: ClientSocket, departure: Departure, now: float, *, is_active: bool) -> None:
        """Asks the client to leave, or closes its connection, if it is time."""
        if departure.opened_at < self._opened_before and moves_silently(client.session):
            departure.reconnect_at(self._rounds.moment(departure.opened_at, now))
        if is_active:
            departure.note_active(now + self._ttl_seconds)
        if now < departure.leaves_at:
            return
        step = departure.step(
            now,
            is_active=is_active,
            can_be_asked=can_be_asked(client.session),
            may_be_closed=(self._closes_all or reconnects_silently(client.session)) and client.is_between_requests,
        )
        if step is Step.ASK:
            self.ask(client, departure, now + self._ttl_seconds)
        elif step is Step.CLOSE:
            departure.is_asked = False  # it did not follow
            client.give_up(departure.reason)

    def ask(self, client: ClientSocket, departure: Departure, until: float) -> None:
        """Asks the client to leave, if it can be asked. If a reply has begun, the next look tries again."""
        if not departure.is_asked and can_be_asked(client.session) and client.push(self._message):
            departure.note_asked(until)
            self._worker.stats.moves["announced"] += 1

    def count_followed(self, gone: Iterable[Departure]) -> None:
        """Takes the records of connections that have been closed since the last look."""
        self._worker.stats.moves["followed"] += sum(departure.is_asked for departure in gone)
