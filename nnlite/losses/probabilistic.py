"""Losses between distributions: Kullback-Leibler divergence and Poisson loss."""

from __future__ import annotations

import numpy as np

from nnlite.config import epsilon
from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array

__all__ = ["KLDivergence", "Poisson"]


@registry.register("kld", "KLD", "kullback_leibler_divergence")
class KLDivergence(Loss):
    """Kullback-Leibler divergence: sum_i y_i log(y_i / p_i), for targets given as distributions y.

    Both are clipped to [1e-7, 1]; the derivative is -y / p, and 0 where p is clipped.

    Source: Kullback and Leibler, "On Information and Sufficiency", 1951, section 2.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> round(KLDivergence()([[0.0, 1.0]], [[0.5, 0.5]]), 5)
    0.69315
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return sum(y log(y / p))."""
        y, p = np.clip(y_true, epsilon(), 1), np.clip(y_pred, epsilon(), 1)
        return (y * np.log(y / p)).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return -y / p."""
        y, p = np.clip(y_true, epsilon(), 1), np.clip(y_pred, epsilon(), 1)
        return -y / p * (p == y_pred)


@registry.register()
class Poisson(Loss):
    """Poisson loss: the mean of p - y log(p + 1e-7) over the k outputs, for counts y of mean p.

    Its derivative is (1 - y / (p + 1e-7)) / k. For p < 0 the loss continues along its tangent at 0.

    Source: McCullagh and Nelder, "Generalized Linear Models", 2nd edition, 1989, section 6.2.

    Args:
        reduction, name, dtype: As for `Loss`.

    >>> round(Poisson()([[0.0, 2.0]], [[1.0, 1.0]]), 6)
    1.0
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return mean(p - y log(p + 1e-7))."""
        p = np.maximum(y_pred, 0)
        below = (y_pred - p) / epsilon()
        return (y_pred - y_true * (np.log(p + epsilon()) + below)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return (1 - y / (p + 1e-7)) / k."""
        return (1 - y_true / (np.maximum(y_pred, 0) + epsilon())) / y_pred.shape[-1]
