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
    from tests.fuzz.fuzzed import FEW_IDS, HEAD_BYTES, PASSWORD, check

from respid.commands.known import known_kinds
from respid.commands.table import COMMANDS
from respid.ids.layout import Layout
from tests.support.byte_streams import request
from tests.support.scripted_clock import ScriptedClock
from tests.support.scripted_worker import connect, start_worker

NAMES = [name for name, command in COMMANDS.items() if not command.subcommands]
NAMES += [name + b" " + sub for name, command in COMMANDS.items() for sub in command.subcommands]
ARGUMENTS = [b"", b"key", b"1", b"2", b"3", b"16", b"17", b"COUNT", b"AS", b"STRING", b"ON", b"OFF", b"SKIP", b"AUTH"]
ARGUMENTS += [b"default", PASSWORD.encode(), b"SETNAME", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"x" * 99, b"x" * 100, b"*"]
RUNNING = [b"INCR KEY", b"INCRBY KEY 1", b"incr KEY", b"INCRBY KEY 7", b"HINCRBY KEY KEY 2", b"INCRBYFLOAT KEY 1"]
RUNNING += [b"ID.NEXT", b"ID.NEXT AS STRING", b"PING", b"GET KEY", b"HEXISTS KEY KEY"]
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


def insert_requests(data: bytes, most: int, seed: int) -> bytes:
    """Mutates as libFuzzer does, or inserts requests, runs or pieces of requests anywhere."""
    random = Random(seed)
    if random.random() < 0.5:
        return bytes(atheris.Mutate(data, most))
    words = random.choice(NAMES).split() + random.choices(ARGUMENTS, k=random.choice([0, 1, 1, 2, 2, 3]))
    if random.random() < 0.4:
        words = random.choice(RUNNING).split()
        words = [random.choice(ARGUMENTS) if word == b"KEY" and random.random() < 0.5 else word for word in words]
    sent = request(*words) * random.choice([1, 1, 1, 2, 3, 20, 45])
    if random.random() < 0.2:  # equal reads of whole requests
        data = data[:1] + bytes([(len(request(*words)) * random.choice([1, 1, 2, 4]) - 1) % 256, 0, 0, 0]) + data[5:]
    if random.random() < 0.2:
        sent = random.choice(
            [b" ".join(words) + b"\r\n", random.choice(PIECES), sent[: random.randrange(len(sent) + 1)]]
        )
    place = random.randrange(HEAD_BYTES, len(data) + 1) if len(data) > HEAD_BYTES else len(data)
    return (data[:place] + sent + data[place:])[:most]


def main() -> None:
    # The patterns of known requests are made once for each layout. Those that the hook replaces match at the beginning
    # of bytes only.
    for layout in (Layout(), FEW_IDS):
        session = connect(start_worker(ScriptedClock(), layout=layout)).session
        for session.version in (2, 3):
            known_kinds(session)
    atheris.enabled_hooks.add("RegEx")
    atheris.Setup(sys.argv, check, custom_mutator=insert_requests)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
