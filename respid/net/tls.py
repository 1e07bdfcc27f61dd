"""TLS of the RESP listener: its certificate, its key, and whose clients it trusts. Never touches a socket."""

import ssl
from pathlib import Path

from respid.worker.config import Config

_VERIFY_MODES = {"no": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "yes": ssl.CERT_REQUIRED}


class Tls:
    """The context of new connections. Those that are open keep theirs when the files are read again."""

    context: ssl.SSLContext

    def __init__(self, config: Config) -> None:
        if config.tls_cert_file is None or config.tls_key_file is None:
            raise ValueError("TLS needs a certificate and its key")
        self._cert_file = config.tls_cert_file
        self._key_file = config.tls_key_file
        self._ca_cert_file = config.tls_ca_cert_file
        self._verify_mode = _VERIFY_MODES[config.tls_auth_clients]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that it reads."""
        return (self._cert_file, self._key_file, *([self._ca_cert_file] if self._ca_cert_file else []))

    def use(self) -> str:
        """Reads the files and takes what they hold; returns what that is. Raises OSError, ValueError."""
        self.context = self._make_context()
        return f"TLS certificate {self._cert_file}"

    def _make_context(self) -> ssl.SSLContext:
        """A new one each time: one that had trusted a certificate authority would go on to do so."""
        for path in self.paths:
            path.read_bytes()  # an error of the library does not say of which file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Without resumption, which hardly any client of Redis uses, no session outlives what its files have said.
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        try:
            context.load_cert_chain(self._cert_file, self._key_file, _refuse_encrypted_key)
        except ssl.SSLError as error:
            raise ValueError(self._explain(error)) from None
        context.verify_mode = self._verify_mode
        if self._ca_cert_file:
            try:
                context.load_verify_locations(self._ca_cert_file)
            except ssl.SSLError:
                raise ValueError(f"{self._ca_cert_file}: there is no certificate in PEM form in it") from None
        return context

    def _explain(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key {self._key_file} is not that of the certificate {self._cert_file}"
        if error.reason and error.reason != "PEM lib":
            return f"{self._cert_file} with {self._key_file}: {error.reason.replace('_', ' ').lower()}"
        return f"{self._cert_file} or {self._key_file}: there is no certificate, or no key, in PEM form in it"


def _refuse_encrypted_key() -> str:
    raise ValueError("the key is encrypted: decrypt it, and let the permissions of its file protect it")
