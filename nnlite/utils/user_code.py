"""What users write is handed views that cannot be written to, and what it returns is checked.

Floats are cast to the type of the model, and anything else is refused where it is returned, by
name, so that no later layer is blamed. Classes of the package itself do not come through here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.utils.validation import as_returned

__all__ = ["floats", "lent", "read_only"]

Array = NDArray[Any]


def read_only(array: Array) -> Array:
    """Return a view of ``array`` that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


@contextmanager
def lent(what: str) -> Iterator[None]:
    """Within it, a method of a user's works on arrays from `read_only`."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"{what} writes into an array that it is given, which belongs to others. Make a new "
            "one: y = x * 2 instead of x *= 2."
        ) from error


def floats(what: str, value: Any, shape: tuple[int, ...] | None, dtype: Any) -> Array:
    """Return what a user's method has returned as an array of the type ``dtype``.

    Args:
        what: The method and whose it is, such as ``"forward of layer 'gate'"``.
        value: What it returned.
        shape: The shape that it must have, or None for any.
        dtype: The float type of the model.

    >>> floats("derivative of loss 'mine'", np.zeros(2), (2,), "float32").dtype
    dtype('float32')
    >>> floats("derivative of loss 'mine'", None, (2,), "float32")
    Traceback (most recent call last):
      ...
    TypeError: derivative of loss 'mine' must return an array of floats. Received: None
    """
    if not isinstance(value, (np.ndarray, np.floating, float)) or np.ma.isMaskedArray(value):
        shown = "None" if value is None else f"an object of type {type(value).__name__}"
        raise TypeError(f"{what} must return an array of floats. Received: {shown}")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{what} must return an array of floats. Received: an array of type {array.dtype}. "
            "Convert it, for instance by .astype('float32')."
        )
    return as_returned(what, array, array.shape if shape is None else shape, dtype)
