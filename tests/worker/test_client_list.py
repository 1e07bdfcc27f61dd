"""The lines of CLIENT LIST are made in slices, which the requests share."""

from respid.worker.client_list import FEW_CLIENTS, LEAST_AGE_NS, SLICE, ClientList

OTHERS = range(1, FEW_CLIENTS + SLICE)


class Described:
    """A client that counts its lines."""

    def __init__(self) -> None:
        self.times = 0

    def describe(self) -> str:
        self.times += 1
        return f"{self.times}\n"


def test_each_call_makes_a_slice() -> None:
    clients = {number: Described() for number in OTHERS}
    lines = ClientList(clients)
    made = []
    while not lines.make_some(1):
        made.append(sum(client.times for client in clients.values()))
    assert made == [SLICE, 2 * SLICE]
    assert b"".join(lines.pieces(1)) == b"2\n" + b"1\n" * (len(OTHERS) - 1)
    assert lines.make_some(LEAST_AGE_NS)
    assert sum(client.times for client in clients.values()) == len(OTHERS) + 1


def test_client_that_leaves_meanwhile_has_no_line() -> None:
    clients = {number: Described() for number in OTHERS}
    lines = ClientList(clients)
    lines.make_some(1)
    del clients[OTHERS[-1]]
    while not lines.make_some(1):
        pass
    assert len(b"".join(lines.pieces(1)).splitlines()) == len(OTHERS) - 1


def test_lines_that_nobody_waited_for_are_made_again() -> None:
    clients = {number: Described() for number in OTHERS}
    lines = ClientList(clients)
    lines.make_some(1)
    later = 1 + LEAST_AGE_NS
    while not lines.make_some(later):
        pass
    assert {clients[number].times for number in OTHERS} == {1, 2}
    assert b"".join(lines.pieces(OTHERS[-1])).startswith(b"2\n" * SLICE + b"1\n")
