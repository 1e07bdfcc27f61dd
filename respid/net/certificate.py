"""Reads when a certificate ends. The ssl module has no public function for that. Never touches a file."""

import ssl
from datetime import UTC, datetime

_UTC_TIME, _VERSION = 0x17, 0xA0
_LONG_LENGTH = 0x80


def end_seconds(pem: str) -> float:
    """Returns the Unix time at which the first certificate ends. Raises ValueError."""
    begin = pem.find(ssl.PEM_HEADER)
    end = pem.find(ssl.PEM_FOOTER, begin)
    if begin < 0 or end < 0:
        raise ValueError("no PEM certificate found")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(ssl.PEM_FOOTER)])).timestamp()
    except IndexError:
        raise ValueError("the certificate is cut off") from None


def _not_after(der: bytes) -> datetime:
    """Certificate, its signed part: [version], serial, algorithm, issuer, validity (begin, end), … (RFC 5280)."""
    _, certificate, _ = _read(der)
    _, signed, _ = _read(certificate)
    tag, _, rest = _read(signed)
    for _ in range(3 if tag == _VERSION else 2):
        _, _, rest = _read(rest)
    _, validity, _ = _read(rest)
    _, _, rest = _read(validity)
    tag, value, _ = _read(rest)
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # its years have two digits: RFC 5280 puts them between 1950 and 2049
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _read(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    length, start = der[1], 2
    if length >= _LONG_LENGTH:
        start += length - _LONG_LENGTH
        length = int.from_bytes(der[2:start])
    return der[0], der[start : start + length], der[start + length :]
