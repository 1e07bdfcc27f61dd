"""The Redis protocol: bytes in, arguments out; values in, bytes out. Never knows sockets, commands or IDs.

The source of its facts is the Redis serialization protocol specification, https://redis.io/docs/latest/develop/reference/protocol-spec/,
and, where that is silent, what redis-server does.
"""
