"""How a command connects to workers: addresses, TLS and the password. Never opens a connection."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from respid.cli.options import MAX_PORT, READABLE_FILE, combine, setting
from respid.worker.credentials import read_passwords

if TYPE_CHECKING:
    import ssl


def parse_address(text: str) -> tuple[str, int]:
    """Returns the host and the port of HOST:PORT. An IPv6 address is in brackets. Raises click.BadParameter."""
    match = re.fullmatch(r"(?:\[([^\s\[\]]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= MAX_PORT:
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT, such as localhost:6379.")
    return match[1] or match[2], int(match[3])


connection_options = combine(
    click.option("--tls", is_flag=True, help="Connect with TLS."),
    click.option(
        "--tls-ca-cert-file",
        type=READABLE_FILE,
        show_default="the system's CA certificates",
        help="CA certificates used to verify the workers' certificates (PEM).",
    ),
    click.option(
        "--tls-cert-file",
        type=READABLE_FILE,
        show_default="none",
        help="Client certificate chain (PEM). May include the private key.",
    ),
    click.option(
        "--tls-key-file",
        type=READABLE_FILE,
        show_default="the certificate's file",
        help="Private key of the client certificate (PEM, not encrypted).",
    ),
    setting(
        "--password-file",
        "File with the workers' password in its first line.",
        type=READABLE_FILE,
        show_default="none",
    ),
)


def find_password(path: Path | None) -> str:
    """Returns the first password of the file, or else the variable's. Raises click.UsageError."""
    if path is None:
        return os.environ.get("RESPID_PASSWORD", "")
    try:
        return os.fsdecode(read_passwords(path.read_bytes())[0])
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def make_tls_context(
    *, tls: bool, tls_ca_cert_file: Path | None, tls_cert_file: Path | None, tls_key_file: Path | None
) -> "ssl.SSLContext | None":
    """Takes the values of the options; returns None without --tls. Raises click.UsageError."""
    options = {
        "--tls-ca-cert-file": tls_ca_cert_file,
        "--tls-cert-file": tls_cert_file,
        "--tls-key-file": tls_key_file,
    }
    files = {option: path for option, path in options.items() if path}
    if not tls:
        for option in files:
            raise click.UsageError(f"{option} needs --tls: without it, nothing is encrypted")
        return None
    import ssl  # noqa: PLC0415 - only a connection with TLS needs these

    from respid.check.client_connection import describe_error  # noqa: PLC0415

    if tls_key_file and not tls_cert_file:
        raise click.UsageError("--tls-key-file needs --tls-cert-file")
    try:
        context = ssl.create_default_context(cafile=tls_ca_cert_file)
        if tls_cert_file:
            context.load_cert_chain(tls_cert_file, tls_key_file, _refuse_encrypted_key)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{' and '.join(map(str, files.values()))}: {describe_error(error)}") from None
    return context


def _refuse_encrypted_key() -> str:
    """Without it, the library would ask for the passphrase at the terminal."""
    raise ValueError("the key is encrypted: decrypt it, and protect it with the permissions of its file")
