"""Facts about Redis's commands for other programs: tips for cluster clients, ACL categories, uses of keys.

Nothing in respid acts on it; COMMAND repeats it, so that clients see the commands as Redis declares them.
"""

_ALL_SHARDS_SUM = "request_policy:all_shards response_policy:agg_sum"
_ALL_NODES_SUCCEED = "request_policy:all_nodes response_policy:all_succeeded"
_VARIES = "nondeterministic_output"
_ORDER_VARIES = "nondeterministic_output_order"

TIPS = {
    "client|info": _VARIES,
    "client|list": _VARIES,
    "client|setinfo": _ALL_NODES_SUCCEED,
    "client|setname": _ALL_NODES_SUCCEED,
    "cluster|info": _VARIES,
    "cluster|nodes": _VARIES,
    "cluster|shards": _VARIES,
    "cluster|slots": _VARIES,
    "command": _ORDER_VARIES,
    "command|docs": _ORDER_VARIES,
    "command|info": _ORDER_VARIES,
    "command|list": _ORDER_VARIES,
    "dbsize": _ALL_SHARDS_SUM,
    "exists": "request_policy:multi_shard response_policy:agg_sum",
    "hpttl": _VARIES,
    "httl": _VARIES,
    "info": f"{_VARIES} request_policy:all_shards response_policy:special",
    "keys": f"request_policy:all_shards {_ORDER_VARIES}",
    "latency|histogram": f"{_VARIES} request_policy:all_nodes response_policy:special",
    "latency|history": f"{_VARIES} request_policy:all_nodes response_policy:special",
    "latency|latest": f"{_VARIES} request_policy:all_nodes response_policy:special",
    "latency|reset": "request_policy:all_nodes response_policy:agg_sum",
    "module|list": _ORDER_VARIES,
    "object|encoding": _VARIES,
    "ping": "request_policy:all_shards response_policy:all_succeeded",
    "pttl": _VARIES,
    "randomkey": f"request_policy:all_shards response_policy:special {_VARIES}",
    "scan": f"{_VARIES} request_policy:special response_policy:special",
    "slowlog|get": f"request_policy:all_nodes {_VARIES}",
    "slowlog|len": f"request_policy:all_nodes response_policy:agg_sum {_VARIES}",
    "slowlog|reset": _ALL_NODES_SUCCEED,
    "time": _VARIES,
    "touch": "request_policy:multi_shard response_policy:agg_sum",
    "ttl": _VARIES,
    "wait": "request_policy:all_shards response_policy:agg_min",
}
for _name in ("bumpepoch", "count-failure-reports", "getkeysinslot", "links", "myshardid", "replicas", "slaves"):
    TIPS[f"cluster|{_name}"] = _VARIES
TIPS["cluster|slot-stats"] = f"{_VARIES} request_policy:all_shards"

CATEGORIES = {
    "asking": "@connection",
    "dbsize": "@keyspace",
    "info": "@dangerous",
    "keys": "@dangerous",
    "readonly": "@connection",
    "readwrite": "@connection",
    "role": "@admin @dangerous",
}
"""The ACL categories that do not follow from a command's flags and group. COMMAND and its subcommands have them all."""

KEY_ACCESS = {
    "exists": "RO",
    "expire": "RW update",
    "expireat": "RW update",
    "hexists": "RO",
    "hexpire": "RW update",
    "hexpireat": "RW update",
    "hpersist": "RW update",
    "hpexpire": "RW update",
    "hpexpireat": "RW update",
    "hsetnx": "RW insert",
    "msetnx": "OW insert",
    "object|encoding": "RO",
    "persist": "RW update",
    "pexpire": "RW update",
    "pexpireat": "RW update",
    "set": "RW access update variable_flags",
    "setnx": "OW insert",
    "touch": "RO",
    "type": "RO",
    "watch": "RO",
}
"""How commands use their keys, where that is not to read the value, or to read and update it."""
