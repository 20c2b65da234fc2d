"""Layers that merge inputs entry by entry: sum, difference, product, mean, extremes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import registry
from nnlite.layers.merging.merge import Merge, aligned, fold
from nnlite.utils.typing import Array

Arrays = list[Array]
Slopes = list[Array | None]
Masks = list[Array | None]


def _counting(x: Arrays, masks: Masks) -> tuple[Masks, Array | None]:
    """Return where each input counts, and where any does; None stands for everywhere."""
    counts = [
        None if mask is None else mask.reshape(*mask.shape, *(1,) * (array.ndim - mask.ndim))
        for array, mask in zip(x, masks, strict=True)
    ]
    known = [aligned(one, max(a.ndim for a in x)) for one in counts if one is not None]
    return counts, functools.reduce(np.logical_or, known) if len(known) == len(x) else None


def _replaced(x: Arrays, counts: Masks, value: float) -> Arrays:
    """Return the inputs with ``value`` where they do not count."""
    return [
        array if one is None else np.where(one, array, array.dtype.type(value))
        for array, one in zip(x, counts, strict=True)
    ]


@registry.register()
class Add(Merge):
    """The sum of the inputs: y = x_1 + x_2 + ..., dJ/dx_i = dJ/dy.

    The inputs have the same number of samples, and other sizes that are equal or 1. The
    gradient of an input that is broadcast is summed over the axes that it is broadcast along.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is not a list or shapes cannot be broadcast.

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

    A step that is masked in an input is a factor of 1. If it is masked in all inputs, the product
    is 0.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is not a list or shapes do not fit as for `Add`.

    >>> Multiply()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[10., 20.]], dtype=float32)
    """

    def forward_into(self, x: Arrays, y: Array, mask: Masks) -> None:
        """Write x_1 x_2 ... into ``y``."""
        counts, somewhere = _counting(x, mask)
        fold(np.multiply, _replaced(x, counts, 1.0), y)
        if somewhere is not None:
            y *= somewhere

    def backward_into(self, dy: Array, x: Arrays, dx: Slopes, mask: Masks) -> None:
        """Write dJ/dx_i = dJ/dy times the other inputs, without a division, as they may be 0."""
        counts, _ = _counting(x, mask)
        x = _replaced(x, counts, 1.0)
        for i, (slope, own) in enumerate(zip(dx, counts, strict=True)):
            if slope is not None:
                factors = [dy, *x[:i], *x[i + 1 :], *([] if own is None else [own])]
                fold(np.multiply, factors, slope)


@registry.register()
class Average(Merge):
    """The mean of the n inputs: y = (x_1 + x_2 + ...) / n, dJ/dx_i = dJ/dy / n.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is not a list or shapes do not fit as for `Add`.

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
    """Base class of `Maximum` and `Minimum`.

    A masked step of an input is ignored. If a step is masked in all inputs, the output is that of
    the first.
    """

    operation: ClassVar[np.ufunc]

    #: A value that is never chosen.
    worst: ClassVar[float]

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of the entries whose gradient is not assigned yet."""
        return {"free": (self.told_shape(shape), bool)}

    def _counted(self, x: Arrays, mask: Masks) -> Arrays:
        """Return the inputs without the steps that do not count."""
        (first, *rest), somewhere = _counting(x, mask)
        if first is not None and somewhere is not None:
            first = first | ~somewhere
        return _replaced(x, [first, *rest], self.worst)

    def forward_into(self, x: Arrays, y: Array, mask: Masks) -> None:
        """Write the extremes into ``y``."""
        fold(self.operation, self._counted(x, mask), y)

    def backward_into(
        self, dy: Array, x: Arrays, y: Array, dx: Slopes, free: Array, mask: Masks
    ) -> None:
        """Write dJ/dx_i = dJ/dy where x_i is the first that is y, and 0 elsewhere."""
        free.fill(True)
        for array, slope in zip(self._counted(x, mask), dx, strict=True):
            chosen = aligned(array, y.ndim) == y
            chosen &= free
            free ^= chosen
            if slope is not None:
                fold(np.multiply, [dy, chosen], slope)


@registry.register()
class Maximum(Extreme):
    """The largest of the inputs, entry by entry: y = max(x_1, x_2, ...).

    The gradient goes to the largest input. If several are equal, the first of them gets all of it,
    which is a subgradient; Keras divides it among them.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is not a list or shapes do not fit as for `Add`.

    >>> Maximum()([np.array([[1.0, 20.0]]), np.array([[10.0]])])
    array([[10., 20.]], dtype=float32)
    """

    operation = np.maximum
    worst = -np.inf


@registry.register()
class Minimum(Extreme):
    """The smallest of the inputs, entry by entry: y = min(x_1, x_2, ...).

    The gradient goes to the smallest input, and to the first of several equal ones.

    Args:
        **kwargs: As for `Layer`.

    Raises:
        ValueError: On a call, if the input is not a list or shapes do not fit as for `Add`.

    >>> Minimum()([np.array([[1.0, 20.0]]), np.array([[10.0]])])
    array([[ 1., 10.]], dtype=float32)
    """

    operation = np.minimum
    worst = np.inf


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
