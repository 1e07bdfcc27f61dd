"""The coverage-guided fuzzer, a separate program: `python tests/fuzz/program.py CORPUS [libFuzzer's options]`.

It mutates inputs to reach new code, stops at the first input that breaks the property in `fuzzed`, and writes that
input to a file. Needs atheris; libFuzzer's options: https://llvm.org/docs/LibFuzzer.html#options
"""

import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["respid"]):
    import respid.net.connection
    import respid.server  # noqa: F401
with atheris.instrument_imports(include=["tests.fuzz.fuzzed"]):
    from tests.fuzz.fuzzed import HEAD_BYTES, PASSWORD, REQUEST, WHOLE_REQUESTS, check

from respid.commands.known import REQUESTS, known_kinds
from respid.commands.table import COMMANDS
from respid.ids.layout import Layout
from respid.resp.fast_path import _mixed_runs
from tests.support.both_paths import FEW_IDS
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

NAMES = [name for name, command in COMMANDS.items() if not command.subcommands]
NAMES += [name + b" " + sub for name, command in COMMANDS.items() for sub in command.subcommands]
ARGUMENTS = [b"", b"key", b"1", b"2", b"3", b"16", b"17", b"COUNT", b"AS", b"STRING", b"ON", b"OFF", b"SKIP", b"AUTH"]
ARGUMENTS += [b"default", PASSWORD.encode(), b"SETNAME", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"x" * 99, b"x" * 100, b"*"]
RUNNING = [b"INCR KEY", b"INCRBY KEY 1", b"incr KEY", b"INCRBY KEY 7", b"HINCRBY KEY KEY 2", b"INCRBYFLOAT KEY 1"]
RUNNING += [b"ID.NEXT", b"ID.NEXT AS STRING", b"PING", b"GET KEY", b"HEXISTS KEY KEY"]
FREE = {"key": b"KEY", "field": b"KEY", "number": b"60", "one": b"1"}
RUNNING += [b" ".join(FREE.get(word, word.encode()) for word in words.split()) for words in REQUESTS]
RUNNING += [b"INCRBY KEY 100", b"INCRBY KEY 9", b"HINCRBY KEY KEY 1", b"SET KEY 0", b"EXPIRE KEY 0", b"DECR KEY"]
CHANGES = [b"CLIENT REPLY ON", b"CLIENT REPLY OFF", b"CLIENT REPLY SKIP", b"CLIENT NO-TOUCH ON", b"CLIENT NO-EVICT ON"]
CHANGES += [
    b"CLIENT TRACKING ON OPTIN",
    b"CLIENT TRACKING OFF",
    b"CLIENT CACHING YES",
    b"HELLO 2",
    b"HELLO 3",
    b"RESET",
]
CHANGES += [
    b"AUTH " + PASSWORD.encode(),
    b"HELLO 3 AUTH default " + PASSWORD.encode(),
    b"HELLO 4",
    b"QUIT",
    b"WATCH KEY",
]
CHANGES += [b"MULTI", b"EXEC", b"DISCARD", b"multi", b"exec", b"UNWATCH", b"BOGUS", b"CLIENT SETNAME KEY", b"SELECT 0"]
PIECES = [
    b"\r\n",
    b"\n",
    b"*",
    b"$",
    b"*0\r\n",
    b"*-1\r\n",
    b"*3\r\n",
    b"$-1\r\n",
    b"$6\r\n",
    b'"',
    b"'",
    b"\\x41",
    b"\0",
]


def change_requests(data: bytes, most: int, seed: int) -> bytes:
    """Mutates as libFuzzer does, or inserts or repeats requests, mostly between others."""
    random = Random(seed)
    if random.random() < 0.4:
        return bytes(atheris.Mutate(data, most))
    data = data.ljust(HEAD_BYTES, b"\0")
    if random.random() < 0.1:
        data = bytes([data[0] ^ 1 << random.randrange(8)]) + data[1:]
    places = [HEAD_BYTES, *[match.start() for match in REQUEST.finditer(data, HEAD_BYTES)], len(data)]
    first, last = sorted(random.choices(places, k=2))
    chosen = random.random()
    if chosen < 0.1:  # these requests once more
        sent = data[first:last]
    elif chosen < 0.2:
        sent, data = b"", data[:first] + data[last:]
    elif chosen < 0.4:
        sent = request(*_words(random, CHANGES))
    else:
        sent = _requests(random)
        if random.random() < 0.3:  # equal reads of whole requests, whatever their lengths
            data = data[:1] + bytes([random.randrange(WHOLE_REQUESTS - 1, 256), 0, 0, 0]) + data[HEAD_BYTES:]
    place = min(random.choice(places), len(data)) if random.random() < 0.8 else random.randint(HEAD_BYTES, len(data))
    return (data[:place] + sent + data[place:])[:most]


def _words(random: Random, several: list[bytes]) -> list[bytes]:
    words = random.choice(several).split()
    return [random.choice(ARGUMENTS) if word == b"KEY" and random.random() < 0.5 else word for word in words]


def _requests(random: Random) -> bytes:
    """Returns requests that are alike or take turns, a transaction of them, or a part of such."""
    words = random.choice(NAMES).split() + random.choices(ARGUMENTS, k=random.choice([0, 1, 1, 2, 2, 3]))
    if random.random() < 0.7:
        words = _words(random, RUNNING)
    sent = request(*words)
    if random.random() < 0.3:
        sent += b"".join([request(*_words(random, RUNNING)) for _ in range(random.randint(1, 4))])
    sent *= random.choice([1, 1, 1, 2, 3, 20, 45])
    if random.random() < 0.3:
        sent = request(*_words(random, CHANGES)) * random.randint(0, 1) + sent
        name, end = random.choice([("MULTI", "EXEC"), ("multi", "exec"), ("MULTI", "DISCARD")])
        sent = (request(name) + sent + request(end)) * random.choice([1, 2, 4])
    if random.random() < 0.2:
        line = b" ".join(words) + b"\r\n"
        sent = random.choice([line, random.choice(PIECES), sent[: random.randrange(len(sent) + 1)]])
    return sent


def main() -> None:
    # The patterns of runs are made once, and those of known requests once for each layout. Those that the hook replaces
    # match at the beginning of bytes only.
    for free in (1, 2):
        _mixed_runs(free)
    for layout in (Layout(), FEW_IDS):
        session = connect(start_worker(ScriptedClock(), layout=layout)).session
        for session.version in (2, 3):
            known_kinds(session)
    atheris.enabled_hooks.add("RegEx")
    atheris.Setup(sys.argv, check, custom_mutator=change_requests)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
