"""ReLU and its variants: linear where the input is positive."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nnlite.layers.activations.base import ActivationLayer, activation, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number


@activation("relu")
class ReLU(ActivationLayer):
    """Rectified linear unit: a(z) = max(0, z), with a'(z) = 1 where z > 0, else 0.

    In full, a(z) = max_value for z >= max_value, z for threshold < z < max_value, and
    negative_slope (z - threshold) up to the threshold. At max_value the derivative is 0; at the
    threshold it is 1 with a negative_slope, as in `LeakyReLU`, and 0 without.

    Source: Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.

    Args:
        max_value: The value at which the output saturates, or None.
        negative_slope: The slope below the threshold.
        threshold: The input where the linear part begins.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is negative or not finite.

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
        self.max_value = None if max_value is None else check_number("max_value", max_value)
        self.negative_slope = check_number("negative_slope", negative_slope)
        self.threshold = check_number("threshold", threshold)
        self.needs_input = bool(max_value is not None or negative_slope or threshold)
        self.rectifies = type(self) is ReLU and not self.needs_input
        self._zero = np.zeros((), self.dtype)  # a 0-d array, which ufuncs take faster than a float

    def apply(self, x: Array, out: Array) -> Array:
        """Write the rectified ``x`` into ``out``."""
        if not self.needs_input:
            return np.maximum(x, self._zero, out=out)
        below = self._zero
        if self.negative_slope:
            below = self.negative_slope * (np.minimum(x, self.threshold) - self.threshold)
        y = np.where(x > self.threshold, x, below)
        return np.minimum(y, np.inf if self.max_value is None else self.max_value, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient where the unit is active, ``negative_slope`` times it below."""
        if not self.needs_input:
            return np.multiply(gradient, y > self._zero, out=out)
        active = x >= self.threshold if self.negative_slope else x > self.threshold
        slope = np.where(active, self._zero + 1, self._zero + self.negative_slope)
        if self.max_value is not None:
            slope *= y < self.max_value
        return np.multiply(gradient, slope, out=out)

    def forward_into(self, x: Array, y: Array) -> None:
        """Call `apply`; its result is checked if it is a user's."""
        if self.of_user:
            super().forward_into(x, y)
        else:
            self.apply(x, y)

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the array of active units."""
        return {"active": (shape, bool)}

    def backward_into(
        self, dy: Array, x: Array, y: Array, dx: Array, active: Array | None = None
    ) -> None:
        """Call `chain`; the plain rectifier needs no new array."""
        if self.needs_input or self.of_user:
            super().backward_into(dy, x, y, dx)
        else:
            dx[...] = np.greater(y, self._zero, out=active)  # a product of two types is slower
            np.multiply(dy, dx, out=dx)


registry.add("relu6", functools.partial(ReLU, max_value=6.0))


@activation("leaky_relu", negative_slope=0.2)
class LeakyReLU(ActivationLayer):
    """Leaky rectified linear unit: a(z) = z where z >= 0, else negative_slope z.

    The name ``"leaky_relu"`` stands for a slope of 0.2, as in Keras.

    Source: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    Args:
        negative_slope: The slope below 0.
        **kwargs: As for `Layer`; also ``alpha``, the older name of ``negative_slope``.

    Raises:
        TypeError: If ``negative_slope`` is not a number.
        ValueError: If it is negative or not finite.

    >>> LeakyReLU(0.5)(np.array([[-1.0, 0.0, 2.0]]))
    array([[-0.5,  0. ,  2. ]], dtype=float32)
    """

    needs_input = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = check_number("negative_slope", negative_slope)

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x`` with its negative entries scaled into ``out``."""
        return np.multiply(x, self._slope(x), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write ``gradient``, scaled where x is negative, into ``out``."""
        return np.multiply(gradient, self._slope(x), out=out)

    def _slope(self, x: Array) -> Array:
        one = x.dtype.type(1)
        return np.where(x >= 0, one, x.dtype.type(self.negative_slope))


class _ExponentialBelow(ActivationLayer):
    """Base class: scale z where z > 0, else a = scale alpha (exp(z) - 1), slope a + scale alpha."""

    _alpha: float
    _scale = 1.0

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        below = np.minimum(x, 0)
        np.expm1(below, out=below)
        below *= self._scale * self._alpha
        np.maximum(x, 0, out=out)
        if self._scale > 1:  # the largest outputs overflow
            np.minimum(out, np.finfo(x.dtype).max / x.dtype.type(self._scale), out=out)
            out *= self._scale
        return np.add(out, below, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient, times the slope, into ``out``."""
        np.minimum(y, 0, out=out)
        out += self._scale * self._alpha
        above = y.dtype.type(self._scale * (1 - self._alpha))
        if above:
            out += np.multiply(y > 0, above)
        return np.multiply(out, gradient, out=out)


@activation("elu")
class ELU(_ExponentialBelow):
    """Exponential linear unit: a(z) = z where z > 0, else alpha (exp(z) - 1).

    Its derivative is 1 where z > 0, else alpha exp(z) = a(z) + alpha.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ELUs)", 2016, equation 12.

    Args:
        alpha: Minus the limit for large negative inputs.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``alpha`` is not a number.
        ValueError: If it is negative or not finite.

    >>> ELU()(np.array([[-100.0, 0.0, 2.0]]))
    array([[-1.,  0.,  2.]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = self._alpha = check_number("alpha", alpha)


@activation("selu")
class SELU(_ExponentialBelow):
    """Scaled exponential linear unit: a(z) = s z where z > 0, else s alpha (exp(z) - 1).

    With s = 1.0507 and alpha = 1.6733, layers keep the mean 0 and variance 1 of their
    inputs. The derivative is s where z > 0, else s alpha exp(z) = a(z) + s alpha.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, equations 2 and 14.

    >>> SELU()(np.array([[-100.0, 0.0, 2.0]])).round(4)
    array([[-1.7581,  0.    ,  2.1014]], dtype=float32)
    """

    _alpha = 1.6732632423543772
    _scale = 1.0507009873554805


@activation("celu")
class CELU(ActivationLayer):
    """Continuously differentiable ELU: a(z) = z where z > 0, else alpha (exp(z / alpha) - 1).

    Its derivative is 1 where z > 0, else exp(z / alpha) = a(z) / alpha + 1.

    Source: Barron, "Continuously Differentiable Exponential Linear Units", 2017.

    Args:
        alpha: Minus the limit for large negative inputs.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``alpha`` is not a number.
        ValueError: If it is not positive or not finite.

    >>> CELU(0.5)(np.array([[-100.0, 0.0, 2.0]]))
    array([[-0.5,  0. ,  2. ]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = check_number("alpha", alpha)
        if not self.alpha:
            raise ValueError(f"alpha must be above 0. Received: alpha={alpha!r}")

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        below = np.clip(x, -40 * self.alpha, 0)  # there exp - 1 is -1, and z / alpha is finite
        below /= self.alpha
        np.expm1(below, out=below)
        below *= self.alpha
        np.maximum(x, 0, out=out)
        return np.add(out, below, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (min(a, 0) / alpha + 1) into ``out``."""
        np.minimum(y, 0, out=out)
        out /= self.alpha
        out += 1
        return np.multiply(out, gradient, out=out)
