"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.config import epsilon
from nnlite.metrics.metric import Metric, StateVariable, as_pair, as_weights, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction, check_positive

__all__ = ["F1Score", "FBetaScore"]


_AVERAGES = (None, "micro", "macro", "weighted")


@registry.register()
class FBetaScore(Metric):
    """F-beta score: the harmonic mean of precision P and recall R, with R weighted by beta^2.

    F = (1 + beta^2) P R / (beta^2 P + R), with P = TP / (TP + FP) and R = TP / (TP + FN); 1e-7 is
    added to each denominator.

    Source: Van Rijsbergen, "Information Retrieval", 1979, chapter 7.

    Args:
        average: ``"macro"`` averages the scores of the classes, ``"weighted"`` weights them by
            class frequency, ``"micro"`` counts over all classes; None returns one per class.
        beta: The weight of recall relative to precision.
        threshold: Predictions above it, in (0, 1], are positive. With None, the largest output of
            a sample is positive unless it is 0.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If ``beta`` or ``threshold`` is not a number.
        ValueError: If an argument is out of its range.

    >>> FBetaScore(beta=2.0, threshold=0.5)([[1, 0], [1, 1]], [[0.6, 0.6], [0.2, 0.9]]).round(4)
    array([0.5556, 0.8333])
    """

    direction = "up"

    # Per class, or over all classes with "micro":
    true_positives: StateVariable
    false_positives: StateVariable
    false_negatives: StateVariable
    intermediate_weights: StateVariable  # of true labels

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in _AVERAGES:
            raise ValueError(f"average must be one of {_AVERAGES}. Received: average={average!r}")
        self.average = average
        self.beta = check_positive("beta", beta)
        self.threshold = threshold
        if threshold is not None:
            self.threshold = check_fraction("threshold", threshold, including_one=True)
            if not self.threshold:
                raise ValueError("threshold must lie in (0, 1]. Received: threshold=0")
        self._make_counts(1)

    def _make_counts(self, classes: int) -> None:
        """Make the variables."""
        for name in (
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ):
            setattr(self, name, self.add_variable(classes, "zeros", name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state with one batch.

        Args:
            y_true: The targets, 0 or 1, shape (m, classes).
            y_pred: The predictions, shape (m, classes).
            sample_weight: A weight per sample, shape (m,); None means 1.

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the shapes do not fit, or the number of classes changes.
        """
        y_true, y_pred = as_pair(y_true, y_pred)
        if y_pred.ndim != 2 or len(self.true_positives) not in (1, y_pred.shape[1]):
            raise ValueError(
                f"{type(self).__name__} expects y_pred of shape (m, classes), the same classes in "
                f"every batch. Received: shape {y_pred.shape}"
            )
        if self.threshold is None:
            positive = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        true = y_true.astype(float)
        weighted = true
        if sample_weight is not None:
            weight = as_weights(sample_weight, y_pred.shape)
            weighted = true * weight
            positive = positive * weight
        parts = (np.multiply(positive, true), positive, weighted)
        sums = np.array([np.add.reduce(part, axis=0, dtype=float) for part in parts])
        if self.average == "micro":
            sums = sums.sum(axis=1, keepdims=True)
        elif len(self.true_positives) == 1:
            self._make_counts(y_pred.shape[1])
        hits, predicted, actual = sums
        self.true_positives += hits
        self.false_positives += predicted - hits
        self.false_negatives += actual - hits
        self.intermediate_weights += actual

    def result(self) -> float | Array:
        """Return the score, or an array with one score per class if ``average`` is None."""
        hits = self.true_positives.numpy()
        precision = hits / (hits + self.false_positives + epsilon())
        recall = hits / (hits + self.false_negatives + epsilon())
        weight = self.beta**2
        scores = (1 + weight) * precision * recall / (weight * precision + recall + epsilon())
        if self.average is None:
            return np.array(scores)
        if self.average == "weighted":
            true = self.intermediate_weights
            return float(scores @ true) / (float(true.sum()) + epsilon())
        return float(scores.mean())


@registry.register()
class F1Score(FBetaScore):
    """F1, the harmonic mean of precision and recall: `FBetaScore` with beta = 1.

    Args:
        average, threshold: As for `FBetaScore`.
        name, dtype: As for `Metric`.

    Raises:
        TypeError: If ``threshold`` is not a number.
        ValueError: If an argument is out of its range.

    >>> F1Score(threshold=0.5)([[1, 0], [1, 1]], [[0.6, 0.6], [0.2, 0.9]]).round(4)
    array([0.6667, 0.6667])
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
