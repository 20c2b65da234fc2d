"""Loss: checks arguments, applies sample weights and averages the losses of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from nnlite.backend.numerics import constant
from nnlite.config import float_type
from nnlite.losses.labels import check_indices
from nnlite.serialization.objects import serialize_keras_object
from nnlite.serialization.registry import Configurable, Registry
from nnlite.utils.overrides import depth, overridden, refuse_overrides, require_derivative
from nnlite.utils.typing import Array
from nnlite.utils.user_code import floats, lent, read_only
from nnlite.utils.validation import as_numeric, check_finite, sample_weights

__all__ = ["Loss", "deserialize", "get", "registry", "serialize"]

F = TypeVar("F", bound=Callable[..., Any])

_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


class Loss(Configurable):
    """Base class of losses.

    A subclass defines `call` and `derivative`; this class applies sample weights and averages.

    Args:
        reduction: ``"sum_over_batch_size"`` (or ``"mean"``) averages over the samples,
            ``"mean_with_sample_weight"`` divides by the sum of the weights instead, ``"sum"``
            adds, ``"none"`` or None returns one loss per sample.
        name: The name in logs; by default the class name in snake case.
        dtype: The float type of the computation; None means that of the predictions.

    Raises:
        ValueError: If ``reduction`` or ``dtype`` is unknown.

    >>> class Steep(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return 3 * np.abs(y_pred - y_true).mean(axis=-1)
    ...
    ...     def derivative(self, y_true, y_pred):
    ...         return 3 * np.sign(y_pred - y_true) / y_pred.shape[-1]
    >>> Steep()([[0.0]], [[2.0]]), Steep().gradient([[0.0]], [[2.0]])
    (6.0, array([[3.]]))
    """

    #: The axis or axes of ``y_pred`` that one loss reduces; None reduces the whole batch.
    axis: int | tuple[int, ...] | None = -1

    #: Whether ``y_true`` holds one index (a class or a group) instead of that axis.
    takes_indices: ClassVar[bool] = False

    #: The factor of the whole loss, from ``compile(loss_weights=...)``.
    _loss_weight: float = 1.0
    left_out_if_none: ClassVar[tuple[str, ...]] = ("dtype",)

    #: The methods that a user's subclass cannot override, with the alternative.
    refused_overrides: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("__call__", "gradient", "value_and_gradient", "arrays", "averages_rows", "masked"),
        "define call(self, y_true, y_pred), which returns the loss of each sample, and "
        "derivative(self, y_true, y_pred).",
    )

    #: Whether `call_and_derivative` is at least as specific as `call` and `derivative`.
    joint: ClassVar[bool] = False

    #: Whether a user's class defines the value or the derivative.
    of_user: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_overrides(cls, cls.refused_overrides)
        both = depth(cls, "call_and_derivative")
        cls.joint = both <= min(depth(cls, "call"), depth(cls, "derivative"))
        if not cls.joint:
            require_derivative(cls, Loss, "call", "derivative", "self, y_true, y_pred")
        cls.of_user = overridden(cls, "call", "derivative", "call_and_derivative")

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"reduction must be one of {_REDUCTIONS}. Received: reduction={reduction!r}"
            )
        self.reduction = reduction
        self.name = name or self.default_name()
        self.dtype = None if dtype is None else float_type(dtype).name

    # ---- to be defined by subclasses ------------------------------------------------------

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample: the shape of ``y_pred`` without its ``axis``."""
        raise NotImplementedError(f"{type(self).__name__} does not define call(y_true, y_pred)")

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return a new array, the derivative of each sample's loss with respect to ``y_pred``."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define derivative(y_true, y_pred)"
        )

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return both `call` and `derivative`; override to share work between them."""
        return self.call(y_true, y_pred), self.derivative(y_true, y_pred)

    def valid(self, y_true: Array) -> Array | None:
        """Return a mask of the samples that count, or None if all do."""
        return None

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Return ``y_true`` as an array that fits predictions of ``output_shape``.

        Targets of shape (m,) fit an output of shape (m, 1) and vice versa.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape does not fit, or an entry is outside the range of the loss.
        """
        array = as_numeric(name, y_true)
        if self.takes_indices:
            shape = self.samples_shape(output_shape)
            return check_indices(type(self).__name__, name, array, shape, output_shape)
        if array.shape == output_shape:
            return array
        if output_shape[-1] == 1 and array.shape == output_shape[:-1]:
            return array[..., None]
        if array.shape == (*output_shape, 1):
            return array[..., 0]
        hint = ""
        if array.shape in (output_shape[:-1], (*output_shape[:-1], 1)) and array.dtype.kind in "iu":
            hint = (
                " For class indices, use SparseCategoricalCrossEntropy "
                "('sparse_categorical_crossentropy')."
            )
        raise ValueError(
            f"{type(self).__name__} expects {name} of the output's shape, {output_shape}. "
            f"Received: {name} of shape {array.shape}.{hint}"
        )

    def averages_rows(self, y_true: Array, axes: int) -> bool:
        """Return whether the loss of a batch is the mean of those of its parts, by their rows.

        Args:
            y_true: Some targets.
            axes: The number of axes of the predictions.
        """
        return (
            self.reduction in ("sum_over_batch_size", "mean")
            and self.axis is not None
            and all(axis % axes for axis in _tuple(self.axis))
            and not self.of_user
            and self.valid(y_true) is None
        )

    def samples_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the weights: ``output_shape`` without the reduced axes."""
        if self.axis is None:
            return output_shape[:1]
        axes = {axis % len(output_shape) for axis in _tuple(self.axis)}
        return tuple(n for i, n in enumerate(output_shape) if i not in axes)

    def masked(self, mask: Array, sample_weight: Array | None, output_shape: Any) -> Array:
        """Return sample weights that are 0 outside ``mask``, scaled so that means stay means.

        Args:
            mask: Which samples count, booleans.
            sample_weight: The weight of each sample, or None.
            output_shape: The shape of the predictions.

        Raises:
            ValueError: If the shape of the mask differs from that of the losses.
        """
        shape = self.samples_shape(output_shape)
        if mask.shape != shape:
            raise ValueError(
                f"The mask must have the shape of the losses of {type(self).__name__}, {shape}. "
                f"Received: a mask of shape {mask.shape}"
            )
        count = 1.0
        if self.reduction in ("sum_over_batch_size", "mean"):
            count = mask.size / max(1, int(np.count_nonzero(mask)))
        weight = np.ones(shape) if sample_weight is None else sample_weight
        weight = weight.reshape(weight.shape + (1,) * (mask.ndim - weight.ndim))
        kept: Array = weight * mask * weight.dtype.type(count)
        return kept

    # ---- shared behaviour -----------------------------------------------------------------

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss as a float, or with ``reduction="none"`` as an array, one per sample.

        Args:
            y_true: The targets, shape (m, ..., outputs) unless the loss says otherwise.
            y_pred: The predictions, shape (m, ..., outputs).
            sample_weight: The weight of each sample, shape (m,), or one number; None means 1.

        Raises:
            TypeError: If an argument is not numeric.
            ValueError: If shapes do not fit or a target is out of range.
        """
        y_true, y_pred, weight = self.arrays(y_true, y_pred, sample_weight)
        with np.errstate(under="ignore"):
            values = self._values(y_true, y_pred)
            scale = self._scale(values, y_true, weight)
            if self.reduction in ("none", None):
                return values * scale
            return float(np.sum(values * scale))

    def gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Array:
        """Return the derivative of the reduced loss with respect to ``y_pred``, of its shape.

        The arguments and errors are those of ``__call__``.
        """
        y_true, y_pred, weight = self.arrays(y_true, y_pred, sample_weight)
        with np.errstate(under="ignore"):
            return self.value_and_gradient(y_true, y_pred, weight)[1]

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> tuple[float, Array]:
        """Return loss and gradient for checked arrays; a training step calls this method."""
        if self.of_user:
            values, gradient = self._values_and_derivative(y_true, y_pred)
        else:
            values, gradient = self.call_and_derivative(y_true, y_pred)
        scale = self._scale(values, y_true, sample_weight)
        if not (isinstance(scale, float) or values.ndim):  # one loss for the whole batch
            scale = float(scale.sum())
        if isinstance(scale, float):
            if scale != 1:
                gradient *= constant(scale, gradient.dtype)
            total = values.item() if values.size == 1 else float(np.add.reduce(values, axis=None))
            return total * scale, gradient
        gradient *= np.expand_dims(scale, -1 if self.axis is None else self.axis)
        return float(np.vdot(values, scale)), gradient

    def _values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample; the result of a user's class is checked."""
        if not self.of_user:
            return self.call(y_true, y_pred)
        if self.joint:
            return self._both(y_true, y_pred)[0]
        with lent(f"call of loss {self.name!r}"):
            values = self.call(read_only(y_true), read_only(y_pred))
        return self._checked("call", values, y_pred)

    def _values_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the loss of each sample and its derivative, checked as `_values`."""
        what = f"derivative of loss {self.name!r}"
        if self.joint:
            values, derivative = self._both(y_true, y_pred)
        else:
            values = self._values(y_true, y_pred)
            with lent(what):
                derivative = self.derivative(read_only(y_true), read_only(y_pred))
        # Copy, because the derivative is scaled in place and the user may keep the original.
        return values, floats(what, derivative, y_pred.shape, y_pred.dtype).copy()

    def _both(self, y_true: Array, y_pred: Array) -> tuple[Array, Any]:
        """Return the result of a user's `call_and_derivative`, with its losses checked."""
        with lent(f"call_and_derivative of loss {self.name!r}"):
            both = self.call_and_derivative(read_only(y_true), read_only(y_pred))
        if not isinstance(both, tuple) or len(both) != 2:
            raise TypeError(
                f"call_and_derivative of loss {self.name!r} must return a pair: the loss of each "
                f"sample, and its derivative. Received: an object of type {type(both).__name__}"
            )
        return self._checked("call_and_derivative", both[0], y_pred), both[1]

    def _checked(self, method: str, values: Any, y_pred: Array) -> Array:
        """Return a user's loss of each sample as an array of the predictions' type."""
        what = f"{method} of loss {self.name!r}"
        array = floats(what, values, None, y_pred.dtype)
        shape = () if self.axis is None else self.samples_shape(y_pred.shape)
        if array.shape != shape:
            raise ValueError(
                f"{what} must return one loss per sample, an array of shape {shape}, for a y_pred "
                f"of shape {y_pred.shape}; the base class averages. Received: shape "
                f"{array.shape}. A loss of the batch as a whole needs axis = None."
            )
        return array

    def arrays(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[Array, Array, Array | None]:
        """Convert the arguments of a direct call to the shapes and types of a training step."""
        y_pred = as_numeric("y_pred", y_pred)
        if y_pred.ndim == 0 or y_pred.size == 0:
            raise ValueError(f"y_pred must hold predictions. Received: shape {y_pred.shape}")
        own = y_pred.dtype if y_pred.dtype in (np.float32, np.float64) else None
        dtype = float_type(self.dtype or own)
        if not all(-y_pred.ndim <= axis < y_pred.ndim for axis in _tuple(self.axis)):
            raise ValueError(f"y_pred of shape {y_pred.shape} has no axis={self.axis}.")
        y_true = as_numeric("y_true", y_true)
        check_finite("y_true", y_true, dtype)
        y_true = self.check_targets("y_true", y_true, y_pred.shape)
        y_true = y_true.astype(np.intp if self.takes_indices else dtype, copy=False)
        y_pred = y_pred.astype(dtype, copy=False)
        if sample_weight is None:
            return y_true, y_pred, None
        samples = self.samples_shape(y_pred.shape)
        if not np.ndim(sample_weight):
            samples = () if self.axis is None else samples
            sample_weight = np.broadcast_to(sample_weight, samples)
        weight = sample_weights("sample_weight", sample_weight, samples, dtype)
        return y_true, y_pred, weight.astype(dtype, copy=False)

    def _scale(self, values: Array, y_true: Array, sample_weight: Array | None) -> float | Array:
        """Return the factor of each sample's loss in the sum."""
        valid = self.valid(y_true)
        mean = self.reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight")
        if sample_weight is None and valid is None:
            return self._loss_weight / values.size if mean else self._loss_weight
        weight = np.ones(values.shape) if sample_weight is None else sample_weight.astype(float)
        weight = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
        weight = np.broadcast_to(weight, values.shape or weight.shape)
        if valid is not None:
            weight = weight * valid
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            divisor = weight.sum()
        else:
            divisor = weight.size if valid is None else np.count_nonzero(valid)
        scale = self._loss_weight * (weight / divisor if mean and divisor else weight)
        return scale.astype(values.dtype, copy=False)


def _tuple(axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return ``axis`` as a tuple, empty for None."""
    return () if axis is None else axis if isinstance(axis, tuple) else (axis,)


class LossRegistry(Registry[Loss]):
    """Registry of losses by name and by function, such as `mean_squared_error`."""

    def __init__(self) -> None:
        super().__init__("loss", Loss, "keras.losses")
        self._functions: dict[Callable[..., Any], type[Loss]] = {}

    def function_of(self, cls: type[Loss]) -> Callable[[F], F]:
        """Return a decorator that links a function to the loss class it evaluates."""

        def add(function: F) -> F:
            self._functions[function] = cls
            return function

        return add

    def get(self, identifier: Any) -> Loss:
        """Return a loss as `Registry.get` does; functions of this package are accepted too."""
        if isinstance(identifier, (Loss, type)) or not callable(identifier):
            return super().get(identifier)
        if identifier in self._functions:
            return self._functions[identifier]()
        raise TypeError(
            f"A function has no derivative here. Received: {identifier!r}. Define a class:\n"
            "class MyLoss(nnlite.losses.Loss):\n"
            "    def call(self, y_true, y_pred): ...  # the loss of each sample\n"
            "    def derivative(self, y_true, y_pred): ...  # of that, by y_pred"
        )


registry = LossRegistry()


def get(identifier: Any) -> Any:
    """Return a loss.

    Args:
        identifier: A name, a class, an instance, a configuration, a function of this package such
            as `mean_squared_error`, or None, which is returned.

    Raises:
        ValueError: If the name is unknown; the message suggests the nearest.
        TypeError: If ``identifier`` is none of these.

    >>> get("mse")
    MeanSquaredError()
    """
    return None if identifier is None else registry.get(identifier)


def serialize(loss: Any) -> Any:
    """Return a loss or a function of this package as plain data in Keras's format.

    Raises:
        TypeError: If it has no configuration.

    >>> serialize(get("mse"))["class_name"]
    'MeanSquaredError'
    """
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """Create a loss from a name or the result of `serialize`.

    Args:
        name: The loss as plain data.
        custom_objects: Your own losses, by name.

    Raises:
        TypeError: If ``name`` has the wrong type.
        ValueError: If the name is unknown, or its configuration does not fit.

    >>> deserialize({"class_name": "Huber", "config": {"delta": 2.0}})
    Huber(delta=2.0)
    """
    return registry.deserialize(name, custom_objects)
