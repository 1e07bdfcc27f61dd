"""`respid healthcheck`: asks the server on this machine whether it is ready."""

import contextlib

import click

from respid.cli.options import Seconds, setting


@click.command("healthcheck")
@setting("--http-bind", "Address of the HTTP listener.", default="127.0.0.1", show_default=True)
@setting("--http-port", "Port of the HTTP listener.", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--timeout", type=Seconds(min_open=True), default=2, show_default=True, help="Seconds to wait.")
def healthcheck(http_bind: str, http_port: int, timeout: float) -> None:
    """Exit 0 if the server on this machine can issue an ID now, else 1 with the reason."""
    import http.client  # noqa: PLC0415 - only this command needs it

    any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a listener is reached from here
    host = any_address.get(http_bind, http_bind)
    try:
        with contextlib.closing(http.client.HTTPConnection(host, http_port, timeout=timeout)) as connection:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body = response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise click.ClickException(
            f"no answer from {http_bind}:{http_port}: {str(error) or type(error).__name__}"
        ) from None
    if response.status != http.client.OK:
        raise click.ClickException(f"not ready: {body}")
    click.echo("ready")
