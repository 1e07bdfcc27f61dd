"""The commands: one table, and a small file per group. Never touches sockets, the event loop or Prometheus."""

# The order of these imports is the order of COMMAND and of the documentation.
# isort: off
from respid.commands import keys
from respid.commands import ids
from respid.commands import transaction
from respid.commands import connection
from respid.commands import handshake
from respid.commands import client
from respid.commands import server
from respid.commands import info
from respid.commands import config
from respid.commands import cluster
from respid.commands import diagnostics
from respid.commands import introspection

# isort: on
from respid.commands.dispatch import run
from respid.commands.session import Parts, Reply, ReplyMode, Session
from respid.commands.table import COMMANDS

__all__ = [
    "COMMANDS",
    "Parts",
    "Reply",
    "ReplyMode",
    "Session",
    "client",
    "cluster",
    "config",
    "connection",
    "diagnostics",
    "handshake",
    "ids",
    "info",
    "introspection",
    "keys",
    "run",
    "server",
    "transaction",
]
