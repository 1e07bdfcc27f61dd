"""The rules for the names of connections and drivers."""

import re

from respid.resp import errors

_PRINTABLE = re.compile(rb"[!-~]*")
MAX_NAME_BYTES = 512  # bounds the reply to CLIENT LIST, which has the names of up to ten thousand clients


def refuse_name(what: bytes, name: bytes) -> bytes | None:
    """The error reply to a name that is not allowed; None if it is."""
    if len(name) > MAX_NAME_BYTES:
        return errors.error(b"ERR %s cannot be longer than %d bytes" % (what, MAX_NAME_BYTES))
    if not _PRINTABLE.fullmatch(name):
        return errors.error(b"ERR %s cannot contain spaces, newlines or special characters." % what)
    return None
