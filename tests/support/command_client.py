"""A client of a worker in this process, without sockets, for the tests of commands."""

from dataclasses import dataclass

from respid.net.connection import Connection
from respid.net.states import Next
from tests.support.byte_streams import requests
from tests.support.reply_parser import Reply, parse_replies
from tests.support.scripted_worker import converse


@dataclass
class CommandClient:
    """Sends conversations, as `byte_streams.requests` writes them."""

    connection: Connection

    def needs(self) -> Next:
        """What the connection needs to go on."""
        return self.connection.next

    def tell(self, conversation: str) -> bytes:
        """The replies as they are sent."""
        return converse(self.connection, requests(conversation))

    def ask(self, conversation: str) -> list[Reply]:
        """The replies as a client reads them."""
        return parse_replies(self.tell(conversation))

    def integers(self, conversation: str) -> list[int]:
        """The replies, or the elements of the only one, as the numbers that they must be."""
        replies = self.ask(conversation)
        elements = replies[0].elements if len(replies) == 1 and replies[0].type == "*" else replies
        assert {element.type for element in elements} <= {":"}
        return [int(element.text or b"") for element in elements]
