"""Cache of properties that depend on the structure of models.

A training step often needs the trainable weights, the layers and the shapes, which change only when
a layer is added, built, removed or frozen. Such changes increment a counter, and `per_structure`
recomputes its results when the counter has changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")

_MEMO = "_per_structure"
_version = 0


def structure_version() -> int:
    """Return a number that changes with every `invalidate`."""
    return _version


def invalidate() -> None:
    """Discard all cached results after a change of a layer or model."""
    global _version
    _version += 1


def per_structure(method: Callable[[Any], R]) -> Callable[[Any], R]:
    """Cache the result of a method without arguments until `invalidate` is called.

    Callers share the result and must not modify it.

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
        try:
            version, known = self.__dict__[_MEMO]
            if version == _version:
                return known[name]
        except KeyError:
            pass
        memo = self.__dict__.get(_MEMO)
        if memo is None or memo[0] != _version:
            memo = self.__dict__[_MEMO] = (_version, {})
        result = memo[1][name] = method(self)
        return result

    return remembered


def without_memo(state: dict[str, Any]) -> dict[str, Any]:
    """Return the ``__dict__`` of an object without the cache of `per_structure`."""
    return {key: value for key, value in state.items() if key != _MEMO}
