"""Reads the data sets that are stored beside this module."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["read_split"]


def read_split(name: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return the arrays of ``{name}.npz`` as ``(x_train, y_train), (x_test, y_test)``.

    >>> (x_train, y_train), (x_test, y_test) = read_split("digits")
    >>> x_train.shape, y_test.shape
    ((1437, 64), (360,))
    """
    from importlib.resources import files  # slow to import

    with (
        files("nnlite.datasets").joinpath(f"{name}.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
