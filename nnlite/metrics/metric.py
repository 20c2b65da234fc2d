"""What every metric is, a state that batches are gathered in and a result, and how they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite import initializers
from nnlite.config import float_type
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.overrides import refuse_overrides
from nnlite.utils.validation import as_numeric, check_count, check_finite

__all__ = ["Metric", "registry"]

Array = NDArray[Any]

_LARGEST_STATE = 10_000_000  # entries: a configuration from a file cannot make us take all memory


class StateVariable(np.ndarray[Any, np.dtype[Any]]):
    """An array that is reckoned with like any other, and assigned to like a Keras variable."""

    name: str

    def __array_finalize__(self, made_from: Any) -> None:
        self.name = getattr(made_from, "name", "variable")

    @property
    def value(self) -> StateVariable:
        """The variable itself, as Keras's code asks for it."""
        return self

    def numpy(self) -> Array:
        """Return a copy of it as a plain array."""
        return np.array(self)

    def assign(self, value: Any) -> None:
        """Copy ``value``, a number or an array of the same shape, into it.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape is another one.
        """
        array = as_numeric("The value of a metric's variable", value)
        if array.shape not in ((), self.shape):
            raise ValueError(
                f"A metric's variable of shape {self.shape} takes a number or an array of that "
                f"shape. Received: shape {array.shape}"
            )
        self[...] = array

    def assign_add(self, value: Any) -> None:
        """Add ``value`` to it."""
        self.assign(self + value)

    def assign_sub(self, value: Any) -> None:
        """Subtract ``value`` from it."""
        self.assign(self - value)


class Metric(Configurable):
    """A number gathered over batches: `update_state` for each, then `result`.

    A metric of your own defines both. Its state is made by `add_variable`, and `reset_state` then
    fills it with zeros; or it is kept in plain attributes, and you define `reset_state` as well.
    To assign to an attribute that holds a variable is to assign to the variable.

    Args:
        dtype: The float type that predictions are compared in; None takes ``floatx``. An integer
            type is kept for the configuration and compares in float32. Sums are kept in double
            precision in any case.
        name: Its name in logs; by default the class's in snake case.

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

    #: Whether better is ``"up"`` or ``"down"``, for callbacks with ``mode="auto"``; None: unknown.
    direction: str | None = None

    #: The methods that a subclass outside of nnlite cannot override, with what it defines instead.
    refused_overrides: ClassVar[Mapping[str, str]] = {
        "__call__": "training calls update_state for each batch and then result; define these.",
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
            old.assign(value)  # else the state would go on without it, never reset
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
        except (TypeError, ValueError):  # among them a policy of Keras's
            return float_type(dtype).name
        return found.name if found.kind in "iu" else float_type(dtype).name

    @property
    def compared_in(self) -> np.dtype[Any]:
        """The float type that predictions are compared in."""
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
        """Return a new array of state, which `reset_state` fills with zeros.

        Args:
            shape: Its shape.
            initializer: The name of an initializer, or one, for its first values.
            dtype: Its type, float32, float64 or an integer one; double precision by default.
            aggregation: Accepted for Keras's sake: there is one device.
            name: Its name.

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
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> StateVariable:
        """As `add_variable`, its values 0 at first unless ``initializer`` says otherwise."""
        return self.add_variable(shape, initializer or "zeros", dtype, name=name)

    @property
    def variables(self) -> list[StateVariable]:
        """The variables in attributes, in lists and dicts too, and those of metrics in them."""
        found = [one for value in vars(self).values() for one in variables_in(value)]
        return list({id(one): one for one in found}.values())

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in one batch, by the arguments ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> Any:
        """Return the metric of all batches since the last reset: a float, or an array of them."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Forget all batches: fill every variable with zeros.

        Raises:
            NotImplementedError: If there is none: a state of another kind is reset by the class.
        """
        if not self.variables:
            raise NotImplementedError(
                f"{type(self).__name__} does not define reset_state, and has no variable"
            )
        for variable in self.variables:
            variable.assign(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in one batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()


def variables_in(value: Any) -> list[StateVariable]:
    """Return the variables that an attribute of a metric holds."""
    if isinstance(value, StateVariable):
        return [value]
    if isinstance(value, Metric):
        return value.variables
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list, tuple)):
        return [one for part in parts for one in variables_in(part)]
    return []


registry: Registry[Metric] = Registry("metric", Metric, "keras.metrics")


# ---- what comes in --------------------------------------------------------------------------


def as_pair(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return targets and predictions as arrays, the targets in the shape of the predictions."""
    y_pred = as_numeric("y_pred", y_pred)
    return as_targets(y_true, y_pred.shape), y_pred


def as_targets(y_true: Any, shape: tuple[int, ...]) -> Array:
    """Return ``y_true`` in ``shape``, from which it may differ by a last axis of size 1."""
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
    """Return weights for values of ``shape``, with as many axes, each of their size or of size 1.

    Args:
        sample_weight: One number, or an array over the first of the axes.
        shape: The shape of what is weighted.
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
            f"sample_weight must have one entry a sample, shape {shape[:1]}, or fit the values' "
            f"shape, {shape}. Received: shape {given}"
        )
    return array


def check_size(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as a count that state is made of, at least ``minimum`` and not absurd."""
    count = check_count(name, value, minimum)
    if count > _LARGEST_STATE:
        raise ValueError(f"{name} must be at most {_LARGEST_STATE:,}. Received: {name}={value}")
    return count


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotients, 0 where the denominator is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([0.0, 4.0]))
    array([0.  , 0.25])
    """
    zeros = np.zeros(np.shape(denominator))
    return np.divide(numerator, denominator, out=zeros, where=denominator != 0)


def as_result(values: Array) -> float | Array:
    """Return a lone number as a float, several as the array of them."""
    return float(values[0]) if len(values) == 1 else np.array(values)
