"""A proxy before a server, which hands on what the server answers only after a while."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from running import free_port


@contextlib.contextmanager
def slow_proxy(port: int, delay_seconds: float) -> Iterator[int]:
    """Gives the port of the proxy."""
    proxy_port = free_port()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[_serve(proxy_port, port, delay_seconds)])
    thread.start()
    yield proxy_port
    loop.call_soon_threadsafe(_end, loop)
    thread.join()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


async def _serve(proxy_port: int, port: int, delay_seconds: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_hand_on(reader, server_writer, 0), _hand_on(server_reader, writer, delay_seconds))

    server = await asyncio.start_server(connect, "127.0.0.1", proxy_port)
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(1 << 16):
            await asyncio.sleep(delay_seconds)
            writer.write(data)
            await writer.drain()
