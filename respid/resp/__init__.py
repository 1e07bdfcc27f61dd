"""The Redis protocol: bytes to arguments, values to bytes. Knows no sockets, commands or IDs.

It follows the specification, https://redis.io/docs/latest/develop/reference/protocol-spec/, and redis-server where the
specification says nothing.
"""
