"""The usernames and passwords that AUTH and HELLO are checked against. Never reads a file.

Only digests are kept and compared, so that the duration of a comparison reveals neither a password nor its length.
"""

import hashlib
import hmac
from collections.abc import Iterable

DEFAULT_USER = "default"


class Credentials:
    """Accepted passwords. Each is valid for the user `default` and for `username`, if that is set."""

    __slots__ = ("_digests", "_lasting", "_users")

    def __init__(self, password: str = "", username: str = "") -> None:
        self._users = [user for user in (DEFAULT_USER, username) if user]
        self._lasting = [_digest(password.encode("utf-8", "surrogateescape"))] if password else []
        self.use(())

    def use(self, passwords: Iterable[bytes]) -> None:
        """Replaces the passwords, except the one given at the start. Authenticated connections stay authenticated."""
        self._digests = self._lasting + [_digest(password) for password in passwords]

    @property
    def are_needed(self) -> bool:
        return bool(self._digests)

    def find_user(self, username: bytes, password: bytes) -> str | None:
        """Returns the authenticated user, or None. Without passwords, `default` may send any password, as in Redis."""
        user = next((user for user in self._users if user.encode() == username), None)
        given = _digest(password)
        matches = sum(
            hmac.compare_digest(given, digest) for digest in self._digests
        )  # compare with all, so that timing reveals nothing
        if not self.are_needed:
            return user if user == DEFAULT_USER else None
        return user if matches else None


def read_passwords(text: bytes) -> list[bytes]:
    r"""Returns the passwords of a file, one per line. Raises ValueError if there is none.

    >>> read_passwords(b"new secret\r\n\nold secret\n")
    [b'new secret', b'old secret']
    """
    passwords = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    passwords = [password for password in passwords if password]
    if not passwords:
        raise ValueError("contains no password")
    return passwords


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()
