"""Focal losses: cross-entropies that down-weight well-classified samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.backend.numerics import axis_first, axis_last, shifted_exp
from nnlite.config import epsilon
from nnlite.losses.crossentropy import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    exp_of_minus_abs,
    normalize,
)
from nnlite.losses.loss import registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, check_number

__all__ = [
    "BinaryFocalCrossEntropy",
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossEntropy",
    "CategoricalFocalCrossentropy",
]


@registry.register()
class BinaryFocalCrossEntropy(BinaryCrossEntropy):
    """Binary focal cross-entropy: the mean over the k outputs of w u^gamma B.

    B is the binary cross-entropy of an output and u = y (1 - p) + (1 - y) p its error. The weight
    w is 1, or y alpha + (1 - y) (1 - alpha) with class balancing. The derivative by p is
    w u^gamma (gamma (1 - 2 y) B / u + B') / k, with B' from `BinaryCrossEntropy`; by a logit
    z, the first term has a factor p (1 - p).

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, equations 4 and 5.

    Args:
        apply_class_balancing: Whether to weight the two classes by ``alpha``.
        alpha: The weight, in [0, 1], of class 1; class 0 has the weight 1 - alpha.
        gamma: How strongly to down-weight easy samples; 0 gives the cross-entropy.
        from_logits: Whether ``y_pred`` holds logits z rather than probabilities p.
        label_smoothing: s in [0, 1]: the targets become y (1 - s) + s / 2.
        axis: The axis of the outputs.
        reduction, name, dtype: As for `Loss`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``alpha`` or ``label_smoothing`` lies outside [0, 1], or gamma is negative.

    >>> round(BinaryFocalCrossEntropy()([[1.0]], [[0.5]]), 6)  # log(2) / 4
    0.173287
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = check_fraction("alpha", alpha, including_one=True)
        self.gamma = check_number("gamma", gamma)

    def _of_outputs(self, y: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return w u^gamma B of each output, and its derivative."""
        values, d = super()._of_outputs(y, y_pred)
        p: Array
        if self.from_logits:
            e, positive = exp_of_minus_abs(y_pred)
            p, rest = np.where(positive, 1, e) / (1 + e), np.where(positive, e, 1) / (1 + e)
            slope = p * rest
        else:
            p = np.clip(y_pred, 0, 1)
            rest, slope = 1 - p, p == y_pred
        wrong = y * rest + (1 - y) * p
        factor = wrong**self.gamma
        if self.apply_class_balancing:
            factor = factor * (y * self.alpha + (1 - y) * (1 - self.alpha))
        known = wrong > 0  # an exact prediction has no slope, for any gamma
        relative = slope * (values / np.where(known, wrong, 1)) * known
        return factor * values, factor * (self.gamma * (1 - 2 * y) * relative + d)


@registry.register()
class CategoricalFocalCrossEntropy(CategoricalCrossEntropy):
    """Categorical focal cross-entropy: -sum_i alpha_i (1 - p_i)^gamma y_i log p_i.

    Probabilities are normalized and clipped as in `CategoricalCrossEntropy`. With
    H_i = alpha_i y_i (1 - p_i)^gamma (gamma p_i log p_i / (1 - p_i) - 1), which is p_i times the
    derivative by p_i, and S the sum of the predictions, the derivative by the predictions is
    (H / p - sum(H)) / S; by logits z, with p = softmax(z), it is H - p sum(H).

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, equation 5.

    Args:
        alpha: One weight for all classes, or a list with one per class.
        gamma: How strongly to down-weight easy samples; 0 gives the cross-entropy.
        from_logits: Whether ``y_pred`` holds logits z rather than probabilities p.
        label_smoothing: s in [0, 1]: the targets become y (1 - s) + s / classes.
        axis: The axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``label_smoothing`` lies outside [0, 1], or alpha or gamma is negative.

    >>> round(CategoricalFocalCrossEntropy(alpha=1.0)([[0.0, 1.0]], [[0.5, 0.5]]), 6)  # log(2) / 4
    0.173287
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        if np.ndim(alpha):
            self.alpha: Any = [check_number("alpha", one) for one in alpha]
        else:
            self.alpha = check_number("alpha", alpha)
        self.gamma = check_number("gamma", gamma)

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Check as `Loss.check_targets` does; ``alpha`` needs one number, or one per class."""
        classes = output_shape[self.axis]
        if isinstance(self.alpha, list) and len(self.alpha) != classes:
            raise ValueError(
                f"alpha must have one weight for each of the {classes} classes. "
                f"Received: alpha={self.alpha}"
            )
        return super().check_targets(name, y_true, output_shape)

    def _of_distributions(self, y: Array, mass: Any, y_pred: Array) -> tuple[Array, Array]:
        """Return value and derivative, where y has the classes first."""
        p = axis_first(y_pred, self.axis)
        if self.from_logits:
            log_p, p, total = shifted_exp(p)
            p /= total
            log_p -= np.log(total)
            inside = total = p.dtype.type(1)
        else:
            total = normalize(p)
            bounded = np.clip(p, epsilon(), 1 - epsilon())
            inside, p = p == bounded, bounded
            log_p = np.log(p)
        rest = -np.expm1(log_p)
        alpha = np.asarray(self.alpha, p.dtype)
        weight = alpha.reshape(alpha.shape + (1,) * (p.ndim - 1) * alpha.ndim) * y
        weight = weight * rest**self.gamma
        relative = p * log_p / np.where(rest > 0, rest, 1)
        h = weight * (self.gamma * relative - 1) * inside
        d = h - p * h.sum(axis=0) if self.from_logits else (h / p - h.sum(axis=0)) / total
        return -(weight * log_p).sum(axis=0), axis_last(d, self.axis)


BinaryFocalCrossentropy = BinaryFocalCrossEntropy
CategoricalFocalCrossentropy = CategoricalFocalCrossEntropy
