"""Regression losses: differences between prediction and target in value, scale or direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.backend.numerics import constant
from nnlite.config import epsilon
from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_positive

__all__ = [
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
]


@registry.register("mse", "MSE")
class MeanSquaredError(Loss):
    """Mean squared error: the mean of (p - y)^2 over the k outputs, with derivative 2 (p - y) / k.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> MeanSquaredError()([[0.0, 2.0]], [[1.0, 4.0]])
    2.5
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean((p - y)^2)."""
        return self.call_and_derivative(y_true, y_pred)[0]

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return 2 (p - y) / k."""
        return self.call_and_derivative(y_true, y_pred)[1]

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return both."""
        d = y_pred - y_true
        values = np.add.reduce(np.square(d), axis=-1) / constant(d.shape[-1], d.dtype)
        d *= constant(2 / d.shape[-1], d.dtype)
        return values, d


@registry.register("mae", "MAE")
class MeanAbsoluteError(Loss):
    """Mean absolute error: the mean of |p - y| over the k outputs, with derivative sign(p - y) / k.

    Args:
        reduction, name, dtype: As for `Loss`.

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


@registry.register("mape", "MAPE")
class MeanAbsolutePercentageError(Loss):
    """Mean absolute percentage error: the mean of 100 |p - y| / |y| over the k outputs.

    Its derivative is 100 sign(p - y) / |y| / k. Values of |y| below 1e-7 count as 1e-7.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(100 |p - y| / |y|)."""
        return 100 * (np.abs(y_pred - y_true) / self._size(y_true)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return 100 sign(p - y) / |y| / k, and 0 where p = y."""
        return 100 / y_pred.shape[-1] * np.sign(y_pred - y_true) / self._size(y_true)

    def _size(self, y_true: Array) -> Array:
        return np.maximum(np.abs(y_true), epsilon())


@registry.register("msle", "MSLE")
class MeanSquaredLogarithmicError(Loss):
    """Mean squared logarithmic error: the mean of e^2 over the k outputs.

    The error is e = log(1 + p) - log(1 + y), with p and y clipped to at least 1e-7. The derivative
    is 2 e / (1 + p) / k, and 0 where p is clipped.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> round(MeanSquaredLogarithmicError()([[0.0, 3.0]], [[1.0, 3.0]]), 5)  # log(2)**2 / 2
    0.24023
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(e^2)."""
        return np.square(self._error(y_true, y_pred)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return 2 e / (1 + p) / k."""
        above = y_pred > epsilon()
        slope = 2 / y_pred.shape[-1] / (1 + np.where(above, y_pred, 0)) * above
        return slope * self._error(y_true, y_pred)

    def _error(self, y_true: Array, y_pred: Array) -> Array:
        return np.log1p(np.maximum(y_pred, epsilon())) - np.log1p(np.maximum(y_true, epsilon()))


@registry.register("logcosh")
class LogCosh(Loss):
    """Log-cosh: the mean of log(cosh(e)) over the k outputs, where e = p - y.

    About e^2 / 2 for small errors and |e| - log 2 for large ones; its derivative is tanh(e) / k.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> round(LogCosh()([[0.0, 0.0]], [[0.0, 100.0]]), 6)  # (100 - log(2)) / 2
    49.653426
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the mean of |e| + log((1 + exp(-2 |e|)) / 2)."""
        error = np.abs(y_pred - y_true)
        # expm1 keeps the argument of log1p exact for small errors.
        return (error + np.log1p(np.expm1(-2 * error) / 2)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return tanh(e) / k."""
        d = np.tanh(y_pred - y_true)
        d *= 1 / y_pred.shape[-1]
        return d


@registry.register("cosine_proximity", "cosine")
class CosineSimilarity(Loss):
    """Cosine similarity, negated: -sum(y p) / (|y| |p|), from -1 (same direction) to 1.

    With the unit vectors u of p and v of y, the derivative is ((u v) u - v) / |p|. Lengths
    below 1e-7 count as 1e-7, so that a vector of zeros has the similarity 0.

    Args:
        axis: The axis of the vectors.
        reduction, name, dtype: As for `Loss`.

    Raises:
        TypeError: If ``axis`` is not an integer.

    >>> round(CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]]), 6)
    -0.6
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = check_axis(axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return -sum(u v)."""
        return -(self._unit(y_true)[0] * self._unit(y_pred)[0]).sum(axis=self.axis)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return ((u v) u - v) / |p|, or -v / 1e-7 where p is shorter than that."""
        (v, *_), (u, largest, length, shortest) = self._unit(y_true), self._unit(y_pred)
        similarity = (u * v).sum(axis=self.axis, keepdims=True)
        return (similarity * u * (length > shortest) - v) / np.maximum(length, shortest) / largest

    def _unit(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Return x / |x|, the largest entry, and |x| and 1e-7 in units of it (no overflow)."""
        largest = np.maximum(np.abs(x).max(axis=self.axis, keepdims=True), epsilon())
        x = x / largest
        length = np.sqrt(np.square(x).sum(axis=self.axis, keepdims=True))
        shortest = epsilon() / largest
        return x / np.maximum(length, shortest), largest, length, shortest


@registry.register("huber_loss")
class Huber(Loss):
    """Huber loss: quadratic for small errors e = p - y, linear for large ones.

    The mean over the k outputs of e^2 / 2 where |e| <= delta, and delta |e| - delta^2 / 2 beyond;
    its derivative is e, clipped to [-delta, delta], over k.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964, section 5.

    Args:
        delta: The error at which the loss becomes linear.
        reduction, name, dtype: As for `Loss`.

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
        self.delta = check_positive("delta", delta)

    @classmethod
    def default_name(cls) -> str:
        """Return Keras's name."""
        return "huber_loss"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the mean of c (|e| - c / 2), where c is |e| clipped at delta."""
        error = np.abs(y_pred - y_true)
        cut = np.minimum(error, self.delta)
        return (cut * (error - cut / 2)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return e, clipped to [-delta, delta], over k."""
        d = np.clip(y_pred - y_true, -self.delta, self.delta)
        d *= 1 / y_pred.shape[-1]
        return d
