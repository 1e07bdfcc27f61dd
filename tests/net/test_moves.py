"""When connections leave for another worker, and the bytes that ask their clients to."""

import random
from collections import Counter

import pytest

from respid.net.moves import (
    NEVER,
    ROUND_SECONDS,
    SETTLED_SECONDS,
    SPREAD_SECONDS,
    TTL_SECONDS,
    Departure,
    Numbers,
    Rounds,
    Step,
    age_ttl_seconds,
    drain_ttl_seconds,
    message,
)

MAX_EXACT_DOUBLE = 1 << 53
NOW_SECONDS = 1_795_000_000


def step(departure: Departure, now: float, *, active: bool = True, asked: bool = True, closed: bool = True) -> Step:
    return departure.step(now, is_active=active, can_be_asked=asked, may_be_closed=closed)


def test_message_has_four_elements_and_no_endpoint() -> None:
    assert message(7, 10) == b">4\r\n$6\r\nMOVING\r\n:7\r\n:10\r\n_\r\n"


def test_numbers_differ_between_workers_and_looks() -> None:
    first, second = Numbers(1), Numbers(2)
    numbers = [each.next(NOW_SECONDS) for each in (first, second, first, second)]
    assert len(set(numbers)) == 4
    assert all(0 < number < MAX_EXACT_DOUBLE for number in numbers)


def test_numbers_go_up_when_the_clock_is_set_back() -> None:
    numbers = Numbers(1)
    assert numbers.next(NOW_SECONDS) < numbers.next(NOW_SECONDS - 3600) < numbers.next(0)


@pytest.mark.parametrize(("age", "ttl"), [(0.5, 1), (1, 1), (6, 4), (14, 9), (600, TTL_SECONDS)])
def test_short_age_gives_less_time(age: float, ttl: int) -> None:
    assert age_ttl_seconds(age) == ttl


@pytest.mark.parametrize(("left", "ttl"), [(5, 8), (4.5, 7), (2, 2), (1.9, None), (0, None), (31, 60)])
def test_clients_follow_before_the_drain_ends(left: float, ttl: int | None) -> None:
    assert drain_ttl_seconds(left) == ttl
    assert ttl is None or ttl / 2 <= left - 1


def test_nothing_happens_before_the_time() -> None:
    assert step(Departure(0, leaves_at=10), 9.9) is Step.STAY
    assert step(Departure(0), 1e9) is Step.STAY


@pytest.mark.parametrize(
    ("active", "asked", "closed", "expected"),
    [
        (True, True, True, Step.ASK),
        (True, True, False, Step.ASK),
        (False, True, True, Step.STAY),
        (False, False, True, Step.CLOSE),
        (True, False, True, Step.CLOSE),
        (True, False, False, Step.STAY),
    ],
)
def test_client_in_use_is_asked_and_others_may_be_closed(
    *, active: bool, asked: bool, closed: bool, expected: Step
) -> None:
    assert step(Departure(0, leaves_at=10), 10, active=active, asked=asked, closed=closed) is expected


def test_client_that_does_not_follow_is_closed() -> None:
    departure = Departure(0, leaves_at=10)
    departure.note_asked(20)
    assert step(departure, 19) is Step.STAY
    assert step(departure, 20) is Step.CLOSE
    assert departure.reason == "not_moved"


def test_busy_client_is_closed_at_the_next_look() -> None:
    departure = Departure(0, leaves_at=10)
    departure.note_asked(20)
    assert step(departure, 20, closed=False) is Step.STAY
    assert step(departure, 21) is Step.CLOSE


def test_client_that_cannot_be_closed_is_asked_again() -> None:
    departure = Departure(0, leaves_at=10)
    departure.note_asked(20)
    assert step(departure, 20, closed=False) is Step.STAY
    assert step(departure, 20 + ROUND_SECONDS, closed=False) is Step.STAY
    assert step(departure, 21 + ROUND_SECONDS, closed=False) is Step.ASK


def test_client_that_has_not_read_the_message_stays() -> None:
    departure = Departure(0, leaves_at=10)
    departure.note_asked(20)
    assert step(departure, 20, active=False) is Step.STAY
    departure.note_active(31)
    assert step(departure, 21, active=True) is Step.STAY, "it has just read it"
    departure.note_active(40)
    assert step(departure, 30, active=True) is Step.STAY
    assert step(departure, 31, active=True) is Step.CLOSE


def test_client_that_reads_the_message_late_has_time_to_follow() -> None:
    departure = Departure(0, leaves_at=10)
    departure.note_asked(20)
    departure.note_active(29)
    assert step(departure, 20, active=True) is Step.STAY
    assert step(departure, 29, active=True) is Step.CLOSE


def test_new_worker_makes_connections_leave_earlier() -> None:
    departure = Departure(0, leaves_at=600)
    departure.reconnect_at(50)
    assert (departure.leaves_at, departure.reason) == (50, "new_worker")
    departure.reconnect_at(70)
    assert departure.leaves_at == 50
    departure.note_asked(60)
    departure.reconnect_at(55)
    assert (departure.leaves_at, departure.reason) == (60, "not_moved")


def test_new_worker_does_not_change_a_moment_that_is_set() -> None:
    departure = Departure(0, leaves_at=600)
    departure.reconnect_at(50)
    departure.reconnect_at(30)
    assert departure.leaves_at == 50


def test_round_begins_once_for_a_new_worker() -> None:
    rounds = Rounds(lambda: 0.5, 0)
    rounds.note_new_worker(5)
    assert rounds.begin() == 5
    assert rounds.begin() == -NEVER


def test_worker_that_appears_during_a_round_has_one_at_once() -> None:
    rounds = Rounds(lambda: 0.5, 0)
    rounds.note_new_worker(5)
    rounds.begin()
    rounds.note_new_worker(10)
    rounds.note_new_worker(20)
    assert rounds.begin() == 20


@pytest.mark.parametrize(
    ("opened_at", "random", "moment"),
    [(40, 0, 100), (40, 1, 155), (60, 0, 120), (60, 1, 155), (90, 0, 150), (90, 1, 170), (99, 1, 179)],
)
def test_connection_that_may_have_moved_stays_for_a_minute(opened_at: float, random: float, moment: float) -> None:
    """To this worker, which started lately."""
    assert Rounds(lambda: random, 0).moment(opened_at, now=100) == moment


@pytest.mark.parametrize("random", [0.0, 1.0])
@pytest.mark.parametrize("age", [1, 20, 59, 600])
def test_connection_that_has_not_moved_does_so_within_a_minute(age: float, random: float) -> None:
    """Such as those of clients whose load is the reason for the new worker."""
    rounds = Rounds(lambda: random, 0)
    now = begin_round(rounds, 2 * SETTLED_SECONDS)
    assert now <= rounds.moment(now - age, now) <= now + ROUND_SECONDS - TTL_SECONDS / 2


def test_connection_moves_once_a_minute_for_workers_in_a_row() -> None:
    """A connection that the first one may have moved stays for a minute; so does one that the second one moved."""
    rounds = Rounds(lambda: 0.0, 0)
    first = begin_round(rounds, 2 * SETTLED_SECONDS)
    second = begin_round(rounds, first + SETTLED_SECONDS + 1)
    assert rounds.moment(first + SETTLED_SECONDS - 1, second) == first + SETTLED_SECONDS - 1 + ROUND_SECONDS
    assert rounds.moment(first + SETTLED_SECONDS, second) == second
    third = begin_round(rounds, second + 30)
    assert rounds.moment(second + 29, third) == second + 29 + ROUND_SECONDS


def begin_round(rounds: Rounds, now: float) -> float:
    rounds.note_new_worker(now)
    return rounds.begin()


@pytest.mark.parametrize("age", [0, 1, 5, 20, 40, 59, 60, 600])
def test_connections_opened_together_move_apart(age: float) -> None:
    rounds = Rounds(random.Random(1).random, 1)
    moments = [rounds.moment(100 - age, now=100) for _ in range(1000)]
    per_second = Counter(int(moment) for moment in moments)
    assert max(per_second.values()) <= 2 * 1000 / SPREAD_SECONDS
    assert min(moments) >= max(100, 100 - age + ROUND_SECONDS)
    assert max(moments) - min(moments) >= SPREAD_SECONDS - 1


@pytest.mark.parametrize("random", [0.0, 1.0])
def test_asked_client_follows_within_the_round(random: float) -> None:
    moment = Rounds(lambda: random, 0).moment(0, 100)
    assert 100 <= moment <= 100 + ROUND_SECONDS - TTL_SECONDS / 2


@pytest.mark.parametrize(("workers", "apart_seconds"), [(4, 0), (4, 20), (8, 8), (8, 15)])
def test_new_workers_get_their_share_although_others_follow(workers: int, apart_seconds: int) -> None:
    simulated = SimulatedFleet(workers, apart_seconds)
    for second in range((workers - 1) * apart_seconds + 90):
        simulated.pass_second(second)
    assert len(simulated.share_after) == workers - 1
    assert max(simulated.share_after.values()) <= 70


class SimulatedFleet:
    """One worker with many connections, and others that appear one after the other. Each notices it after 5 s."""

    def __init__(self, workers: int, apart_seconds: int) -> None:
        self.share_after: dict[int, int] = {}  # seconds until a worker had 80 % of its fair share of the connections
        self._random = random.Random(1)
        self._connections = [[Departure(-600.0) for _ in range(600)], *([] for _ in range(workers - 1))]
        self._appear_at = {number: number * apart_seconds for number in range(1, workers)}
        self._rounds = [Rounds(self._random.random, self._appear_at.get(each, -600)) for each in range(workers)]

    def pass_second(self, now: int) -> None:
        ready = [0, *(number for number, at in self._appear_at.items() if at <= now)]
        for number in ready:
            if any(at + 5 == now for other, at in self._appear_at.items() if other != number):
                self._rounds[number].note_new_worker(now)
            self._look(number, ready, now)
        for number in ready[1:]:
            if len(self._connections[number]) >= 0.8 * 600 / len(ready):
                self.share_after.setdefault(number, now - self._appear_at[number])

    def _look(self, number: int, ready: list[int], now: int) -> None:
        rounds, connections = self._rounds[number], self._connections[number]
        opened_before = rounds.begin()
        for departure in list(connections):
            if departure.opened_at < opened_before:
                departure.reconnect_at(rounds.moment(departure.opened_at, now))
            if departure.leaves_at + TTL_SECONDS / 2 <= now:
                connections.remove(departure)
                self._connections[self._random.choice(ready)].append(Departure(now))
