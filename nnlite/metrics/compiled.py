"""The metrics of a compiled model: from what `compile` is given to named results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import losses
from nnlite.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from nnlite.metrics.metric import Metric, registry
from nnlite.metrics.probabilistic import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    SparseCategoricalCrossEntropy,
)
from nnlite.metrics.reduction import Mean, MeanMetricWrapper, function_of
from nnlite.serialization import (
    CustomObjectScope,
    get_registered_object,
    serialize_keras_object,
)

__all__ = ["CompiledMetrics", "deserialize", "get", "serialize"]

Array = NDArray[Any]

_ACCURACIES = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
_CROSS_ENTROPIES = (BinaryCrossEntropy, SparseCategoricalCrossEntropy, CategoricalCrossEntropy)

#: The names whose metric follows from the data: for one output, class indices, or distributions.
_BY_SHAPE: dict[str, tuple[type[Metric], ...]] = {
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    "crossentropy": _CROSS_ENTROPIES,
    "ce": _CROSS_ENTROPIES,
}


def get(identifier: Any) -> Metric:
    """Return a metric for a name, a class, an object, a serialized one, a loss or a function.

    Args:
        identifier: It. The names are those of metrics and of losses, such as ``"mse"``; a loss or
            function becomes the mean of what it is for each sample.

    Raises:
        ValueError: If a name is unknown; the message offers the nearest.
        TypeError: If it is nothing of the kind.

    >>> get("mse")
    MeanSquaredError()
    """
    if isinstance(identifier, str):
        own = get_registered_object(identifier)
        if own is not None:
            return get(own)
        if identifier not in registry and identifier in losses.registry:
            return MeanMetricWrapper(losses.get(identifier), identifier)
        return registry.lookup(identifier, [*_BY_SHAPE, *losses.registry, *registry])()
    if isinstance(identifier, type) and issubclass(identifier, losses.Loss):
        identifier = identifier()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        name = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)
        return MeanMetricWrapper(identifier, name)
    return registry.get(identifier)


def serialize(metric: Any) -> Any:
    """Return a metric or a function as plain data, in Keras's form.

    Raises:
        TypeError: If it has no configuration.

    >>> serialize(get("mse"))["class_name"]
    'MeanSquaredError'
    """
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a metric or a function from what `serialize` returned, or from a name.

    Args:
        config: The metric or function as plain data.
        custom_objects: Those of your own that it may name.

    Raises:
        TypeError: If ``config`` is of another kind.
        ValueError: If it names nothing known, or its configuration does not fit.

    >>> deserialize({"class_name": "BinaryAccuracy", "config": {"threshold": 0.4}})
    BinaryAccuracy(threshold=0.4)
    """
    if not isinstance(config, Mapping):
        with CustomObjectScope(custom_objects):
            return get(config)
    if config.get("class_name") == "function":
        return function_of(config, custom_objects)
    return registry.deserialize(config, custom_objects)


class CompiledMetrics:
    """The metrics of a compiled model, among them those that take the form that fits the data.

    ``"accuracy"`` and ``"crossentropy"``, short ``"acc"`` and ``"ce"``, become the binary form for
    one output, the sparse one for class indices, else the categorical one.

    Args:
        metrics: A list of names, metrics, losses or functions; lists and dicts in it, or a dict in
            its place, are taken for the one output's.
        weighted_metrics: The same, for those that take the sample weights.

    Raises:
        TypeError: If either is neither list nor dict, or an entry is nothing of the kind.
        ValueError: If a name is unknown.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any) -> None:
        #: Metrics, or names whose metric follows from the data; with each, whether it is weighted.
        self.asked: list[tuple[Any, bool]] = []
        for name, given, weighted in [
            ("metrics", metrics, False),
            ("weighted_metrics", weighted_metrics, True),
        ]:
            if given is not None and not isinstance(given, (list, tuple, Mapping)):
                raise TypeError(f"{name} must be a list, such as ['accuracy']. Received: {given!r}")
            for one in _flat(given or []):
                known = one
                if not _follows_from_data(one):
                    known = get(one)
                    if isinstance(one, str):
                        known.name = one
                self.asked.append((known, weighted))
        #: The mean loss of the batches so far.
        self.loss = Mean("loss")
        #: The shapes of a sample's targets and predictions, once they are known.
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._used: dict[str, tuple[Metric, bool]] = {}

    @property
    def all(self) -> list[Metric]:
        """The metrics; before the first batch, without those whose form follows from the data."""
        if self.shapes is None:
            return [one for one, _ in self.asked if isinstance(one, Metric)]
        return [metric for metric, _ in self._used.values()]

    @property
    def wanted(self) -> bool:
        """Whether there is any metric."""
        return bool(self.asked)

    def update(self, y_true: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Take in one batch."""
        shapes = (y_true.shape[1:], y_pred.shape[1:])
        if shapes != self.shapes:
            self.settle(shapes)
        for metric, weighted in self._used.values():
            if weighted:
                metric.update_state(y_true, y_pred, sample_weight)
            else:
                metric.update_state(y_true, y_pred)

    def settle(self, shapes: tuple[tuple[int, ...], tuple[int, ...]] | None) -> None:
        """Choose the forms that fit the shapes of a sample, and the names in logs, which differ."""
        self.shapes = shapes
        self._used = {}
        if shapes is None:
            return
        for name, (one, weighted) in zip(self.kinds(), self.asked, strict=True):
            metric = fitting(one, *shapes) if _follows_from_data(one) else one
            metric.reset_state()  # it may have been used before, by hand or by another compile
            self._used[name] = (metric, weighted)

    def kinds(self) -> dict[str, Any]:
        """Return each name in logs with its metric, or a class for one that follows from data."""
        kinds: dict[str, Any] = {}
        for one, weighted in self.asked:
            name = base = one if isinstance(one, str) else one.name
            if weighted and name in kinds:
                name = base = f"weighted_{base}"
            number = 0
            while name in kinds:
                number += 1
                name = f"{base}_{number}"
            kinds[name] = _BY_SHAPE[one.lower()][0] if isinstance(one, str) else one
        return kinds

    def results(self) -> dict[str, Any]:
        """Return each metric's result by name: a float, or an array of its own."""
        return {name: _plain(metric.result()) for name, (metric, _) in self._used.items()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.loss.reset_state()
        for metric, _ in self._used.values():
            metric.reset_state()


def _flat(given: Any) -> Iterator[Any]:
    """Yield the entries of nested lists and dicts, a dict's by its keys in order, as in Keras."""
    if isinstance(given, Mapping) and "class_name" not in given:
        given = [given[key] for key in sorted(given)]
    if isinstance(given, (list, tuple)):
        for one in given:
            yield from _flat(one)
    else:
        yield given


def _follows_from_data(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in _BY_SHAPE


def fitting(name: str, y_true: tuple[int, ...], y_pred: tuple[int, ...]) -> Metric:
    """Return the form of a metric that fits the shapes of a sample's target and prediction."""
    binary, sparse, categorical = _BY_SHAPE[name.lower()]
    if y_pred[-1] == 1:
        return binary(name=name)
    if len(y_true) < len(y_pred) or y_true[-1] == 1:
        return sparse(name=name)
    return categorical(name=name)


def _plain(result: Any) -> Any:
    """Return a result that later batches leave alone."""
    if isinstance(result, float) or not isinstance(result, (np.ndarray, np.generic)):
        return result
    return float(result.item()) if result.size == 1 else np.array(result)
