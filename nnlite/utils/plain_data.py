"""Nested numbers, strings, lists, dicts, arrays and generators as JSON with arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.utils.typing import Array


class NotPlainError(TypeError):
    """A value that is not plain data, such as a function or an open file."""


def encoded(value: Any, arrays: list[Array]) -> Any:
    """Return ``value`` in JSON types, and append its arrays to ``arrays``.

    >>> arrays = []
    >>> encoded({"best": (1, np.float32(0.5))}, arrays), arrays
    ({'dict': [['best', {'tuple': [1, {'scalar': 0}]}]]}, [array(0.5, dtype=float32)])
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [encoded(part, arrays) for part in value]
    if type(value) is tuple:
        return {"tuple": [encoded(part, arrays) for part in value]}
    if type(value) is dict:
        return {"dict": [[encoded(k, arrays), encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, np.random.Generator):
        return {"generator": encoded(value.bit_generator.state, arrays)}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiubU":
        arrays.append(np.array(value))
        return {"scalar" if isinstance(value, np.generic) else "array": len(arrays) - 1}
    raise NotPlainError(f"{value!r} is not plain data")


def decoded(value: Any, arrays: list[Array]) -> Any:
    """Return the value that `encoded` was given, with new generators.

    >>> decoded({"tuple": [1, {"array": 0}]}, [np.ones(2)])
    (1, array([1., 1.]))
    """
    if isinstance(value, list):
        return [decoded(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tuple":
        return tuple(decoded(part, arrays) for part in inner)
    if kind == "dict":
        return {decoded(k, arrays): decoded(v, arrays) for k, v in inner}
    if kind == "generator":
        state = decoded(inner, arrays)
        kinds = {cls.__name__: cls for cls in (np.random.SFC64, np.random.PCG64, np.random.MT19937)}
        generator = np.random.Generator(kinds[state["bit_generator"]]())
        generator.bit_generator.state = state
        return generator
    return arrays[inner][()] if kind == "scalar" else arrays[inner].copy()
