"""Dot: products of two inputs, summed over an axis of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.config import epsilon
from nnlite.layers.layer import Shape, registry
from nnlite.layers.merging.merge import Merge
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, check_flag


@registry.register()
class Dot(Merge):
    """Products of two inputs, sample by sample, summed over one axis of each.

    For a sample A of shape (p, n) of one input and B of shape (q, n) of the other, where n stands
    for the summed axes, y = A B^T, dJ/dA = dJ/dy B and dJ/dB = (dJ/dy)^T A. The output has the
    other axes of the first input, then those of the second; (batch, 1) if there are none.

    Args:
        axes: The axis of both, counted from the batch axis, or a pair with one for each.
        normalize: Whether to divide vectors along the axes by their length (at least
            ``nnlite.config.epsilon()``) first, so that y is the cosine of their angle.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axes`` is not an integer or a pair of integers.
        ValueError: If it contains 0, the batch axis; or on a call, if there are not two
            inputs, one lacks its axis, or the sizes along them differ.

    >>> Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    array([[11.]], dtype=float32)
    """

    count = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = axes if isinstance(axes, (list, tuple)) else (axes, axes)
        if len(pair) != 2 or not all(
            isinstance(axis, (int, np.integer)) and not isinstance(axis, bool) for axis in pair
        ):
            raise ArgumentError(f"axes must be an integer or a pair. Received: axes={axes!r}")
        if 0 in pair:
            raise ValueError(f"axes must not be 0, the batch axis. Received: axes={axes!r}")
        self.axes = axes
        self._pair = tuple(pair)
        self.normalize = check_flag("normalize", normalize)

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write A B^T into ``y``, for each sample."""
        (a, _), (b, _) = self._matrices(x)
        np.matmul(a, b.swapaxes(1, 2), out=y.reshape(len(y), a.shape[1], b.shape[1]))

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array | None]) -> None:
        """Write dJ/dA = dJ/dy B and dJ/dB = (dJ/dy)^T A.

        If A = x / |x|, dJ/dx = (dJ/dA - A (A . dJ/dA)) / |x|.
        """
        one, other = self._matrices(x)
        d = dy.reshape(len(dy), one[0].shape[1], other[0].shape[1])
        passes = [(one, d, other, dx[0]), (other, d.swapaxes(1, 2), one, dx[1])]
        for axis, ((a, length), slopes, (b, _), out) in zip(self._pair, passes, strict=True):
            if out is None:
                continue
            da = slopes @ b
            if self.normalize:
                along = (a * da).sum(axis=-1, keepdims=True)
                da -= a * along * (length > epsilon())
                da /= np.maximum(length, epsilon())
            moved = np.moveaxis(out, axis, -1)
            moved[...] = da.reshape(moved.shape)

    def _matrices(self, x: list[Array]) -> list[tuple[Array, Array]]:
        """Return each input as matrices with the summed axis last, and their rows' lengths."""
        pairs = []
        for axis, array in zip(self._pair, x, strict=True):
            a = np.moveaxis(array, axis, -1).reshape(len(array), -1, array.shape[axis])
            length = a
            if self.normalize:
                length = np.sqrt((a * a).sum(axis=-1, keepdims=True))
                a = a / np.maximum(length, epsilon())
            pairs.append((a, length))
        return pairs

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return (batch, other sizes of the first input, other sizes of the second)."""
        shapes = self.checked_shapes(input_shape)
        rests: list[Shape] = []
        sizes = set()
        for axis, shape in zip(self._pair, shapes, strict=True):
            at = axis + len(shape) if axis < 0 else axis
            if not 0 < at < len(shape):
                raise ValueError(
                    f"Inputs of layer {self.name!r} must have the axes {self.axes} besides that "
                    f"of the batch. Received: shapes {shapes}"
                )
            rests.append((*shape[1:at], *shape[at + 1 :]))
            sizes.add(shape[at])
        if len(sizes - {None}) > 1:
            raise ValueError(
                f"The inputs of layer {self.name!r} must have equal sizes along the axes "
                f"{self.axes}. Received: shapes {shapes}"
            )
        return (shapes[0][0], *(rests[0] + rests[1] or (1,)))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: the output has no steps."""


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Return ``Dot(axes, **kwargs)(inputs)``: products of two arrays or tensors.

    >>> dot([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    array([[11.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)
