"""A transport that only records what a protocol does with it."""

import asyncio
from unittest.mock import Mock, create_autospec


def mock_transport() -> Mock:
    """A transport without a socket, which takes all replies at once."""
    transport: Mock = create_autospec(asyncio.Transport, instance=True)
    transport.get_extra_info.return_value = None
    transport.get_write_buffer_size.return_value = 0
    return transport
