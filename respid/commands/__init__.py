"""The commands: one table, and a small file a group. Never knows sockets, the event loop or Prometheus."""

from respid.commands import connection, ids, introspection, server, transaction
from respid.commands.dispatch import run
from respid.commands.session import Parts, Reply, ReplyMode, Session
from respid.commands.table import COMMANDS

__all__ = [
    "COMMANDS",
    "Parts",
    "Reply",
    "ReplyMode",
    "Session",
    "connection",
    "ids",
    "introspection",
    "run",
    "server",
    "transaction",
]
