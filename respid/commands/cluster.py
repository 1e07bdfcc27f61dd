"""The commands of cluster mode, which is not supported: each returns an error."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import errors

group = CommandGroup("server")


@group.command("READONLY", "Always an error: cluster mode is not supported.", "loading stale fast", since="3.0.0")
def readonly(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("READWRITE", "Always an error: cluster mode is not supported.", "loading stale fast", since="3.0.0")
def readwrite(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("ASKING", "Always an error: cluster mode is not supported.", "fast", since="3.0.0")
def asking(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


group.container("CLUSTER", "A container for cluster commands.", since="3.0.0")


@group.subcommand("CLUSTER HELP", "Always an error: cluster mode is not supported.", "loading stale", since="5.0.0")
@group.subcommand("CLUSTER INFO", "Always an error: cluster mode is not supported.", "stale", since="3.0.0")
@group.subcommand("CLUSTER MYID", "Always an error: cluster mode is not supported.", "stale", since="3.0.0")
@group.subcommand("CLUSTER NODES", "Always an error: cluster mode is not supported.", "stale", since="3.0.0")
@group.subcommand("CLUSTER SHARDS", "Always an error: cluster mode is not supported.", "loading stale", since="7.0.0")
@group.subcommand("CLUSTER SLOTS", "Always an error: cluster mode is not supported.", "loading stale", since="3.0.0")
def cluster_disabled(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED
