"""The metrics of a compiled model, from the arguments of `compile` to named results."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnlite import losses
from nnlite.losses.labels import form
from nnlite.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from nnlite.metrics.confusion import AtThresholds, BestAt
from nnlite.metrics.fscore import FBetaScore
from nnlite.metrics.iou import BinaryIoU
from nnlite.metrics.metric import Metric, registry
from nnlite.metrics.probabilistic import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    SparseCategoricalCrossEntropy,
)
from nnlite.metrics.reduction import LossMetric, Mean, MeanMetricWrapper, function_of
from nnlite.serialization.objects import (
    CustomObjectScope,
    get_registered_object,
    serialize_keras_object,
)
from nnlite.utils.structures import arranged, flatten
from nnlite.utils.typing import Array
from nnlite.utils.user_code import read_only
from nnlite.utils.validation import ArgumentError, as_numeric

_ACCURACIES = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
_CROSS_ENTROPIES = (BinaryCrossEntropy, SparseCategoricalCrossEntropy, CategoricalCrossEntropy)

#: Names whose metric depends on the data: for one output, class indices or distributions.
_BY_SHAPE: dict[str, tuple[type[Metric], ...]] = {
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    "crossentropy": _CROSS_ENTROPIES,
    "ce": _CROSS_ENTROPIES,
}


def get(identifier: Any) -> Any:
    """Return a metric.

    Args:
        identifier: The name of a metric or loss such as ``"mse"``, a class, an instance, a
            configuration, or None, which is returned. A loss or a function ``f(y_true, y_pred)``
            is averaged over the samples.

    Raises:
        ValueError: If a name is unknown; the message suggests the nearest.
        TypeError: If ``identifier`` is none of these.

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
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        name = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)
        return MeanMetricWrapper(identifier, name)
    return registry.get(identifier)


def serialize(metric: Any) -> Any:
    """Return a metric or a function as plain data, in Keras's format.

    Raises:
        TypeError: If it has no configuration.

    >>> serialize(get("mse"))["class_name"]
    'MeanSquaredError'
    """
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Create a metric or a function from a name or the result of `serialize`.

    Args:
        config: The metric or function as plain data.
        custom_objects: Your own metrics and functions, by name.

    Raises:
        TypeError: If ``config`` has the wrong type.
        ValueError: If the name is unknown, or its configuration does not fit.

    >>> deserialize({"class_name": "BinaryAccuracy", "config": {"threshold": 0.4}})
    BinaryAccuracy(threshold=0.4)
    """
    if not isinstance(config, Mapping):
        with CustomObjectScope(custom_objects):
            return get(config)
    if config.get("class_name") == "function":
        return function_of(config, custom_objects)
    return registry.deserialize(config, custom_objects)


class MeanLoss(Mean):
    """The mean loss of the batches so far."""

    direction = "down"

    _total: float
    _count: float

    def __init__(self, name: str = "loss") -> None:
        Metric.__init__(self, None, name)
        self.reset_state()

    def _add(self, total: float, count: float, per_sample: float = 1.0) -> None:
        own = self.__dict__  # setting attributes of a metric is slow
        own["_total"] += float(total) / per_sample
        own["_count"] += float(count) / per_sample

    @property
    def empty(self) -> bool:
        """Whether no batch has been added."""
        return not self._count

    def result(self) -> float:
        """Return the mean, 0 before the first batch."""
        return self._total / self._count if self._count else 0.0

    def reset_state(self) -> None:
        """Forget all batches."""
        self.__dict__.update(_total=0.0, _count=0.0)


class CompiledMetrics:
    """The metrics of a compiled model with one output.

    ``"accuracy"`` and ``"crossentropy"`` (``"acc"``, ``"ce"``) select the binary variant for one
    output, the sparse variant for class indices, and the categorical variant otherwise.

    Args:
        metrics: A list of names, metrics, losses or functions, or nested lists and dicts of them.
        weighted_metrics: The same, for metrics that use the sample weights.

    Raises:
        TypeError: If either is neither list nor dict, or an entry is none of these.
        ValueError: If a name is unknown.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any) -> None:
        #: Metrics, or names whose metric depends on the data, each with whether it is weighted.
        self.asked: list[tuple[Any, bool]] = []
        for name, given, weighted in [
            ("metrics", metrics, False),
            ("weighted_metrics", weighted_metrics, True),
        ]:
            _check_structure(name, given)
            for one in _flat(given or []):
                known = one
                if not _follows_from_data(one):
                    known = get(one)
                    if not hasattr(known, "name"):
                        raise TypeError(
                            "A metric must be a name or a Metric whose __init__ calls "
                            f"super().__init__(). Received: {one!r}"
                        )
                    if isinstance(one, str):
                        known.name = one
                self.asked.append((known, weighted))
        #: If predictions are logits, the activation that converts them to probabilities.
        self.missing: str | None = None
        #: The mean loss of the batches so far.
        self.loss = MeanLoss()
        #: The shapes of a sample's targets and predictions, once known.
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._used: dict[str, tuple[Metric, bool]] = {}

    @property
    def all(self) -> list[Metric]:
        """The metrics; before the first batch, without those that depend on the data."""
        if self.shapes is None:
            return [one for one, _ in self.asked if isinstance(one, Metric)]
        return [metric for metric, _ in self._used.values()]

    def say_missing(self, missing: Sequence[str | None]) -> None:
        """Store the activation that is missing if the output is logits."""
        (self.missing,) = missing

    @property
    def wanted(self) -> bool:
        """Return whether there is any metric."""
        return bool(self.asked)

    def update(
        self,
        y_true: Array,
        y_pred: Array,
        sample_weight: Array | None,
        masks: Sequence[Array | None] | None = None,
    ) -> None:
        """Update the metrics with one batch; masked samples have the weight 0.

        Raises:
            TypeError: If the result of a metric is not numeric.
            ValueError: If a metric modifies its arguments.
        """
        shapes = (y_true.shape[1:], y_pred.shape[1:])
        first = shapes != self.shapes
        if first:
            self.settle(shapes)
        # The backward pass of the loss uses the same arrays.
        y_true, y_pred = read_only(y_true), read_only(y_pred)
        if sample_weight is not None:
            sample_weight = read_only(sample_weight)
        mask = None if masks is None or masks[0] is None else masks[0].astype(y_pred.dtype)
        if mask is not None and sample_weight is not None:
            axes = (1,) * (mask.ndim - sample_weight.ndim)
            sample_weight = sample_weight.reshape(sample_weight.shape + axes) * mask
        for name, (metric, weighted) in self._used.items():
            weight = sample_weight if weighted and sample_weight is not None else mask
            batch = (y_true, y_pred, weight) if weighted or mask is not None else (y_true, y_pred)
            _feed(name, metric, batch)
        if first:
            self.results()

    def settle(self, shapes: tuple[tuple[int, ...], tuple[int, ...]] | None) -> None:
        """Choose the variants that fit the shapes of a sample, and unique names for the logs."""
        self.shapes = shapes
        self._used = {}
        if shapes is None:
            return
        for name, (one, weighted) in zip(self.kinds(), self.asked, strict=True):
            metric = fitting(one, *shapes) if _follows_from_data(one) else one
            remedy = self.missing and for_logits(metric, self.missing)
            if remedy:
                warnings.warn(
                    f"Metric {name!r} takes probabilities, but the model outputs logits: its loss "
                    f"has from_logits=True. {remedy}.",
                    stacklevel=2,
                )
            metric.reset_state()  # it may have been used before
            self._used[name] = (metric, weighted)

    def kinds(self) -> dict[str, Any]:
        """Return the metric of each name in logs, or its class if it depends on the data."""
        kinds: dict[str, Any] = {}
        for one, weighted in self.asked:
            name = one if isinstance(one, str) else one.name
            if weighted and name in kinds:
                name = f"weighted_{name}"
            name = unique(name, kinds)
            kinds[name] = _BY_SHAPE[one.lower()][0] if isinstance(one, str) else one
        return kinds

    def results(self) -> dict[str, Any]:
        """Return the results by name: floats or new arrays.

        The entries of a result that is a dict keep their names, as in Keras.

        Raises:
            TypeError: If a result is not numeric.
        """
        found: dict[str, Any] = {}
        for name, (metric, _) in self._used.items():
            result = metric.result()
            if type(result) is float:
                found[name] = result
                continue
            parts = result.items() if isinstance(result, Mapping) else [(name, result)]
            for part, value in parts:
                array = as_numeric(f"The result of metric {name!r}", value)
                found[part] = float(array.item()) if array.size == 1 else np.array(array)
        return found

    def reset_state(self) -> None:
        """Forget all batches."""
        self.loss.reset_state()
        for metric, _ in self._used.values():
            metric.reset_state()


def _check_structure(name: str, given: Any) -> None:
    if given is not None and not isinstance(given, (list, tuple, Mapping)):
        raise ArgumentError(f"{name} must be a list, such as ['accuracy']. Received: {given!r}")


class MetricsOfOutputs(CompiledMetrics):
    """The metrics of a model of several outputs, and the mean loss of each.

    In logs the loss comes first, then the losses of several outputs, then the metrics by name.

    Args:
        metrics: A list in the order of the outputs, or a dict by their names; each entry is a name,
            metric, loss or function, or a list of them. Outputs may be omitted.
        weighted_metrics: The same, for metrics that use the sample weights.
        structure: The names of the outputs, in the structure of the output.
        names: The names of the outputs in logs.
        with_loss: The outputs that have a loss.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        structure: Any,
        names: Sequence[str],
        with_loss: Sequence[str],
    ) -> None:
        super().__init__([], [])
        optional = {
            *names,
            *flatten(structure),
            *(structure if isinstance(structure, dict) else ()),
        }
        parts = []
        for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            _check_structure(name, given)
            parts.append(arranged(name, given or {}, structure, "output", optional))
        self.names = list(names)
        self.with_loss = list(with_loss)
        self.outputs = [
            CompiledMetrics(*[[] if one is None else [one] for one in (plain, weighted)])
            for plain, weighted in zip(*parts, strict=True)
        ]
        self.asked = [one for output in self.outputs for one in output.asked]
        self.losses = {n: MeanLoss(f"{n}_loss") for n in with_loss if len(with_loss) > 1}

    @property
    def all(self) -> list[Metric]:
        """The mean losses and the metrics; see `CompiledMetrics.all`."""
        return [*self.losses.values(), *(one for output in self.outputs for one in output.all)]

    def has_metric(self, name: str) -> bool:
        """Return whether the named output has a metric."""
        return self.outputs[self.names.index(name)].wanted

    def say_missing(self, missing: Sequence[str | None]) -> None:
        """Store the missing activations; see `CompiledMetrics.say_missing`."""
        for output, own in zip(self.outputs, missing, strict=True):
            output.say_missing([own])

    def add_losses(self, values: Sequence[float | None], rows: int) -> None:
        """Update the mean losses with those of one batch."""
        for name, value in zip(self.names, values, strict=True):
            if name in self.losses and value is not None:
                self.losses[name].add(value, rows)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any, masks: Any = None) -> None:
        """Update the metrics with one batch: lists of arrays in the order of the outputs."""
        none = [None] * len(self.names)
        parts = (y_true, y_pred, sample_weight or none, masks or none)
        for output, y, p, weight, mask in zip(self.outputs, *parts, strict=True):
            if output.wanted:
                output.update(y, p, weight, [mask])

    @property
    def shapes(self) -> Any:
        """The shapes of a sample of each output, once known."""
        shapes = [output.shapes for output in self.outputs]
        return None if all(shape is None for shape in shapes) else shapes

    @shapes.setter
    def shapes(self, value: Any) -> None:
        """Ignored, since each output has its own shapes."""

    def settle(self, shapes: Any) -> None:
        """Choose the variants of each output; see `CompiledMetrics.settle`."""
        for output, own in zip(self.outputs, shapes or [None] * len(self.outputs), strict=True):
            output.settle(own)

    def kinds(self) -> dict[str, Any]:
        """Return the metric or mean loss of each name in logs, or a class."""
        kinds: dict[str, Any] = {one.name: one for one in self.losses.values()}
        for output_name, output in zip(self.names, self.outputs, strict=True):
            for name, kind in output.kinds().items():
                kinds[f"{output_name}_{name}"] = kind
        return kinds

    def results(self) -> dict[str, Any]:
        """Return the mean losses and results by name; see `CompiledMetrics.results`."""
        found = {one.name: one.result() for one in self.losses.values() if not one.empty}
        results = {
            f"{output_name}_{name}": value
            for output_name, output in zip(self.names, self.outputs, strict=True)
            for name, value in output.results().items()
        }
        return found | dict(sorted(results.items()))

    def reset_state(self) -> None:
        """Forget all batches."""
        super().reset_state()
        for loss in self.losses.values():
            loss.reset_state()
        for output in self.outputs:
            output.reset_state()


def unique(name: str, taken: Container[str]) -> str:
    """Return ``name``, with a number if it is taken.

    >>> unique("mae", ["mae", "mae_1"])
    'mae_2'
    """
    base, number = name, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _flat(given: Any) -> Iterator[Any]:
    """Yield the entries of nested lists and dicts, dicts in the order of their keys."""
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
    """Return the variant of a metric that fits the shapes of target and prediction."""
    return _BY_SHAPE[name.lower()][form(y_true, y_pred)](name=name)


def for_logits(metric: Metric, activation: str) -> str | None:
    """Return what to do if predictions are logits, or None if the metric handles them.

    Args:
        metric: The metric.
        activation: The name of what would make probabilities of them.
    """
    setting, within = "", False  # the argument to set, and whether it is set
    if isinstance(metric, (BinaryAccuracy, BinaryIoU)):
        setting, within = "threshold=0.0", 0 < metric.threshold < 1
    elif isinstance(metric, AtThresholds):
        setting, within = "thresholds=0.0", max(metric.chosen) > 0
    elif hasattr(metric, "from_logits"):
        setting, within = "from_logits=True", not metric.from_logits
    elif isinstance(metric, (BestAt, FBetaScore)):
        within = getattr(metric, "threshold", 0.5) is not None
    if not within:
        return None
    if setting and (activation == "sigmoid" or isinstance(metric, LossMetric)):
        return f"Give {type(metric).__name__}({setting}) instead"
    return f"End the model in a {activation}, and omit from_logits=True"


def _feed(name: str, metric: Metric, batch: tuple[Any, ...]) -> None:
    """Update a metric with read-only views of a batch."""
    try:
        metric.update_state(*batch)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"Metric {name!r} writes into y_true, y_pred or sample_weight, which are read-only. "
            "Create a new array: y = y_pred * 2 instead of y_pred *= 2."
        ) from error
