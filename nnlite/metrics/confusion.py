"""Confusion counts at thresholds, precision, recall and their trade-offs.

A prediction above the threshold is positive. TP, FP, TN and FN are the total weights of true
positives, false positives, true negatives and false negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.metrics.metric import as_result, check_size, ratio, registry
from nnlite.metrics.thresholds import ThresholdMetric, as_thresholds, optional_index
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, optional_count

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]

Thresholds = float | Sequence[float] | None


class AtThresholds(ThresholdMetric):
    """Base class of metrics at given thresholds; see `Precision`."""

    def __init__(
        self, thresholds: Thresholds = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = thresholds.tolist() if isinstance(thresholds, np.ndarray) else thresholds
        self.chosen = as_thresholds(thresholds, 0.5 if self.top_k is None else -np.inf)
        self.set_thresholds(self.chosen, len(self.chosen))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state with one batch.

        Args:
            y_true: The targets, shape (m, ...); nonzero means true.
            y_pred: The predictions, shape (m, ...).
            sample_weight: A weight per sample, shape (m,), or per output; None means 1.

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the shapes do not fit, or ``class_id`` is not a class.
        """
        self.count(y_true, y_pred, sample_weight)


class Counter(AtThresholds):
    """Base class of the metrics that are one of the four counts."""

    def result(self) -> float | Array:
        """Return the count: a float, or an array for several thresholds."""
        return as_result(getattr(self, self.counted[0]))


@registry.register()
class TruePositives(Counter):
    """TP, the total weight of true labels that are predicted as true.

    Args:
        thresholds: As for `Precision`.
        name, dtype: As for `Metric`.

    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    counted = ("true_positives",)


@registry.register()
class TrueNegatives(Counter):
    """TN, the total weight of false labels that are predicted as false.

    Args:
        thresholds: As for `Precision`.
        name, dtype: As for `Metric`.

    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    counted = ("true_negatives",)


@registry.register()
class FalsePositives(Counter):
    """FP, the total weight of false labels that are predicted as true.

    Args:
        thresholds: As for `Precision`.
        name, dtype: As for `Metric`.

    >>> FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    2.0
    """

    counted = ("false_positives",)


@registry.register()
class FalseNegatives(Counter):
    """FN, the total weight of true labels that are predicted as false.

    Args:
        thresholds: As for `Precision`.
        name, dtype: As for `Metric`.

    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    counted = ("false_negatives",)


class OfClass(AtThresholds):
    """Base class of precision and recall; see `Precision`."""

    direction = "up"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.top_k = optional_count("top_k", top_k)
        self.class_id = optional_index("class_id", class_id)
        super().__init__(thresholds, name, dtype)


@registry.register()
class Precision(OfClass):
    """Precision, TP / (TP + FP): the fraction of positive predictions that are correct.

    Args:
        thresholds: A number in [0, 1] or a list of them; predictions above it are positive. None
            means 0.5, or no threshold with ``top_k``.
        top_k: The number of largest outputs of a sample that can be positive.
        class_id: The only class to consider.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a threshold lies outside [0, 1], or a count is negative.

    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1]) == 2 / 3
    True
    >>> Precision(thresholds=[0.2, 0.8])([0, 1], [0.5, 0.9])
    array([0.5, 1. ])
    """

    counted = ("true_positives", "false_positives")

    def result(self) -> float | Array:
        """Return the precision: a float, or an array for several thresholds."""
        return as_result(_precision(self))


@registry.register()
class Recall(OfClass):
    """Recall, TP / (TP + FN): the fraction of the true labels that are found.

    Args:
        thresholds, top_k, class_id: As for `Precision`.
        name, dtype: As for `Metric`.

    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1]) == 2 / 3
    True
    """

    counted = ("true_positives", "false_negatives")

    def result(self) -> float | Array:
        """Return the recall: a float, or an array for several thresholds."""
        return as_result(_recall(self))


class BestAt(ThresholdMetric):
    """Base class of metrics that maximize one fraction while another is at least a value."""

    direction = "up"

    def __init__(
        self,
        name_of_value: str,
        value: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: Any,
    ) -> None:
        super().__init__(dtype, name)
        self._value = check_fraction(name_of_value, value, including_one=True)
        self.num_thresholds = check_size("num_thresholds", num_thresholds, 1)
        self.class_id = optional_index("class_id", class_id)
        self.set_thresholds([0.5] if num_thresholds == 1 else None, num_thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state with one batch; see `Precision.update_state`."""
        self.count(y_true, y_pred, sample_weight)

    def best(self, constrained: Array, wanted: Array) -> float:
        """Return the largest ``wanted`` with ``constrained`` large enough, else 0."""
        # Compared in the type of the metric, as in Keras, so that 4 / 5 reaches 0.8.
        enough = constrained.astype(self.compared_in) >= self.compared_in.type(self._value)
        return float(wanted.max(where=enough, initial=0.0))


@registry.register()
class SensitivityAtSpecificity(BestAt):
    """The best sensitivity, TP / (TP + FN), while specificity, TN / (TN + FP), is at least a value.

    Args:
        specificity: The value, in [0, 1].
        num_thresholds: The number of thresholds to try, evenly spaced over [0, 1].
        class_id: The only class to consider.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``specificity`` lies outside [0, 1], or a count is too small or too large.

    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.specificity = specificity
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        """Return the best sensitivity, 0 if no threshold qualifies."""
        return self.best(_specificity(self), _recall(self))


@registry.register()
class SpecificityAtSensitivity(BestAt):
    """The best specificity, TN / (TN + FP), while sensitivity, TP / (TP + FN), is at least a value.

    Args:
        sensitivity: The value, in [0, 1].
        num_thresholds, class_id, name, dtype: As for `SensitivityAtSpecificity`.

    >>> SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]) == 2 / 3
    True
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.sensitivity = sensitivity
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        """Return the best specificity, 0 if no threshold qualifies."""
        return self.best(_recall(self), _specificity(self))


@registry.register()
class PrecisionAtRecall(BestAt):
    """The best precision, TP / (TP + FP), while recall, TP / (TP + FN), is at least a value.

    Args:
        recall: The value, in [0, 1].
        num_thresholds, class_id, name, dtype: As for `SensitivityAtSpecificity`.

    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.recall = recall
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        """Return the best precision, 0 if no threshold qualifies."""
        return self.best(_recall(self), _precision(self))


@registry.register()
class RecallAtPrecision(BestAt):
    """The best recall, TP / (TP + FN), while precision, TP / (TP + FP), is at least a value.

    Args:
        precision: The value, in [0, 1].
        num_thresholds, class_id, name, dtype: As for `SensitivityAtSpecificity`.

    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.precision = precision
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        """Return the best recall, 0 if no threshold qualifies."""
        return self.best(_precision(self), _recall(self))


def _precision(metric: ThresholdMetric) -> Array:
    true = metric.true_positives
    return ratio(true, true + metric.false_positives)


def _recall(metric: ThresholdMetric) -> Array:
    true = metric.true_positives
    return ratio(true, true + metric.false_negatives)


def _specificity(metric: ThresholdMetric) -> Array:
    true = metric.true_negatives
    return ratio(true, true + metric.false_positives)
