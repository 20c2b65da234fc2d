"""Confusion counts at many thresholds, from one histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.metrics.metric import Metric, StateVariable, as_pair, as_weights, check_size
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count

_OF_TRUE = ("true_positives", "false_negatives")  # counts of true labels


class ThresholdMetric(Metric):
    """Base class of metrics for which predictions above a threshold are positive.

    The weights of true and of false labels are summed by the number of thresholds that the
    prediction exceeds, in one pass for any number of thresholds. Cumulative sums from either end
    give the four counts at every threshold, which are the state.
    """

    #: The number of largest outputs of a sample that can be positive; None for all.
    top_k: int | None = None

    #: The only class to consider; None for all.
    class_id: int | None = None

    #: Whether to count each label (last axis) separately.
    multi_label: bool = False

    #: The names of the counts in the state.
    counted: ClassVar[tuple[str, ...]] = (
        "true_positives",
        "false_positives",
        "true_negatives",
        "false_negatives",
    )

    # The weights at each threshold, shape (thresholds,), or with multi_label (thresholds, labels):
    true_positives: StateVariable
    false_positives: StateVariable
    true_negatives: StateVariable
    false_negatives: StateVariable

    def set_thresholds(
        self, thresholds: Sequence[float] | None, count: int, margin: float = 0.0
    ) -> None:
        """Choose the thresholds, and create the variables.

        Args:
            thresholds: The thresholds, or None for ``count`` of them evenly spaced over [0, 1].
            count: The number of thresholds.
            margin: How far the first is lowered and the last raised, so that they enclose every
                prediction in [0, 1].
        """
        self._number = count
        self._least = int(margin > 0)
        self._evenly = thresholds is None or (count > 2 and _are_even(thresholds))
        self._places: Any = slice(None)
        if thresholds is not None and not self._evenly:
            given = np.array(thresholds, float)
            given[0] -= margin
            given[-1] += margin
            given = given.astype(self.compared_in)
            self._sorted = np.sort(given)
            self._places = np.searchsorted(self._sorted, given)
        self.make_counts(count)

    def make_counts(self, *shape: int) -> None:
        """Create the variables of the counts."""
        for name in self.counted:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def count(
        self, y_true: Any, y_pred: Any, sample_weight: Any, label_weights: Array | None = None
    ) -> None:
        """Add one batch to the counts.

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the shapes do not fit, or ``class_id`` is not a class.
        """
        y_true, y_pred = as_pair(y_true, y_pred)
        if y_pred.dtype != self.compared_in:
            with np.errstate(over="ignore", under="ignore"):
                y_pred = y_pred.astype(self.compared_in)
        if self.top_k is not None:
            y_pred = _only_largest(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim < 2 or self.class_id >= y_pred.shape[-1]:
                raise ValueError(
                    f"{type(self).__name__} expects y_pred with a last axis of more than "
                    f"class_id={self.class_id} classes. Received: shape {y_pred.shape}"
                )
            y_true = y_true[..., self.class_id, None]
            y_pred = y_pred[..., self.class_id, None]
        labels = y_pred.shape[-1] if self.multi_label else 1
        index = 2 * self._exceeded(y_pred) + (y_true != 0)
        if labels > 1:
            index = index * labels + np.arange(labels)
        weights: Any = None
        if sample_weight is not None:
            weights = as_weights(sample_weight, y_pred.shape)
        if label_weights is not None:
            weights = label_weights if weights is None else weights * label_weights
        if weights is not None:
            weights = np.broadcast_to(weights, y_pred.shape).ravel()
        if self.multi_label and self.true_positives.ndim == 1:
            self.make_counts(self._number, labels)
        histogram = np.bincount(index.ravel(), weights, 2 * (self._number + 1) * labels)
        histogram = histogram.reshape(-1, 2, labels)
        above = histogram[::-1].cumsum(axis=0)[-2::-1][self._places]
        below = histogram[:-1].cumsum(axis=0)[self._places]
        for name in self.counted:
            part = above if name.endswith("positives") else below
            variable = getattr(self, name)
            variable += part[:, int(name in _OF_TRUE)].reshape(variable.shape)

    def _exceeded(self, y_pred: Array) -> Array:
        """Return how many thresholds each prediction exceeds; NaN exceeds none."""
        if self._evenly:
            inside = np.fmin(np.fmax(y_pred, 0), 1)
            steps = np.ceil(inside * y_pred.dtype.type(self._number - 1))
            return np.fmax(steps, self._least).astype(np.intp)
        if self._number == 1:
            return (y_pred > self._sorted[0]).astype(np.intp)
        return np.searchsorted(self._sorted, np.fmax(y_pred, -np.inf))


def as_thresholds(thresholds: Any, default: float) -> list[float]:
    """Return the thresholds as a list; None means the default."""
    if thresholds is None:
        return [default]
    try:
        array = np.atleast_1d(np.asarray(thresholds, float))
    except (TypeError, ValueError):
        raise TypeError(
            f"thresholds must be a number or a list of them. Received: thresholds={thresholds!r}"
        ) from None
    if array.ndim != 1 or not array.size or not ((array >= 0) & (array <= 1)).all():
        raise ValueError(
            "thresholds must be one number in [0, 1], or a list of at least one. "
            f"Received: thresholds={thresholds!r}"
        )
    check_size("the number of thresholds", len(array), 1)
    return array.tolist()


def optional_index(name: str, value: Any) -> int | None:
    """Return ``value`` as an integer of at least 0, or None; raises as `check_count`."""
    return None if value is None else check_count(name, value, 0)


def _are_even(thresholds: Sequence[float]) -> bool:
    """Return whether thresholds are evenly spaced over [0, 1], up to rounding."""
    even = np.linspace(0, 1, len(thresholds))
    return np.allclose(thresholds, even, atol=1e-7)


def _only_largest(y_pred: Array, k: int) -> Array:
    """Return predictions with all but the k largest of the last axis below any threshold."""
    if k > y_pred.shape[-1]:
        raise ValueError(
            "top_k must not exceed the number of outputs. "
            f"Received: top_k={k}, y_pred of shape {y_pred.shape}"
        )
    largest = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]  # ties: the first
    result = np.full_like(y_pred, -np.inf)
    np.put_along_axis(result, largest, np.take_along_axis(y_pred, largest, -1), -1)
    return result
