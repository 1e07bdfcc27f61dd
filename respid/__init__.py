"""respid: an ID server that speaks the Redis protocol. `INCR orders` returns a unique, time-ordered 64-bit ID.

The map, from the ground up; each layer imports only what stands above it here:

- `ids/`: layouts, clocks, the generator, reservations. Pure: no IO, no sleeping.
- `resp/`: bytes to requests, values to bytes, Redis's error texts. Pure as well, and knows no IDs.
- `credentials`: the passwords that clients must give, as digests. Never reads a file.
- `lifecycle`, `stats`, `config`, `worker_id`, `log`, `settings`: states, plain counters, settings, where the worker ID
  comes from, one line an event, what an option is.
- `worker`: what all connections of one process share.
- `commands/`: the one table of commands, and a small file a group.
- `connection`: bytes in, bytes out for one client; `waiting`: who gets the next ID. No sockets, no event loop.
- `stores/`, `metrics`, `protocol`, `http`: the durable mark, Prometheus, and the two listeners' asyncio skins.
- `auth_log`, `reload`, `tls`: the log of wrong passwords; files that are read again; certificates.
- `check/`: a client with many connections that verifies what all workers promise. Knows nothing of the server.
- `clock_watch`, `keeper`, `listeners`, `sweep`, `server`: steps of the clock, the reservation, open sockets, idle
  and old connections, start and stop.
- `cli`: arguments and environment to settings; exit codes.
"""

__version__ = "0.1.0"
