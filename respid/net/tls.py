"""TLS for Redis clients: certificate, key, and which client certificates are accepted. Never touches a socket."""

import contextlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from respid.net.certificate import end_seconds, names
from respid.net.revocation import lists_end_seconds
from respid.worker.config import Config

_VERIFY_MODES = {"no": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "yes": ssl.CERT_REQUIRED}


class Tls:
    """The context for new connections. Open connections keep theirs when the files are reloaded."""

    context: ssl.SSLContext
    end_seconds: float | None  # Unix time at which the certificate expires; None if its file has an unusual form
    crl_end_seconds: float | None = None  # Unix time at which the first revocation list expires; None if none does

    def __init__(self, config: Config) -> None:
        if config.tls_cert_file is None or config.tls_key_file is None:
            raise ValueError("TLS needs a certificate and its key")
        self._cert_file = config.tls_cert_file
        self._key_file = config.tls_key_file
        self._ca_cert_file = config.tls_ca_cert_file
        self._crl_file = config.tls_crl_file
        self._client_names = frozenset(config.tls_client_names)
        self._verify_mode = _VERIFY_MODES[config.tls_auth_clients]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that `use` reads."""
        return (self._cert_file, self._key_file, *filter(None, (self._ca_cert_file, self._crl_file)))

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client may use the server, by the names of its verified certificate."""
        return not self._client_names or not self._client_names.isdisjoint(names(certificate or {}))

    def use(self) -> str:
        """Loads the files for new connections; returns a description for the log. Raises OSError, ValueError."""
        context, end = self._make_context(), None
        crl_end = self._use_revocations(context, self._crl_file) if self._crl_file else None
        with contextlib.suppress(ValueError):  # OpenSSL accepts it, so it serves all the same
            end = end_seconds(self._cert_file.read_text(encoding="latin-1"))
        self.end_seconds = end
        self.crl_end_seconds = crl_end
        self.context = context
        return f"TLS certificate {self._cert_file}"

    def _make_context(self) -> ssl.SSLContext:
        """Makes a new context each time: an old one would keep trusting a CA that was removed from its file."""
        for path in self.paths:
            path.read_bytes()  # so that an error names the file, which the ssl module's does not
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # No resumption: a resumed session would outlive the files it was checked against, and few Redis clients use it.
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
                raise ValueError(f"{self._ca_cert_file}: no PEM certificate found") from None
        return context

    @staticmethod
    def _use_revocations(context: ssl.SSLContext, path: Path) -> float | None:
        """Makes each CA of a client's certificate need a valid list; returns when the first list expires."""
        try:
            end = lists_end_seconds(path.read_text(encoding="latin-1"))
            context.load_verify_locations(path)
        except ssl.SSLError:
            raise ValueError(f"{path}: a revocation list is damaged") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        return end

    def _explain(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key {self._key_file} does not match the certificate {self._cert_file}"
        if error.reason and error.reason != "PEM lib":
            return f"{self._cert_file} with {self._key_file}: {error.reason.replace('_', ' ').lower()}"
        return f"{self._cert_file} or {self._key_file}: no PEM certificate or key found"


def _refuse_encrypted_key() -> str:
    raise ValueError("the key is encrypted; decrypt it, and protect the file by its permissions")
