"""Operations that sum, average or compare along axes, and the matrix product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import Shape
from nnlite.ops.operation import Operation, broadcast, canonical_axes, chain, numpy
from nnlite.utils.typing import Array


class _Reduction(Operation):
    """Base class of functions of all entries along axes."""

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.axis = axis
        self.keepdims = bool(keepdims)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return canonical_axes(self.name, self.axis, rank)

    def _back(self, array: Array, x: Array) -> Array:
        """Return an array of the output's shape with the reduced axes of ``x``."""
        axes = self._axes(x.ndim)
        return array.reshape([1 if i in axes else size for i, size in enumerate(x.shape)])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes along the other axes."""
        axes = self._axes(len(input_shape))
        sizes = [1 if i in axes else size for i, size in enumerate(input_shape)]
        return tuple(s for i, s in enumerate(sizes) if self.keepdims or i not in axes)


@numpy.register()
class Sum(_Reduction):
    """y = the sum of x along axes, with dy/dx_i = 1."""

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the sum of ``x`` into ``y``."""
        np.sum(x, self._axes(x.ndim), out=y, dtype=y.dtype, keepdims=self.keepdims)

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        chain(dx, np.broadcast_to(self._back(dy, x), x.shape))

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of the input, but at least 32 bits for integers."""
        small = {"bool": "int32", "int8": "int32", "int16": "int32"}
        small |= {"uint8": "uint32", "uint16": "uint32"}
        dtype = super().compute_output_dtype(*input_dtypes)
        return small.get(dtype, dtype)


@numpy.register()
class Mean(_Reduction):
    """y = the mean of n entries of x along axes, with dy/dx_i = 1 / n."""

    makes_floats = True

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the mean of ``x`` into ``y``."""
        np.mean(x, self._axes(x.ndim), out=y, dtype=y.dtype, keepdims=self.keepdims)

    def backward_into(self, dy: Array, x: Array, dx: Array) -> None:
        """Write dJ/dx."""
        count = math.prod(x.shape[axis] for axis in self._axes(x.ndim))
        chain(dx, np.broadcast_to(self._back(dy, x), x.shape), 1 / count)


class _Extreme(_Reduction):
    """The largest or smallest entry along axes; equal entries share the gradient, as in JAX."""

    _function: Any

    def __init__(
        self,
        axis: int | Sequence[int] | None = None,
        keepdims: bool = False,
        initial: float | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(axis, keepdims, name=name)
        self.initial = initial

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the largest or smallest entry of ``x`` into ``y``."""
        start = {} if self.initial is None else {"initial": self.initial}
        self._function(x, self._axes(x.ndim), out=y, keepdims=self.keepdims, **start)

    def backward_into(self, dy: Array, x: Array, y: Array, dx: Array) -> None:
        """Write dJ/dx."""
        found = x == self._back(y, x)
        count = np.maximum(found.sum(self._axes(x.ndim), keepdims=True), 1)  # 0 if `initial` wins
        chain(dx, np.where(found, self._back(dy, x), 0), 1 / count)


@numpy.register()
class Max(_Extreme):
    """y = the largest entry of x along axes."""

    _function = staticmethod(np.max)


@numpy.register()
class Min(_Extreme):
    """y = the smallest entry of x along axes."""

    _function = staticmethod(np.min)


@numpy.register()
class Matmul(Operation):
    """Y = A B over the last two axes, with dJ/dA = dJ/dY B^T and dJ/dB = A^T dJ/dY.

    A vector is a row on the left and a column on the right; leading axes are broadcast.
    """

    argument_names = ("x1", "x2")

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write the product of the two arrays into ``y``."""
        np.matmul(x[0], x[1], out=y)

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array]) -> None:
        """Write dJ/dA and dJ/dB."""
        a, b = x
        if a.ndim == 1:
            a, dy = a[None], dy[..., None, :] if b.ndim > 1 else dy[..., None]
        if b.ndim == 1:
            b, dy = b[:, None], dy[..., None]
        if dx[0] is not None:
            chain(dx[0].reshape(a.shape), dy @ b.swapaxes(-1, -2))
        if dx[1] is not None:
            chain(dx[1].reshape(b.shape), a.swapaxes(-1, -2) @ dy)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return (..., rows of A, columns of B)."""
        a, b = (tuple(shape) for shape in input_shape)
        left, right = a[-1:], b[-2:-1] if len(b) > 1 else b
        if not a or not b or (left != right and None not in (*left, *right)):
            raise ValueError(
                f"{self.name} takes arrays of shapes (..., m, n) and (..., n, p). "
                f"Received: shapes {a} and {b}"
            )
        return (*broadcast(self.name, a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
