"""Probabilistic metrics: cross-entropies, Kullback-Leibler divergence, Poisson."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite import losses
from nnlite.metrics.metric import as_targets, as_weights, registry
from nnlite.metrics.reduction import LossMetric
from nnlite.utils.validation import as_numeric

__all__ = [
    "BinaryCrossEntropy",
    "BinaryCrossentropy",
    "CategoricalCrossEntropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossEntropy",
    "SparseCategoricalCrossentropy",
]


@registry.register()
class KLDivergence(LossMetric):
    """The mean of the sum of y log(y / p) over the outputs, with y and p clipped to [1e-7, 1].

    Args:
        name, dtype: As for `Metric`.

    >>> round(KLDivergence()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.KLDivergence(), name, dtype)


@registry.register()
class Poisson(LossMetric):
    """The mean of p - y log p: the negative log-likelihood of counts y, up to a constant.

    Args:
        name, dtype: As for `Metric`.

    >>> round(Poisson()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    1.0
    """

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.Poisson(), name, dtype)


@registry.register("bce", "BCE")
class BinaryCrossEntropy(LossMetric):
    """The mean of -(y log p + (1 - y) log(1 - p)).

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far, in [0, 1], to move the targets towards 1 / 2.

    Raises:
        ValueError: If ``label_smoothing`` lies outside [0, 1].

    >>> round(BinaryCrossEntropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        self.from_logits = bool(from_logits)
        self.label_smoothing = label_smoothing
        super().__init__(losses.BinaryCrossEntropy(from_logits, label_smoothing), name, dtype)


@registry.register()
class CategoricalCrossEntropy(LossMetric):
    """The mean of -sum y log p over the classes, for targets given as distributions.

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far, in [0, 1], to move the targets towards the uniform distribution.
        axis: The axis of the classes.

    Raises:
        TypeError: If ``axis`` is not an integer.
        ValueError: If ``label_smoothing`` lies outside [0, 1].

    >>> round(CategoricalCrossEntropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        self.from_logits = bool(from_logits)
        self.label_smoothing = label_smoothing
        self.axis = axis
        loss = losses.CategoricalCrossEntropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)


@registry.register()
class SparseCategoricalCrossEntropy(LossMetric):
    """The mean of -log p_y, for targets y given as class indices.

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: The class index of samples to ignore, or None.
        axis: The axis of the classes.

    Raises:
        TypeError: If ``axis`` or ``ignore_class`` is not an integer.

    >>> round(SparseCategoricalCrossEntropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        self.from_logits = bool(from_logits)
        self.ignore_class = ignore_class
        self.axis = axis
        loss = losses.SparseCategoricalCrossEntropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Update as `MeanMetricWrapper.update_state`, ignoring samples of ``ignore_class``."""
        if self.ignore_class is not None:
            y_pred = as_numeric("y_pred", y_pred)
            shape = np.delete(y_pred.shape, self.axis)
            y_true = as_targets(y_true, tuple(map(int, shape)))
            weight = 1 if sample_weight is None else sample_weight
            sample_weight = as_weights(weight, y_true.shape) * (y_true != self.ignore_class)
        super().update_state(y_true, y_pred, sample_weight)


BinaryCrossentropy = BinaryCrossEntropy
CategoricalCrossentropy = CategoricalCrossEntropy
SparseCategoricalCrossentropy = SparseCategoricalCrossEntropy
