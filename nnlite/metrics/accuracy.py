"""Accuracy metrics: fractions of correct predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.config import floatx
from nnlite.metrics.metric import as_pair, as_targets, registry
from nnlite.metrics.reduction import MeanMetricWrapper, named
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_count, check_number

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


# ---- functions ------------------------------------------------------------------------------


@named
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 where the two are equal, else 0."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return (y_true == y_pred).astype(floatx())


@named
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """Return 1 where prediction and target are on the same side of a threshold, else 0.

    Args:
        y_true: The targets, 0 or 1, of the shape of ``y_pred``.
        y_pred: The predictions, shape (m, ...).
        threshold: A prediction above it is a 1.

    >>> binary_accuracy([1, 0], [0.7, 0.6])
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return (y_true == (y_pred > threshold)).astype(floatx())


@named
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 for samples whose largest output and largest target coincide, else 0.

    Args:
        y_true: The targets, such as one-hot vectors, shape (m, ..., classes).
        y_pred: The predictions, shape (m, ..., classes).

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = as_pair(y_true, _scores(y_pred))
    return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(floatx())


@named
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """Return 1 for samples whose largest output is at the target's class index, else 0.

    Args:
        y_true: The class indices, shape (m, ...), or with a last axis of size 1.
        y_pred: The predictions, shape (m, ..., classes).

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    array([1., 0.], dtype=float32)
    """
    y_pred = _scores(y_pred)
    y_true = as_targets(y_true, y_pred.shape[:-1])
    return (y_true == y_pred.argmax(axis=-1)).astype(floatx())


@named
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """Return 1 for samples with fewer than k outputs above that of the largest target, else 0.

    Args:
        y_true: The targets, such as one-hot vectors, shape (m, ..., classes).
        y_pred: The predictions, shape (m, ..., classes).
        k: The number of largest outputs to consider; ties all count.

    Raises:
        TypeError: If an argument is not numeric, or ``k`` is not an integer.
        ValueError: If the shapes do not fit, or ``k`` is not positive.

    >>> top_k_categorical_accuracy([[0, 1, 0], [1, 0, 0]], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]], k=2)
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = as_pair(y_true, _scores(y_pred))
    return _among_top(y_true.argmax(axis=-1), y_pred, k)


@named
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """Return 1 for samples with fewer than k outputs above that of the target's class, else 0.

    Args:
        y_true: The class indices, shape (m, ...), or with a last axis of size 1.
        y_pred: The predictions, shape (m, ..., classes).
        k: The number of largest outputs to consider; ties all count.
        from_sorted_ids: Whether ``y_pred`` holds class indices, most likely first, not scores.

    Raises:
        TypeError: If an argument is not numeric, or ``k`` is not an integer.
        ValueError: If the shapes do not fit, ``k`` is not positive, or an index is not a class.

    >>> sparse_top_k_categorical_accuracy([1, 0], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]], k=2)
    array([1., 0.], dtype=float32)
    >>> sparse_top_k_categorical_accuracy([7], [[3, 7, 5]], k=2, from_sorted_ids=True)
    array([1.], dtype=float32)
    """
    y_pred = _scores(y_pred)
    y_true = as_targets(y_true, y_pred.shape[:-1])
    if from_sorted_ids:
        first = y_pred[..., : check_count("k", k, 1)]
        return (y_true[..., None] == first).any(axis=-1).astype(floatx())
    classes = y_pred.shape[-1]
    if y_true.size and not (y_true.min() >= 0 and y_true.max() < classes):
        raise ValueError(
            f"y_true must hold class indices from 0 to {classes - 1}. Received: values from "
            f"{y_true.min()} to {y_true.max()}"
        )
    return _among_top(y_true.astype(np.intp), y_pred, k)


def _scores(y_pred: Any) -> Array:
    """Return predictions as an array with a class axis."""
    array = as_numeric("y_pred", y_pred)
    if not array.ndim or not array.shape[-1]:
        raise ValueError(f"y_pred must have an axis of classes. Received: shape {array.shape}")
    return array


def _among_top(labels: Array, scores: Array, k: int) -> Array:
    """Return whether fewer than k scores exceed that of the label."""
    own = np.take_along_axis(scores, labels[..., None], axis=-1)
    larger = np.count_nonzero(scores > own, axis=-1)
    return (larger < check_count("k", k, 1)).astype(floatx())


# ---- metrics --------------------------------------------------------------------------------


@registry.register()
class Accuracy(MeanMetricWrapper):
    """The fraction of predictions that equal their targets.

    Args:
        name, dtype: As for `Metric`.

    >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@registry.register()
class BinaryAccuracy(MeanMetricWrapper):
    """The fraction of predictions on the same side of a threshold as the target.

    Args:
        name, dtype: As for `Metric`.
        threshold: A prediction above it is a 1.

    Raises:
        TypeError: If ``threshold`` is not a number.
        ValueError: If it is not finite.

    >>> BinaryAccuracy()([[1.0], [0.0]], [[0.7], [0.6]])
    0.5
    """

    direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        self.threshold = check_number("threshold", threshold, -math.inf)
        super().__init__(binary_accuracy, name, dtype, threshold=self.threshold)


@registry.register()
class CategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose largest output and largest target coincide.

    Args:
        name, dtype: As for `Metric`.

    >>> CategoricalAccuracy()([[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@registry.register()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose largest output is at the target's class index.

    Args:
        name, dtype: As for `Metric`.

    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@registry.register()
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose largest target is among the k largest outputs.

    Args:
        k: The number of largest outputs to consider.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If ``k`` is not an integer.
        ValueError: If it is not positive.

    >>> TopKCategoricalAccuracy(k=2)([[0, 1, 0], [1, 0, 0]], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]])
    0.5
    """

    direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        self.k = check_count("k", k, 1)
        super().__init__(top_k_categorical_accuracy, name, dtype, k=self.k)


@registry.register()
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose class index is among the k largest outputs.

    Args:
        k: The number of largest outputs to consider.
        name, dtype: As for `Metric`.
        from_sorted_ids: Whether predictions are class indices, most likely first, not scores.

    Raises:
        TypeError: If ``k`` is not an integer.
        ValueError: If it is not positive.

    >>> SparseTopKCategoricalAccuracy(k=2)([1, 0], [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5]])
    0.5
    """

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        self.k = check_count("k", k, 1)
        self.from_sorted_ids = bool(from_sorted_ids)
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=self.k,
            from_sorted_ids=self.from_sorted_ids,
        )
