"""Reads the elements of DER, the encoding of certificates and revocation lists. Never touches a file."""

from datetime import UTC, datetime

UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
_LONG_LENGTH = 0x80


def read_element(der: bytes) -> tuple[int, bytes, bytes]:
    """Returns tag and content of the first element, and what follows it. Raises IndexError if it is cut off."""
    length, start = der[1], 2
    if length >= _LONG_LENGTH:
        start += length - _LONG_LENGTH
        length = int.from_bytes(der[2:start])
    return der[0], der[start : start + length], der[start + length :]


def parse_time(tag: int, content: bytes) -> float:
    """Returns the Unix time of an element in seconds. Raises ValueError."""
    text = content.decode("ascii")
    if tag == UTC_TIME:  # its years have two digits: RFC 5280 puts them between 1950 and 2049
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
