"""Cross-entropies: the negative log-likelihood of the targets, from probabilities or logits.

If a model ends in the matching activation, training uses the logits, so that nothing saturates:
with p = sigmoid(z) or softmax(z), the derivative by z is p - y.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.numerics import axis_first, axis_last, constant, shifted_exp
from nnlite.config import epsilon
from nnlite.losses.labels import check_classes
from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_fraction

__all__ = [
    "BinaryCrossEntropy",
    "BinaryCrossentropy",
    "CategoricalCrossEntropy",
    "CategoricalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalCrossEntropy",
    "SparseCategoricalCrossentropy",
]


class CrossEntropy(Loss):
    """Base class of the cross-entropies, which compute value and derivative together."""

    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_fraction(
            "label_smoothing", label_smoothing, including_one=True
        )
        self.axis = check_axis(axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the value of each sample."""
        return self.call_and_derivative(y_true, y_pred)[0]

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return the derivative of each sample's value."""
        return self.call_and_derivative(y_true, y_pred)[1]


@registry.register("bce", "BCE")
class BinaryCrossEntropy(CrossEntropy):
    """Binary cross-entropy: the mean over the k outputs of -(y log p + (1 - y) log(1 - p)).

    Its derivative is (p - y) / (p (1 - p)) / k. From logits z, with p = sigmoid(z), the value is
    log(1 + exp(z)) - y z, and the derivative by z is (p - y) / k. Probabilities are clipped to
    [1e-7, 1 - 1e-7]; outside this range the derivative is 0.

    Source: Bishop, "Pattern Recognition and Machine Learning", 2006, equations 4.90 and 4.91.

    Args:
        from_logits: Whether ``y_pred`` holds logits z rather than probabilities p.
        label_smoothing: s in [0, 1]: the targets become y (1 - s) + s / 2.
        axis: The axis of the outputs.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If ``label_smoothing`` lies outside [0, 1].

    >>> BinaryCrossEntropy()([[1.0], [1.0], [1.0]], [[0.8], [0.9], [0.4]])
    0.41493159961539694
    """

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the mean over the outputs, and its derivative with respect to each."""
        y = y_true
        if self.label_smoothing:
            y = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        values, d = self._of_outputs(y, y_pred)
        outputs = y_pred.shape[self.axis]
        if outputs == 1:
            return values.squeeze(self.axis), d
        d /= outputs
        return values.mean(axis=self.axis), d

    def _of_outputs(self, y: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the value of each output, and its derivative."""
        if self.from_logits:
            e, positive = exp_of_minus_abs(y_pred)
            one = positive.astype(e.dtype)  # operations on two types are slower
            # log(1 + exp(z)) is z where z >= 0, else 0, plus log(1 + exp(-|z|)).
            values = np.log1p(e) - y_pred * (y - one)
            d = np.maximum(e, one, out=one)  # 1 where z >= 0, else e, which is at most 1
            e += constant(1, e.dtype)
            d /= e
            d -= y
            return values, d
        p = np.clip(y_pred, epsilon(), 1 - epsilon())
        values = -(y * np.log(p) + (1 - y) * np.log1p(-p))
        return values, (p - y) / (p * (1 - p)) * (p == y_pred)

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Check as `Loss.check_targets` does; each target must lie in [0, 1]."""
        array = super().check_targets(name, y_true, output_shape)
        low, high = array.min(), array.max()
        if low < 0 or high > 1:
            raise ValueError(
                f"{type(self).__name__} expects {name} in [0, 1]. Received: values from {low} to "
                f"{high}. Labels such as -1 and 1 become 0 and 1 by (y + 1) / 2."
            )
        return array


@functools.lru_cache(maxsize=64)
def _class_column(classes: int, axes: int) -> Array:
    """Return the class indices along the first of ``axes`` axes."""
    return np.arange(classes).reshape(-1, *[1] * axes)


def exp_of_minus_abs(z: Array) -> tuple[Array, Array]:
    """Return exp(-|z|) and z >= 0, from which sigmoid(z) = 1 / (1 + exp(-z)) is computed."""
    return np.exp(np.copysign(z, constant(-1, z.dtype))), z >= constant(0, z.dtype)


def normalize(p: Array) -> Array:
    """Divide ``p`` in place by its sum along the first axis, and return the sum."""
    total = np.add.reduce(p, axis=0)
    total = np.where(total == 0, 1, total)  # all entries are 0, as after a ReLU
    p /= total
    return total


@registry.register()
class CategoricalCrossEntropy(CrossEntropy):
    """Categorical cross-entropy: -sum_i y_i log p_i, for targets given as distributions y.

    Probabilities are divided by their sum S and clipped to [1e-7, 1 - 1e-7]; the derivative by
    p_i is (sum_j y_j - y_i / p_i) / S. From logits z, with p = softmax(z), the value is
    sum_i y_i (log sum_j exp(z_j) - z_i), and the derivative by z is p sum_j y_j - y.

    Source: Bishop, "Pattern Recognition and Machine Learning", 2006, equations 4.108 and 4.109.

    Args:
        from_logits: Whether ``y_pred`` holds logits z rather than probabilities p.
        label_smoothing: s in [0, 1]: the targets become y (1 - s) + s / classes.
        axis: The axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If ``label_smoothing`` lies outside [0, 1].

    >>> CategoricalCrossEntropy()([[0.0, 1.0]], [[0.5, 0.5]])
    0.6931471805599453
    """

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return -sum(y log p) and its derivative."""
        y = axis_first(y_true, self.axis)
        if self.label_smoothing:
            y = y * (1 - self.label_smoothing) + self.label_smoothing / len(y)
        return self._of_distributions(y, np.add.reduce(y, axis=0), y_pred)

    def _of_distributions(self, y: Array, mass: Any, y_pred: Array) -> tuple[Array, Array]:
        """Return value and derivative; y has the classes first and the sum ``mass`` (None: 1)."""
        p = axis_first(y_pred, self.axis)
        if self.from_logits:
            z, d, total = shifted_exp(p)
            values = np.log(total)
            if mass is not None:
                values *= mass
            values -= np.add.reduce(np.multiply(y, z, out=z), axis=0)
            d *= (constant(1, d.dtype) if mass is None else mass) / total
            d -= y
        else:
            total = normalize(p)
            inside = np.clip(p, epsilon(), 1 - epsilon())
            values = -np.add.reduce(y * np.log(inside), axis=0)
            y = np.multiply(y, p == inside, dtype=p.dtype)
            d = (np.add.reduce(y, axis=0) - y / inside) / total
        return values, axis_last(d, self.axis)


@registry.register()
class SparseCategoricalCrossEntropy(CategoricalCrossEntropy):
    """Categorical cross-entropy, -log p_y, for targets given as class indices y.

    Equals `CategoricalCrossEntropy` for the one-hot vector of y.

    Args:
        from_logits: Whether ``y_pred`` holds logits z rather than probabilities p.
        ignore_class: The class index of samples to ignore, or None.
        axis: The axis of the classes.
        reduction, name, dtype: As for `Loss`.

    >>> SparseCategoricalCrossEntropy()([1], [[0.5, 0.5]])
    0.6931471805599453
    """

    takes_indices = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        if ignore_class is not None and not isinstance(ignore_class, (int, np.integer)):
            raise TypeError(
                f"ignore_class must be an integer. Received: ignore_class={ignore_class!r}"
            )
        self.ignore_class = ignore_class

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return -log p_y and its derivative."""
        one_hot = y_true == _class_column(y_pred.shape[self.axis], y_true.ndim)
        return self._of_distributions(one_hot.astype(y_pred.dtype), None, y_pred)

    def valid(self, y_true: Array) -> Array | None:
        """Return where ``y_true`` differs from ``ignore_class``."""
        return None if self.ignore_class is None else y_true != self.ignore_class

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Check as `Loss.check_targets` does; each target must be a class index."""
        array = super().check_targets(name, y_true, output_shape)
        check_classes(type(self).__name__, name, array, output_shape[self.axis], self.ignore_class)
        return array


@registry.register("categorical_generalized_cross_entropy")
class CategoricalGeneralizedCrossEntropy(Loss):
    """Generalized cross-entropy of class indices y, (1 - p_y^q) / q, robust to wrong labels.

    For q -> 0 the loss becomes the cross-entropy -log p_y; for q = 1 it is the absolute error
    1 - p_y. The derivative by p_y is -p_y^(q - 1), and 0 where p_y <= 0.

    Source: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks
    with Noisy Labels", 2018, equation 6.

    Args:
        q: The exponent, between 0 and 1.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If ``q`` does not lie between 0 and 1.

    >>> CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])
    1.0
    """

    takes_indices = True
    keras_name: ClassVar[str | None] = "CategoricalGeneralizedCrossEntropy"

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.q = check_fraction("q", q)
        if not self.q:
            raise ValueError(f"q must lie between 0 and 1. Received: q={q!r}")

    @classmethod
    def default_name(cls) -> str:
        """Return Keras's name, which separates cross and entropy."""
        return "categorical_generalized_cross_entropy"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return (1 - p_y^q) / q."""
        return (1 - self._of_label(y_true, y_pred) ** self.q) / self.q

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return -p_y^(q - 1) at the label, and 0 elsewhere."""
        p = self._of_label(y_true, y_pred)
        positive = p >= np.finfo(p.dtype).tiny  # below, the power would overflow
        slope = -(np.where(positive, p, 1) ** (self.q - 1)) * positive
        d = np.zeros_like(y_pred)
        np.put_along_axis(d, y_true[..., None], slope[..., None], axis=-1)
        return d

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Check as `Loss.check_targets` does; each target must be a class index."""
        array = super().check_targets(name, y_true, output_shape)
        check_classes(type(self).__name__, name, array, output_shape[-1])
        return array

    def _of_label(self, y_true: Array, y_pred: Array) -> Array:
        p = np.take_along_axis(y_pred, y_true[..., None], axis=-1)[..., 0]
        return np.maximum(p, 0)


BinaryCrossentropy = BinaryCrossEntropy
CategoricalCrossentropy = CategoricalCrossEntropy
SparseCategoricalCrossentropy = SparseCategoricalCrossEntropy
