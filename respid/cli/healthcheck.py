"""`respid healthcheck`: asks the server on this machine whether it is ready."""

import contextlib

import click

from respid.cli.options import Seconds, http_settings
from respid.net.address import host_ports, local_addresses


@click.command("healthcheck", short_help="Exit 0 if the server on this machine is ready.")
@http_settings
@click.option("--timeout", type=Seconds(min_open=True), default=2, show_default=True, help="Seconds to wait.")
def healthcheck(http_bind: tuple[str, ...], http_port: int, timeout: float) -> None:
    """Exit 0 if the server on this machine is ready to issue IDs, otherwise print the reason and exit 1."""
    from http.client import OK, HTTPException  # noqa: PLC0415 - only this command needs it

    try:
        status, body = _ask_any(local_addresses(http_bind), http_port, timeout)
    except ConnectionRefusedError as error:  # the health check of the image does not see the options of the server
        raise click.ClickException(
            f"no answer from {host_ports(http_bind, http_port)}: {error.strerror}; if the server has another"
            " --http-port, set RESPID_HTTP_PORT"
        ) from None
    except (OSError, UnicodeError) as error:  # first: an answer that breaks off is an OSError and an HTTPException
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise click.ClickException(f"no answer from {host_ports(http_bind, http_port)}: {reason}") from None
    except HTTPException:
        raise click.ClickException(
            f"no HTTP at {host_ports(http_bind, http_port)}: set --http-port to the server's HTTP port"
        ) from None
    if status != OK:
        raise click.ClickException(f"not ready: {body}")
    click.echo("ready")


def _ask_any(hosts: list[str], port: int, timeout: float) -> tuple[int, str]:
    """Asks the first of the hosts that can be reached: a machine may lack IPv4 or IPv6. Raises as `_ask`."""
    errors: list[OSError] = []
    for host in hosts:
        try:
            return _ask(host, port, timeout)
        except TimeoutError:
            raise
        except OSError as error:
            errors.append(error)
    raise errors[0]


def _ask(host: str, port: int, timeout: float) -> tuple[int, str]:
    """Returns the status and the body of /readyz. Raises OSError, HTTPException, UnicodeError."""
    from http.client import HTTPConnection  # noqa: PLC0415 - as above

    with contextlib.closing(HTTPConnection(host, port, timeout=timeout)) as connection:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace").strip()
