"""Revocation lists (CRLs): checks that a file holds them, and reads until when they are valid. Never touches a file.

OpenSSL verifies their signatures, and checks client certificates against them.
"""

import binascii
import re

from respid.net.der import GENERALIZED_TIME, UTC_TIME, parse_time, read_element

_INTEGER = 0x02
# All that OpenSSL takes for a certificate; `ssl.PEM_HEADER` is one of them.
_PEM_CERTIFICATE = re.compile("-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
_PEM_LIST = re.compile("-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)


def lists_end_seconds(pem: str) -> float | None:
    """Returns the Unix time at which the first of the lists expires; None if none of them states it.

    Raises ValueError for a file that has no revocation list, or CAs as well: OpenSSL would trust those.
    """
    found = _PEM_LIST.findall(pem)
    if not found:
        raise ValueError("no PEM revocation list found")
    if _PEM_CERTIFICATE.search(pem):
        raise ValueError("contains a certificate: keep CA certificates in --tls-ca-cert-file")
    try:
        ends = [_next_update(binascii.a2b_base64(each)) for each in found]
    except (IndexError, ValueError):
        raise ValueError("a revocation list is damaged") from None
    return min((end for end in ends if end is not None), default=None)


def _next_update(der: bytes) -> float | None:
    """List, its signed part: version, algorithm, issuer, this update, next update, … (RFC 5280)."""
    _, revocations, _ = read_element(der)
    _, signed, _ = read_element(revocations)
    tag, _, rest = read_element(signed)
    for _ in range(3 if tag == _INTEGER else 2):
        _, _, rest = read_element(rest)
    if not rest:
        return None
    tag, value, _ = read_element(rest)
    return parse_time(tag, value) if tag in (UTC_TIME, GENERALIZED_TIME) else None
