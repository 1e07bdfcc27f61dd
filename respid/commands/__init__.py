"""The commands: one table, and a small file per group. Never touches sockets, the event loop or Prometheus."""

# The order of these imports is the order of COMMAND and of the documentation.
# isort: off
from respid.commands import keys
from respid.commands import values
from respid.commands import existence
from respid.commands import expiry
from respid.commands import keyspace
from respid.commands import ids
from respid.commands import transaction
from respid.commands import connection
from respid.commands import handshake
from respid.commands import client
from respid.commands import client_list
from respid.commands import tracking
from respid.commands import maintenance
from respid.commands import server
from respid.commands import info
from respid.commands import config
from respid.commands import cluster
from respid.commands import diagnostics
from respid.commands import introspection

# isort: on
from respid.commands.dispatch import run, run_quickly
from respid.commands.draw import Draw, Drawn, constant_draw
from respid.commands.known import Known, answer_known, answer_or_refuse_known, is_run, known_kinds
from respid.commands.queued import queue_draws, queue_known
from respid.commands.refused import REFUSALS, REFUSED
from respid.commands.session import Parts, Reply, ReplyMode, RequestKind, Session, SocketState
from respid.commands.table import COMMANDS, Command
from respid.commands.transaction import exec_at_once, run_at_once, run_known_at_once

__all__ = [
    "COMMANDS",
    "REFUSALS",
    "REFUSED",
    "Command",
    "Draw",
    "Drawn",
    "Known",
    "Parts",
    "Reply",
    "ReplyMode",
    "RequestKind",
    "Session",
    "SocketState",
    "answer_known",
    "answer_or_refuse_known",
    "client",
    "client_list",
    "cluster",
    "config",
    "connection",
    "constant_draw",
    "diagnostics",
    "exec_at_once",
    "existence",
    "expiry",
    "handshake",
    "ids",
    "info",
    "introspection",
    "is_run",
    "keys",
    "keyspace",
    "known_kinds",
    "maintenance",
    "queue_draws",
    "queue_known",
    "run",
    "run_at_once",
    "run_known_at_once",
    "run_quickly",
    "server",
    "tracking",
    "transaction",
    "values",
]
