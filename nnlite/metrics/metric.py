"""What every metric is, a state that batches are gathered in and a result, and how they come in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import initializers
from nnlite.checks import as_numeric, check_count, check_finite
from nnlite.config import float_type
from nnlite.registry import Configurable, Registry

__all__ = ["Metric", "registry"]

Array = NDArray[Any]

_LARGEST_STATE = 10_000_000  # entries: a configuration from a file cannot make us take all memory


class StateVariable(np.ndarray[Any, np.dtype[Any]]):
    """An array that is reckoned with like any other, and assigned to like a Keras variable."""

    def assign(self, value: Any) -> None:
        """Copy ``value`` into it."""
        self[...] = value

    def assign_add(self, value: Any) -> None:
        """Add ``value`` to it."""
        self[...] += value


class Metric(Configurable):
    """A number gathered over batches: `update_state` for each, then `result`.

    A metric of your own defines both. Its state is made by `add_variable`, and `reset_state` then
    fills it with zeros; or it is kept in plain attributes, and you define `reset_state` as well.

    Args:
        dtype: The float type that predictions are compared in; None takes ``floatx``. Sums are
            kept in double precision in any case.
        name: Its name in logs; by default the class's in snake case.

    Raises:
        ValueError: If ``dtype`` is neither float32 nor float64.

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

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or self.default_name()
        self.dtype = self.type_name(dtype)

    @staticmethod
    def type_name(dtype: Any) -> str:
        """Return the name of the type that ``dtype`` stands for.

        Raises:
            ValueError: If it is none that the metric can have.
        """
        return float_type(dtype).name

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
            dtype: Its type; double precision by default.
            aggregation: Accepted for Keras's sake: there is one device.
            name: Likewise: it goes by the attribute that you keep it in.
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        draw = initializers.get(initializer) or initializers.Zeros()
        return np.asarray(draw(shape, float_type(dtype or "float64"))).view(StateVariable)

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
        """The arrays made by `add_variable`, those of metrics kept in attributes included."""
        found: list[StateVariable] = []
        for value in vars(self).values():
            if isinstance(value, StateVariable):
                found.append(value)
            elif isinstance(value, Metric):
                found += value.variables
        return found

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


registry: Registry[Metric] = Registry("metric", Metric, "keras.metrics")


# ---- what comes in --------------------------------------------------------------------------


def as_pair(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return targets and predictions as arrays, the targets in the shape of the predictions.

    Raises:
        TypeError: If either is not numeric.
        ValueError: If the shapes differ by more than a last axis of size 1, or a target is not
            finite.
    """
    y_pred = as_numeric("y_pred", y_pred)
    return as_targets(y_true, y_pred.shape), y_pred


def as_targets(y_true: Any, shape: tuple[int, ...]) -> Array:
    """Return ``y_true`` in ``shape``, from which it may differ by a last axis of size 1.

    Raises:
        TypeError: If it is not numeric.
        ValueError: If it has another shape, or an entry is not finite.
    """
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

    Raises:
        TypeError: If they are not numeric.
        ValueError: If they do not fit, or one is not finite.
    """
    array = as_numeric("sample_weight", sample_weight)
    check_finite("sample_weight", array, array.dtype)
    given, axes = array.shape, len(shape)
    array = array.reshape(given[:axes] + (1,) * (axes - len(given))) if array.size else array
    if len(array.shape) != axes or any(
        one not in (1, size) for one, size in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(
            f"sample_weight must have one entry a sample, shape {shape[:1]}, or fit the values' "
            f"shape, {shape}. Received: shape {given}"
        )
    return array


def check_size(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as a count that state is made of, at least ``minimum`` and not absurd.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is smaller, or larger than ten million.
    """
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
    return float(values[0]) if len(values) == 1 else values
