"""Regression metrics."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from nnlite import losses
from nnlite.metrics.metric import Metric, StateVariable, as_pair, as_weights, ratio, registry
from nnlite.metrics.reduction import LossMetric, MeanMetricWrapper
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count

__all__ = [
    "CosineSimilarity",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
]


@registry.register("mse", "MSE")
class MeanSquaredError(LossMetric):
    """The mean of (p - y)^2.

    Args:
        name, dtype: As for `Metric`.

    >>> MeanSquaredError()([[0.0, 2.0]], [[1.0, 4.0]])
    2.5
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanSquaredError(), name, dtype)


@registry.register()
class RootMeanSquaredError(MeanMetricWrapper):
    """The square root of the mean of (p - y)^2 over all samples so far.

    Args:
        name, dtype: As for `Metric`.

    >>> RootMeanSquaredError()([[0.0, 2.0]], [[1.0, 9.0]])
    5.0
    """

    direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(_squared_error, name, dtype)

    def result(self) -> float:
        """Return the root of the mean, 0 before the first sample."""
        return math.sqrt(super().result())


@registry.register("mae", "MAE")
class MeanAbsoluteError(LossMetric):
    """The mean of |p - y|.

    Args:
        name, dtype: As for `Metric`.

    >>> MeanAbsoluteError()([[0.0, 2.0]], [[1.0, 4.0]])
    1.5
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanAbsoluteError(), name, dtype)


@registry.register("mape", "MAPE")
class MeanAbsolutePercentageError(LossMetric):
    """The mean of 100 |p - y| / |y|, with |y| clipped to at least 1e-7.

    Args:
        name, dtype: As for `Metric`.

    >>> MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 2.0]])
    25.0
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)


@registry.register("msle", "MSLE")
class MeanSquaredLogarithmicError(LossMetric):
    """The mean of (log(1 + p) - log(1 + y))^2, with p and y clipped to at least 1e-7.

    Args:
        name, dtype: As for `Metric`.

    >>> round(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.2402
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)


@registry.register()
class CosineSimilarity(LossMetric):
    """The mean cosine of the angle between target and prediction, y p / (|y| |p|).

    Args:
        name, dtype: As for `Metric`.
        axis: The axis of the vectors.

    Raises:
        TypeError: If ``axis`` is not an integer.

    >>> round(CosineSimilarity()([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [3.0, 3.0]]), 4)
    0.5
    """

    direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        self.axis = axis
        super().__init__(losses.CosineSimilarity(axis=axis), name, dtype)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the cosines, the negative of the loss."""
        return -super().values(y_true, y_pred)


@registry.register()
class LogCoshError(LossMetric):
    """The mean of log(cosh(p - y)): quadratic for small errors, linear for large ones.

    Args:
        name, dtype: As for `Metric`.

    >>> round(LogCoshError()([[0.0, 0.0]], [[1.0, 0.0]]), 4)
    0.2169
    """

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.LogCosh(), name, dtype)


@registry.register()
class R2Score(Metric):
    """The coefficient of determination: the fraction of the variance that is predicted.

    R^2 = 1 - sum (y - p)^2 / sum (y - mean(y))^2 is at most 1, and 0 for predicting the mean or for
    constant targets. Adjusted for k regressors and samples of total weight n, it is
    1 - (1 - R^2) (n - 1) / (n - k - 1).

    Source: Draper and Smith, "Applied Regression Analysis", 1998, section 5.2.

    Args:
        class_aggregation: ``"uniform_average"`` averages the scores of the outputs,
            ``"variance_weighted_average"`` weights them by variance; None returns all scores.
        num_regressors: The number of regressors to adjust for, or 0.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If ``num_regressors`` is not an integer.
        ValueError: If it is negative, or ``class_aggregation`` is unknown.

    >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    0.5714285714285714
    """

    direction = "up"

    _shift: StateVariable
    _sums: StateVariable  # of weights, y, y^2 and (p - y)^2, weighted, per output

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"class_aggregation must be one of {known}. Received: "
                f"class_aggregation={class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = check_count("num_regressors", num_regressors, 0)
        self._make_sums(1)

    def _make_sums(self, outputs: int) -> None:
        """Make the variables."""
        self._shift = self.add_variable(outputs, "zeros")
        self._sums = self.add_variable((4, outputs), "zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state with one batch of shape (m, outputs).

        ``sample_weight`` holds a weight per sample, shape (m,), or per output; None means 1.
        """
        y_true, y_pred = as_pair(y_true, y_pred)
        if y_pred.ndim == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if y_pred.ndim != 2 or len(self._shift) not in (1, y_pred.shape[1]):
            raise ValueError(
                "R2Score expects y_pred of shape (m, outputs), the same outputs in every batch. "
                f"Received: shape {y_pred.shape}"
            )
        if not y_pred.size:
            return
        # Targets are summed relative to the first one, so that large values lose no digits.
        shift = self._shift.numpy() if self._sums.any() else y_true[0]
        y = np.subtract(y_true, shift, dtype=float)
        parts = [np.ones_like(y), y, y * y, np.square(np.subtract(y_pred, y_true, dtype=float))]
        if sample_weight is not None:
            weight = as_weights(sample_weight, y_pred.shape)
            parts = [part * weight for part in parts]
        if len(self._shift) < y_pred.shape[1]:
            self._make_sums(y_pred.shape[1])
        self._shift[...] = shift
        self._sums += np.array([part.sum(axis=0) for part in parts])

    def result(self) -> float | Array:
        """Return the score, 0 before the first batch; without aggregation, one per output."""
        count, total, squares, errors = self._sums.numpy()
        variation = np.maximum(squares - total * ratio(total, count), 0)
        scores = np.where(variation > 0, 1 - ratio(errors, variation), 0)
        result: Any = scores
        if self.class_aggregation == "uniform_average":
            result = float(scores.mean())
        elif self.class_aggregation == "variance_weighted_average":
            whole = float(variation.sum())
            result = float(variation @ scores) / whole if whole else 0.0
        if not self.num_regressors:
            return result
        samples = float(count.mean())
        freedom = samples - self.num_regressors - 1
        if freedom <= 0:
            warnings.warn(
                f"R2Score cannot be adjusted for {self.num_regressors} regressors from "
                f"{samples:g} samples; the score is not adjusted.",
                stacklevel=2,
            )
            return result
        return 1 - (1 - result) * (samples - 1) / freedom


def _squared_error(y_true: Array, y_pred: Array) -> Array:
    """Return (p - y)^2 per output."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return np.square(np.subtract(y_pred, y_true, dtype=float))
