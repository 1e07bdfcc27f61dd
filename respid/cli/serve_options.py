"""The options of `respid serve`.

To add one, add a field with its default to Config (respid/worker/config.py), and here an option that names the field.
"""

import click

from respid.cli.options import (
    CONFIG_DEFAULTS,
    DIRECTORY,
    MAX_PORT,
    READABLE_FILE,
    Addresses,
    FileMode,
    Integer,
    NameAndPort,
    Names,
    Seconds,
    Setting,
    combine,
    config_setting,
    http_settings,
    layout_settings,
    setting,
)
from respid.cli.worker_id import WORKER_ID_VARIABLES


class WorkerIdSetting(Setting):
    """--worker-id. Its variables are only shown: `find_worker_id` reads them, and names the one that it used."""

    def resolve_envvar_value(self, _ctx: click.Context) -> None:
        return None


worker_id_settings = combine(
    setting(
        "--worker-id",
        "ID of this worker. If unset, the trailing number of POD_NAME or of the hostname (pod-3 -> 3).",
        variable=WORKER_ID_VARIABLES,
        metavar="N",
        cls=WorkerIdSetting,
        show_default="ordinal from POD_NAME or hostname",
    ),
    setting(
        "--worker-id-offset",
        "Added to the worker ID, to separate the workers of several releases, zones or clusters.",
        type=Integer(0),
        metavar="N",
        default=0,
        show_default=True,
    ),
)

listener_settings = combine(
    config_setting(
        "bind",
        "--bind",
        "Addresses of the listeners for Redis clients, separated by commas or spaces; `*` is all, of IPv4 and IPv6.",
        type=Addresses(),
        metavar="ADDRESS[,...]",
    ),
    config_setting(
        "port",
        "--port",
        "Port for Redis clients without TLS; 0 disables it.",
        type=Integer(0, MAX_PORT),
        metavar="PORT",
    ),
    config_setting(
        "reuse_port",
        "--reuse-port",
        "Share the ports for Redis clients with other workers on this host: the kernel spreads the connections. All of"
        " them need this option, the same user, and worker IDs of their own. Linux only.",
        is_flag=True,
        show_default=False,
    ),
    config_setting(
        "unix_socket",
        "--unix-socket",
        "Path of a Unix socket for Redis clients.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "unix_socket_mode",
        "--unix-socket-mode",
        "File mode of the Unix socket, in octal.",
        type=FileMode(),
        show_default=f"{CONFIG_DEFAULTS['unix_socket_mode']:o}",
    ),
    config_setting(
        "tls_port",
        "--tls-port",
        "Port for Redis clients with TLS (1.2 or newer); 0 disables it.",
        type=Integer(0, MAX_PORT),
        metavar="PORT",
    ),
    config_setting(
        "tls_cert_file",
        "--tls-cert-file",
        "Server certificate chain (PEM); reloaded on SIGHUP and on change.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "tls_key_file",
        "--tls-key-file",
        "Private key of the server certificate (PEM, not encrypted); reloaded with it.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "tls_ca_cert_file",
        "--tls-ca-cert-file",
        "CA certificates used to verify client certificates (PEM); reloaded with the server certificate.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "tls_crl_file",
        "--tls-crl-file",
        "Revocation lists (PEM) of all CAs that client certificates come from; reloaded with the server certificate.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "tls_auth_clients",
        "--tls-auth-clients",
        "Whether TLS clients must present a certificate.",
        type=click.Choice(["no", "optional", "yes"]),
    ),
    config_setting(
        "tls_client_names",
        "--tls-client-names",
        "Accept only client certificates with one of these names (CN or SAN, compared exactly), separated by commas.",
        type=Names(),
        metavar="NAME,...",
        show_default="all names",
    ),
)

id_settings = combine(
    layout_settings,
    config_setting(
        "sequence_reset",
        "--sequence-reset",
        "Milliseconds start at a random sequence below this, to spread `id % N` evenly for N up to it; at most 1024.",
        type=Integer(1),
        show_default="256, or a sixteenth of the sequence if that is less",
        metavar="N",
    ),
    config_setting(
        "store",
        "--store",
        "Where to store the high-water mark, which keeps IDs unique across restarts: in a file, in a Kubernetes Lease,"
        " or nowhere.",
        type=click.Choice(["file", "lease", "none"]),
    ),
    config_setting(
        "state_dir",
        "--state-dir",
        "Directory of the file store.",
        type=DIRECTORY,
        show_default="the user's state directory",
    ),
    config_setting(
        "state_dir_exclusive",
        "--state-dir-exclusive",
        "Refuse to start if the state directory has another worker's high-water mark. Set by the Helm chart.",
        is_flag=True,
        show_default=False,
    ),
    config_setting(
        "lease_id_space",
        "--lease-id-space",
        "Name of the ID space. Workers in one space never share a worker ID. Used in the Lease names.",
        metavar="NAME",
    ),
    config_setting(
        "reserve_seconds",
        "--reserve",
        "How many seconds ahead the store reserves, i.e. how long a worker survives an outage of the store.",
        type=Seconds(1),
        show_default="300 for the lease store, 10 for the file store",
    ),
    config_setting(
        "accept_layout_change",
        "--accept-layout-change",
        "Allow starting with a different layout or epoch than the stored one, if all new IDs will be greater. Stop all"
        " workers first.",
        is_flag=True,
        show_default=False,
    ),
    config_setting(
        "start_above",
        "--start-above",
        "Issue only IDs greater than this one, such as the greatest ID in a database.",
        type=Integer(0, (1 << 63) - 1),
        metavar="ID",
        show_default="none",
    ),
    config_setting(
        "max_clock_lead_seconds",
        "--max-clock-lead",
        "If the clock is set back, keep issuing IDs up to this many seconds ahead of it; beyond that, refuse.",
        type=Seconds(),
    ),
    config_setting(
        "clock_jump_confirm_seconds",
        "--clock-jump-confirm",
        "If the clock jumps forward by more than --max-clock-lead, wait this many seconds before trusting it.",
        type=Seconds(0),
    ),
)

client_settings = combine(
    config_setting(
        "password_file",
        "--password-file",
        "File with accepted passwords, one per line; reloaded on SIGHUP and on change.",
        type=READABLE_FILE,
        show_default="none",
    ),
    config_setting(
        "username",
        "--username",
        "Username that clients may use besides `default`, with the same passwords.",
        show_default="none",
        metavar="NAME",
    ),
    config_setting(
        "max_clients", "--max-clients", "Maximum number of connected clients.", type=Integer(1), metavar="N"
    ),
    config_setting(
        "max_request_bytes",
        "--max-request-bytes",
        "Maximum size of a request's arguments in bytes; at most 16384 before authentication.",
        type=Integer(64, 512 * 1024 * 1024),
        metavar="BYTES",
    ),
    config_setting(
        "max_arguments",
        "--max-arguments",
        "Maximum number of arguments in a request; at most 10 before authentication.",
        type=Integer(10, 1024 * 1024),
        metavar="N",
    ),
    config_setting(
        "max_inline_bytes",
        "--max-inline-bytes",
        "Maximum size of an inline command in bytes; at most 2048 before authentication.",
        type=Integer(64, 1024 * 1024),
        metavar="BYTES",
    ),
    config_setting(
        "max_queued_commands",
        "--max-queued-commands",
        "Maximum number of commands in a transaction; each KiB of arguments counts as one more.",
        type=Integer(1),
        metavar="N",
    ),
    config_setting(
        "max_client_memory_bytes",
        "--max-client-memory",
        "Memory in bytes that all clients together may hold in requests, transactions, unread replies and TLS states;"
        " above it, the largest clients are closed. 0 disables it.",
        type=Integer(0),
        show_default="a quarter of the container's or machine's memory",
        metavar="BYTES",
    ),
    config_setting(
        "auth_timeout_seconds",
        "--auth-timeout",
        "Close a connection that has not authenticated this many seconds after it was opened; 0 disables it.",
        type=Seconds(),
    ),
    config_setting(
        "idle_timeout_seconds",
        "--idle-timeout",
        "Close a connection after this many seconds without a command; 0 disables it.",
        type=Seconds(),
    ),
    config_setting(
        "max_connection_age_seconds",
        "--max-connection-age",
        "Move a connection at this age in seconds (plus or minus 10 %): ask the client to reconnect, or close it"
        " between two requests; 0 disables it.",
        type=Seconds(),
    ),
    config_setting(
        "max_connection_age_clients",
        "--max-connection-age-clients",
        "Which clients --max-connection-age applies to: only drivers known to reconnect silently, or all.",
        type=click.Choice(["reconnecting", "all"]),
    ),
    config_setting(
        "peers",
        "--peers",
        "DNS name of all ready workers. When it gets a new address, clients that can be moved silently reconnect to"
        " any worker within a minute, or within a minute and a half if they did so less than half a minute before.",
        type=NameAndPort(),
        show_default="none",
        metavar="NAME:PORT",
    ),
    config_setting(
        "tcp_keepalive_seconds",
        "--tcp-keepalive",
        "TCP keepalive: idle seconds before the first probe; 0 disables it.",
        type=Integer(0, 32767),  # the maximum on Linux
        metavar="SECONDS",
    ),
)

process_settings = combine(
    config_setting(
        "drain_delay_seconds",
        "--drain-delay",
        "Seconds to keep serving after SIGTERM, while load balancers stop sending clients.",
        type=Seconds(),
    ),
    config_setting(
        "log_format",
        "--log-format",
        "Log format: text or JSON, one event per line.",
        type=click.Choice(["text", "json"]),
    ),
    config_setting(
        "log_level",
        "--log-level",
        "Minimum level to log.",
        type=click.Choice(["debug", "info", "warning", "error"]),
    ),
    setting(
        "--unknown-variables",
        "Whether an unknown RESPID_* environment variable prevents the start or is only logged.",
        type=click.Choice(["refuse", "warn"]),
        default="refuse",
        show_default=True,
    ),
)

serve_settings = combine(
    worker_id_settings, listener_settings, http_settings, id_settings, client_settings, process_settings
)
