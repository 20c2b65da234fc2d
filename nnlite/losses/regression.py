"""Losses of the difference between prediction and target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import check_number
from nnlite.losses.loss import Loss, registry

__all__ = ["Huber", "MeanAbsoluteError", "MeanSquaredError"]

Array = NDArray[Any]


@registry.register("mse", "MSE")
class MeanSquaredError(Loss):
    """Mean squared error: the mean of (p - y)^2 over the k outputs, with derivative 2 (p - y) / k.

    Args:
        reduction: As for `Loss`.
        name: As for `Loss`.
        dtype: As for `Loss`.

    >>> MeanSquaredError()([[0.0, 2.0]], [[1.0, 4.0]])
    2.5
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean((p - y)^2)."""
        error = y_pred - y_true
        return np.add.reduce(np.square(error, out=error), axis=-1) / y_pred.shape[-1]

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return 2 (p - y) / k."""
        d = y_pred - y_true
        d *= 2 / y_pred.shape[-1]
        return d


@registry.register("mae", "MAE")
class MeanAbsoluteError(Loss):
    """Mean absolute error: the mean of |p - y| over the k outputs, with derivative sign(p - y) / k.

    Args:
        reduction: As for `Loss`.
        name: As for `Loss`.
        dtype: As for `Loss`.

    >>> MeanAbsoluteError()([[0.0, 2.0]], [[1.0, 4.0]])
    1.5
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(|p - y|)."""
        error = y_pred - y_true
        return np.add.reduce(np.abs(error, out=error), axis=-1) / y_pred.shape[-1]

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return sign(p - y) / k, and 0 where p = y."""
        d = np.sign(y_pred - y_true)
        d *= 1 / y_pred.shape[-1]
        return d


@registry.register()
class Huber(Loss):
    """Huber loss: quadratic for small errors e = p - y, linear for large ones.

    The mean over the k outputs of e^2 / 2 where |e| <= delta, and delta |e| - delta^2 / 2 beyond;
    its derivative is e, clipped to [-delta, delta], over k.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964, section 5.

    Args:
        delta: The error at which the loss turns linear.
        reduction: As for `Loss`.
        name: As for `Loss`.
        dtype: As for `Loss`.

    Raises:
        ValueError: If ``delta`` is not positive.

    >>> Huber()([[0.0, 0.0]], [[0.5, 3.0]])
    1.3125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.delta = check_number("delta", delta)
        if not self.delta:
            raise ValueError(f"delta must be positive. Received: delta={delta!r}")

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the mean of c (|e| - c / 2), where c is |e| cut off at delta."""
        error = np.abs(y_pred - y_true)
        cut = np.minimum(error, self.delta)
        return (cut * (error - cut / 2)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return e, clipped to [-delta, delta], over k."""
        d = np.clip(y_pred - y_true, -self.delta, self.delta)
        d *= 1 / y_pred.shape[-1]
        return d
