"""Activations along an axis: softmax, its logarithm, sparsemax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.backend.numerics import shifted_exp
from nnlite.layers.activations.base import ActivationLayer, activation
from nnlite.layers.layer import Shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError


class _AlongAxes(ActivationLayer):
    """Base class of functions along ``axis``, which `_of_rows` computes along the first axis."""

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = (axis,) if isinstance(axis, int) else axis
        if not isinstance(axes, (tuple, list)) or not all(isinstance(one, int) for one in axes):
            raise ArgumentError(f"axis must be an integer, or several. Received: axis={axis!r}")
        self.axis = axis
        self._axes = tuple(axes)
        self.samplewise = all(one == -1 or one > 0 for one in axes)  # not that of the batch
        self._last_of_two = self._axes in ((-1,), (1,))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``.

        Raises:
            ValueError: If the input lacks an axis.
        """
        if any(not -len(input_shape) <= axis < len(input_shape) for axis in self._axes):
            raise ValueError(
                f"Layer {self.name!r} has axis={self.axis}, but its input has shape {input_shape}."
            )
        return input_shape

    def apply(self, x: Array, out: Array) -> Array:
        """Write the function of ``x`` into ``out``."""
        z = self._classes_first(x)
        if len(self._axes) == 1:
            self._classes_first(out)[...] = self._of_rows(np.array(z, out.dtype, order="C"))
        else:
            rows = z.reshape(-1, *z.shape[len(self._axes) :])
            y = self._of_rows(np.array(rows, out.dtype, order="C"))
            self._classes_first(out)[...] = y.reshape(z.shape)
        return out

    def _of_rows(self, z: Array) -> Array:
        raise NotImplementedError

    def _classes_first(self, array: Array) -> Array:
        """Return a view with the axes of the classes in front: see `numerics.axis_first`."""
        if array.ndim == 2 and self._last_of_two:
            return array.T
        return np.moveaxis(array, self._axes, range(len(self._axes)))


@activation("softmax")
class Softmax(_AlongAxes):
    """Softmax: a_i = exp(z_i) / sum_j exp(z_j), with da_i/dz_j = a_i ([i = j] - a_j).

    Source: Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
    1990.

    Args:
        axis: The axis, or axes, along which the outputs sum to 1.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axis`` is not an integer or a list of integers.
        ValueError: If the input has no such axis.

    >>> Softmax()(np.array([[0.0, 0.0, 1000.0]])).round(3)
    array([[0., 0., 1.]], dtype=float32)
    """

    def _of_rows(self, z: Array) -> Array:
        """Return the softmax, shifted so that no exp exceeds 1."""
        _, e, total = shifted_exp(z)
        e /= total
        return e

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write a (gradient - sum(gradient a)) into ``out``."""
        np.multiply(gradient, y, out=out)
        np.subtract(gradient, out.sum(axis=self._axes, keepdims=True), out=out)
        return np.multiply(out, y, out=out)


@activation("log_softmax")
class LogSoftmax(_AlongAxes):
    """Logarithm of the softmax: a_i = z_i - log(sum_j exp(z_j)), with da_i/dz_j = [i = j] - p_j.

    Here p = exp(a) is the softmax.

    Args:
        axis: The axis, or axes, along which the exponentials of the outputs sum to 1.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axis`` is not an integer or a list of integers.
        ValueError: If the input has no such axis.

    >>> LogSoftmax()(np.array([[0.0, 0.0, 1000.0]])).round(3)
    array([[-1000., -1000.,     0.]], dtype=float32)
    """

    def _of_rows(self, z: Array) -> Array:
        shifted, _, total = shifted_exp(z)
        shifted -= np.log(total)
        return shifted

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write gradient - p sum(gradient) into ``out``."""
        np.exp(y, out=out)
        out *= gradient.sum(axis=self._axes, keepdims=True)
        return np.subtract(gradient, out, out=out)


@activation("sparsemax")
class Sparsemax(_AlongAxes):
    """Sparsemax: a_i = max(z_i - t, 0), with t such that the outputs sum to 1.

    It is the distribution nearest to z. For the set S of positive outputs, da_i/dz_j is
    [i = j] - 1 / |S| for i and j in S, and else 0.

    Source: Martins and Astudillo, "From Softmax to Sparsemax: A Sparse Model of Attention and
    Multi-Label Classification", 2016, algorithm 1 and equation 14.

    Args:
        axis: The axis along which the outputs sum to 1.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axis`` is not an integer.
        ValueError: If the input has no such axis.

    >>> Sparsemax()(np.array([[0.0, 0.5, 1.0]]))
    array([[0.  , 0.25, 0.75]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(axis=axis, **kwargs)
        if not isinstance(axis, int):
            raise ArgumentError(f"axis must be an integer. Received: axis={axis!r}")

    def _of_rows(self, z: Array) -> Array:
        z -= z.max(axis=0)
        np.maximum(z, -1, out=z)  # t is at least that: lower entries do not matter
        falling = -np.sort(-z, axis=0)
        sums = np.cumsum(falling, axis=0)
        counts = np.arange(1, len(z) + 1, dtype=z.dtype).reshape(-1, *[1] * (z.ndim - 1))
        size = np.count_nonzero(1 + counts * falling > sums, axis=0, keepdims=True)
        z -= (np.take_along_axis(sums, size - 1, axis=0) - 1) / size.astype(z.dtype)
        return np.maximum(z, 0, out=z)

    def chain(self, gradient: Array, x: Array, y: Array, out: Array) -> Array:
        """Write the gradient minus its mean over S into ``out``, and 0 outside of S."""
        support = y > 0
        np.multiply(gradient, support, out=out)
        total = out.sum(axis=self._axes, keepdims=True)
        total /= support.sum(axis=self._axes, keepdims=True)
        np.subtract(gradient, total, out=out)
        return np.multiply(out, support, out=out)
