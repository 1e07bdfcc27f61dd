"""`respid healthcheck`: asks the server on this machine whether it is ready."""

import contextlib

import click

from respid.cli.options import Seconds, http_settings

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - and the address that reaches its listener from here


@click.command("healthcheck")
@http_settings
@click.option("--timeout", type=Seconds(min_open=True), default=2, show_default=True, help="Seconds to wait.")
def healthcheck(http_bind: str, http_port: int, timeout: float) -> None:
    """Exit 0 if the server on this machine is ready to issue IDs, otherwise print the reason and exit 1."""
    import http.client  # noqa: PLC0415 - only this command needs it

    host = ANY_ADDRESS.get(http_bind, http_bind)
    try:
        with contextlib.closing(http.client.HTTPConnection(host, http_port, timeout=timeout)) as connection:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body = response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise click.ClickException(f"no answer from {http_bind}:{http_port}: {reason}") from None
    if response.status != http.client.OK:
        raise click.ClickException(f"not ready: {body}")
    click.echo("ready")
