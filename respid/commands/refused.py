"""The commands of Redis that respid refuses, each with an error that says what to do instead.

The error is never Redis's "unknown command": some drivers take that for a server that is starting, and resend forever.
Nor does it begin with a code, such as LOADING, that a driver retries.
"""

from typing import NamedTuple

from respid.resp import errors


class Refusal(NamedTuple):
    """Commands that are refused for the same reason."""

    reason: str  # what respid lacks, as a clause
    advice: str  # what to do instead, as a sentence without its full stop
    names: str  # in upper case; a subcommand is CONTAINER|SUBCOMMAND, a container stands for all of its subcommands

    def message(self, name: str) -> str:
        return f"respid does not support {name.replace('|', ' ')}: {self.reason}. {self.advice}."


REFUSALS = (
    Refusal(
        "it runs no scripts or functions",
        "Send INCR or ID.NEXT instead, and scripts to a Redis server",
        "EVAL EVAL_RO EVALSHA EVALSHA_RO FCALL FCALL_RO FUNCTION SCRIPT",
    ),
    Refusal(
        "IDs only go up",
        "Use INCR, or INCRBY for a block of IDs",
        "DECR DECRBY HINCRBYFLOAT ZINCRBY",
    ),
    Refusal(
        "its keys are never removed, and IDs never start over",
        "Leave this command out",
        "DEL UNLINK FLUSHALL FLUSHDB GETDEL HDEL HGETDEL RENAME RENAMENX MOVE COPY SWAPDB",
    ),
    Refusal(
        "it stores no values",
        "Use INCR or ID.NEXT for IDs, and a Redis server for data",
        """
        APPEND GETEX GETRANGE GETSET LCS MGET MSET PSETEX SETEX SETRANGE STRLEN SUBSTR
        BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS GETBIT SETBIT
        PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST
        HGET HGETALL HGETEX HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETEX HSTRLEN HVALS
        BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET
        LTRIM RPOP RPOPLPUSH RPUSH RPUSHX
        SADD SCARD SDIFF SDIFFSTORE SINTER SINTERCARD SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SPOP SRANDMEMBER
        SREM SSCAN SUNION SUNIONSTORE
        BZMPOP BZPOPMAX BZPOPMIN ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP
        ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX
        ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
        ZUNIONSTORE
        GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEOSEARCH
        GEOSEARCHSTORE
        XACK XACKDEL XADD XAUTOCLAIM XCLAIM XDEL XDELEX XGROUP XINFO XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE
        XSETID XTRIM
        VADD VCARD VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANDMEMBER VREM VSETATTR VSIM
        DUMP MIGRATE RESTORE RESTORE-ASKING SORT SORT_RO OBJECT|FREQ OBJECT|IDLETIME OBJECT|REFCOUNT
        """,
    ),
    Refusal(
        "it has no Pub/Sub",
        "Use a Redis server for messages",
        "PSUBSCRIBE PUBLISH PUBSUB PUNSUBSCRIBE SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE",
    ),
    Refusal(
        "it has no replicas",
        "To add capacity, start more workers, each with a worker ID of its own",
        "FAILOVER PSYNC REPLCONF REPLICAOF SLAVEOF SYNC",
    ),
    Refusal(
        "it has no data to save, and stores its high-water mark by itself",
        "Leave this command out",
        "BGREWRITEAOF BGSAVE LASTSAVE SAVE WAITAOF",
    ),
    Refusal(  # a server that is no Sentinel does not know the command, but some drivers print the error again and again
        "it is a single server without failover",
        "Use your driver's plain client, not the one for Sentinel",
        "SENTINEL",
    ),
    Refusal(
        "settings are the options of respid serve",
        "Change the option or its variable, and restart",
        "CONFIG|REWRITE CONFIG|SET",
    ),
    Refusal(
        "all users may do the same",
        "Set RESPID_PASSWORD_FILE to require a password",
        """
        ACL|CAT ACL|DELUSER ACL|DRYRUN ACL|GENPASS ACL|GETUSER ACL|LIST ACL|LOAD ACL|LOG ACL|SAVE ACL|SETUSER ACL|USERS
        """,
    ),
    Refusal(
        "it has no modules",
        "Use a Redis server for modules",
        "MODULE|LOAD MODULE|LOADEX MODULE|UNLOAD",
    ),
    Refusal(
        "no client can stop the server",
        "Send SIGTERM to its process",
        "SHUTDOWN",
    ),
    Refusal(
        "no client can act on others",
        "Set --idle-timeout or --max-connection-age, or restart the worker",
        "CLIENT|KILL CLIENT|PAUSE",
    ),
    Refusal(
        "it has no commands for debugging",
        "Use INFO, CLIENT LIST, the log, and the metrics on the HTTP port",
        "CONFIG|RESETSTAT DEBUG LATENCY|DOCTOR LATENCY|GRAPH LOLWUT MEMORY MONITOR",
    ),
)


def _errors_by_name() -> dict[bytes, bytes]:
    return {
        name.encode(): errors.error(f"ERR {refusal.message(name)}")
        for refusal in REFUSALS
        for name in refusal.names.split()
    }


REFUSED: dict[bytes, bytes] = _errors_by_name()
"""The error reply to each refused command, by its name in upper case, or by CONTAINER|SUBCOMMAND."""
