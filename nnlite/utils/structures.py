"""Nested lists and dicts of arrays, shapes or tensors, flattened and packed again.

A dict is flattened in the order of its sorted keys, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["SHAPES", "flatten", "map_structure", "pack_as"]

#: What holds others in a structure of shapes, where a tuple is a shape.
SHAPES = (list, dict)


def flatten(structure: Any, nested: tuple[type, ...] = (list, tuple, dict)) -> list[Any]:
    """Return the leaves of ``structure`` in order.

    >>> flatten({"b": [1, 2], "a": 0}), flatten(7)
    ([0, 1, 2], [7])
    >>> flatten([(None, 2), (None, 3)], SHAPES)
    [(None, 2), (None, 3)]
    """
    if not isinstance(structure, nested):
        return [structure]
    if isinstance(structure, dict):
        structure = [structure[key] for key in sorted(structure)]
    return [leaf for part in structure for leaf in flatten(part, nested)]


def map_structure(
    function: Callable[[Any], Any], structure: Any, nested: tuple[type, ...] = (list, tuple, dict)
) -> Any:
    """Return ``structure`` with ``function`` applied to each leaf; tuples become lists.

    >>> map_structure(abs, {"a": (-1, 2)})
    {'a': [1, 2]}
    """
    return pack_as(structure, map(function, flatten(structure, nested)), nested)


def pack_as(
    structure: Any, leaves: Iterable[Any], nested: tuple[type, ...] = (list, tuple, dict)
) -> Any:
    """Return ``structure`` with its leaves replaced by ``leaves``, in the order of `flatten`.

    >>> pack_as({"b": [0, 0], "a": 0}, "xyz")
    {'b': ['y', 'z'], 'a': 'x'}
    """
    return _packed(structure, iter(leaves), nested)


def _packed(structure: Any, leaves: Iterator[Any], nested: tuple[type, ...]) -> Any:
    if not isinstance(structure, nested):
        return next(leaves)
    parts: Any = structure
    if isinstance(parts, dict):
        packed = {key: _packed(parts[key], leaves, nested) for key in sorted(parts)}
        return {key: packed[key] for key in parts}
    return [_packed(part, leaves, nested) for part in parts]
