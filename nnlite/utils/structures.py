"""Nested lists and dicts of arrays, shapes or tensors, flattened and packed again.

A dict is flattened in the order of its sorted keys, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

#: The containers in a structure of shapes, where a tuple is a leaf.
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


def arranged(
    what: str, given: Any, structure: Any, of: str, optional: Collection[str] = ()
) -> list[Any]:
    """Return the parts of ``given`` for the leaves of ``structure``, in the order of `flatten`.

    Lists are matched by position, dicts and data frames by name.

    Args:
        what: The name of ``given``, for errors.
        given: A list, dict or data frame for several inputs or outputs.
        structure: A list of names or a dict by name, possibly nested.
        of: The kind of the names, such as ``"output"``.
        optional: Names that may be missing, which give None.

    >>> arranged("x", {"b": 1, "a": 0}, ["a", "b"], "input")
    [0, 1]
    >>> arranged("x", {"b": 1}, ["a", "b"], "input")
    Traceback (most recent call last):
      ...
    ValueError: x must have one part for each input: 'a', 'b'. Received: 'b', which lacks 'a'
    """
    if not isinstance(structure, (list, tuple, dict)):
        return [given]
    by_key = isinstance(structure, dict)
    parts: list[Any] = [structure[k] for k in sorted(structure)] if by_key else list(structure)
    names = sorted(structure) if by_key else [p if isinstance(p, str) else None for p in parts]
    listed = ", ".join("[...]" if name is None else repr(name) for name in names)
    expected = f"{what} must have one part for each {of}: {listed}"
    required = [name for name in names if name not in optional]
    frame = hasattr(given, "columns") and len(np.shape(given)) == 2
    if frame or isinstance(given, Mapping):
        keys = list(given.columns if frame else given)
        lacks = [name for name in required if name not in keys]
        more = [key for key in keys if key not in names]
        if lacks or more:
            why = f"lacks {lacks[0]!r}" if lacks else f"has {more[0]!r} more"
            raise ValueError(f"{expected}. Received: {', '.join(map(repr, keys))}, which {why}")
        values = [given[name] if name in keys else None for name in names]
    elif not isinstance(given, (list, tuple)) or len(given) not in (len(names), len(required)):
        several = isinstance(given, (list, tuple))
        shown = f"{len(given)} parts" if several else f"one {type(given).__name__}"
        raise ValueError(f"{expected}, as a list or a dict. Received: {shown}")
    elif len(given) == len(names):
        values = list(given)
    else:
        rest = iter(given)
        values = [None if name in optional else next(rest) for name in names]
    return [
        leaf
        for name, part, value in zip(names, parts, values, strict=True)
        for leaf in (
            [None] * len(flatten(part))
            if value is None and name in optional
            else arranged(f"{what}[{name!r}]", value, part, of)
        )
    ]
