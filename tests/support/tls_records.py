"""Records of TLS 1.3 that no library would send, sealed with a real client's keys."""

from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CIPHER = "TLS_AES_256_GCM_SHA384"
HANDSHAKE, DATA = 22, 23
NEW_KEYS = b"\x18\x00\x00\x01\x01"  # a KeyUpdate that asks for one in return
_SECRET_BYTES = 48


class Records:
    """The records after a handshake. The file is the key log of the client, which must send nothing by itself."""

    def __init__(self, key_log: Path) -> None:
        words = [line.split() for line in key_log.read_text().splitlines()]
        self._secret = bytes.fromhex(next(each[2] for each in words if each[0] == "CLIENT_TRAFFIC_SECRET_0"))
        self._use_keys()

    def seal(self, content: bytes, kind: int = DATA) -> bytes:
        number = self._number.to_bytes(len(self._mask))
        self._number += 1
        header = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2)
        nonce = bytes(one ^ other for one, other in zip(self._mask, number, strict=True))
        return header + self._cipher.encrypt(nonce, content + bytes([kind]), header)

    def renew_keys(self) -> bytes:
        record = self.seal(NEW_KEYS, HANDSHAKE)
        self._secret = self._expand(b"traffic upd", _SECRET_BYTES)
        self._use_keys()
        return record

    def _use_keys(self) -> None:
        self._cipher, self._mask, self._number = AESGCM(self._expand(b"key", 32)), self._expand(b"iv", 12), 0

    def _expand(self, label: bytes, size: int) -> bytes:
        info = size.to_bytes(2) + bytes([6 + len(label)]) + b"tls13 " + label + b"\x00"
        return HKDFExpand(hashes.SHA384(), size, info).derive(self._secret)
