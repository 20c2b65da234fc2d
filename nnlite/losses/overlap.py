"""Losses of overlap between regions, for segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.config import epsilon
from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_number

__all__ = ["Dice", "Tversky"]


@registry.register()
class Tversky(Loss):
    """Tversky loss, 1 - I / (I + alpha A + beta B + 1e-7), of two regions.

    Over all entries of ``axis``, I = sum(y p) is the intersection, A = sum(p (1 - y)) the false
    positives and B = sum(y (1 - p)) the false negatives. With the divisor D, the derivative by p is
    (I (y (1 - beta) + (1 - y) alpha) / D - y) / D.

    Source: Salehi et al., "Tversky Loss Function for Image Segmentation Using 3D Fully
    Convolutional Deep Networks", 2017, equation 3.

    Args:
        alpha: The weight of false positives.
        beta: The weight of false negatives.
        reduction: As for `Loss`. With ``axis=None`` the batch has one loss, which each sample
            weight multiplies.
        name: As for `Loss`.
        axis: The axis or axes of a region; None means all axes, the batch included.
        dtype: As for `Loss`.

    Raises:
        TypeError: If ``alpha``, ``beta`` or ``axis`` has the wrong type.
        ValueError: If ``alpha`` or ``beta`` is negative.

    >>> round(Tversky(alpha=0.0, beta=1.0)([[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]), 6)
    0.0
    """

    _epsilons = 1.0  # multiples of epsilon in the divisor

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.alpha = check_number("alpha", alpha)
        self.beta = check_number("beta", beta)
        if isinstance(axis, (list, tuple)):
            self.axis = tuple(check_axis(one) for one in axis)
        else:
            self.axis = None if axis is None else check_axis(axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return 1 - I / (I + alpha A + beta B + 1e-7)."""
        return np.squeeze(1 - self._index(y_true, y_pred)[0], axis=self.axis)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return (I (y (1 - beta) + (1 - y) alpha) / D - y) / D."""
        index, divisor = self._index(y_true, y_pred)
        growth = y_true * (1 - self.beta) + (1 - y_true) * self.alpha
        return (index * growth - y_true) / divisor

    def _index(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return I / D, and D."""

        def total(array: Array) -> Array:
            return array.sum(axis=self.axis, keepdims=True)

        shared = total(y_true * y_pred)
        divisor = shared + self.alpha * total(y_pred * (1 - y_true))
        divisor += self.beta * total(y_true * (1 - y_pred)) + self._epsilons * epsilon()
        divisor = np.where(divisor == 0, 1, divisor)  # possible with negative p
        return shared / divisor, divisor


@registry.register()
class Dice(Tversky):
    """Dice loss, 1 - 2 sum(y p) / (sum(y) + sum(p) + 1e-7), of two regions.

    The sums are over all entries of ``axis``. This is the `Tversky` loss with alpha = beta = 1/2.

    Source: Sudre et al., "Generalised Dice Overlap as a Deep Learning Loss Function for Highly
    Unbalanced Segmentations", 2017, section 2.1.

    Args:
        reduction: As for `Tversky`.
        name: As for `Loss`.
        axis: As for `Tversky`.
        dtype: As for `Loss`.

    Raises:
        TypeError: If ``axis`` is not an integer, tuple or None.

    >>> round(Dice()([[1.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]]), 6)
    0.5
    """

    _epsilons = 0.5

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0.5, 0.5, reduction, name, axis, dtype)
