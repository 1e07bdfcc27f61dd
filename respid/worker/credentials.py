"""Who may draw IDs: the user names and passwords that AUTH and HELLO are compared with. Never reads a file.

Only digests are kept and compared, so the time that a comparison takes tells nothing of a password, nor its length.
"""

import hashlib
import hmac
from collections.abc import Iterable

DEFAULT_USER = "default"


class Credentials:
    """Passwords, any of which is right, for the user `default` and for another one if it has a name."""

    __slots__ = ("_digests", "_lasting", "_users")

    def __init__(self, password: str = "", username: str = "") -> None:
        self._users = [user for user in (DEFAULT_USER, username) if user]
        self._lasting = [_digest(password.encode("utf-8", "surrogateescape"))] if password else []
        self.use(())

    def use(self, passwords: Iterable[bytes]) -> None:
        """Takes these from now on, beside the one that lasts; who has given another one before stays."""
        self._digests = self._lasting + [_digest(password) for password in passwords]

    @property
    def are_needed(self) -> bool:
        return bool(self._digests)

    def find_user(self, username: bytes, password: bytes) -> str | None:
        """The user who may come in, None when none may. Without passwords `default` may give any, as in Redis."""
        user = next((user for user in self._users if user.encode() == username), None)
        given = _digest(password)
        matches = sum(hmac.compare_digest(given, digest) for digest in self._digests)  # all, so that none is told
        if not self.are_needed:
            return user if user == DEFAULT_USER else None
        return user if matches else None


def read_passwords(text: bytes) -> list[bytes]:
    r"""The passwords of a file, one a line. Raises ValueError when there is none.

    >>> read_passwords(b"new secret\r\n\nold secret\n")
    [b'new secret', b'old secret']
    """
    passwords = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    passwords = [password for password in passwords if password]
    if not passwords:
        raise ValueError("it holds no password")
    return passwords


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()
