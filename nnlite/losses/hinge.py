"""Hinge losses: predictions inside the margin are penalized."""

from __future__ import annotations

import numpy as np

from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


@registry.register()
class Hinge(Loss):
    """Hinge loss: the mean of max(1 - y p, 0) over the k outputs, for labels y of -1 or 1.

    Its derivative is -y / k where y p < 1, else 0. If all labels of a batch are 0 or 1, 0 is
    converted to -1.

    Source: Cortes and Vapnik, "Support-Vector Networks", 1995.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> Hinge()([[-1.0, 1.0]], [[0.5, 2.0]])
    0.75
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(max(1 - y p, 0))."""
        return self._missing(_signs(y_true), y_pred).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return -y / k where y p < 1."""
        y = _signs(y_true)
        return -y / y_pred.shape[-1] * (self._missing(y, y_pred) > 0)

    def _missing(self, y: Array, y_pred: Array) -> Array:
        """Return how far each output is inside the margin."""
        return np.maximum(1 - y * y_pred, 0)


@registry.register()
class SquaredHinge(Hinge):
    """Squared hinge loss: the mean of max(1 - y p, 0)^2 over the k outputs.

    Its derivative is -2 y max(1 - y p, 0) / k. Labels are converted as in `Hinge`.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]])
    1.125
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(max(1 - y p, 0)^2)."""
        return np.square(self._missing(_signs(y_true), y_pred)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return -2 y max(1 - y p, 0) / k."""
        y = _signs(y_true)
        return -2 / y_pred.shape[-1] * y * self._missing(y, y_pred)


@registry.register()
class CategoricalHinge(Loss):
    """Categorical hinge loss: max(1 + max_i (1 - y_i) p_i - sum_i y_i p_i, 0), for one-hot y.

    Where it is positive, its derivative is -y, plus 1 - y for the output of the largest
    (1 - y_i) p_i; tied outputs share it equally.

    Source: Crammer and Singer, "On the Algorithmic Implementation of Multiclass Kernel-based
    Vector Machines", 2001, section 3.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> CategoricalHinge()([[0.0, 1.0, 0.0]], [[0.25, 0.5, -1.0]])
    0.75
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return max(1 + max((1 - y) p) - sum(y p), 0)."""
        return self.call_and_derivative(y_true, y_pred)[0]

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return its derivative."""
        return self.call_and_derivative(y_true, y_pred)[1]

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return both."""
        others = (1 - y_true) * y_pred
        rival = others.max(axis=-1, keepdims=True)
        values = np.maximum(1 + rival[..., 0] - (y_true * y_pred).sum(axis=-1), 0)
        share = (others == rival).astype(y_pred.dtype)
        share /= share.sum(axis=-1, keepdims=True)
        return values, ((1 - y_true) * share - y_true) * (values > 0)[..., None]


def _signs(y: Array) -> Array:
    """Return labels of 0 and 1 as -1 and 1, and other labels unchanged."""
    return 2 * y - 1 if np.all((y == 0) | (y == 1)) else y
