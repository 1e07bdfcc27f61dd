"""The usernames and passwords that AUTH and HELLO are checked against. Never reads a file.

Only digests are kept and compared, so that the duration of a comparison reveals neither a password nor its length.
"""

import codecs
import hashlib
import hmac
from collections.abc import Iterable

DEFAULT_USER = "default"
SHORT_BYTES = 16  # passwords shorter than this can be guessed, so the server warns about them
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
    r"""Returns the passwords of a file, one per line; empty lines do not count.

    Raises ValueError if there is none, or for a line that is hardly meant as a password.

    >>> read_passwords(b"new secret\r\n\nold secret\n")
    [b'new secret', b'old secret']
    """
    lines = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    for number, line in enumerate(lines, 1):
        if line and (fault := _fault(line)):
            raise ValueError(f"line {number} {fault}")
    passwords = [line for line in lines if line]
    if not passwords:
        raise ValueError("contains no password")
    return passwords


def _fault(line: bytes) -> str | None:
    """Returns why a line is refused; None if it is a password."""
    if line.startswith(_MARKS):
        return "begins with a byte order mark: save the file as UTF-8 without one"
    if b"\0" in line:
        return "contains a NUL byte: save the file as UTF-8 text"
    if not line.strip():
        return "contains nothing but white space"
    if line.startswith(b"#"):
        return "begins with '#': comments are not supported, and a password must not begin with it"
    try:
        line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None


def count_short(passwords: Iterable[bytes]) -> int:
    """Returns how many of them are short enough to be guessed."""
    return sum(len(password) < SHORT_BYTES for password in passwords)


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()
