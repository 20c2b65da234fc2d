"""Global settings: the default float type and epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.utils.validation import check_number

__all__ = ["backend", "epsilon", "floatx", "set_epsilon", "set_floatx"]

_FLOAT_TYPES = ("float32", "float64")

_floatx = "float32"
_epsilon = 1e-7


def backend() -> str:
    """Return the name of the backend, ``"numpy"``.

    >>> backend()
    'numpy'
    """
    return "numpy"


def floatx() -> str:
    """Return the default float type of new layers, ``"float32"`` unless it was changed.

    >>> floatx()
    'float32'
    """
    return _floatx


def set_floatx(dtype: str) -> None:
    """Set the default float type of new layers.

    Args:
        dtype: ``"float32"`` or ``"float64"``.

    Raises:
        ValueError: If ``dtype`` is any other type.

    >>> set_floatx("float64")
    >>> floatx()
    'float64'
    >>> set_floatx("float32")
    """
    global _floatx
    _floatx = float_type(dtype).name


def epsilon() -> float:
    """Return the small number that keeps probabilities away from 0 and 1, and divisors from 0.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the small number that `epsilon` returns, 1e-7 unless it was changed.

    Args:
        value: A number between 0 and 0.5. Below about 6e-8 it has no effect on float32
            probabilities near 1.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If ``value`` is out of range.

    >>> set_epsilon(1e-5)
    >>> epsilon()
    1e-05
    >>> set_epsilon(1e-7)
    """
    global _epsilon
    number = check_number("epsilon", value)
    if not 0 < number < 0.5:
        raise ValueError(f"epsilon must lie between 0 and 0.5. Received: {value!r}")
    _epsilon = number


def float_type(dtype: Any) -> np.dtype[Any]:
    """Return ``dtype`` (None: the default) as a NumPy type, if it is float32 or float64.

    Keras's policies, such as ``{"class_name": "DTypePolicy", "config": {"name": "float32"}}``, are
    accepted too.
    """
    if isinstance(dtype, Mapping) and isinstance(dtype.get("config"), Mapping):
        dtype = dtype["config"].get("name", dtype)
    try:
        result = np.dtype(_floatx if dtype is None else dtype)
    except TypeError:
        result = None
    if result is None or result.name not in _FLOAT_TYPES:
        raise ValueError(
            f"dtype must be 'float32' or 'float64'. Received: dtype={dtype!r}"
        ) from None
    return result


def data_type(name: str) -> np.dtype[Any]:
    """Return the NumPy type of a model's data. Text is kept as objects, all of them `str`.

    A type such as ``<U5`` would cut longer words off where one array takes the batches in turn,
    and NumPy before 2.0 has no type of text of any length.

    >>> data_type("int32"), data_type("string")
    (dtype('int32'), dtype('O'))
    """
    return np.dtype(object if name == "string" else name)
