"""The metrics of a compiled model: from what `compile` is given to named results."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from nnlite.utils.user_code import read_only
from nnlite.utils.validation import ArgumentError, as_numeric

__all__ = ["CompiledMetrics", "MetricsOfOutputs", "deserialize", "get", "serialize", "unique"]

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


def get(identifier: Any) -> Any:
    """Return a metric for a name, a class, an object, a serialized one, a loss or a function.

    Args:
        identifier: It. The names are those of metrics and of losses, such as ``"mse"``; a loss or
            function becomes the mean of what it is for each sample. None stays None.

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
    if identifier is None:
        return None
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


class MeanLoss(Mean):
    """The mean loss of the batches so far, in plain numbers: each step adds to them."""

    direction = "down"

    def __init__(self, name: str = "loss") -> None:
        Metric.__init__(self, None, name)
        self.reset_state()

    def _add(self, total: float, count: float, per_sample: float = 1.0) -> None:
        own = self.__dict__  # each step adds: the attributes of a metric are slow to set
        own["_total"] += float(total) / per_sample
        own["_count"] += float(count) / per_sample

    @property
    def empty(self) -> bool:
        """Whether there has been no batch."""
        return not self._count

    def result(self) -> float:
        """Return the mean, 0 where there has been no batch."""
        return self._total / self._count if self._count else 0.0

    def reset_state(self) -> None:
        """Forget all batches."""
        self._total = self._count = 0.0


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
        #: Where the predictions are logits, the activation that would make them probabilities.
        self.missing: str | None = None
        #: The mean loss of the batches so far.
        self.loss = MeanLoss()
        #: The shapes of a sample's targets and predictions, once they are known.
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._used: dict[str, tuple[Metric, bool]] = {}

    @property
    def all(self) -> list[Metric]:
        """The metrics; before the first batch, without those whose form follows from the data."""
        if self.shapes is None:
            return [one for one, _ in self.asked if isinstance(one, Metric)]
        return [metric for metric, _ in self._used.values()]

    def say_missing(self, missing: Sequence[str | None]) -> None:
        """Take for the one output the activation that it lacks, where it is logits."""
        (self.missing,) = missing

    @property
    def wanted(self) -> bool:
        """Whether there is any metric."""
        return bool(self.asked)

    def update(
        self,
        y_true: Array,
        y_pred: Array,
        sample_weight: Array | None,
        masks: Sequence[Array | None] | None = None,
    ) -> None:
        """Take in one batch; what the mask leaves out has the weight 0.

        Raises:
            TypeError: If the result of a metric, which the first batch shows, is not numeric.
            ValueError: If a metric writes into what it is given.
        """
        shapes = (y_true.shape[1:], y_pred.shape[1:])
        first = shapes != self.shapes
        if first:
            self.settle(shapes)
        # The loss's way back goes over the same arrays.
        y_true, y_pred = read_only(y_true), read_only(y_pred)
        if sample_weight is not None:
            sample_weight = read_only(sample_weight)
        mask = None if masks is None or masks[0] is None else masks[0].astype(y_pred.dtype)
        if mask is not None and sample_weight is not None:
            sample_weight = sample_weight * mask
        for name, (metric, weighted) in self._used.items():
            weight = sample_weight if weighted and sample_weight is not None else mask
            batch = (y_true, y_pred, weight) if weighted or mask is not None else (y_true, y_pred)
            _feed(name, metric, batch)
        if first:
            self.results()

    def settle(self, shapes: tuple[tuple[int, ...], tuple[int, ...]] | None) -> None:
        """Choose the forms that fit the shapes of a sample, and the names in logs, which differ."""
        self.shapes = shapes
        self._used = {}
        if shapes is None:
            return
        for name, (one, weighted) in zip(self.kinds(), self.asked, strict=True):
            metric = fitting(one, *shapes) if _follows_from_data(one) else one
            remedy = self.missing and for_logits(metric, self.missing)
            if remedy:
                warnings.warn(
                    f"Metric {name!r} takes probabilities, and the model puts out logits, as "
                    f"from_logits=True of its loss says. {remedy}.",
                    stacklevel=2,
                )
            metric.reset_state()  # it may have been used before, by hand or by another compile
            self._used[name] = (metric, weighted)

    def kinds(self) -> dict[str, Any]:
        """Return each name in logs with its metric, or a class for one that follows from data."""
        kinds: dict[str, Any] = {}
        for one, weighted in self.asked:
            name = one if isinstance(one, str) else one.name
            if weighted and name in kinds:
                name = f"weighted_{name}"
            name = unique(name, kinds)
            kinds[name] = _BY_SHAPE[one.lower()][0] if isinstance(one, str) else one
        return kinds

    def results(self) -> dict[str, Any]:
        """Return each metric's result by name: a float, or an array of its own.

        A result that is a dict stands there by its own names, as in Keras.

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

    In logs they stand behind the loss: first the losses of the outputs, where there are several,
    then the metrics in the order of their names.

    Args:
        metrics: Names, metrics, losses or functions, for each output one or a list of them: in a
            list in the order of the outputs, or a dict by their names. Outputs may be left out.
        weighted_metrics: The same, for those that take the sample weights.
        structure: The names of the outputs, in a structure as that of the output.
        names: What the outputs are called in logs.
        with_loss: Those that have a loss.

    Raises:
        TypeError: If either is neither list nor dict, or an entry is nothing of the kind.
        ValueError: If the name of a metric or output is unknown, or there are not as many entries
            as outputs.
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
        """The mean losses of the outputs, and the metrics; see `CompiledMetrics.all`."""
        return [*self.losses.values(), *(one for output in self.outputs for one in output.all)]

    def has_metric(self, name: str) -> bool:
        """Return whether the output of a name has a metric."""
        return self.outputs[self.names.index(name)].wanted

    def say_missing(self, missing: Sequence[str | None]) -> None:
        """Take the activation that each output lacks, as `CompiledMetrics.say_missing`."""
        for output, own in zip(self.outputs, missing, strict=True):
            output.say_missing([own])

    def add_losses(self, values: Sequence[float | None], rows: int) -> None:
        """Take in the loss of each output for a batch of so many samples."""
        for name, value in zip(self.names, values, strict=True):
            if name in self.losses and value is not None:
                self.losses[name].add(value, rows)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any, masks: Any = None) -> None:
        """Take in one batch: lists of arrays, in the order of the outputs."""
        none = [None] * len(self.names)
        parts = (y_true, y_pred, sample_weight or none, masks or none)
        for output, y, p, weight, mask in zip(self.outputs, *parts, strict=True):
            if output.wanted:
                output.update(y, p, weight, [mask])

    @property
    def shapes(self) -> Any:
        """The shapes of each output's samples, once they are known."""
        shapes = [output.shapes for output in self.outputs]
        return None if all(shape is None for shape in shapes) else shapes

    @shapes.setter
    def shapes(self, value: Any) -> None:
        """Ignored: the outputs know."""

    def settle(self, shapes: Any) -> None:
        """Choose the forms that fit, as `CompiledMetrics.settle`, for each output."""
        for output, own in zip(self.outputs, shapes or [None] * len(self.outputs), strict=True):
            output.settle(own)

    def kinds(self) -> dict[str, Any]:
        """Return each name in logs with its metric or mean loss, or a class."""
        kinds: dict[str, Any] = {one.name: one for one in self.losses.values()}
        for output_name, output in zip(self.names, self.outputs, strict=True):
            for name, kind in output.kinds().items():
                kinds[f"{output_name}_{name}"] = kind
        return kinds

    def results(self) -> dict[str, Any]:
        """Return each mean loss and metric's result by name, as `CompiledMetrics.results`."""
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
    """Return ``name``, numbered if it is taken.

    >>> unique("mae", ["mae", "mae_1"])
    'mae_2'
    """
    base, number = name, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


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
    return _BY_SHAPE[name.lower()][form(y_true, y_pred)](name=name)


def for_logits(metric: Metric, activation: str) -> str | None:
    """Return what to do where predictions are logits; None where the metric is right as it is.

    Args:
        metric: The metric.
        activation: The name of what would make probabilities of them.
    """
    setting, within = "", False  # what makes it right, and whether it is wrong as it is
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
    return f"Let the model end in a {activation}, and leave out from_logits=True"


def _feed(name: str, metric: Metric, batch: tuple[Any, ...]) -> None:
    """Let a metric take in a batch of arrays that cannot be written to."""
    try:
        metric.update_state(*batch)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"Metric {name!r} writes into y_true, y_pred or sample_weight, which belong to others. "
            "Make a new array: y = y_pred * 2 instead of y_pred *= 2."
        ) from error
