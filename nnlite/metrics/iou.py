"""Intersection over union (IoU) metrics for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.config import epsilon
from nnlite.metrics.metric import Metric, as_pair, as_weights, check_size, ratio, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_count, check_finite, check_number

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@registry.register()
class IoU(Metric):
    """The mean over classes of TP / (TP + FP + FN), the intersection over the union.

    The mean excludes classes that neither occur nor are predicted; 1e-7 is added to denominators.

    Source: Jaccard, "The Distribution of the Flora in the Alpine Zone", 1912.

    The state ``total_cm`` is the weighted confusion matrix, true by predicted class.

    Args:
        num_classes: The number of classes.
        target_class_ids: The classes to average over.
        name: As for `Metric`.
        dtype: The type in the configuration, ``"int32"`` by default as in Keras. Weights are always
            summed in double precision.
        ignore_class: The label of entries to ignore.
        sparse_y_true: Whether targets are class indices; otherwise the argmax is taken.
        sparse_y_pred: The same for predictions.
        axis: The axis of the argmax.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there are too few or too many classes, or a target is not one of them.

    >>> round(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        self.num_classes = check_count("num_classes", num_classes, 1)
        check_size("num_classes**2", self.num_classes**2, 1)
        if not isinstance(target_class_ids, (list, tuple, range, np.ndarray)) or not len(
            target_class_ids
        ):
            raise TypeError(
                "target_class_ids must be a list of at least one class. Received: "
                f"target_class_ids={target_class_ids!r}"
            )
        ends = (min(target_class_ids), max(target_class_ids))
        for one in ends if isinstance(target_class_ids, range) else target_class_ids:
            if check_count("target_class_ids", one, 0) >= num_classes:
                raise ValueError(
                    f"target_class_ids must be less than num_classes={num_classes}. Received: {one}"
                )
        self.target_class_ids: Any = target_class_ids
        if not isinstance(target_class_ids, range):
            self.target_class_ids = [int(one) for one in target_class_ids]
        if ignore_class is not None:
            check_count("ignore_class", ignore_class, np.iinfo(np.int64).min)
        self.ignore_class = ignore_class
        self.sparse_y_true = bool(sparse_y_true)
        self.sparse_y_pred = bool(sparse_y_pred)
        self.axis = check_count("axis", axis, -32)
        shape = (self.num_classes, self.num_classes)
        self.total_cm = self.add_variable(shape, "zeros", name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state with one batch.

        Args:
            y_true: The targets: class indices, or vectors whose argmax is the class.
            y_pred: The predictions, in one of the same two forms.
            sample_weight: A weight per sample, shape (m,), or per label; None means 1.

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the shapes do not fit, or a label is not a class.
        """
        y_true, y_pred = as_numeric("y_true", y_true), as_numeric("y_pred", y_pred)
        if not self.sparse_y_true:
            y_true = y_true.argmax(axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = y_pred.argmax(axis=self.axis)
        y_true, y_pred = as_pair(y_true, y_pred)
        weights: Any = None
        if sample_weight is not None:
            weights = as_weights(sample_weight, y_pred.shape)
        if self.ignore_class is not None:
            counted = y_true != self.ignore_class
            if weights is not None:
                weights = np.broadcast_to(weights, y_pred.shape)[counted]
            y_true, y_pred = y_true[counted], y_pred[counted]
        true, predicted = self._classes("y_true", y_true), self._classes("y_pred", y_pred)
        if weights is not None:
            weights = np.broadcast_to(weights, y_pred.shape).ravel()
        pairs = true * self.num_classes + predicted
        counts = np.bincount(pairs, weights, self.num_classes**2)
        self.total_cm[...] += counts.reshape(self.total_cm.shape)

    def _classes(self, name: str, labels: Array) -> Array:
        """Return labels as a flat array of class indices, truncated to integers."""
        check_finite(name, labels, labels.dtype)
        if labels.size and not (labels.min() > -1 and labels.max() < self.num_classes):
            raise ValueError(
                f"{name} must hold classes from 0 to {self.num_classes - 1}. Received: values from "
                f"{labels.min()} to {labels.max()}"
            )
        return labels.astype(np.intp).ravel()

    def result(self) -> float:
        """Return the mean over the target classes that occur, 0 if none does."""
        both = self.total_cm.diagonal()
        union = self.total_cm.sum(axis=0) + self.total_cm.sum(axis=1) - both
        if not isinstance(self.target_class_ids, range):
            both, union = both[self.target_class_ids], union[self.target_class_ids]
        occurs = union > 1e-9
        each = ratio(both * occurs, union + epsilon())
        return float(each.sum() / (np.count_nonzero(occurs) + epsilon()))

    @staticmethod
    def type_name(dtype: Any) -> str:
        """Return the name as `Metric.type_name` does; None and ``"int"`` mean int32."""
        return Metric.type_name("int32" if dtype in (None, "int") else dtype)


@registry.register()
class BinaryIoU(IoU):
    """`IoU` for two classes separated by a threshold.

    Args:
        target_class_ids: The classes to average over, of 0 and 1.
        threshold: Predictions of at least this value are class 1.
        name: As for `Metric`.
        dtype: As for `IoU`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a target is neither 0 nor 1, or ``threshold`` is not finite.

    >>> round(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = check_number("threshold", threshold, -np.inf)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the state as `IoU.update_state`, with thresholded predictions."""
        above = as_numeric("y_pred", y_pred) >= self.threshold
        super().update_state(y_true, above.astype(np.intp), sample_weight)


@registry.register()
class MeanIoU(IoU):
    """`IoU` averaged over all classes.

    Args:
        num_classes: As for `IoU`.
        name: As for `Metric`.
        dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: As for `IoU`.

    >>> round(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 1, 1]), 4)
    0.5833
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        target_class_ids = range(check_count("num_classes", num_classes, 1))
        super().__init__(**IoU._among(locals()))


@registry.register()
class OneHotIoU(IoU):
    """`IoU` of one-hot targets.

    Args:
        num_classes, target_class_ids: As for `IoU`.
        name: As for `Metric`.
        dtype, ignore_class, sparse_y_pred, axis: As for `IoU`.

    >>> round(OneHotIoU(2, [0])([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]]), 4)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


@registry.register()
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets.

    Args:
        num_classes: As for `IoU`.
        name: As for `Metric`.
        dtype, ignore_class, sparse_y_pred, axis: As for `IoU`.

    >>> round(OneHotMeanIoU(2)([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]]), 4)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
