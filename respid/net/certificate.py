"""Reads when a certificate expires, which the ssl module does not report, and its names. Never touches a file."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from respid.net.der import parse_time, read_element

_VERSION = 0xA0
_ALTERNATIVE_NAMES = ("DNS", "URI", "email", "IP Address")


def end_seconds(pem: str) -> float:
    """Returns the Unix time at which the first certificate expires. Raises ValueError."""
    begin = pem.find(ssl.PEM_HEADER)
    end = pem.find(ssl.PEM_FOOTER, begin)
    if begin < 0 or end < 0:
        raise ValueError("no PEM certificate found")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(ssl.PEM_FOOTER)]))
    except IndexError:
        raise ValueError("the certificate is cut off") from None


def _not_after(der: bytes) -> float:
    """Certificate, its signed part: [version], serial, algorithm, issuer, validity (begin, end), … (RFC 5280)."""
    _, certificate, _ = read_element(der)
    _, signed, _ = read_element(certificate)
    tag, _, rest = read_element(signed)
    for _ in range(3 if tag == _VERSION else 2):
        _, _, rest = read_element(rest)
    _, validity, _ = read_element(rest)
    _, _, rest = read_element(validity)
    tag, value, _ = read_element(rest)
    return parse_time(tag, value)


def names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The common names and the alternative names of a verified certificate, in the form of `getpeercert`."""
    for part in certificate.get("subject", ()):
        yield from (value for kind, value in part if kind == "commonName")
    yield from (value for kind, value in certificate.get("subjectAltName", ()) if kind in _ALTERNATIVE_NAMES)
