"""Correlations between targets and predictions, along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.config import epsilon
from nnlite.metrics.metric import as_pair, ratio, registry
from nnlite.metrics.reduction import MeanMetricWrapper, named
from nnlite.utils.typing import Array

__all__ = [
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "concordance_correlation",
    "pearson_correlation",
]

Axis = int | tuple[int, ...]


@named
def pearson_correlation(y_true: Any, y_pred: Any, axis: Axis = -1) -> Array:
    """Return Pearson's correlation, cov(y, p) / (std(y) std(p)), 0 if one of them is constant.

    Source: Pearson, "Note on Regression and Inheritance in the Case of Two Parents", 1895.

    Args:
        y_true: The targets, shape (m, ...).
        y_pred: The predictions, shape (m, ...).
        axis: The axis or axes to correlate along.

    Raises:
        TypeError: If an argument is not numeric.
        ValueError: If the shapes do not fit, or ``axis`` does not exist.

    >>> pearson_correlation([[0, 1, 2], [0, 1, 2]], [[1, 2, 3], [3, 2, 1]]).round(6)
    array([ 1., -1.])
    """
    _, y, p = _centred(y_true, y_pred, axis)
    covariance = (y * p).mean(axis=axis)
    return ratio(covariance, np.sqrt(_variance(y, axis) * _variance(p, axis)))


@named
def concordance_correlation(y_true: Any, y_pred: Any, axis: Axis = -1) -> Array:
    """Return the concordance, 2 cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))^2).

    It is 1 only for predictions equal to the targets; 1e-7 is added to the denominator.

    Source: Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989,
    equation 2.

    The arguments and errors are those of `pearson_correlation`.

    >>> concordance_correlation([[0, 1, 2], [0, 1, 2]], [[0, 1, 2], [1, 2, 3]]).round(4)
    array([1.    , 0.5714])
    """
    apart, y, p = _centred(y_true, y_pred, axis)
    covariance = (y * p).mean(axis=axis)
    return 2 * covariance / (_variance(y, axis) + _variance(p, axis) + apart**2 + epsilon())


def _centred(y_true: Any, y_pred: Any, axis: Axis) -> tuple[Array, Array, Array]:
    """Return the difference of the means and both arrays centered, in double precision."""
    y_true, y_pred = as_pair(y_true, y_pred)
    y, p = y_true.astype(float), y_pred.astype(float)
    mean_y, mean_p = y.mean(axis=axis, keepdims=True), p.mean(axis=axis, keepdims=True)
    return np.squeeze(mean_y - mean_p, axis=axis), y - mean_y, p - mean_p


def _variance(centred: Array, axis: Axis) -> Array:
    return np.square(centred).mean(axis=axis)


class Correlation(MeanMetricWrapper):
    """A correlation along an axis, averaged over the others."""

    direction = "up"

    def __init__(self, fn: Any, name: str | None, dtype: Any, axis: Any) -> None:
        given = axis if isinstance(axis, (list, tuple)) else [axis]
        if not given or not all(type(one) is int for one in given):
            raise TypeError(f"axis must be an integer or several integers. Received: axis={axis!r}")
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        super().__init__(fn, name, dtype, axis=self.axis)


@registry.register()
class PearsonCorrelation(Correlation):
    """The mean of Pearson's correlation, cov(y, p) / (std(y) std(p)), along an axis.

    Args:
        name, dtype: As for `Metric`.
        axis: The axis or axes to correlate along.

    Raises:
        TypeError: If ``axis`` is not an integer.

    >>> round(PearsonCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 6)
    0.9967
    """

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Any = None, axis: Axis = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis)


@registry.register()
class ConcordanceCorrelation(Correlation):
    """The mean concordance, 2 cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))^2), along an axis.

    Args:
        name, dtype: As for `Metric`.
        axis: The axis or axes to correlate along.

    Raises:
        TypeError: If ``axis`` is not an integer.

    >>> round(ConcordanceCorrelation()([[0, 1, 0.5]], [[0.1, 0.9, 0.5]]), 4)
    0.9756
    """

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: Axis = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis)
