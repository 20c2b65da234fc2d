"""What follows from how models are put together, computed once until any of them changes.

Which weights learn, which layers a model runs, what shape comes out: a training step of a small
network asks for these as often as it multiplies matrices, and they change only when a layer is
added, built, taken off or frozen. All of that moves one counter; `per_structure` compares it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["invalidate", "per_structure", "structure_version", "without_memo"]

R = TypeVar("R")

_MEMO = "_per_structure"
_version = 0


def structure_version() -> int:
    """Return a number that is another one after every `invalidate`."""
    return _version


def invalidate() -> None:
    """Say that some layer or model has changed: everything derived must be computed anew."""
    global _version
    _version += 1


def per_structure(method: Callable[[Any], R]) -> Callable[[Any], R]:
    """Make a method of no arguments keep its result until `invalidate` is called.

    The result is shared by all callers: they do not change it.

    >>> class Model:
    ...     @per_structure
    ...     def layers(self):
    ...         print("counting")
    ...         return 3
    >>> model = Model()
    >>> model.layers(), model.layers()
    counting
    (3, 3)
    """
    name = method.__name__

    @functools.wraps(method)
    def remembered(self: Any) -> R:
        memo = self.__dict__.get(_MEMO)
        if memo is None or memo[0] != _version:
            memo = self.__dict__[_MEMO] = (_version, {})
        results = memo[1]
        if name not in results:
            results[name] = method(self)
        return results[name]

    return remembered


def without_memo(state: dict[str, Any]) -> dict[str, Any]:
    """Return an object's ``__dict__`` without what `per_structure` keeps there."""
    return {key: value for key, value in state.items() if key != _MEMO}
