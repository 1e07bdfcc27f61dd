"""A plugin of pytest for modules that are `fresh`: it lets mutmut run all tests that depend on a call made early.

mutmut runs those tests for a mutant that called its function. A function that runs at import, or whose results are
cached, is called in the first test that needs it. Later tests depend on it as much.
"""

from collections.abc import Iterator
from importlib import import_module

import pytest

_called: set[str] = set()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    calls: set[str] = import_module("mutmut.state").state()._stats  # mutmut is not installed everywhere
    _called.update(calls)
    calls.update(_called)
    return (yield)
