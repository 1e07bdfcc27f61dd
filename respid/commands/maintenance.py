"""CLIENT MAINT_NOTIFICATIONS: the client asks to be notified when it should move to another worker.

Redis Enterprise has the command, and drivers send it unasked after HELLO 3. Drivers that get an error never ask again.
"""

from respid.commands.session import Reply, Session
from respid.commands.table import CommandGroup
from respid.resp import encoder, errors

ENDPOINT_TYPES = frozenset({b"internal-ip", b"external-ip", b"internal-fqdn", b"external-fqdn", b"none"})
_NEEDS_RESP3 = errors.error("ERR CLIENT MAINT_NOTIFICATIONS needs RESP3: send HELLO 3 first")

group = CommandGroup("connection")


@group.subcommand(
    "CLIENT MAINT_NOTIFICATIONS ON | OFF [parameter value ...]",
    "Sets whether the client is notified when to move to another worker. The only parameter is moving-endpoint-type.",
    "noscript loading stale",
    since="0.1.0",
)
def client_maint_notifications(session: Session, arguments: list[bytes]) -> Reply:
    _, _, switch, *parameters = arguments
    if switch.upper() not in (b"ON", b"OFF") or len(parameters) % 2:
        return errors.SYNTAX
    if switch.upper() == b"OFF":
        session.moving_endpoint_type = None
        return encoder.OK
    if session.version != encoder.RESP3:
        return _NEEDS_RESP3
    given = {name.lower(): value.lower() for name, value in zip(parameters[::2], parameters[1::2], strict=True)}
    endpoint_type = given.get(b"moving-endpoint-type", b"")
    if endpoint_type and endpoint_type not in ENDPOINT_TYPES:
        return errors.SYNTAX
    session.moving_endpoint_type = endpoint_type
    return encoder.OK
