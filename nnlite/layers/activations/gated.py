"""Activations that multiply the input by a gate: SiLU, GELU, Mish, GLU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.backend.numerics import exp_limit, normal_cdf, sigmoid
from nnlite.layers.activations.base import ActivationLayer, activation
from nnlite.layers.layer import Layer, Shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis


@activation("silu", "swish")
class SiLU(ActivationLayer):
    """Sigmoid linear unit, or swish: a(z) = z s(z) with the sigmoid s.

    Its derivative is s(z) + a(z) (1 - s(z)).

    Source: Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning", 2018, equations 5 and 6.

    >>> SiLU()(np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.269,  0.   ,  0.731]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write x s(x) into ``out``."""
        return np.multiply(x, sigmoid(x), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (s + a (1 - s)) into ``out``."""
        s = sigmoid(x)
        np.subtract(1, s, out=out)
        out *= y
        out += s
        return np.multiply(out, gradient, out=out)


@activation("gelu")
class GELU(ActivationLayer):
    """Gaussian error linear unit: a(z) = z P(z), with the standard normal distribution P.

    Its derivative is P(z) + z p(z), with the density p(z) = exp(-z^2 / 2) / sqrt(2 pi). If
    ``approximate``, P(z) is s(2 u) for the sigmoid s and u = sqrt(2 / pi) (z + 0.044715 z^3), which
    is (1 + tanh(u)) / 2, and the derivative is s + 2 a(z) (1 - s) u'.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.

    Args:
        approximate: Whether to use the approximation.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``approximate`` is not boolean.

    >>> GELU()(np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.159,  0.   ,  0.841]], dtype=float32)
    """

    needs_input = True

    def __init__(self, approximate: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(approximate, (bool, np.bool_)):
            raise TypeError(
                f"approximate must be True or False. Received: approximate={approximate!r}"
            )
        self.approximate = bool(approximate)

    def apply(self, x: Array, out: Array) -> Array:
        """Write x P(x) into ``out``."""
        gate = sigmoid(self._twice_u(x)) if self.approximate else normal_cdf(x)
        return np.multiply(x, gate, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient P + gradient x P' into ``out``."""
        if self.approximate:
            gate = sigmoid(self._twice_u(x))
            z = np.clip(x, -1e3, 1e3)
            np.multiply(z, z, out=out)
            out *= 3 * 0.044715
            out += 1
            out *= math.sqrt(8 / math.pi)
            out *= 1 - gate
            out *= y
        else:
            gate = np.full_like(x, 0.5)  # the limit of a / z at 0
            np.divide(y, x, out=gate, where=np.abs(x) > 1e-20)
            np.clip(x, -40, 40, out=out)  # far beyond where the density is 0
            z = out * out
            z *= -0.5
            out *= np.exp(z, out=z)
            out *= 1 / math.sqrt(2 * math.pi)
        out += gate
        return np.multiply(out, gradient, out=out)

    @staticmethod
    def _twice_u(x: Array) -> Array:
        z = np.clip(x, -1e3, 1e3)  # far beyond where s(2 u) is 0 or 1
        cube = z * z
        cube *= z
        cube *= 0.044715
        z += cube
        z *= math.sqrt(8 / math.pi)
        return z


@activation("mish")
class Mish(ActivationLayer):
    """Mish: a(z) = z tanh(log(1 + exp(z))).

    With e = exp(z) and n = e (e + 2), the gate tanh(log(1 + e)) is n / (n + 2), and the derivative
    n / (n + 2) + 4 z e (e + 1) / (n + 2)^2.

    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2020, equation 1.

    >>> Mish()(np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.303,  0.   ,  0.865]], dtype=float32)
    """

    needs_input = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._limit = exp_limit(self.dtype) / 4  # so that e^4 is finite, and the gate 1

    def apply(self, x: Array, out: Array) -> Array:
        """Write x n / (n + 2) into ``out``."""
        e = np.exp(np.minimum(x, self._limit))
        n = e * (e + 2)
        return np.multiply(x, n / (n + 2), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient, times the derivative, into ``out``."""
        z = np.minimum(x, self._limit)
        e = np.exp(z)
        n = e * (e + 2)
        bottom = n + 2
        n /= bottom
        np.add(e, 1, out=out)
        out *= e
        out /= bottom
        out /= bottom
        out *= 4
        out *= z
        out += n
        return np.multiply(out, gradient, out=out)


@activation("glu")
class GLU(Layer):
    """Gated linear unit: a = u s(v), where z is split into halves u and v, and s is the sigmoid.

    The output has half as many entries along ``axis``. The derivatives are s(v) with respect
    to u, and a (1 - s(v)) with respect to v.

    Source: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017, equation 1.

    Args:
        axis: The axis that is split.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axis`` is not an integer.
        ValueError: On a call, if the input lacks the axis, or its size is unknown or odd.

    >>> GLU()(np.array([[1.0, 2.0, 0.0, 1000.0]]))
    array([[0.5, 2. ]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with half its size along the axis."""
        fits = -len(input_shape) <= self.axis < len(input_shape)
        size = input_shape[self.axis] if fits else None
        if size is None or size % 2:
            raise ValueError(
                f"Layer {self.name!r} halves axis {self.axis}, which must have an even size. "
                f"Received: an input of shape {input_shape}"
            )
        place = self.axis % len(input_shape)
        return (*input_shape[:place], size // 2, *input_shape[place + 1 :])

    def output_shape_for(self, x: Array) -> Shape:
        """Return the output's shape; an array may also be split along its first axis."""
        return self.compute_output_shape(x.shape)

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the array of s(v)."""
        return {"s": (self.compute_output_shape(shape), self.dtype)}

    def forward_into(self, x: Array, y: Array, s: Array) -> None:
        """Write u s(v) into ``y``."""
        u, v = np.split(x, 2, self.axis)
        np.multiply(u, sigmoid(v, s), out=y)

    def backward_into(self, dy: Array, y: Array, dx: Array, s: Array) -> None:
        """Write the gradients with respect to u and v side by side into ``dx``."""
        by_u, by_v = np.split(dx, 2, self.axis)
        np.multiply(dy, s, out=by_u)
        np.subtract(1, s, out=by_v)
        by_v *= y
        by_v *= dy
