"""Sample weights from class weights."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number

_ROUNDING = 1e-3  # tolerance of the sum of probabilities


def class_weights(weights: Any, y: Array) -> Array:
    """Return the weight of each sample, given its class index or target vector.

    As in Keras, a row of zeros counts as class 0, and a class without a weight has 1.

    Args:
        weights: A dict of weights by class index.
        y: Class indices, or rows that are one-hot or probabilities.

    >>> class_weights({1: 2.0}, np.array([0, 1, 1]))
    array([1., 2., 2.])
    """
    if not isinstance(weights, dict):
        raise TypeError(
            f"class_weight must be a dict such as {{0: 1, 1: 5}}. Received: {weights!r}"
        )
    if y.ndim > 2:
        raise ValueError(
            f"class_weight needs one class per sample. Received: y of shape {y.shape}. "
            "Use sample_weight."
        )
    one_hot = y.ndim == 2 and y.shape[1] != 1
    column = y if one_hot else y.reshape(len(y))
    if one_hot:
        total = y.sum(axis=1, dtype=float)
        single = (y >= 0).all(axis=1) & ((abs(total - 1) <= _ROUNDING) | (total == 0))
    else:
        single = column == np.rint(column)
    if not single.all():
        row = int(single.argmin())
        raise ValueError(
            "class_weight needs one class per sample: an index, a one-hot row or probabilities. "
            f"Received: y[{row}] = {column[row]}. Use sample_weight."
        )
    classes = y.argmax(axis=1) if one_hot else column
    result = np.ones(len(y))
    for label, weight in weights.items():
        if not (isinstance(label, numbers.Real) and float(label).is_integer()):
            raise ValueError(
                f"class_weight must have class indices as keys, such as 0. Received: {label!r}"
            )
        result[classes == label] = check_number(f"class_weight[{label!r}]", weight)
    return result
