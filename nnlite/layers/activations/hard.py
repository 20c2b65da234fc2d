"""Piecewise activations: hard, shrinking and sparse ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.layers.activations.base import ActivationLayer, activation
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number, check_positive


def _clip(x: Array, low: float, high: float, out: Array) -> Array:
    """Clip ``x`` into ``out``; faster than np.clip on small arrays."""
    np.maximum(x, low, out=out)
    return np.minimum(out, high, out=out)


def _hard_sigmoid(x: Array, out: Array, end: float = 3) -> Array:
    """Write the hard sigmoid of ``x`` into ``out``: 0 at -end, 1 at end, linear between."""
    np.add(x, end, out=out)
    _clip(out, 0, 2 * end, out)
    return np.divide(out, 2 * end, out=out)


@activation("hard_sigmoid")
class HardSigmoid(ActivationLayer):
    """Hard sigmoid: a(z) = z / (2 end) + 1/2, clipped to [0, 1].

    Its derivative is 1 / (2 end) where 0 < a(z) < 1, else 0.

    Source: Howard et al., "Searching for MobileNetV3", 2019, section 5.2. Keras 1 and 2 computed
    0.2 z + 1/2 under this name, which is ``end=2.5``: so `load_model` reads their files. Keras 3
    does not have the layer, and does not open a file in which ``end`` is not 3.

    Args:
        end: The input where the output reaches 1; it reaches 0 at -end.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``end`` is not a number.
        ValueError: If it is not positive and finite.

    >>> HardSigmoid()(np.array([[-4.0, 0.0, 1.5, 4.0]]))
    array([[0.  , 0.5 , 0.75, 1.  ]], dtype=float32)
    """

    def __init__(self, end: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.end = check_positive("end", end)

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        return _hard_sigmoid(x, out, self.end)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient / (2 end) into ``out``, or 0 where the unit is saturated."""
        np.divide(gradient, 2 * self.end, out=out)
        return np.multiply(out, (y > 0) & (y < 1), out=out)


@activation("hard_silu", "hard_swish")
class HardSiLU(ActivationLayer):
    """Hard SiLU, or hard swish: a(z) = z h(z) with the hard sigmoid h.

    Its derivative is h(z) + z / 6 between -3 and 3, and h(z) elsewhere.

    Source: Howard et al., "Searching for MobileNetV3", 2019, section 5.2.

    >>> HardSiLU()(np.array([[-4.0, -1.5, 0.0, 4.0]]))
    array([[-0.   , -0.375,  0.   ,  4.   ]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write x h(x) into ``out``."""
        return np.multiply(x, _hard_sigmoid(x, np.empty_like(x)), out=out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient (h + x h') into ``out``."""
        h = _hard_sigmoid(x, np.empty_like(x))
        np.divide(x, 6, out=out)
        out *= np.abs(x) < 3
        out += h
        return np.multiply(out, gradient, out=out)


@activation("hard_tanh")
class HardTanh(ActivationLayer):
    """Hard tanh: a(z) = z, clipped to [-1, 1], with a'(z) = 1 where -1 <= z <= 1, else 0.

    Source: Collobert, "Large Scale Machine Learning", 2004.

    >>> HardTanh()(np.array([[-4.0, 0.5, 4.0]]))
    array([[-1. ,  0.5,  1. ]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x``, clipped to [-1, 1], into ``out``."""
        return _clip(x, -1, 1, out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient into ``out``, or 0 where the unit is saturated."""
        return np.multiply(gradient, x == y, out=out)


class _Shrinkage(ActivationLayer):
    """Base class: 0 where |z| <= ``threshold``, and slope 1 elsewhere."""

    def __init__(self, threshold: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = check_number("threshold", threshold)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient into ``out``, or 0 where the output is 0."""
        return np.multiply(gradient, y != 0, out=out)


@activation("hard_shrink")
class HardShrink(_Shrinkage):
    """Hard shrinkage: a(z) = z where |z| > threshold, else 0, with a'(z) = 1 where a(z) is not 0.

    Source: Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet Shrinkage", 1994.

    Args:
        threshold: The largest absolute input whose output is 0.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``threshold`` is not a number.
        ValueError: If it is negative or not finite.

    >>> HardShrink()(np.array([[-1.0, 0.25, 2.0]]))
    array([[-1.,  0.,  2.]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x`` into ``out``, or 0 where it is small."""
        return np.multiply(x, np.abs(x) > self.threshold, out=out)


@activation("soft_shrink")
class SoftShrink(_Shrinkage):
    """Soft shrinkage: a(z) = sign(z) max(|z| - threshold, 0), with a'(z) = 1 where a(z) is not 0.

    Source: Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet Shrinkage", 1994.

    Args:
        threshold: How far inputs are moved towards 0.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``threshold`` is not a number.
        ValueError: If it is negative or not finite.

    >>> SoftShrink()(np.array([[-1.0, 0.25, 2.0]]))
    array([[-0.5,  0. ,  1.5]], dtype=float32)
    """

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x``, moved towards 0, into ``out``."""
        near = _clip(x, -self.threshold, self.threshold, np.empty_like(x))
        return np.subtract(x, near, out=out)


@activation("threshold")
class Threshold(ActivationLayer):
    """Threshold: a(z) = z where z > threshold, else default_value, with a'(z) = 1, else 0.

    Args:
        threshold: Inputs above it are kept.
        default_value: Replaces the other inputs.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is not finite.

    >>> Threshold(0.5, -1.0)(np.array([[-1.0, 0.5, 2.0]]))
    array([[-1., -1.,  2.]], dtype=float32)
    """

    needs_input = True

    def __init__(self, threshold: float, default_value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = check_number("threshold", threshold, -math.inf)
        self.default_value = check_number("default_value", default_value, -math.inf)

    def apply(self, x: Array, out: Array) -> Array:
        """Write ``x`` into ``out``, or the default value."""
        out[...] = np.where(x > self.threshold, x, x.dtype.type(self.default_value))
        return out

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient into ``out``, or 0 where x was replaced."""
        return np.multiply(gradient, x > self.threshold, out=out)


@activation("sparse_plus")
class SparsePlus(ActivationLayer):
    """Sparse softplus: a(z) = 0 up to -1, (z + 1)^2 / 4 up to 1, then z.

    Its derivative is (z + 1) / 2, clipped to [0, 1]: the sparse sigmoid.

    Source: Blondel, Martins and Niculae, "Learning Classifiers with Fenchel-Young Losses:
    Generalized Entropies, Margins, and Algorithms", 2019.

    >>> SparsePlus()(np.array([[-2.0, 0.0, 2.0]]))
    array([[0.  , 0.25, 2.  ]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        half = _sparse_sigmoid(x, np.empty_like(x))
        out[...] = np.where(x < 1, half * half, x)
        return out

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient times the sparse sigmoid into ``out``."""
        _sparse_sigmoid(x, out)
        return np.multiply(out, gradient, out=out)


@activation("sparse_sigmoid")
class SparseSigmoid(ActivationLayer):
    """Sparse sigmoid: a(z) = (z + 1) / 2 in [0, 1], with a'(z) = 1/2 where |z| < 1, else 0.

    At -1 and 1 the derivative is the mean of the slopes at either side, 1/4.

    Source: Blondel, Martins and Niculae, "Learning Classifiers with Fenchel-Young Losses:
    Generalized Entropies, Margins, and Algorithms", 2019.

    >>> SparseSigmoid()(np.array([[-2.0, 0.0, 2.0]]))
    array([[0. , 0.5, 1. ]], dtype=float32)
    """

    needs_input = True

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        return _sparse_sigmoid(x, out)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient a' into ``out``."""
        np.abs(x, out=out)
        sides = np.add(out < 1, out <= 1, dtype=x.dtype)
        sides *= 0.25
        return np.multiply(gradient, sides, out=out)


def _sparse_sigmoid(x: Array, out: Array) -> Array:
    np.add(x, 1, out=out)
    _clip(out, 0, 2, out)
    return np.multiply(out, 0.5, out=out)
