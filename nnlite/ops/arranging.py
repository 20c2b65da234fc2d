"""Operations that rearrange entries: join, split, reshape, transpose, slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.layers.layer import Shape
from nnlite.ops.operation import Operation, canonical_axes, numpy
from nnlite.symbolic import KerasTensor
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, check_axis, check_count


def _put(dx: Array | None, gradient: Array) -> None:
    """Write a gradient into ``dx``, or zeros if ``dx`` is of integers."""
    if dx is not None:
        dx[...] = gradient if dx.dtype.kind == "f" else 0


# ---- several arrays -----------------------------------------------------------------------


class _Joining(Operation):
    """Base class of operations that join arrays along ``axis``."""

    def __init__(self, axis: int = 0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis = check_axis(axis)

    def _array(self, name: str, value: Any, dtype: str, constants: bool) -> Any:
        if isinstance(value, KerasTensor) or not len(value):
            raise ArgumentError(
                f"{self.name} takes a list of tensors or arrays. Received: {name}={value!r}"
            )
        make = super()._array
        arrays = [make(f"{name}[{i}]", part, dtype, constants) for i, part in enumerate(value)]
        return [np.asarray(a) if isinstance(a, (int, float)) else a for a in arrays]

    def _common(self, shapes: list[Shape], joined: int | None) -> list[int | None]:
        """Return the common sizes of arrays, apart from the axis ``joined``."""
        sizes: list[int | None] = []
        for i, along in enumerate(zip(*shapes, strict=False)):
            known = {size for size in along if size is not None}
            sizes.append(known.pop() if len(known) == 1 else None)
            if (known and i != joined) or len({len(shape) for shape in shapes}) > 1:
                raise ValueError(
                    f"{self.name} takes arrays of one shape"
                    + ("" if joined is None else f", apart from axis {joined}")
                    + f". Received: shapes {', '.join(map(str, map(tuple, shapes)))}"
                )
        return sizes


@numpy.register()
class Concatenate(_Joining):
    """Concatenation of a list of arrays along an existing axis."""

    argument_names = ("xs",)

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write the arrays into ``y``."""
        np.concatenate(x, self.axis, out=y)

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array]) -> None:
        """Write dJ/dx of each array, a part of dJ/dy."""
        ends = np.cumsum([part.shape[self.axis] for part in x[:-1]])
        for part, gradient in zip(dx, np.split(dy, ends, self.axis), strict=True):
            _put(part, gradient)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return the common shape, with the sum of the sizes along the axis."""
        (axis,) = canonical_axes(self.name, self.axis, len(input_shape[0]))
        sizes = self._common(input_shape, axis)
        along = [shape[axis] for shape in input_shape]
        sizes[axis] = None if None in along else sum(along)  # type: ignore[arg-type]
        return tuple(sizes)


@numpy.register()
class Stack(_Joining):
    """A list of arrays stacked along a new axis."""

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write the arrays into ``y``."""
        np.stack(x, self.axis, out=y)

    def backward_into(self, dy: Array, dx: list[Array]) -> None:
        """Write dJ/dx of each array, a part of dJ/dy."""
        for part, gradient in zip(dx, np.moveaxis(dy, self.axis, 0), strict=True):
            _put(part, gradient)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Return the common shape with the number of arrays inserted."""
        sizes = self._common(input_shape, None)
        (axis,) = canonical_axes(self.name, self.axis, len(sizes) + 1)
        return (*sizes[:axis], len(input_shape), *sizes[axis:])


@numpy.register()
class Split(Operation):
    """A list of parts of an array along an axis."""

    def __init__(
        self, indices_or_sections: int | Sequence[int], axis: int = 0, *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        if isinstance(indices_or_sections, (tuple, list, np.ndarray)):
            indices_or_sections = [
                check_count("each of indices_or_sections", i, 0) for i in indices_or_sections
            ]
        else:
            indices_or_sections = check_count("indices_or_sections", indices_or_sections, 1)
        self.indices_or_sections = indices_or_sections
        self.axis = check_axis(axis)

    def forward_into(self, x: Array, y: list[Array]) -> None:
        """Write the parts of ``x`` into ``y``."""
        for to, part in zip(y, np.split(x, self.indices_or_sections, self.axis), strict=True):
            to[...] = part

    def backward_into(self, dy: list[Array], dx: Array) -> None:
        """Write dJ/dx, the concatenated gradients of the parts."""
        _put(dx, np.concatenate(dy, self.axis))

    def compute_output_shape(self, input_shape: Shape) -> list[Shape]:
        """Return the shape of each part."""
        (axis,) = canonical_axes(self.name, self.axis, len(input_shape))
        size, parts = input_shape[axis], self.indices_or_sections
        if isinstance(parts, int):
            rest = size is not None and size % parts
            sizes = [None if size is None else size // parts] * parts
        else:
            ends: list[Any] = [0, *parts, size]
            sizes = [None if b is None else b - a for a, b in pairwise(ends)]
            rest = any(part is not None and part < 0 for part in sizes)
        if rest:
            raise ValueError(
                f"{self.name} cannot split {size} entries along axis {axis}. "
                f"Received: indices_or_sections={parts!r}, an array of shape {tuple(input_shape)}"
            )
        return [(*input_shape[:axis], part, *input_shape[axis + 1 :]) for part in sizes]


# ---- one array ----------------------------------------------------------------------------


class _Reshaping(Operation):
    """Base class of operations that change only the shape."""

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the entries of ``x`` into ``y``."""
        y[...] = x.reshape(y.shape)

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write dJ/dx."""
        _put(dx, dy.reshape(dx.shape))


@numpy.register()
class Reshape(_Reshaping):
    """An array in the shape ``newshape``.

    Args:
        newshape: The shape with the batch axis; one size may be -1, which is inferred.
        name: As for `Operation`.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is below -1, or two are -1.
    """

    def __init__(self, newshape: int | Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        sizes = newshape if isinstance(newshape, (tuple, list)) else (newshape,)
        self.newshape = tuple(check_count("each size of newshape", size, -1) for size in sizes)
        if self.newshape.count(-1) > 1:
            raise ValueError(
                f"newshape may hold one -1 at most. Received: newshape={self.newshape}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``newshape`` with -1 replaced."""
        left: int | None = None
        if None not in input_shape:
            known = math.prod(size for size in self.newshape if size != -1)
            count = math.prod(input_shape)  # type: ignore[arg-type]
            left = count // known if known else 0
            if left * known != count or (left != 1 and -1 not in self.newshape and count):
                raise ValueError(
                    f"{self.name} cannot give {count} entries, of an array of shape "
                    f"{tuple(input_shape)}, another shape. Received: newshape={self.newshape}"
                )
        return tuple(left if size == -1 else size for size in self.newshape)


@numpy.register()
class ExpandDims(_Reshaping):
    """An array with further axes of size 1."""

    def __init__(self, axis: int | Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        if axis is None:
            raise ArgumentError("axis must be an integer, or several. Received: axis=None")
        self.axis = axis

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with the new axes of size 1."""
        count = len(self.axis) if isinstance(self.axis, (tuple, list)) else 1
        rank = len(input_shape) + count
        new = canonical_axes(self.name, self.axis, rank)
        sizes = iter(input_shape)
        return tuple(1 if i in new else next(sizes) for i in range(rank))


@numpy.register()
class Squeeze(_Reshaping):
    """An array without some of its axes of size 1.

    Args:
        axis: The axis or axes; None means all axes of size 1 of the tensor, which keeps the batch
            axis.
    """

    def __init__(self, axis: int | Sequence[int] | None = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis = axis
        self._found: list[int] | None = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` without these axes."""
        axes = self._found if self.axis is None else self.axis
        if axes is None:
            axes = [i for i, size in enumerate(input_shape) if size == 1]
            if None in input_shape:
                self._found = axes
        gone = canonical_axes(self.name, axes, len(input_shape))
        if any(input_shape[axis] != 1 for axis in gone):
            raise ValueError(
                f"{self.name} removes only axes of size 1. Received: axis={self.axis}, an "
                f"array of shape {tuple(input_shape)}"
            )
        return tuple(size for i, size in enumerate(input_shape) if i not in gone)


@numpy.register()
class Transpose(Operation):
    """The axes of an array in another order."""

    def __init__(self, axes: Sequence[int] | None = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axes = axes

    def forward_into(self, x: Array, y: Array) -> None:
        """Write ``x`` with its axes in the new order into ``y``."""
        y[...] = x.transpose(self.axes)

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write dJ/dx, the inverse transpose of dJ/dy."""
        order = None if self.axes is None else np.argsort([axis % dy.ndim for axis in self.axes])
        _put(dx, dy.transpose(order))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes in the new order."""
        rank = len(input_shape)
        order = canonical_axes(self.name, self.axes, rank)
        if len(order) != rank:
            raise ValueError(
                f"{self.name} needs each of the {rank} axes once. Received: axes={self.axes}"
            )
        return tuple(input_shape[axis] for axis in (order if self.axes else order[::-1]))


@numpy.register()
class GetItem(Operation):
    """A part of an array: x[key].

    The key is an argument of the call: integers, slices, None and an Ellipsis.
    """

    argument_names = ("x", "key")

    def _array(self, name: str, value: Any, dtype: str, constants: bool) -> Any:
        if name == "x":
            return super()._array(name, value, dtype, constants)
        key = list(value) if isinstance(value, (tuple, list)) else [value]
        key = [int(part) if isinstance(part, np.integer) else part for part in key]
        for part in key:
            if not (part is None or part is Ellipsis or type(part) is int or type(part) is slice):
                raise ArgumentError(
                    "A tensor is sliced by integers, slices, None and an Ellipsis. "
                    f"Received: [{value!r}]"
                )
        return key

    def _data(self, x: Any) -> list[Any]:
        return [x[0]]

    def output_shape_for(self, x: Any) -> Shape:
        """Return the shape of the part of an array or tensor."""
        shape, key = tuple(x[0].shape), list(x[1])
        at = key.index(Ellipsis) if Ellipsis in key else len(key)
        before, after = key[:at], key[at + 1 :]
        rest = len(shape) - sum(part is not None for part in before + after)
        outside = rest < 0 or Ellipsis in after
        sizes: list[int | None] = []
        left = iter(shape)
        for part in [] if outside else [*before, *[slice(None)] * rest, *after]:
            size = 1 if part is None else next(left)
            if isinstance(part, int):
                outside |= size is not None and not -size <= part < size
            else:
                whole = part is None or size is None
                sizes.append(size if whole else len(range(*part.indices(size))))
        if outside:
            raise ValueError(f"An array of shape {shape} has no part [{key!r:.200}].")
        return tuple(sizes)

    def forward_into(self, x: list[Any], y: Array) -> None:
        """Write the part of the array into ``y``."""
        y[...] = x[0][tuple(x[1])]

    def backward_into(self, dy: Array, x: list[Any], dx: list[Any]) -> None:
        """Write dJ/dx, zeros around dJ/dy."""
        if dx[0] is not None:
            dx[0].fill(0)
            _put(dx[0][tuple(x[1])], dy)
