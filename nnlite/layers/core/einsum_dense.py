"""EinsumDense: a dense layer along the axes that an equation names."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite import initializers
from nnlite.layers.activations.activated import Activated
from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_integers
from nnlite.utils.typing import Array

_FORMS = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


@registry.register()
class EinsumDense(Activated):
    """a = g(z) for z = einsum(equation, x, W) + b: `Dense` along any axes.

    The gradients are also such sums: with d = dJ/dz and the equation ``"X,W->Z"``,
    dJ/dW = einsum("X,Z->W", x, d), dJ/dx = einsum("Z,W->X", d, W), and dJ/db is the sum of d along
    the axes that b lacks.

    Args:
        equation: ``"X,W->Z"``, with a letter for each axis of input, kernel and output,
            such as ``"abc,cd->abd"``; in ``"...X,W->...Z"`` and ``"X...,W->Z..."`` the dots
            stand for axes that stay as they are.
        output_shape: The sizes of the output without the batch axis and those of ``...``;
            None for an axis of the input.
        activation: g, as for `Dense`.
        bias_axes: The letters of b's axes, from those of the output; None for no b.
        kernel_initializer: Initializer of W.
        bias_initializer: Initializer of b.
        kernel_regularizer: A penalty on W, added to the loss.
        bias_regularizer: A penalty on b.
        kernel_constraint: A projection of W after each update.
        bias_constraint: A projection of b after each update.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``equation`` is not a string, or a size is not an integer.
        ValueError: If the equation has another form, names an axis of an array twice, or does not
            fit ``output_shape``, ``bias_axes`` or, on a call, the input.

    >>> layer = EinsumDense("abc,cd->abd", (None, 2), kernel_initializer="ones")
    >>> layer(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([[[3., 3.],
            [7., 7.]]], dtype=float32)
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {"quantization_config": None}
    left_out_if_none = ()

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        match = isinstance(equation, str) and _FORMS.fullmatch(equation)
        if not match or [bool(match[i]) for i in (1, 3)] != [bool(match[i]) for i in (5, 7)]:
            raise ValueError(
                "equation must have the form 'X,W->Z', '...X,W->...Z' or 'X...,W->Z...'. "
                f"Received: equation={equation!r}"
            )
        x, kernel, y = self._letters = match[2], match[4], match[6]
        if any(len({*letters}) < len(letters) for letters in self._letters):
            raise ValueError(
                f"equation must name each axis of an array once. Received: equation={equation!r}"
            )
        if {*y} - {*x, *kernel} or {*kernel} - {*x, *y}:
            raise ValueError(
                "equation must take each axis of the output from the input or the kernel, and "
                "each of the kernel from the input or the output. "
                f"Received: equation={equation!r}"
            )
        if bias_axes is not None and not (bias_axes and set(str(bias_axes)) <= {*y}):
            raise ValueError(
                f"bias_axes must name axes of the output, {y!r}. Received: bias_axes={bias_axes!r}"
            )
        self._left, self._right = bool(match[1]), bool(match[3])
        self.equation = equation
        sizes = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.output_shape = check_integers("output_shape", sizes, or_none=True)
        self.bias_axes = bias_axes
        self._keep("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._keep("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.activation = activation

    def _axes(self, rank: int) -> tuple[str, str, str]:
        """Return the letters of input, kernel and output, with letters for ``...``."""
        x, kernel, y = self._letters
        free = [a for a in string.ascii_letters if a not in x + kernel + y]
        more = "".join(free[: rank - len(x)])
        if self._left:
            return more + x, kernel, more + y
        return x + more, kernel, y + more

    def _sizes(self, input_shape: Shape) -> dict[str, int | None]:
        """Return the size of each axis by letter."""
        x, _, y = self._axes(len(input_shape))
        beside = len(y) - len(self._letters[2])
        first = y[0]
        told = dict(zip(y[max(beside, 1) if self._left else 1 :], self.output_shape, strict=False))
        sizes: dict[str, int | None] = dict(zip(x, input_shape, strict=False))
        expected = len(y) - (max(beside, 1) if self._left else 1 + beside)
        fit = len(x) == len(input_shape) and first == x[0] and expected == len(self.output_shape)
        fit = fit and (not beside or self._left or self._right)
        if not fit or any(
            size is not None and sizes.get(a, size) not in (None, size) for a, size in told.items()
        ):
            raise ValueError(
                f"Layer {self.name!r} with equation={self.equation!r} and "
                f"output_shape={self.output_shape} does not fit an input of shape {input_shape}."
            )
        return sizes | {a: size for a, size in told.items() if size is not None or a not in sizes}

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        sizes = self._sizes(input_shape)
        _, kernel, y = self._axes(len(input_shape))
        draw: Any = vars(self)["kernel_initializer"]
        if isinstance(draw, initializers.VarianceScaling) and draw.input_axes is None:
            axes = {
                "input_axes": [i for i, a in enumerate(kernel) if a not in y],
                "output_axes": [i for i, a in enumerate(kernel) if a in y],
            }
            draw = type(draw).from_config({**draw.get_config(), **axes})
        self.kernel = self._add_named("kernel", [sizes[a] for a in kernel], "kernel", draw)
        self.bias: Any = None
        if self.bias_axes is not None:
            first = min(y.index(a) for a in self.bias_axes)
            shape = [sizes[a] if a in self.bias_axes else 1 for a in y[first:]]
            self.bias = self._add_named("bias", shape, "bias")
        self.activation.ensure_built(tuple(sizes[a] for a in y))

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the kernel fits such an input."""
        if self.input_shape is None:
            return True
        if len(input_shape) != len(self.input_shape):
            return False
        sizes, built = self._sizes(input_shape), self._sizes(self.input_shape)
        fixed = {*self._letters[1], *(self.bias_axes or "")}
        return all(sizes[a] in (None, built[a]) for a in fixed)

    def _largest_product(self, samples: int) -> int:
        shape = self.input_shape or ()
        x, kernel, _ = self._axes(len(shape))
        rows = [size or 1 for a, size in zip(x[1:], shape[1:], strict=False) if a not in kernel]
        return super()._largest_product(samples * math.prod(rows))

    def output_shape_for(self, x: Any) -> Shape:
        """Return the shape of z."""
        return self._z_shape(np.shape(x))

    def _z_shape(self, input_shape: Shape | None) -> Shape:
        if input_shape is None:
            return (None,) * len(self._letters[2])
        sizes = self._sizes(input_shape)
        return tuple(sizes[a] for a in self._axes(len(input_shape))[2])

    def _rows(self, rank: int) -> int:
        """Return how many last axes of x a matrix product can sum over; 0 if it cannot."""
        x, kernel, y = self._axes(rank)
        count = sum(a not in y for a in kernel)
        kept, made = x[: rank - count], kernel[count:]
        return count if (x, y) == (kept + kernel[:count], kept + made) else 0

    def forward_into(self, x: Array, y: Array) -> None:
        """Write z = einsum("X,W->Z", x, W) + b into ``y``."""
        kernel = self.kernel.value
        if count := self._rows(x.ndim):
            kernel = kernel.reshape(math.prod(kernel.shape[:count]), -1)
            x.reshape(-1, len(kernel)).dot(kernel, y.reshape(-1, kernel.shape[1]))
        else:
            of_x, of_kernel, of_y = self._axes(x.ndim)
            np.einsum(f"{of_x},{of_kernel}->{of_y}", x, kernel, out=y, optimize=True)
        if self.bias is not None:
            y += self.bias.value

    def backward_into(self, dy: Array, x: Array, dx: Array | None = None) -> None:
        """Fill dJ/dW = einsum("X,Z->W", x, d) and dJ/db; write dJ/dx = einsum("Z,W->X", d, W)."""
        of_x, of_kernel, y = self._axes(x.ndim)
        kernel, slope = self.kernel.value, self.kernel.gradient
        if self._trainable and self.bias is not None:
            others = tuple(i for i, a in enumerate(y) if a not in (self.bias_axes or ""))
            own = [n for i, n in enumerate(dy.shape) if i not in others]
            np.add.reduce(dy, axis=others, out=self.bias.gradient.reshape(own))
        if count := self._rows(x.ndim):
            kernel = kernel.reshape(math.prod(kernel.shape[:count]), -1)
            dy = dy.reshape(-1, kernel.shape[1])
            if self._trainable:
                x.reshape(-1, len(kernel)).T.dot(dy, slope.reshape(kernel.shape))
            if dx is not None:
                dy.dot(kernel.T, dx.reshape(-1, len(kernel)))
            return
        if self._trainable:
            np.einsum(f"{of_x},{y}->{of_kernel}", x, dy, out=slope, optimize=True)
        if dx is not None:
            summed = [a for a in of_x if a not in y + of_kernel]  # equal derivatives
            ones = [np.ones(x.shape[of_x.index(a)], x.dtype) for a in summed]
            equation = f"{','.join([y, of_kernel, *summed])}->{of_x}"
            np.einsum(equation, dy, kernel, *ones, out=dx, optimize=True)
