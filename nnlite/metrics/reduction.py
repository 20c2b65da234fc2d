"""Sums and means of values, functions and losses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from nnlite import losses
from nnlite.losses import functions
from nnlite.metrics.metric import Metric, as_weights, registry
from nnlite.serialization.objects import FUNCTIONS, custom_object
from nnlite.utils.overrides import overridden
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]

F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS.update({name: vars(functions)[name] for name in functions.__all__})


def named(function: F) -> F:
    """Register ``function`` for configurations (a decorator)."""
    FUNCTIONS[function.__name__] = function
    return function


@registry.register()
class Sum(Metric):
    """The weighted sum of values.

    Args:
        name, dtype: As for `Metric`.

    >>> total = Sum()
    >>> total([1, 3, 5, 7], sample_weight=[1, 1, 0, 2])
    18.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, weighted by ``sample_weight`` (1 by default).

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the weights do not fit the values.
        """
        values = as_numeric("values", values)
        if sample_weight is not None:
            weight = as_weights(sample_weight, values.shape)
            values = np.multiply(values, weight, dtype=float)
        self.total[()] += values.sum(dtype=float)

    def result(self) -> float:
        """Return the sum, initially 0."""
        return float(self.total)


@registry.register()
class Mean(Metric):
    """The weighted mean of values.

    A batch has the weight of its number of samples (its first axis), or of the sum of its weights.

    Args:
        name, dtype: As for `Metric`.

    >>> mean = Mean()
    >>> mean([1, 3, 5, 7])
    4.0
    >>> mean([10.0], sample_weight=[4])
    7.0
    """

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **Metric.refused_overrides,
        "add": "define update_state(self, values, sample_weight=None).",
    }

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, weighted by ``sample_weight`` (1 by default).

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If the weights do not fit the values.
        """
        values = as_numeric("values", values)
        if not values.size:
            return
        # A sample counts once, whatever its number of values. A single weight is for the batch.
        per_sample = values.size / len(values) if values.ndim else 1
        if sample_weight is None:
            self._add(np.add.reduce(values, axis=None, dtype=float), values.size, per_sample)
            return
        if not np.ndim(sample_weight):
            per_sample = values.size
        weight = as_weights(sample_weight, values.shape)
        weighted = np.multiply(values, weight, dtype=float)
        shared = values.size / weight.size  # values per weight
        count = np.add.reduce(weight, axis=None, dtype=float) * shared
        self._add(np.add.reduce(weighted, axis=None), count, per_sample)

    def add(self, value: float, weight: float) -> None:
        """Add one value with a weight."""
        self._add(value * weight, weight)

    def _add(self, total: float, count: float, per_sample: float = 1.0) -> None:
        # By items, because arithmetic of 0-D arrays takes ten times as long.
        self.total[()] = self.total.item() + total / per_sample
        self.count[()] = self.count.item() + count / per_sample

    def result(self) -> float:
        """Return the mean, 0 before the first value."""
        count: float = self.count.item()
        return self.total.item() / count if count else 0.0


@registry.register()
class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: A function ``fn(y_true, y_pred, **kwargs)`` that returns one value per sample, shape
            (m,) or (m, ...), or one number, which has the weight of one sample; or a `Loss`.
        name, dtype: As for `Metric`.
        **kwargs: Further arguments of ``fn``.

    Raises:
        TypeError: If ``fn`` cannot be called.

    >>> def largest_error(y_true, y_pred):
    ...     return np.abs(y_true - y_pred).max(axis=-1)
    >>> metric = MeanMetricWrapper(largest_error)
    >>> metric(np.array([[0.0, 0.0]]), np.array([[1.0, 3.0]]))
    3.0
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be a function of y_true and y_pred. Received: fn={fn!r}")
        super().__init__(name or self.default_name(), dtype)
        self.fn = fn
        self._kwargs = kwargs
        self._each = fn
        if self.direction is None and (
            isinstance(fn, losses.Loss)
            or getattr(fn, "__module__", None) == losses.functions.__name__
        ):
            self.direction = "down"
        if isinstance(fn, losses.Loss) and fn.reduction != "none":
            self._each = copy.copy(fn)
            self._each.reduction = "none"
        # Results of a user's function or `values` are checked.
        self._known = not overridden(type(self), "values") and (
            isinstance(fn, losses.Loss)
            or f"{getattr(fn, '__module__', None)}.".startswith("nnlite.")
        )

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the values to average."""
        values: Array = self._each(y_true, y_pred, **self._kwargs)
        return values

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Update the state with one batch.

        Args:
            y_true: The targets, shape (m, ...).
            y_pred: The predictions, shape (m, ...).
            sample_weight: A weight per sample, shape (m,), or per value; None means 1.

        Raises:
            TypeError: If an argument or the result of ``fn`` is not numeric.
            ValueError: If the shapes do not fit, or ``fn`` does not return one value per sample.
        """
        y_true, y_pred = as_numeric("y_true", y_true), as_numeric("y_pred", y_pred)
        if y_true.shape[:1] != y_pred.shape[:1]:
            raise ValueError(
                "y_true and y_pred must have the same number of samples. Received: "
                f"y_true of shape {y_true.shape}, y_pred of shape {y_pred.shape}"
            )
        values = self.values(y_true, y_pred)
        if not self._known:
            values = as_numeric(f"What the function of metric {self.name!r} returns", values)
            if values.ndim and (len(values) != len(y_pred) or values.size > y_pred.size):
                raise ValueError(
                    f"The function of metric {self.name!r} must return a value for each sample, "
                    f"shape ({len(y_pred)},), or one number, for a y_true of shape {y_true.shape} "
                    f"and a y_pred of shape {y_pred.shape}. Received: shape {values.shape}"
                )
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, with the further arguments of ``fn``."""
        return {**super().get_config(), **self._kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MeanMetricWrapper:
        """Create a metric; its function must be of nnlite or registered, else a ValueError."""
        fn = config.get("fn")
        if isinstance(fn, Mapping) and fn.get("class_name") == "function":
            config = {**config, "fn": function_of(fn)}
        return super().from_config(config)


class LossMetric(MeanMetricWrapper):
    """Base class of metrics that average a loss."""


def function_of(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """Return the function that a configuration names."""
    name = config.get("config")
    found = custom_object(config, custom_objects) or FUNCTIONS.get(str(name))
    if found is None:
        raise ValueError(
            f"Unknown metric function: {name!r}. Pass custom_objects={{{name!r}: ...}}, or "
            "register it with @nnlite.saving.register_keras_serializable()."
        )
    return found
