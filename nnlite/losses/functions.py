"""Loss functions: each returns the loss per sample that the class of the same name computes.

``compile(loss=...)`` also accepts a function and uses the class, which has the derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.losses.circle import Circle
from nnlite.losses.crossentropy import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossEntropy,
)
from nnlite.losses.focal import BinaryFocalCrossEntropy, CategoricalFocalCrossEntropy
from nnlite.losses.hinge import CategoricalHinge, Hinge, SquaredHinge
from nnlite.losses.loss import registry
from nnlite.losses.overlap import Dice, Tversky
from nnlite.losses.probabilistic import KLDivergence, Poisson
from nnlite.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)

__all__ = [
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_proximity",
    "cosine_similarity",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


@registry.function_of(BinaryCrossEntropy)
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the loss of each sample: the mean of -(y log p + (1 - y) log(1 - p)).

    >>> binary_crossentropy([[1.0], [0.0]], [[0.5], [0.5]]).round(6)
    array([0.693147, 0.693147])
    """
    return BinaryCrossEntropy(
        from_logits=from_logits, label_smoothing=label_smoothing, axis=axis, reduction=None
    )(y_true, y_pred)


@registry.function_of(BinaryFocalCrossEntropy)
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the loss of each sample, with easy samples down-weighted.

    >>> binary_focal_crossentropy([[1.0], [0.0]], [[0.5], [0.5]]).round(6)
    array([0.173287, 0.173287])
    """
    return BinaryFocalCrossEntropy(
        apply_class_balancing=apply_class_balancing,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
        reduction=None,
    )(y_true, y_pred)


@registry.function_of(CategoricalCrossEntropy)
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the loss of each sample: -sum(y log p), for distributions y.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(6)
    array([0.693147])
    """
    return CategoricalCrossEntropy(
        from_logits=from_logits, label_smoothing=label_smoothing, axis=axis, reduction=None
    )(y_true, y_pred)


@registry.function_of(CategoricalFocalCrossEntropy)
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the loss of each sample, with easy samples down-weighted.

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(6)
    array([0.043322])
    """
    return CategoricalFocalCrossEntropy(
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
        reduction=None,
    )(y_true, y_pred)


@registry.function_of(CategoricalGeneralizedCrossEntropy)
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Any:
    """Return the loss of each sample: (1 - p_y^q) / q, for class indices y.

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]]).round(6)
    array([1.])
    """
    return CategoricalGeneralizedCrossEntropy(q=q, reduction=None)(y_true, y_pred)


@registry.function_of(CategoricalHinge)
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: max(1 + max((1 - y) p) - sum(y p), 0).

    >>> categorical_hinge([[0.0, 1.0]], [[0.25, 0.5]]).round(6)
    array([0.75])
    """
    return CategoricalHinge(reduction=None)(y_true, y_pred)


@registry.function_of(CosineSimilarity)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return the loss of each sample: -sum(y p) / (|y| |p|).

    >>> cosine_similarity([[1.0, 0.0]], [[3.0, 4.0]]).round(6)
    array([-0.6])
    """
    return CosineSimilarity(axis=axis, reduction=None)(y_true, y_pred)


@registry.function_of(Dice)
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """Return the loss of each sample: 1 - 2 sum(y p) / (sum(y) + sum(p) + 1e-7).

    >>> dice([[1.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], axis=1).round(6)
    array([0.333333, 0.      ])
    """
    return Dice(axis=axis, reduction=None)(y_true, y_pred)


@registry.function_of(Hinge)
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of max(1 - y p, 0).

    >>> hinge([[-1.0, 1.0]], [[0.5, 2.0]]).round(6)
    array([0.75])
    """
    return Hinge(reduction=None)(y_true, y_pred)


@registry.function_of(Huber)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Return the loss of each sample: quadratic up to an error of delta, then linear.

    >>> huber([[0.0, 0.0]], [[0.5, 3.0]]).round(6)
    array([1.3125])
    """
    return Huber(delta=delta, reduction=None)(y_true, y_pred)


@registry.function_of(KLDivergence)
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: sum(y log(y / p)), for distributions y.

    >>> kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).round(6)
    array([0.693146])
    """
    return KLDivergence(reduction=None)(y_true, y_pred)


@registry.function_of(LogCosh)
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of log(cosh(p - y)).

    >>> log_cosh([[0.0, 0.0]], [[0.0, 100.0]]).round(6)
    array([49.653426])
    """
    return LogCosh(reduction=None)(y_true, y_pred)


@registry.function_of(MeanAbsoluteError)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of |p - y|.

    >>> mean_absolute_error([[0.0, 2.0]], [[1.0, 4.0]]).round(6)
    array([1.5])
    """
    return MeanAbsoluteError(reduction=None)(y_true, y_pred)


@registry.function_of(MeanAbsolutePercentageError)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of 100 |p - y| / |y|.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]]).round(6)
    array([37.5])
    """
    return MeanAbsolutePercentageError(reduction=None)(y_true, y_pred)


@registry.function_of(MeanSquaredError)
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of (p - y)^2.

    >>> mean_squared_error([[0.0, 2.0]], [[1.0, 4.0]]).round(6)
    array([2.5])
    """
    return MeanSquaredError(reduction=None)(y_true, y_pred)


@registry.function_of(MeanSquaredLogarithmicError)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of (log(1 + p) - log(1 + y))^2.

    >>> mean_squared_logarithmic_error([[0.0, 3.0]], [[1.0, 3.0]]).round(6)
    array([0.240226])
    """
    return MeanSquaredLogarithmicError(reduction=None)(y_true, y_pred)


@registry.function_of(Poisson)
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of p - y log(p + 1e-7).

    >>> poisson([[0.0, 2.0]], [[1.0, 1.0]]).round(6)
    array([1.])
    """
    return Poisson(reduction=None)(y_true, y_pred)


@registry.function_of(SparseCategoricalCrossEntropy)
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """Return the loss of each sample: -log p_y, for class indices y.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(6)
    array([0.693147])
    """
    return SparseCategoricalCrossEntropy(
        from_logits=from_logits, ignore_class=ignore_class, axis=axis, reduction=None
    )(y_true, y_pred)


@registry.function_of(SquaredHinge)
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return the loss of each sample: the mean of max(1 - y p, 0)^2.

    >>> squared_hinge([[-1.0, 1.0]], [[0.5, 2.0]]).round(6)
    array([1.125])
    """
    return SquaredHinge(reduction=None)(y_true, y_pred)


@registry.function_of(Tversky)
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """Return the loss of each sample: 1 - I / (I + alpha A + beta B + 1e-7).

    >>> tversky([[1.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], axis=1).round(6)
    array([0.333333, 0.      ])
    """
    return Tversky(alpha=alpha, beta=beta, axis=axis, reduction=None)(y_true, y_pred)


@registry.function_of(Circle)
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Return the loss of each sample, which compares embeddings by label.

    The embeddings are compared with ``ref_embeddings``, shape (n, features), which have the labels
    ``ref_labels``, shape (n,); by default with one another. For the rest, see `Circle`.

    >>> circle([0, 1], [[1.0, 0.0], [0.0, 1.0]], [0, 1], [[1.0, 0.0], [0.8, 0.6]], False).round(4)
    array([25.6,  0. ])
    """
    loss = Circle(gamma, margin, remove_diagonal, reduction=None)
    labels, x, _ = loss.arrays(y_true, y_pred, None)
    reference_labels, references, _ = loss.arrays(
        y_true if ref_labels is None else ref_labels,
        y_pred if ref_embeddings is None else ref_embeddings,
        None,
    )
    with np.errstate(under="ignore"):
        return loss.against(labels, x, reference_labels, references)[0]


# Keras's older names.
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
mse = MSE = mean_squared_error
msle = MSLE = mean_squared_logarithmic_error
cosine_proximity = cosine_similarity
