"""The map of the benchmarks, in the docstring of the package."""

import pkgutil
import re

import benchmarks


def test_map_names_all_modules() -> None:
    assert benchmarks.__doc__
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^- .*(?:\n  .*)*", benchmarks.__doc__, re.MULTILINE)))
    assert sorted(listed) == sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
