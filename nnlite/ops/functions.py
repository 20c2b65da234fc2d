"""The functions of `nnlite.ops`, with Keras's names.

A function returns a tensor if an argument is a tensor, and otherwise a new array.
"""

# ruff: noqa: A001

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnlite.ops import arranging, elementwise, neural, reductions
from nnlite.symbolic import OPERATORS


def add(x1: Any, x2: Any) -> Any:
    """Return x1 + x2 with broadcasting.

    >>> add([1.0, 2.0], 3)
    array([4., 5.], dtype=float32)
    """
    return elementwise.Add()(x1, x2)


def subtract(x1: Any, x2: Any) -> Any:
    """Return x1 - x2 with broadcasting.

    >>> subtract([1.0, 2.0], 3)
    array([-2., -1.], dtype=float32)
    """
    return elementwise.Subtract()(x1, x2)


def multiply(x1: Any, x2: Any) -> Any:
    """Return x1 x2, entry by entry with broadcasting.

    >>> multiply([1.0, 2.0], 3)
    array([3., 6.], dtype=float32)
    """
    return elementwise.Multiply()(x1, x2)


def divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2 with broadcasting, as floats.

    >>> divide([1, 2], 2)
    array([0.5, 1. ], dtype=float32)
    """
    return elementwise.Divide()(x1, x2)


def true_divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, as `divide`.

    >>> true_divide([1, 2], 2)
    array([0.5, 1. ], dtype=float32)
    """
    return elementwise.TrueDivide()(x1, x2)


def power(x1: Any, x2: Any) -> Any:
    """Return x1 to the power of x2 with broadcasting.

    >>> power([1.0, 3.0], 2)
    array([1., 9.], dtype=float32)
    """
    return elementwise.Power()(x1, x2)


def maximum(x1: Any, x2: Any) -> Any:
    """Return the larger of each pair of entries; equal entries share the gradient.

    >>> maximum([1.0, 3.0], 2)
    array([2., 3.], dtype=float32)
    """
    return elementwise.Maximum()(x1, x2)


def minimum(x1: Any, x2: Any) -> Any:
    """Return the smaller of each pair of entries; equal entries share the gradient.

    >>> minimum([1.0, 3.0], 2)
    array([1., 2.], dtype=float32)
    """
    return elementwise.Minimum()(x1, x2)


def negative(x: Any) -> Any:
    """Return -x.

    >>> negative([1, -2])
    array([-1,  2])
    """
    return elementwise.Negative()(x)


def absolute(x: Any) -> Any:
    """Return the absolute value of each entry, whose derivative at 0 is 0.

    >>> absolute([1, -2])
    array([1, 2])
    """
    return elementwise.Absolute()(x)


def abs(x: Any) -> Any:
    """Return the absolute value of each entry, as `absolute`.

    >>> abs([1, -2])
    array([1, 2])
    """
    return elementwise.Absolute()(x)


def square(x: Any) -> Any:
    """Return the square of each entry.

    >>> square([1.0, -2.0])
    array([1., 4.], dtype=float32)
    """
    return elementwise.Square()(x)


def sqrt(x: Any) -> Any:
    """Return the square root of each entry.

    >>> sqrt([1.0, 4.0])
    array([1., 2.], dtype=float32)
    """
    return elementwise.Sqrt()(x)


def exp(x: Any) -> Any:
    """Return e to the power of each entry.

    >>> exp([0.0])
    array([1.], dtype=float32)
    """
    return elementwise.Exp()(x)


def log(x: Any) -> Any:
    """Return the natural logarithm of each entry.

    >>> log([1.0])
    array([0.], dtype=float32)
    """
    return elementwise.Log()(x)


def clip(x: Any, x_min: float, x_max: float) -> Any:
    """Return ``x`` clipped to the numbers ``x_min`` and ``x_max``.

    >>> clip([-2.0, 0.5, 2.0], -1, 1)
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return elementwise.Clip(x_min, x_max)(x)


def sum(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Return the sum along ``axis``, one or several, or of all entries.

    With ``keepdims`` the axes are kept with size 1.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=-1)
    array([3., 7.], dtype=float32)
    """
    return reductions.Sum(axis, keepdims)(x)


def mean(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Return the mean along ``axis``, one or several, or of all entries.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0, keepdims=True)
    array([[2., 3.]], dtype=float32)
    """
    return reductions.Mean(axis, keepdims)(x)


def max(
    x: Any,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    initial: float | None = None,
) -> Any:
    """Return the largest entry along ``axis``, one or several, or of all.

    Equal entries share the gradient. ``initial`` is a further number to compare with.

    >>> max([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([3., 4.], dtype=float32)
    """
    return reductions.Max(axis, keepdims, initial)(x)


def min(
    x: Any,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    initial: float | None = None,
) -> Any:
    """Return the smallest entry along ``axis``, one or several, or of all.

    Equal entries share the gradient. ``initial`` is a further number to compare with.

    >>> min([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([1., 2.], dtype=float32)
    """
    return reductions.Min(axis, keepdims, initial)(x)


def matmul(x1: Any, x2: Any) -> Any:
    """Return the matrix product over the last two axes; the axes before them are broadcast.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    array([[11.]], dtype=float32)
    """
    return reductions.Matmul()(x1, x2)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Concatenate a list of arrays along ``axis``.

    >>> concatenate([[1, 2], [3]])
    array([1, 2, 3])
    """
    return arranging.Concatenate(axis)(xs)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Stack a list of arrays along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=-1)
    array([[1, 3],
           [2, 4]])
    """
    return arranging.Stack(axis)(x)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> Any:
    """Return a list of parts of ``x`` along ``axis``: a number of parts, or cuts at indices.

    >>> split([1, 2, 3, 4], [1, 2])
    [array([1]), array([2]), array([3, 4])]
    """
    return arranging.Split(indices_or_sections, axis)(x)


def reshape(x: Any, newshape: int | Sequence[int]) -> Any:
    """Return ``x`` in another shape, of which one size may be -1.

    >>> reshape([1, 2, 3, 4], (2, -1))
    array([[1, 2],
           [3, 4]])
    """
    return arranging.Reshape(newshape)(x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Return ``x`` with its axes in the order ``axes``, or reversed.

    >>> transpose([[1, 2]])
    array([[1],
           [2]])
    """
    return arranging.Transpose(axes)(x)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """Return ``x`` with new axes of size 1 at the indices ``axis`` of the new shape.

    >>> expand_dims([1, 2], -1)
    array([[1],
           [2]])
    """
    return arranging.ExpandDims(axis)(x)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Return ``x`` without the axes ``axis`` of size 1, or without all such axes.

    >>> squeeze([[1, 2]])
    array([1, 2])
    """
    return arranging.Squeeze(axis)(x)


def relu(x: Any) -> Any:
    """Return the positive part of each entry.

    >>> relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    return neural.Relu()(x)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)).

    >>> sigmoid([0.0])
    array([0.5], dtype=float32)
    """
    return neural.Sigmoid()(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of each entry.

    >>> tanh([0.0])
    array([0.], dtype=float32)
    """
    return neural.Tanh()(x)


def softmax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """Return exp(x), divided by its sum along ``axis``, one or several.

    >>> softmax([1.0, 1.0])
    array([0.5, 0.5], dtype=float32)
    """
    return neural.Softmax(axis)(x)


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Return one-hot vectors of class indices.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    return neural.OneHot(num_classes, axis, dtype, sparse)(x)


def cast(x: Any, dtype: Any) -> Any:
    """Return the entries of ``x`` as another type.

    >>> cast([0.5, 2.5], "int32")
    array([0, 2], dtype=int32)
    """
    return neural.Cast(dtype)(x)


OPERATORS.update(
    add=add,
    subtract=subtract,
    multiply=multiply,
    divide=true_divide,
    power=power,
    matmul=matmul,
    negative=negative,
    abs=absolute,
    getitem=lambda x, key: arranging.GetItem()(x, key),
)
