"""Numerical ground that layers and losses share: where exp is safe, and how softmax is summed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis_first", "axis_last", "exp_limit", "shifted_exp"]

Array = NDArray[Any]


def exp_limit(dtype: Any) -> float:
    """Return the largest x for which both exp(x) and exp(-x) are normal numbers of ``dtype``.

    >>> exp_limit(np.dtype("float32"))
    87.0
    """
    return 87.0 if np.dtype(dtype) == np.float32 else 708.0


def axis_first(array: Array, axis: int) -> Array:
    """Return a contiguous copy of ``array`` with ``axis`` in front.

    NumPy reduces over a short last axis a row at a time; across a first one it runs along whole
    rows. The maximum of a (128, 10) array takes 8.0 us, the copy and its maximum 1.7 us.
    """
    moved = array.T if array.ndim == 2 and axis in (-1, 1) else np.moveaxis(array, axis, 0)
    return np.array(moved, order="C")


def axis_last(array: Array, axis: int) -> Array:
    """Return a view of ``array`` with its first axis back at ``axis``."""
    if array.ndim == 2 and axis in (-1, 1):
        return array.T
    return np.moveaxis(array, 0, axis)


def shifted_exp(z: Array) -> tuple[Array, Array, Array]:
    """Return z - max(z), exp of that, and the sum of that, along the first axis.

    Softmax is the second over the third, and its logarithm the first minus the third's: no exp
    exceeds 1, and none underflows.

    >>> _, e, total = shifted_exp(np.array([[1000.0], [1000.0]]))
    >>> (e / total).ravel()
    array([0.5, 0.5])
    """
    z = z - np.maximum.reduce(z, axis=0)
    e = np.maximum(z, -exp_limit(z.dtype))
    np.exp(e, out=e)
    return z, e, np.add.reduce(e, axis=0)
