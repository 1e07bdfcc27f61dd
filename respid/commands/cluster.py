"""The commands of Redis Cluster, answered as by a Redis server without cluster support."""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import errors

_SUMMARY = "Always an error: cluster mode is not supported."
_ADMIN = "admin stale no_async_loading constant"

group = CommandGroup("cluster")


@group.command("READONLY", _SUMMARY, "loading stale fast constant", since="3.0.0")
@group.command("READWRITE", _SUMMARY, "loading stale fast constant", since="3.0.0")
@group.command("ASKING", _SUMMARY, "fast constant", since="3.0.0")
def cluster_disabled(_session: Session, _arguments: list[bytes]) -> Reply:
    return errors.CLUSTER_DISABLED


group.container("CLUSTER", "A container for commands about clusters.", since="3.0.0")

for _usage, _flags, _since in (
    ("CLUSTER HELP", "loading stale constant", "5.0.0"),
    ("CLUSTER ADDSLOTS slot [slot ...]", _ADMIN, "3.0.0"),
    ("CLUSTER ADDSLOTSRANGE start-slot end-slot [start-slot end-slot ...]", _ADMIN, "7.0.0"),
    ("CLUSTER BUMPEPOCH", _ADMIN, "3.0.0"),
    ("CLUSTER COUNT-FAILURE-REPORTS node-id", "admin stale constant", "3.0.0"),
    ("CLUSTER COUNTKEYSINSLOT slot", "stale constant", "3.0.0"),
    ("CLUSTER DELSLOTS slot [slot ...]", _ADMIN, "3.0.0"),
    ("CLUSTER DELSLOTSRANGE start-slot end-slot [start-slot end-slot ...]", _ADMIN, "7.0.0"),
    ("CLUSTER FAILOVER [FORCE | TAKEOVER]", _ADMIN, "3.0.0"),
    ("CLUSTER FLUSHSLOTS", _ADMIN, "3.0.0"),
    ("CLUSTER FORGET node-id", _ADMIN, "3.0.0"),
    ("CLUSTER GETKEYSINSLOT slot count", "stale constant", "3.0.0"),
    ("CLUSTER INFO", "stale constant", "3.0.0"),
    ("CLUSTER KEYSLOT name", "stale constant", "3.0.0"),
    ("CLUSTER LINKS", "stale constant", "7.0.0"),
    ("CLUSTER MEET ip port [cluster-bus-port]", _ADMIN, "3.0.0"),
    ("CLUSTER MYID", "stale constant", "3.0.0"),
    ("CLUSTER MYSHARDID", "stale constant", "7.2.0"),
    ("CLUSTER NODES", "stale constant", "3.0.0"),
    ("CLUSTER REPLICAS node-id", "admin stale constant", "5.0.0"),
    ("CLUSTER REPLICATE node-id", _ADMIN, "3.0.0"),
    ("CLUSTER RESET [HARD | SOFT]", "admin noscript stale constant", "3.0.0"),
    ("CLUSTER SAVECONFIG", _ADMIN, "3.0.0"),
    ("CLUSTER SET-CONFIG-EPOCH config-epoch", _ADMIN, "3.0.0"),
    ("CLUSTER SETSLOT slot subcommand [node-id]", _ADMIN, "3.0.0"),
    ("CLUSTER SHARDS", "loading stale constant", "7.0.0"),
    ("CLUSTER SLAVES node-id", "admin stale constant", "3.0.0"),
    ("CLUSTER SLOT-STATS filter argument [argument ...]", "loading stale constant", "8.2.0"),
    ("CLUSTER SLOTS", "loading stale constant", "3.0.0"),
):
    group.subcommand(_usage, _SUMMARY, _flags, _since)(cluster_disabled)
