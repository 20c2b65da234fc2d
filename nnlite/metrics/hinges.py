"""Hinge metrics: how far predictions are inside the margin."""

from __future__ import annotations

from typing import Any

from nnlite import losses
from nnlite.metrics.metric import registry
from nnlite.metrics.reduction import LossMetric

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


@registry.register()
class Hinge(LossMetric):
    """The mean of max(1 - y p, 0), for labels y of -1 or 1 (0 is converted to -1).

    Args:
        name, dtype: As for `Metric`.

    >>> Hinge()([[-1.0, 1.0]], [[0.5, 2.0]])
    0.75
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.Hinge(), name, dtype)


@registry.register()
class SquaredHinge(LossMetric):
    """The mean of max(1 - y p, 0)^2, for labels as in `Hinge`.

    Args:
        name, dtype: As for `Metric`.

    >>> SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]])
    1.125
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.SquaredHinge(), name, dtype)


@registry.register()
class CategoricalHinge(LossMetric):
    """The mean of max(1 + max of (1 - y) p - sum of y p, 0), for one-hot targets y.

    Args:
        name, dtype: As for `Metric`.

    >>> CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])
    0.5
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.CategoricalHinge(), name, dtype)
