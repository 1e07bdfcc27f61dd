"""Environment variables that look like settings: unknown ones, and those that Kubernetes sets for a Service."""

import re
from collections.abc import Collection, Mapping

PREFIX = "RESPID_"
OTHER_PREFIXES = ("RESPID_TEST_", "RESPID_CI_")  # of respid's own tests

# For a Service named respid-http, Kubernetes sets RESPID_HTTP_PORT=tcp://10.96.0.7:80 and several others in every pod
# of the namespace: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")
_LINK_NAME = re.compile(
    r".+_SERVICE_(HOST|PORT|PORT_[A-Z0-9_]+)"
    r"|.+_PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?"
)


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable for a Service.

    >>> is_service_link("RESPID_PORT", "tcp://10.96.0.7:6379"), is_service_link("RESPID_PORT", "6379")
    (True, False)
    """
    if name.endswith("_PORT") and _LINK_ADDRESS.fullmatch(value):
        return True
    return _LINK_NAME.fullmatch(name) is not None


def find_ignored_settings(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """The known variables that count as unset because they hold a service link."""
    return [name for name in sorted(known) if is_service_link(name, environment.get(name, ""))]


def find_unknown(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """The names of RESPID_* variables that are not settings, and of settings in the wrong case, such as respid_port.

    An empty value counts as unset.
    """
    return [
        name
        for name, value in sorted(environment.items())
        if value
        and name not in known
        and (name.startswith(PREFIX) or _is_in_wrong_case(name, known))
        and not name.startswith(OTHER_PREFIXES)
        and not is_service_link(name, value)
    ]


def _is_in_wrong_case(name: str, known: Collection[str]) -> bool:
    return name.upper().startswith(PREFIX) and name.upper() in known


def describe_unknown(name: str, known: Collection[str]) -> str:
    """The name with the known one that is most similar. Never the value: it may be a misnamed password.

    >>> describe_unknown("RESPID_EPCH", ["RESPID_EPOCH", "RESPID_PORT"])
    'RESPID_EPCH (did you mean RESPID_EPOCH?)'
    """
    import difflib  # noqa: PLC0415 - only for a mistake

    names = [each.removeprefix(PREFIX) for each in known if each.startswith(PREFIX)]
    similar = difflib.get_close_matches(name.upper().removeprefix(PREFIX), names, n=1)
    return f"{name} (did you mean {PREFIX}{similar[0]}?)" if similar else name
