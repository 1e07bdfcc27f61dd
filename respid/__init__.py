"""respid: an ID server that speaks the Redis protocol. `INCR orders` returns a unique, time-ordered 64-bit ID.

The map, from the ground up. Each package imports only from those above it here; pyproject.toml has the contracts.

- `ids/`: layouts, clocks, the generator, reservations. Pure: no IO, no sleeping.
- `resp/`: bytes to requests, values to bytes, Redis's error texts. Pure as well; knows no IDs.
- `worker/`: the state that all connections of a process share: settings, credentials, lifecycle, counters.
- `commands/`: the one table of commands, and a small file per group.
- `net/`: how Redis clients come in: listeners, connections, who gets the next ID.
- `highwater/`: how the high-water mark stays durable and the reservation ahead of the clock.
- `reload`: files that are reloaded while the server runs.
- `monitoring/`: the HTTP port: metrics and health.
- `check/`: the verifier. It shares no code with the server but the layout of an ID.
- `server`: start, stop, signals, wiring.
- `cli/`: the command line: options, commands, exit codes and the log.
"""

__version__ = "0.1.0"
# No later than the day of the release. A clock that shows an earlier day is wrong; an epoch after it is refused.
BUILD_DATE = "2026-11-01"
