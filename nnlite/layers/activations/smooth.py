"""Smooth activations: the sigmoid, the hyperbolic tangent, softplus and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.backend.numerics import constant, exp_limit, exp_maximum, log1p_exp
from nnlite.layers.activations.base import ActivationLayer, activation
from nnlite.layers.layer import Layer, same_shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number


@activation("linear")
class Identity(Layer):
    """The identity, a(z) = z, with a'(z) = 1; ``"linear"`` in Keras.

    >>> Identity()(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return no stages: the output is the input."""
        return ()

    compute_output_shape = same_shape


@activation("sigmoid")
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
        """Write 1 / (1 + exp(-x)) into ``out``, with the exponent in the type's range."""
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


@activation("tanh")
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
        np.subtract(constant(1, out.dtype), out, out=out)
        return np.multiply(out, gradient, out=out)


@activation("tanh_shrink")
class TanhShrink(ActivationLayer):
    """Tanh shrinkage: a(z) = z - tanh(z), with a'(z) = tanh(z)^2.

    >>> TanhShrink()(np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.238,  0.   ,  0.238]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write x - tanh(x) into ``out``."""
        return np.subtract(x, np.tanh(x), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient tanh(x)^2 into ``out``."""
        np.tanh(x, out=out)
        np.multiply(out, out, out=out)
        return np.multiply(out, gradient, out=out)


@activation("softplus")
class Softplus(ActivationLayer):
    """Softplus: a(z) = log(1 + exp(z)), with a'(z) = 1 / (1 + exp(-z)) = 1 - exp(-a(z)).

    Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing", 2001, equation 1.

    >>> Softplus()(np.array([[-100.0, 0.0, 100.0]])).round(3)
    array([[  0.   ,   0.693, 100.   ]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write log(1 + exp(x)) into ``out``."""
        return log1p_exp(x, out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (1 - exp(-a)) into ``out``."""
        np.negative(y, out=out)
        np.expm1(out, out=out)
        np.negative(out, out=out)
        return np.multiply(out, gradient, out=out)


@activation("log_sigmoid")
class LogSigmoid(ActivationLayer):
    """Logarithm of the sigmoid: a(z) = -log(1 + exp(-z)), with a'(z) = 1 - exp(a(z)).

    >>> LogSigmoid()(np.array([[-100.0, 0.0]])).round(3)
    array([[-100.   ,   -0.693]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write -log(1 + exp(-x)) into ``out``."""
        np.negative(x, out=out)
        return np.negative(log1p_exp(out, out), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (1 - exp(a)) into ``out``."""
        np.expm1(y, out=out)
        np.negative(out, out=out)
        return np.multiply(out, gradient, out=out)


@activation("softsign")
class Softsign(ActivationLayer):
    """Softsign: a(z) = z / (1 + |z|), with a'(z) = 1 / (1 + |z|)^2.

    Source: Bergstra et al., "Quadratic Polynomials Learn Better Image Features", 2009.

    >>> Softsign()(np.array([[-1.0, 0.0, 3.0]]))
    array([[-0.5 ,  0.  ,  0.75]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write x / (1 + |x|) into ``out``."""
        return np.divide(x, np.abs(x) + 1, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient / (1 + |x|)^2 into ``out``."""
        np.abs(x, out=out)
        out += 1
        np.reciprocal(out, out=out)
        np.multiply(out, out, out=out)
        return np.multiply(out, gradient, out=out)


@activation("squareplus")
class Squareplus(ActivationLayer):
    """Squareplus: a(z) = (z + r) / 2 for r = sqrt(z^2 + b), with a'(z) = a(z) / r.

    It is computed as max(z, 0) + b / (|z| + r) / 2, which avoids cancellation.

    Source: Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", 2021, equation 1.

    Args:
        b: The smoothness of the bend at 0; 0 gives the rectified linear unit.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``b`` is not a number.
        ValueError: If it is negative or not finite.

    >>> Squareplus()(np.array([[-1.5, 0.0, 1.5]]))
    array([[0.5, 1. , 2. ]], dtype=float32)
    """

    needs_input = True

    def __init__(self, b: float = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.b = check_number("b", b)

    def _root(self, x: Array) -> Array:
        """Return r, which is |z| where z^2 might overflow."""
        a = np.abs(x)
        root = np.minimum(a, np.finfo(x.dtype).max ** 0.5 / 4)
        root *= root
        root += self.b
        np.sqrt(root, out=root)
        np.maximum(root, a, out=root)
        return np.maximum(root, np.finfo(x.dtype).tiny, out=root)

    def apply(self, x: Array, out: Array) -> Array:
        """Write (x + sqrt(x^2 + b)) / 2 into ``out``."""
        half = np.abs(x) / 2 + self._root(x) / 2
        np.maximum(x, 0, out=out)
        return np.add(out, self.b / 4 / half, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient a / r into ``out``."""
        np.divide(y, self._root(x), out=out)
        return np.multiply(out, gradient, out=out)


@activation("exponential")
class Exponential(ActivationLayer):
    """Exponential: a(z) = exp(z) = a'(z).

    Beyond z = 88.7 in float32 and 709.8 in float64, the output is about the type's largest number
    instead of infinity.

    >>> Exponential()(np.array([[-1000.0, 0.0, 1.0]])).round(3)
    array([[0.   , 1.   , 2.718]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write exp(x) into ``out``."""
        np.minimum(x, exp_maximum(x.dtype), out=out)
        return np.exp(out, out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient a into ``out``."""
        return np.multiply(gradient, y, out=out)
