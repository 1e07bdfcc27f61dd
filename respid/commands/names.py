"""The names that clients give to themselves and to their drivers, as CLIENT LIST shows them."""

import re

from respid.resp import errors

_PRINTABLE = re.compile(rb"[!-~]*")
MAX_NAME_BYTES = 512  # ten thousand clients' names are in one CLIENT LIST


def refuse_name(what: bytes, name: bytes) -> bytes | None:
    if len(name) > MAX_NAME_BYTES:
        return errors.error(b"ERR %s cannot be longer than %d bytes" % (what, MAX_NAME_BYTES))
    if not _PRINTABLE.fullmatch(name):
        return errors.error(b"ERR %s cannot contain spaces, newlines or special characters." % what)
    return None
