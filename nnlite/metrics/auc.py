"""AUC: the area under the ROC, precision-recall or precision-recall-gain curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.backend.numerics import exp_limit
from nnlite.config import epsilon
from nnlite.metrics.metric import check_size, ratio, registry
from nnlite.metrics.thresholds import ThresholdMetric, as_thresholds
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_finite

__all__ = ["AUC"]


@registry.register()
class AUC(ThresholdMetric):
    """Area under the ROC or precision-recall curve, approximated by a sum over thresholds.

    ROC plots the true positive rate, TP / (TP + FN), over the false positive rate, FP / (FP + TN);
    its area is the probability that a positive is ranked above a negative. PR plots precision,
    TP / (TP + FP), over recall. PRGAIN plots precision gain, 1 - FP / TP * (TP + FN) / (FP + TN),
    over recall gain, 1 - FN / TP * (TP + FN) / (FP + TN), which are independent of prevalence.

    Source: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006,
    section 4, for the interpolation of PR; Flach and Kull, "Precision-Recall-Gain Curves: PR
    Analysis Done Right", 2015, equation 2, for PRGAIN.

    Args:
        num_thresholds: The number of thresholds, evenly spaced from just below 0 to just above 1.
        curve: ``"ROC"``, ``"PR"`` or ``"PRGAIN"``.
        summation_method: The height of the area between two thresholds: ``"interpolation"`` takes
            their mean (for PR, integrates precision with TP and FP interpolated linearly),
            ``"minoring"`` the smaller, ``"majoring"`` the larger.
        name, dtype: As for `Metric`.
        thresholds: Thresholds in [0, 1] instead of ``num_thresholds``; one below 0 and one
            above 1 are added.
        multi_label: Whether to compute an area per label (the last axis) and average them, instead
            of treating every entry as a sample.
        num_labels: The number of labels with ``multi_label``; by default that of the first batch.
        label_weights: A weight per label: of its area, or of its entries without ``multi_label``.
        from_logits: Whether predictions are logits, which the sigmoid is applied to.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a name is unknown, a threshold lies outside [0, 1], a weight is negative, or
            a count is too small or too large.

    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.75
    """

    direction = "up"
    left_out_if_none = ("thresholds",)

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        curves = {key: key.upper() for key in ("ROC", "roc", "PR", "pr", "PRGAIN", "prgain")}
        self.curve = _one_of("curve", curve, curves)
        methods = ("interpolation", "minoring", "majoring")
        either = {key: key.lower() for method in methods for key in (method, method.capitalize())}
        self.summation_method = _one_of("summation_method", summation_method, either)
        self.thresholds: list[float] | None = None
        if thresholds is not None:
            self.thresholds = sorted(as_thresholds(thresholds, 0.5))
            num_thresholds = len(self.thresholds) + 2
        self.num_thresholds = check_size("num_thresholds", num_thresholds, 2)
        self.multi_label = bool(multi_label)
        if num_labels is not None:
            if not self.multi_label:
                raise ValueError(
                    f"num_labels requires multi_label=True. Received: num_labels={num_labels}"
                )
            check_size("num_thresholds * num_labels", self.num_thresholds * num_labels, 1)
        self.num_labels = num_labels
        self.label_weights: list[float] | None = None
        if label_weights is not None:
            weights = as_numeric("label_weights", label_weights)
            check_finite("label_weights", weights, self.compared_in)
            if weights.ndim != 1 or (weights < 0).any():
                raise ValueError(
                    "label_weights must hold a number of at least 0 for each label. Received: "
                    f"label_weights={label_weights!r}"
                )
            self.label_weights = weights.astype(self.compared_in).tolist()
        self.from_logits = bool(from_logits)
        ends = self.thresholds and [0.0, *self.thresholds, 1.0]
        self.set_thresholds(ends, self.num_thresholds, epsilon())

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state as `Precision`; with ``multi_label``, y_pred has shape (m, labels)."""
        y_pred = as_numeric("y_pred", y_pred)
        labels = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        if self.multi_label:
            known = self.num_labels
            if self.true_positives.ndim == 2:
                known = self.true_positives.shape[1]
            if y_pred.ndim != 2 or known not in (None, labels):
                raise ValueError(
                    f"With multi_label=True, y_pred must have shape (m, {known or 'labels'}). "
                    f"Received: shape {y_pred.shape}"
                )
        weights = None
        if self.label_weights is not None:
            if len(self.label_weights) != labels:
                raise ValueError(
                    f"label_weights has {len(self.label_weights)} entries. Received: y_pred of "
                    f"shape {y_pred.shape}, with {labels} labels"
                )
            if not self.multi_label:
                weights = np.array(self.label_weights)
        if self.from_logits:
            limit = exp_limit(np.float32)
            y_pred = 1 / (1 + np.exp(-np.clip(y_pred, -limit, limit)))
        self.count(y_true, y_pred, sample_weight, weights)

    def result(self) -> float:
        """Return the area; with ``multi_label``, the weighted mean of the areas of the labels."""
        interpolated = self.curve == "PR" and self.summation_method == "interpolation"
        areas = (self._interpolated() if interpolated else self._summed()).sum(axis=0)
        if areas.ndim and self.label_weights is not None:
            total = sum(self.label_weights)
            return float(areas @ self.label_weights) / total if total else 0.0
        return float(areas.mean())

    def _summed(self) -> Array:
        """Return the areas between neighbouring thresholds."""
        true, false = self.true_positives, self.false_positives
        missed, rejected = self.false_negatives, self.true_negatives
        if self.curve == "ROC":
            x, y = ratio(false, false + rejected), ratio(true, true + missed)
        elif self.curve == "PR":
            x, y = ratio(true, true + missed), ratio(true, true + false)
        else:
            odds = ratio(true + missed, false + rejected)
            # Recall gain is 0 without true positives, or below chance level.
            x = np.maximum(np.where(true == 0, 0, 1 - odds * ratio(missed, true)), 0)
            y = 1 - odds * ratio(false, true)
        if self.summation_method == "interpolation":
            height = (y[:-1] + y[1:]) / 2
        else:
            choose = np.minimum if self.summation_method == "minoring" else np.maximum
            height = choose(y[:-1], y[1:])
        return (x[:-1] - x[1:]) * height

    def _interpolated(self) -> Array:
        """Return the areas under precision with TP interpolated linearly in P = TP + FP.

        From A to B, with the slope s = dTP / dP and c = TP_B - s P_B, the area is
        s (dTP + c log(P_A / P_B)) / (TP + FN). A divisor made negative by weights counts as 0.
        """
        true = self.true_positives
        positive = true + self.false_positives
        rise = true[:-1] - true[1:]
        slope = ratio(rise, np.maximum(positive[:-1] - positive[1:], 0))
        start = true[1:] - slope * positive[1:]
        # Without predicted positives at one end, precision is constant.
        some = (positive[:-1] > 0) & (positive[1:] > 0)
        growth = np.where(some, ratio(positive[:-1], positive[1:]), 1)
        area = slope * (rise + start * np.log(growth))
        return ratio(area, np.maximum(true + self.false_negatives, 0)[1:])


def _one_of(name: str, value: Any, known: dict[str, str]) -> str:
    """Return the option that ``value`` spells."""
    if not isinstance(value, str) or value not in known:
        wanted = ", ".join(repr(one) for one in dict.fromkeys(known.values()))
        raise ValueError(f"{name} must be one of {wanted}. Received: {name}={value!r}")
    return known[value]
