"""Modules that are imported on first use, so that ``import nnlite`` is fast.

A package imports its names for type checkers, and tells here where they are at run time:

    if TYPE_CHECKING:
        from nnlite.layers.recurrent import *
    else:
        __getattr__, __dir__ = on_first_use(__name__, {"nnlite.layers.recurrent": "GRU LSTM"})
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["load", "on_first_use"]


def on_first_use(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package (PEP 562).

    A name is looked up once: it becomes an attribute of the package.

    Args:
        package: The package, which has an ``__all__``.
        modules: The names that the package has from each module, with spaces between. A module of
            the package itself is also an attribute.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}
    this = sys.modules[package]

    def get(name: str) -> Any:
        home = homes.get(name, f"{package}.{name}")
        if home not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(home)
        value = getattr(module, name) if name in homes else module
        setattr(this, name, value)
        return value

    return get, lambda: sorted({*vars(this), *this.__all__})


def load(package: str | None) -> None:
    """Import all that a package imports on first use; None is no package."""
    if package is not None:
        this = sys.modules[package]
        for name in this.__all__:
            getattr(this, name)
