"""The weight of a sample, given its class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import check_count, check_number

__all__ = ["class_weights"]

Array = NDArray[Any]


def class_weights(weights: Any, y: Array) -> Array:
    """Return the weight of each sample by its class: its index, or the place of its largest target.

    Raises:
        TypeError: If ``weights`` is no dict of numbers, by class index.
        ValueError: If a weight is negative, or the targets are not one class a sample.

    >>> class_weights({1: 2.0}, np.array([0, 1, 1]))
    array([1., 2., 2.])
    """
    if not isinstance(weights, dict):
        raise TypeError(
            f"class_weight must be a dict such as {{0: 1, 1: 5}}. Received: {weights!r}"
        )
    if y.ndim > 2:
        raise ValueError(
            f"class_weight needs one class a sample. Received: y of shape {y.shape}. "
            "Use sample_weight."
        )
    classes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else np.rint(y.reshape(len(y)))
    result = np.ones(len(y))
    for label, weight in weights.items():
        check_count("a key of class_weight", label, 0)
        result[classes == label] = check_number(f"class_weight[{label!r}]", weight)
    return result
