"""A plugin of pytest that empties the caches of respid before each test: what they hold came from the original code."""

import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("respid."):
            _empty_caches(vars(module))


def _empty_caches(members: dict[str, object]) -> None:
    for name, member in members.items():
        if name.endswith("_CACHE") and isinstance(member, dict):
            member.clear()
        elif callable(empty := getattr(member, "cache_clear", None)):
            empty()
