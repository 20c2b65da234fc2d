"""Activations: one class each, the function beside its derivative.

An activation is a layer. `Dense` holds one for its ``activation`` argument; standing alone in a
model it computes the same, to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.layers.layer import Layer, Shape
from nnlite.numerics import exp_limit, shifted_exp
from nnlite.registry import Registry

__all__ = ["Identity", "LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Tanh"]

Array = NDArray[Any]


class ActivationLayer(Layer):
    """A function of the input alone: ``apply`` computes it, ``chain`` its derivative.

    An activation of your own defines these two; ``needs_input`` tells that its derivative is
    written with x, and not with y = f(x) alone.
    """

    needs_input = False

    def apply(self, x: Array, out: Array) -> Array:
        """Write f(x) into ``out``, which may be ``x`` itself, and return it."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply(x, out)")

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write ``gradient`` times f'(x) into ``out`` and return it; y is f(x)."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define chain(gradient, x, y, out)"
        )

    def forward(
        self, x: Array, training: bool = False, *, logits: bool = False, in_place: bool = False
    ) -> Array:
        """Return f(x), of the shape of ``x``.

        Args:
            x: The batch.
            training: Whether to keep what `backward` needs.
            logits: Whether to stop before the function and return ``x``.
            in_place: Whether nobody else reads ``x``, so that f(x) may take its place.
        """
        if logits:
            return x
        if not training:
            return self.apply(x, x if in_place else np.empty_like(x))
        in_place = in_place and not self.needs_input
        y = self.apply(x, x if in_place else self.scratch("output", x.shape))
        self.cache = (x, y)
        return y

    def backward(self, gradient: Array, *, from_logits: bool = False) -> Array:
        """Return ``gradient`` times f'(x), or as it is where it is ``from_logits`` already."""
        if from_logits:
            return gradient
        x, y = self.cache
        return self.chain(gradient, x, y, self.scratch("input_gradient", gradient.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``: an activation keeps it."""
        return input_shape

    @property
    def final_activation(self) -> Layer | None:
        """This activation."""
        return self


registry: Registry[Layer] = Registry("activation", Layer)


@registry.register("linear")
class Identity(Layer):
    """The identity, a(z) = z, with a'(z) = 1: Keras's ``"linear"``.

    >>> Identity()(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return ``x``."""
        return x

    def backward(self, gradient: Array) -> Array:
        """Return ``gradient``."""
        return gradient

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        return input_shape


@registry.register("relu")
class ReLU(ActivationLayer):
    """Rectified linear unit: a(z) = max(0, z), with a'(z) = 1 where z > 0, else 0.

    In full, a(z) = max_value for z >= max_value, z for threshold <= z < max_value, and
    negative_slope (z - threshold) below.

    Source: Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.

    Args:
        max_value: The value at which the output saturates, or None.
        negative_slope: The slope below the threshold.
        threshold: Where the linear part begins.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If an argument is negative.

    >>> ReLU()(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in [
            ("max_value", max_value),
            ("negative_slope", negative_slope),
            ("threshold", threshold),
        ]:
            if value is None and name == "max_value":
                continue
            if not isinstance(value, (int, float, np.number)) or not value >= 0:
                raise ValueError(
                    f"{name} must be a number of at least 0. Received: {name}={value!r}"
                )
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.needs_input = max_value is not None or bool(negative_slope) or bool(threshold)
        self._zero = np.zeros((), self.dtype)  # a 0-d array: a ufunc takes it quicker than a float

    def apply(self, x: Array, out: Array) -> Array:
        """Write the rectified ``x`` into ``out``."""
        if not self.needs_input:
            return np.maximum(x, self._zero, out=out)
        y = np.where(x >= self.threshold, x, self.negative_slope * (x - self.threshold))
        return np.minimum(y, np.inf if self.max_value is None else self.max_value, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient where the unit is active, ``negative_slope`` times it below."""
        if not self.needs_input:
            active = np.greater(y, self._zero, out=self.scratch("active", y.shape, bool))
            return np.multiply(gradient, active, out=out)
        slope = np.where(x > self.threshold, self._zero + 1, self._zero + self.negative_slope)
        if self.max_value is not None:
            slope *= y < self.max_value
        return np.multiply(gradient, slope, out=out)


@registry.register()
class LeakyReLU(ActivationLayer):
    """Leaky rectified linear unit: a(z) = z where z > 0, else negative_slope z.

    Source: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    Args:
        negative_slope: The slope below 0.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``negative_slope`` is negative.

    >>> LeakyReLU(0.5)(np.array([[-1.0, 0.0, 2.0]]))
    array([[-0.5,  0. ,  2. ]], dtype=float32)
    """

    needs_input = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(negative_slope, (int, float, np.number)) or not negative_slope >= 0:
            raise ValueError(
                "negative_slope must be a number of at least 0. "
                f"Received: negative_slope={negative_slope!r}"
            )
        self.negative_slope = negative_slope

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x``, its negative entries scaled, into ``out``."""
        return np.multiply(x, self._slope(x), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write ``gradient``, scaled where x is negative, into ``out``."""
        return np.multiply(gradient, self._slope(x), out=out)

    def _slope(self, x: Array) -> Array:
        one = x.dtype.type(1)
        return np.where(x > 0, one, x.dtype.type(self.negative_slope))


@registry.register()
class Sigmoid(ActivationLayer):
    """Logistic sigmoid: a(z) = 1 / (1 + exp(-z)), with a'(z) = a(z) (1 - a(z)).

    >>> Sigmoid()(np.array([[-1000.0, 0.0, 1000.0]])).round(3)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._one = np.ones((), self.dtype)
        self._limit = np.array(exp_limit(self.dtype), self.dtype)

    def apply(self, x: Array, out: Array) -> Array:
        """Write 1 / (1 + exp(-x)) into ``out``, the exponent kept within the type's range."""
        np.negative(x, out=out)
        np.minimum(out, self._limit, out=out)
        np.maximum(out, -self._limit, out=out)
        np.exp(out, out=out)
        np.add(out, self._one, out=out)
        return np.reciprocal(out, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient a (1 - a) into ``out``."""
        np.subtract(self._one, y, out=out)
        np.multiply(out, y, out=out)
        return np.multiply(out, gradient, out=out)


@registry.register()
class Tanh(ActivationLayer):
    """Hyperbolic tangent: a(z) = tanh(z), with a'(z) = 1 - a(z)^2.

    >>> Tanh()(np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.762,  0.   ,  0.762]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write tanh(x) into ``out``."""
        return np.tanh(x, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (1 - a^2) into ``out``."""
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
        return np.multiply(out, gradient, out=out)


@registry.register()
class Softmax(ActivationLayer):
    """Softmax: a_i = exp(z_i) / sum_j exp(z_j), with da_i/dz_j = a_i ([i = j] - a_j).

    Source: Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
    1990.

    Args:
        axis: The axis, or axes, along which the outputs sum to 1.
        **kwargs: As for `Layer`.

    >>> Softmax()(np.array([[0.0, 0.0, 1000.0]])).round(3)
    array([[0., 0., 1.]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = (axis,) if isinstance(axis, int) else axis
        if not isinstance(axes, (tuple, list)) or not all(isinstance(one, int) for one in axes):
            raise TypeError(f"axis must be an integer, or several. Received: axis={axis!r}")
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self._axes = tuple(axes)

    def build(self, input_shape: Shape) -> None:
        """Check that the input has the axes."""
        if any(not -len(input_shape) <= axis < len(input_shape) for axis in self._axes):
            raise ValueError(
                f"Layer {self.name!r} has axis={self.axis}, its input the shape {input_shape}."
            )

    def apply(self, x: Array, out: Array) -> Array:
        """Write the softmax of ``x`` into ``out``, shifted so that no exp exceeds 1."""
        z = self._classes_first(x)
        _, e, total = shifted_exp(np.array(z.reshape(-1, *z.shape[len(self._axes) :]), order="C"))
        e /= total
        self._classes_first(out)[...] = e.reshape(z.shape)
        return out

    def _classes_first(self, array: Array) -> Array:
        """Return a view with the axes of the classes in front: see `numerics.axis_first`."""
        if array.ndim == 2 and self._axes in ((-1,), (1,)):
            return array.T
        return np.moveaxis(array, self._axes, range(len(self._axes)))

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write a (gradient - sum(gradient a)) into ``out``."""
        np.multiply(gradient, y, out=out)
        np.subtract(gradient, out.sum(axis=self.axis, keepdims=True), out=out)
        return np.multiply(out, y, out=out)


registry.add("leaky_relu", lambda **kwargs: LeakyReLU(0.2, **kwargs))


def get(identifier: Any, dtype: str) -> Layer:
    """Return an activation layer of its own for a name, a class or a layer; None is the identity.

    Args:
        identifier: A name such as ``"relu"``, a layer class, or a layer, of which a copy is made.
        dtype: The float type that it computes in.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If it is nothing of the kind.
    """
    if isinstance(identifier, Layer):
        layer = copy.deepcopy(identifier)
    else:
        make: Callable[..., Layer]
        if identifier is None:
            make = Identity
        elif isinstance(identifier, str):
            make = registry.lookup(identifier)
        elif isinstance(identifier, type) and issubclass(identifier, Layer):
            make = identifier
        else:
            raise TypeError(
                "activation must be a name such as 'relu', or a layer such as ReLU(). "
                f"Received: activation={identifier!r}"
            )
        try:
            layer = make(dtype=dtype)
        except TypeError as error:
            raise TypeError(
                f"activation={identifier!r} cannot be made without arguments ({error}). "
                "Give a layer object."
            ) from None
    if layer.dtype != dtype:
        raise ValueError(
            f"activation {layer!r} computes in {layer.dtype}, its layer in {dtype}. "
            "One model has one dtype."
        )
    return layer
