"""Requests that MULTI has queued for EXEC: any, and draws with their number. Only what EXEC needs is kept."""

from respid.commands.draw import Draw
from respid.commands.known import Known, answer_or_refuse_known, in_this_version, is_run
from respid.commands.session import Parts, Queued, Session
from respid.commands.table import DRAWS_IDS, Command
from respid.resp import encoder, errors
from respid.resp.reader import ARGUMENT_OVERHEAD_BYTES

_KIB = 1024
ENTRY_BYTES = 200  # memory of an entry without its requests
_REQUEST_BYTES = 80  # memory of a request without its arguments
_REFERENCE_BYTES = 8
_MOST_DRAWN = 512  # at once; other clients have their turn after that
_MOST_KNOWN = 128  # in an entry to which others are added


class QueuedRequests:
    """Adjacent requests with their arguments. They do not need their keys.

    The garbage collector does not look at tuples of bytes, so there is nothing for it to do here: with an object and a
    list for each request, two million of them stopped the server for up to a second.
    """

    __slots__ = ("_arguments", "_commands", "count", "draws_ids")

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._arguments: list[tuple[bytes, ...]] = []
        self.count = 0
        self.draws_ids = False

    def add(self, command: Command, arguments: list[bytes]) -> None:
        """Adds the request that was sent after these."""
        self._commands.append(command)
        self._arguments.append(tuple(arguments))
        self.count += 1
        self.draws_ids = self.draws_ids or DRAWS_IDS in command.flags

    def replies(self, session: Session) -> Parts:
        for command, arguments in zip(self._commands, self._arguments, strict=True):
            reply = command.handler(session, [*arguments])
            session.worker.stats.commands[command.name] += 1
            if isinstance(reply, bytes):
                if reply:
                    if reply[0] == errors.FIRST_BYTE:
                        session.worker.stats.failed_calls[command.name] += 1
                    yield reply
            elif reply is not None:  # None is the reply to a draw that waits, and these are QueuedDraws
                yield from reply


class QueuedDraws:
    """Adjacent requests that draw the same, which are answered as a run."""

    __slots__ = ("count", "draw", "draws_ids", "name")

    def __init__(self, name: str, draw: Draw, count: int = 0) -> None:
        self.name = name
        self.draw = draw
        self.count = count
        self.draws_ids = True

    def replies(self, session: Session) -> Parts:
        left = self.count
        while left:
            answered, replies = self.draw.answer(session, min(left, _MOST_DRAWN))
            if answered:
                session.worker.stats.commands[self.name] += answered
                left -= answered
            if replies and replies[0] == errors.FIRST_BYTE:
                session.worker.stats.failed_calls[self.name] += answered
            yield replies


class QueuedKnown:
    """Known requests, which are answered together."""

    __slots__ = ("_version", "count", "draws_ids", "requests")

    def __init__(self, requests: tuple[Known, ...], version: int) -> None:
        self.requests: tuple[Known, ...] = ()
        self._version = version
        self.count = 0
        self.draws_ids = False
        self.add(requests)

    def add(self, requests: tuple[Known, ...]) -> None:
        """Adds requests that were sent after these, in the same version of the protocol."""
        self.requests += requests
        self.count += len(requests)
        self.draws_ids = self.draws_ids or any(request.drawn for request in requests)

    def replies(self, session: Session) -> Parts:
        # A HELLO before them in the same transaction may have changed the version.
        is_same = session.version == self._version
        left = self.requests if is_same else in_this_version(session, self.requests)
        while left:
            answered, replies = answer_or_refuse_known(session, left)
            session.last_command = "exec"
            left = left[answered:]
            yield replies


def queue_draws(session: Session, transaction: list[Queued], name: str, draw: Draw, count: int) -> tuple[int, bytes]:
    """Queues `count` requests that draw the same. Returns how many of them it has answered, and their replies."""
    if session.transaction_broken:  # EXEC will fail anyway, so nothing is kept
        return count, encoder.QUEUED * count
    room = _room(session)
    if room <= 0:
        return 1, _refuse(session, transaction)
    last = transaction[-1] if transaction else None
    if not isinstance(last, QueuedDraws) or last.name != name or last.draw != draw:
        last = QueuedDraws(name, draw)
        transaction.append(last)
        session.queued_bytes += ENTRY_BYTES
    count = min(count, room)
    last.count += count
    session.queued_requests += count
    session.queued_size += count
    return count, encoder.QUEUED * count


def queue_known(session: Session, transaction: list[Queued], requests: tuple[Known, ...]) -> tuple[int, bytes]:
    """Queues known requests. Returns how many of them it has answered, and their replies."""
    first = requests[0]
    if first.drawn is not None and is_run(requests):
        return queue_draws(session, transaction, first.command, first.drawn, len(requests))
    if session.transaction_broken:
        return len(requests), encoder.QUEUED * len(requests)
    room = _room(session)
    if room <= 0:
        return 1, _refuse(session, transaction)
    requests = requests[:room]
    count = len(requests)
    last = transaction[-1] if transaction else None
    if isinstance(last, QueuedKnown) and last.count < _MOST_KNOWN:
        last.add(requests)
    else:
        transaction.append(QueuedKnown(requests, session.version))
        session.queued_bytes += ENTRY_BYTES
    session.queued_bytes += _REFERENCE_BYTES * count
    session.queued_requests += count
    session.queued_size += count
    return count, encoder.QUEUED * count


def queue_request(session: Session, transaction: list[Queued], command: Command, arguments: list[bytes]) -> bytes:
    """Queues a request. Returns the reply to it."""
    if session.transaction_broken:
        return encoder.QUEUED
    arguments = _without_keys(command, arguments)
    arguments_bytes = sum(map(len, arguments))
    size = 1 + arguments_bytes // _KIB
    if size > _room(session):
        return _refuse(session, transaction)
    session.queued_size += size
    session.queued_requests += 1
    session.queued_bytes += _REQUEST_BYTES + ARGUMENT_OVERHEAD_BYTES * len(arguments) + arguments_bytes
    last = transaction[-1] if transaction else None
    if not isinstance(last, QueuedRequests):
        last = QueuedRequests()
        transaction.append(last)
        session.queued_bytes += ENTRY_BYTES
    last.add(command, arguments)
    return encoder.QUEUED


def _room(session: Session) -> int:
    """How much more the transaction may hold: commands, plus the KiB of their arguments."""
    return session.worker.config.max_queued_commands - session.queued_size


def _refuse(session: Session, transaction: list[Queued]) -> bytes:
    """Frees the transaction, which is too large. EXEC will fail."""
    transaction.clear()
    session.queued_bytes = session.queued_requests = 0
    session.transaction_broken = True
    return errors.queue_full(session.worker.config.max_queued_commands)


def _without_keys(command: Command, arguments: list[bytes]) -> list[bytes]:
    """The arguments as EXEC needs them: a key only has to be there."""
    arguments = arguments.copy()
    first, last, step = command.usage.keys
    if first:
        keys = range(first, len(arguments) if last < 0 else last + 1, step)
        arguments[keys.start : keys.stop : keys.step] = [b""] * len(keys)
    return arguments
