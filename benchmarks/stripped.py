"""`python -m benchmarks.stripped PORT`: uvloop, hiredis and a table of constant replies, and nothing else.

This is about as fast as a server in Python can be. It checks no header before it uses memory for it, has no limits,
state, transactions or counters, and issues no IDs. `short_replies` measures the cost of all that.
"""

import asyncio
import sys
from typing import cast

import hiredis
import uvloop

ID = b":123456789012345678\r\n"
REPLIES = {
    b"PING": b"+PONG\r\n",
    b"GET": b"$-1\r\n",
    b"EXISTS": b":1\r\n",
    b"TTL": b":-1\r\n",
    b"INCR": ID,
    b"HINCRBY": ID,
}


class Stripped(asyncio.Protocol):
    """One client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reader = hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        read = self._reader.gets
        replies = []
        while arguments := read():
            replies.append(REPLIES[arguments[0]])
        self._transport.write(b"".join(replies))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stripped, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
