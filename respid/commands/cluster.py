"""The commands of a cluster, which respid is not: each is an error."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import errors

group = CommandGroup("server")


@group.command("READONLY", "Refused as by any Redis that is no cluster.", "loading stale fast", since="3.0.0")
def readonly(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("READWRITE", "Refused as by any Redis that is no cluster.", "loading stale fast", since="3.0.0")
def readwrite(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


@group.command("ASKING", "Refused as by any Redis that is no cluster.", "fast", since="3.0.0")
def asking(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


group.container("CLUSTER", "A container for commands about clusters.", since="3.0.0")


@group.subcommand("CLUSTER HELP", "Refused: this is no cluster.", "loading stale", since="5.0.0")
@group.subcommand("CLUSTER INFO", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER MYID", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER NODES", "Refused: this is no cluster.", "stale", since="3.0.0")
@group.subcommand("CLUSTER SHARDS", "Refused: this is no cluster.", "loading stale", since="7.0.0")
@group.subcommand("CLUSTER SLOTS", "Refused: this is no cluster.", "loading stale", since="3.0.0")
def cluster_disabled(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED
