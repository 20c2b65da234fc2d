"""Metric: a state that is updated with batches, and a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nnlite import initializers
from nnlite.config import float_type
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.overrides import refuse_overrides
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_count, check_finite

__all__ = ["Metric", "registry"]


_LARGEST_STATE = (
    10_000_000  # entries, so that a configuration from a file cannot exhaust the memory
)


class StateVariable(np.ndarray[Any, np.dtype[Any]]):
    """An array with the methods of a Keras variable."""

    name: str

    def __array_finalize__(self, made_from: Any) -> None:
        self.name = getattr(made_from, "name", "variable")

    @property
    def value(self) -> StateVariable:
        """The variable itself, for code written for Keras."""
        return self

    def numpy(self) -> Array:
        """Return a copy as a plain array."""
        return np.array(self)

    def assign(self, value: Any) -> None:
        """Copy ``value``, a number or an array of the same shape, into the variable.

        Raises:
            TypeError: If ``value`` is not numeric.
            ValueError: If the shapes differ.
        """
        array = as_numeric("The value of a metric's variable", value)
        if array.shape not in ((), self.shape):
            raise ValueError(
                f"A metric's variable of shape {self.shape} takes a number or an array of that "
                f"shape. Received: shape {array.shape}"
            )
        self[...] = array

    def assign_add(self, value: Any) -> None:
        """Add ``value`` in place."""
        self.assign(self + value)

    def assign_sub(self, value: Any) -> None:
        """Subtract ``value`` in place."""
        self.assign(self - value)


class Metric(Configurable):
    """Base class of metrics, which accumulate a value over batches.

    A subclass defines `update_state` and `result`. It creates its state with `add_variable`, which
    `reset_state` sets to zero, or keeps it in plain attributes and overrides `reset_state`.
    Assigning to an attribute that holds a variable assigns to the variable.

    Args:
        dtype: The float type of comparisons; None means ``floatx``. Integer types are kept in the
            configuration and compare in float32. Sums always use double precision.
        name: The name in logs; by default the class name in snake case.

    Raises:
        ValueError: If ``dtype`` is neither float32, float64 nor an integer type.

    >>> class LargestError(Metric):
    ...     def __init__(self, name="largest_error", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_weight(name="largest", initializer="zeros")
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(max(self.largest, np.abs(y_true - y_pred).max()))
    ...
    ...     def result(self):
    ...         return float(self.largest)
    >>> metric = LargestError()
    >>> metric(np.zeros(3), np.array([1.0, -4.0, 2.0]))
    4.0
    >>> metric.reset_state()
    >>> metric.result()
    0.0
    """

    #: The direction of improvement, ``"up"`` or ``"down"``, for ``mode="auto"``; None if unknown.
    direction: str | None = None

    #: The methods that a user's subclass cannot override, with the alternative.
    refused_overrides: ClassVar[Mapping[str, str]] = {
        "__call__": "training calls update_state for each batch and then result; define these."
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_overrides(cls, cls.refused_overrides)

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or self.default_name()
        self.dtype = self.type_name(dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        if isinstance(old, StateVariable) and not isinstance(value, StateVariable):
            old.assign(value)  # otherwise the registered variable would be lost
        else:
            super().__setattr__(name, value)

    @staticmethod
    def type_name(dtype: Any) -> str:
        """Return the name of the type that ``dtype`` stands for.

        Raises:
            ValueError: If it is none that the metric can have.
        """
        try:
            found = np.dtype(dtype)
        except (TypeError, ValueError):  # such as a Keras dtype policy
            return float_type(dtype).name
        return found.name if found.kind in "iu" else float_type(dtype).name

    @property
    def compared_in(self) -> np.dtype[Any]:
        """The float type of comparisons."""
        return np.dtype("float64" if self.dtype == "float64" else "float32")

    def _shown(self) -> dict[str, Any]:
        shown = super()._shown()
        if shown.get("dtype") == self.type_name(None):
            del shown["dtype"]
        return shown

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> StateVariable:
        """Return a new state variable, which `reset_state` sets to zero.

        Args:
            shape: The shape.
            initializer: An initializer or its name.
            dtype: float32, float64 (the default) or an integer type.
            aggregation: Accepted for compatibility with Keras.
            name: The name.

        Raises:
            ValueError: If ``dtype`` or the initializer is unknown.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        kind = Metric.type_name(dtype or "float64")
        draw = initializers.get(initializer) or initializers.Zeros()
        first = draw(shape, "float64" if "int" in kind else kind)
        variable = np.asarray(first, kind).view(StateVariable)
        variable.name = name or variable.name
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> StateVariable:
        """Return `add_variable` with zeros as the default initializer."""
        return self.add_variable(shape, initializer or "zeros", dtype, name=name)

    @property
    def variables(self) -> list[StateVariable]:
        """The variables in attributes, lists and dicts, nested metrics included."""
        found = [one for value in vars(self).values() for one in variables_in(value)]
        return list({id(one): one for one in found}.values())

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Update the state with one batch: ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> Any:
        """Return the metric of all batches since the last reset: a float or an array."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Set every variable to zero.

        Raises:
            NotImplementedError: If there is no variable; the subclass must reset its state.
        """
        if not self.variables:
            raise NotImplementedError(
                f"{type(self).__name__} does not define reset_state, and has no variable"
            )
        for variable in self.variables:
            variable.assign(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state with one batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()


def variables_in(value: Any) -> list[StateVariable]:
    """Return the variables in an attribute of a metric."""
    if isinstance(value, StateVariable):
        return [value]
    if isinstance(value, Metric):
        return value.variables
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list, tuple)):
        return [one for part in parts for one in variables_in(part)]
    return []


registry: Registry[Metric] = Registry("metric", Metric, "keras.metrics")


# ---- arguments ------------------------------------------------------------------------------


def as_pair(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return targets and predictions as arrays, the targets in the shape of the predictions."""
    y_pred = as_numeric("y_pred", y_pred)
    return as_targets(y_true, y_pred.shape), y_pred


def as_targets(y_true: Any, shape: tuple[int, ...]) -> Array:
    """Return ``y_true`` in ``shape``; a last axis of size 1 may be extra or missing."""
    array = as_numeric("y_true", y_true)
    if array.shape != shape:
        if array.shape not in ((*shape, 1), shape[:-1] if shape[-1:] == (1,) else shape):
            raise ValueError(
                f"y_true must have shape {shape}, to fit y_pred. Received: shape {array.shape}"
            )
        array = array.reshape(shape)
    check_finite("y_true", array, array.dtype)
    return array


def as_weights(sample_weight: Any, shape: tuple[int, ...]) -> Array:
    """Return weights that broadcast to values of ``shape``.

    Args:
        sample_weight: One number, or an array over the first of the axes.
        shape: The shape of the values.
    """
    array = as_numeric("sample_weight", sample_weight)
    check_finite("sample_weight", array, array.dtype)
    given, axes = array.shape, len(shape)
    if array.size and all(size == 1 for size in given[axes:]):
        array = array.reshape(given[:axes] + (1,) * (axes - len(given)))
    if len(array.shape) != axes or any(
        one not in (1, size) for one, size in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(
            f"sample_weight must have one entry per sample, shape {shape[:1]}, or fit the values' "
            f"shape, {shape}. Received: shape {given}"
        )
    return array


def check_size(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as a count between ``minimum`` and ten million, which sizes the state."""
    count = check_count(name, value, minimum)
    if count > _LARGEST_STATE:
        raise ValueError(f"{name} must be at most {_LARGEST_STATE:,}. Received: {name}={value}")
    return count


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotients, with 0 for a denominator of 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([0.0, 4.0]))
    array([0.  , 0.25])
    """
    zeros = np.zeros(np.shape(denominator))
    return np.divide(numerator, denominator, out=zeros, where=denominator != 0)


def as_result(values: Array) -> float | Array:
    """Return an array of one number as a float, others unchanged."""
    return float(values[0]) if len(values) == 1 else np.array(values)
