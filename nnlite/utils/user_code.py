"""Calls of user code: arguments are read-only views, and results are checked.

Floats are cast to the type of the model; other results raise an error that names the method.
Classes of nnlite are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.utils.typing import Array
from nnlite.utils.validation import as_returned


def read_only(array: Array) -> Array:
    """Return a read-only view of ``array``."""
    view = array.view()
    view.flags.writeable = False
    return view


@contextmanager
def lent(what: str) -> Iterator[None]:
    """Context in which a user method works on arrays from `read_only`."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"{what} writes into an argument, which is read-only. Create a new array: "
            "y = x * 2 instead of x *= 2."
        ) from error


def floats(what: str, value: Any, shape: tuple[int, ...] | None, dtype: Any) -> Array:
    """Return the result of a user method as an array of type ``dtype``.

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
            "Convert it, for instance with .astype('float32')."
        )
    return as_returned(what, array, array.shape if shape is None else shape, dtype)
