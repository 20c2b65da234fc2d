"""Layers that merge their inputs entry by entry: sum, difference, product, mean, extremes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite.layers.layer import registry
from nnlite.layers.merging.merge import Merge, aligned, fold

__all__ = [
    "Add",
    "Average",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

Array = NDArray[Any]
Arrays = list[Array]
Slopes = list[Array | None]


@registry.register()
class Add(Merge):
    """The sum of the inputs: y = x_1 + x_2 + ..., dJ/dx_i = dJ/dy.

    The inputs are arrays of the same number of samples, whose other sizes are equal or 1. The
    gradient of an input that is broadcast is summed over the axes that it is broadcast along.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is no list, or shapes cannot be broadcast.

    >>> Add()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[11., 12.]], dtype=float32)
    """

    def forward_into(self, x: Arrays, y: Array) -> None:
        """Write x_1 + x_2 + ... into ``y``."""
        fold(np.add, x, y)

    def backward_into(self, dy: Array, dx: Slopes) -> None:
        """Write dJ/dx_i = dJ/dy."""
        for slope in dx:
            if slope is not None:
                fold(np.add, [dy], slope)


@registry.register()
class Subtract(Merge):
    """The difference of two inputs: y = x_1 - x_2, dJ/dx_1 = dJ/dy, dJ/dx_2 = -dJ/dy.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if there are not two inputs, or shapes cannot be broadcast as by
            `Add`.

    >>> Subtract()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[-9., -8.]], dtype=float32)
    """

    count = 2

    def forward_into(self, x: Arrays, y: Array) -> None:
        """Write x_1 - x_2 into ``y``."""
        fold(np.subtract, x, y)

    def backward_into(self, dy: Array, dx: Slopes) -> None:
        """Write dJ/dx_1 = dJ/dy and dJ/dx_2 = -dJ/dy."""
        first, second = dx
        if first is not None:
            fold(np.add, [dy], first)
        if second is not None:
            fold(np.add, [dy], second)
            np.negative(second, out=second)


@registry.register()
class Multiply(Merge):
    """The product of the inputs: y = x_1 x_2 ..., dJ/dx_i = dJ/dy times the other inputs.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is no list, or shapes cannot be broadcast as by `Add`.

    >>> Multiply()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[10., 20.]], dtype=float32)
    """

    def forward_into(self, x: Arrays, y: Array) -> None:
        """Write x_1 x_2 ... into ``y``."""
        fold(np.multiply, x, y)

    def backward_into(self, dy: Array, x: Arrays, dx: Slopes) -> None:
        """Write dJ/dx_i = dJ/dy times the other inputs, without a division: they may be 0."""
        for i, slope in enumerate(dx):
            if slope is not None:
                fold(np.multiply, [dy, *x[:i], *x[i + 1 :]], slope)


@registry.register()
class Average(Merge):
    """The mean of the n inputs: y = (x_1 + x_2 + ...) / n, dJ/dx_i = dJ/dy / n.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is no list, or shapes cannot be broadcast as by `Add`.

    >>> Average()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[5.5, 6. ]], dtype=float32)
    """

    def forward_into(self, x: Arrays, y: Array) -> None:
        """Write (x_1 + x_2 + ...) / n into ``y``."""
        fold(np.add, x, y)
        y /= len(x)

    def backward_into(self, dy: Array, dx: Slopes) -> None:
        """Write dJ/dx_i = dJ/dy / n."""
        for slope in dx:
            if slope is not None:
                fold(np.add, [dy], slope)
                slope /= len(dx)


class Extreme(Merge):
    """Base class of `Maximum` and `Minimum`."""

    operation: ClassVar[np.ufunc]

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the one that tells which entries of the gradient have not been handed on."""
        return {"free": (self.told_shape(shape), bool)}

    def forward_into(self, x: Arrays, y: Array) -> None:
        """Write the extremes into ``y``."""
        fold(self.operation, x, y)

    def backward_into(self, dy: Array, x: Arrays, y: Array, dx: Slopes, free: Array) -> None:
        """Write dJ/dx_i = dJ/dy where x_i is the first that is y, and 0 elsewhere."""
        free.fill(True)
        for array, slope in zip(x, dx, strict=True):
            chosen = aligned(array, y.ndim) == y
            chosen &= free
            free ^= chosen
            if slope is not None:
                fold(np.multiply, [dy, chosen], slope)


@registry.register()
class Maximum(Extreme):
    """The largest of the inputs, entry by entry: y = max(x_1, x_2, ...).

    The gradient goes to the input that is the largest. Where several are, the first of them gets
    it all: that is a subgradient, as is Keras's, which divides it among them.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is no list, or shapes cannot be broadcast as by `Add`.

    >>> Maximum()([np.array([[1.0, 20.0]]), np.array([[10.0]])])
    array([[10., 20.]], dtype=float32)
    """

    operation = np.maximum


@registry.register()
class Minimum(Extreme):
    """The smallest of the inputs, entry by entry: y = min(x_1, x_2, ...).

    The gradient goes to the input that is the smallest, to the first of them where several are.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is no list, or shapes cannot be broadcast as by `Add`.

    >>> Minimum()([np.array([[1.0, 20.0]]), np.array([[10.0]])])
    array([[ 1., 10.]], dtype=float32)
    """

    operation = np.minimum


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Add(**kwargs)(inputs)``: the sum of arrays or of tensors.

    >>> add([np.ones((1, 2)), np.ones((1, 2))])
    array([[2., 2.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Subtract(**kwargs)(inputs)``: the difference of two arrays or tensors.

    >>> subtract([np.ones((1, 2)), np.ones((1, 2))])
    array([[0., 0.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Multiply(**kwargs)(inputs)``: the product of arrays or of tensors.

    >>> multiply([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
    array([[6., 6.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Average(**kwargs)(inputs)``: the mean of arrays or of tensors.

    >>> average([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
    array([[2.5, 2.5]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Maximum(**kwargs)(inputs)``: the largest of arrays or of tensors.

    >>> maximum([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
    array([[3., 3.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Minimum(**kwargs)(inputs)``: the smallest of arrays or of tensors.

    >>> minimum([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
    array([[2., 2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)
