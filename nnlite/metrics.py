"""Metrics: numbers to watch, averaged over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import losses
from nnlite.checks import as_numeric
from nnlite.registry import Configurable, Registry

__all__ = [
    "BinaryAccuracy",
    "BinaryCrossEntropy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossEntropy",
    "CategoricalCrossentropy",
    "Huber",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossEntropy",
    "SparseCategoricalCrossentropy",
    "get",
]

Array = NDArray[Any]


class Metric(Configurable):
    """A number gathered over batches: `update_state` for each, then `result`.

    Args:
        name: Its name in logs; by default the class's in snake case.
        dtype: Accepted for Keras's sake: sums are kept in double precision.
    """

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or self.default_name()
        self.dtype = dtype
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in one batch of targets and predictions, weighted or not."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> float:
        """Return the metric of all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset_state")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Take in one batch and return the result so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()


class Mean(Metric):
    """The weighted mean of values.

    >>> mean = Mean("loss")
    >>> mean.add(1.0, weight=1)
    >>> mean.add(4.0, weight=2)
    >>> mean.result()
    3.0
    """

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in values, each counting ``sample_weight`` times, once by default."""
        values = as_numeric("values", values).astype(float)
        weight = as_numeric("sample_weight", 1 if sample_weight is None else sample_weight)
        weight = np.broadcast_to(weight, values.shape)
        total = float(weight.sum())
        if total:
            self.add(float((values * weight).sum()) / total, total)

    def add(self, value: float, weight: float) -> None:
        """Take in one value that counts ``weight`` times."""
        self.total += value * weight
        self.count += weight

    def result(self) -> float:
        """Return the mean, 0 where nothing has counted."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget all values."""
        self.total = 0.0
        self.count = 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: Called as ``fn(y_true, y_pred, **kwargs)``; returns a value for each sample.
        name: Its name in logs; by default the function's.
        dtype: As for `Metric`.
        **kwargs: Passed on to ``fn``.

    >>> def largest_error(y_true, y_pred):
    ...     return np.abs(y_true - y_pred).max(axis=-1)
    >>> metric = MeanMetricWrapper(largest_error)
    >>> metric(np.array([[0.0, 0.0]]), np.array([[1.0, 3.0]]))
    3.0
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self.fn = fn
        self._kwargs = kwargs

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return what is averaged."""
        return np.asarray(self.fn(y_true, y_pred, **self._kwargs))

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in one batch; ``sample_weight`` of shape (m,) weighs its samples."""
        y_true, y_pred = as_numeric("y_true", y_true), as_numeric("y_pred", y_pred)
        if len(np.atleast_1d(y_true)) != len(np.atleast_1d(y_pred)):
            raise ValueError(
                "y_true and y_pred must have the same number of samples. Received: "
                f"y_true of shape {y_true.shape}, y_pred of shape {y_pred.shape}"
            )
        values = self.values(y_true, y_pred)
        if sample_weight is None:
            self.add(float(values.mean(dtype=float)), values.size)
            return
        weight = as_numeric("sample_weight", sample_weight)
        if weight.ndim > values.ndim:
            weight = weight.reshape(values.shape)
        weight = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
        super().update_state(values, np.broadcast_to(weight, values.shape))


registry: Registry[Metric] = Registry("metric", Metric)


@registry.register()
class BinaryAccuracy(MeanMetricWrapper):
    """The fraction of outputs on the right side of a threshold.

    Args:
        name: As for `Metric`.
        dtype: As for `Metric`.
        threshold: A prediction above it is a 1.

    >>> BinaryAccuracy()([[1.0], [0.0]], [[0.7], [0.6]])
    0.5
    """

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(self._hits, name, dtype)
        self.threshold = threshold

    def _hits(self, y_true: Array, y_pred: Array) -> Array:
        return _targets(y_true, y_pred.shape) == (y_pred > self.threshold)


@registry.register()
class CategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose largest output stands where the largest target does.

    Args:
        name: As for `Metric`.
        dtype: As for `Metric`.

    >>> CategoricalAccuracy()([[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(self._hits, name, dtype)

    def _hits(self, y_true: Array, y_pred: Array) -> Array:
        return _targets(y_true, y_pred.shape).argmax(axis=-1) == y_pred.argmax(axis=-1)


@registry.register()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of samples whose largest output is that of the target's class index.

    Args:
        name: As for `Metric`.
        dtype: As for `Metric`.

    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(self._hits, name, dtype)

    def _hits(self, y_true: Array, y_pred: Array) -> Array:
        return _targets(y_true, y_pred.shape[:-1]) == y_pred.argmax(axis=-1)


def _targets(y_true: Array, shape: tuple[int, ...]) -> Array:
    """Return ``y_true`` in ``shape``, from which it may differ by a last axis of size 1."""
    if y_true.shape not in (shape, (*shape, 1), shape[:-1] if shape[-1:] == (1,) else shape):
        raise ValueError(f"y_true must have shape {shape}. Received: shape {y_true.shape}")
    return y_true.reshape(shape)


class LossMetric(MeanMetricWrapper):
    """The mean of a loss.

    Args:
        loss: The loss; its reduction does not matter.
        name: Its name in logs; by default the loss's.
        dtype: As for `Metric`.

    >>> LossMetric(losses.MeanSquaredError())([[0.0, 2.0]], [[1.0, 4.0]])
    2.5
    """

    def __init__(self, loss: losses.Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(self._each, name or loss.name, dtype)
        self.loss = type(loss)(**{**loss.get_config(), "reduction": "none"})

    def _each(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(self.loss(y_true, y_pred))


def _of_loss(cls: type[losses.Loss]) -> type[LossMetric]:
    """Return the metric class of a loss class, which takes that class's own arguments."""

    class OfLoss(LossMetric):
        def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
            super().__init__(cls(**kwargs), name, dtype)

    OfLoss.__name__ = OfLoss.__qualname__ = cls.__name__
    OfLoss.__doc__ = f"The mean of `nnlite.losses.{cls.__name__}`, which says its arguments."
    return OfLoss


BinaryCrossEntropy = BinaryCrossentropy = _of_loss(losses.BinaryCrossEntropy)
CategoricalCrossEntropy = CategoricalCrossentropy = _of_loss(losses.CategoricalCrossEntropy)
SparseCategoricalCrossEntropy = _of_loss(losses.SparseCategoricalCrossEntropy)
SparseCategoricalCrossentropy = SparseCategoricalCrossEntropy
MeanSquaredError = _of_loss(losses.MeanSquaredError)
MeanAbsoluteError = _of_loss(losses.MeanAbsoluteError)
Huber = _of_loss(losses.Huber)


def get(identifier: Any) -> Metric:
    """Return a metric for a metric's or loss's name, a class, an object or a function.

    Raises:
        ValueError: If the name is unknown; the message offers the nearest.
        TypeError: If it is nothing of the kind.

    >>> get("mse").name
    'mse'
    """
    if isinstance(identifier, str):
        if identifier in losses.registry:
            return LossMetric(losses.get(identifier), identifier)
        known = ["accuracy", "acc", *losses.registry, *registry]
        metric = registry.lookup(identifier, known)()
        metric.name = identifier
        return metric
    if isinstance(identifier, losses.Loss):
        return LossMetric(identifier)
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        return MeanMetricWrapper(identifier)
    return registry.get(identifier)


class CompiledMetrics:
    """The metrics of a compiled model; the string ``"accuracy"`` becomes the form that fits.

    Args:
        metrics: A list of names, metrics or functions.
        weighted_metrics: The same, for those that take the sample weights.

    Raises:
        TypeError: If either is no list.
        ValueError: If a name is unknown.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any) -> None:
        self._asked: list[tuple[Any, bool]] = []
        for name, given, weighted in [
            ("metrics", metrics, False),
            ("weighted_metrics", weighted_metrics, True),
        ]:
            if given is not None and not isinstance(given, (list, tuple)):
                raise TypeError(f"{name} must be a list, such as ['accuracy']. Received: {given!r}")
            for one in given or ():
                known = one if _is_accuracy(one) else get(one)
                self._asked.append((known, weighted))
        self._shapes: Any = None
        self._used: dict[str, tuple[Metric, bool]] = {}

    @property
    def all(self) -> list[Metric]:
        """The metrics, none before the first batch."""
        return [metric for metric, _ in self._used.values()]

    @property
    def wanted(self) -> bool:
        """Whether there is any metric."""
        return bool(self._asked)

    def update(self, y_true: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Take in one batch."""
        shapes = (y_true.shape[1:], y_pred.shape[1:])
        if shapes != self._shapes:
            self._shapes = shapes
            self._used = self._choose(y_true, y_pred)
        for metric, weighted in self._used.values():
            metric.update_state(y_true, y_pred, sample_weight if weighted else None)

    def _choose(self, y_true: Array, y_pred: Array) -> dict[str, tuple[Metric, bool]]:
        """Return the metrics by their names in logs, which are made to differ."""
        used: dict[str, tuple[Metric, bool]] = {}
        for one, weighted in self._asked:
            fits = _is_accuracy(one)
            metric = accuracy(one, y_true.shape, y_pred.shape) if fits else one
            name = base = metric.name
            if weighted and name in used:
                name = base = f"weighted_{base}"
            number = 0
            while name in used:
                number += 1
                name = f"{base}_{number}"
            metric.reset_state()  # it may have been used before, by hand or by another compile
            used[name] = (metric, weighted)
        return used

    def results(self) -> dict[str, float]:
        """Return each metric's result by name."""
        return {name: metric.result() for name, (metric, _) in self._used.items()}

    def reset_state(self) -> None:
        """Forget all batches."""
        for metric, _ in self._used.values():
            metric.reset_state()


def _is_accuracy(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc")


def accuracy(name: str, y_true: tuple[int, ...], y_pred: tuple[int, ...]) -> Metric:
    """Return the form of accuracy that fits the shapes of targets and predictions."""
    if y_pred[-1] == 1:
        return BinaryAccuracy(name)
    if len(y_true) < len(y_pred) or y_true[-1] == 1:
        return SparseCategoricalAccuracy(name)
    return CategoricalAccuracy(name)
