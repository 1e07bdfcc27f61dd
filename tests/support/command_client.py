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
        """Returns what the connection waits for."""
        return self.connection.next

    def tell(self, conversation: str) -> bytes:
        """Sends a conversation and returns the bytes of the replies."""
        return converse(self.connection, requests(conversation))

    def ask(self, conversation: str) -> list[Reply]:
        """Sends a conversation and returns the parsed replies."""
        return parse_replies(self.tell(conversation))

    def integers(self, conversation: str) -> list[int]:
        """Sends a conversation and returns its integer replies, or the integers of its only reply."""
        replies = self.ask(conversation)
        elements = replies[0].elements if len(replies) == 1 and replies[0].type == "*" else replies
        assert {element.type for element in elements} <= {":"}
        return [int(element.text or b"") for element in elements]
