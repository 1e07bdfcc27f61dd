"""RESET and QUIT."""

import pytest

from respid.net.states import Next
from respid.resp import encoder, errors
from tests.support.command_client import CommandClient


def test_reset_restores_initial_state(unauthenticated_client: CommandClient) -> None:
    unauthenticated_client.tell("AUTH secret; HELLO 3 SETNAME me; SELECT 5; CLIENT REPLY OFF; MULTI")
    assert unauthenticated_client.tell("RESET; PING") == encoder.RESET + errors.NOT_AUTHENTICATED
    assert (
        unauthenticated_client.tell("AUTH secret; CLIENT GETNAME; EXEC")
        == encoder.OK + b"$-1\r\n" + errors.EXEC_WITHOUT_MULTI
    )
    assert unauthenticated_client.connection.session.database == 0


@pytest.mark.parametrize("conversation", ["QUIT; PING", "MULTI; QUIT; EXEC", "QUIT whatever; PING"])
def test_quit_ends_replies(client: CommandClient, conversation: str) -> None:
    assert client.tell(conversation).count(encoder.OK) == conversation.count("QUIT") + conversation.count("MULTI")
    assert client.needs() is Next.CLOSE
