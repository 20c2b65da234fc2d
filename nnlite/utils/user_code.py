"""Calls of what users write: layers, losses and penalties whose methods are not nnlite's own.

They are handed views that cannot be written to, and what they return is checked where it is
returned: floats are cast to the type of the model, and anything else is refused by name, so that
no later layer is blamed. Classes of the package itself do not come through here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnlite.utils.structures import SHAPES, flatten, map_structure, pack_as
from nnlite.utils.validation import as_returned

if TYPE_CHECKING:
    from nnlite.backend.variables import Variable
    from nnlite.layers.layer import Layer
    from nnlite.regularizers import Regularizer

__all__ = [
    "backward",
    "floats",
    "forward",
    "lent",
    "output",
    "penalty",
    "penalty_gradient",
    "read_only",
]

Array = NDArray[Any]

# A NaN that no computation makes: what stands in a gradient that was not written.
_UNWRITTEN = {4: (np.uint32, 0x7FC0B0B1), 8: (np.uint64, 0x7FF80000B0B0B0B1)}


def read_only(array: Array) -> Array:
    """Return a view of ``array`` that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


@contextmanager
def lent(what: str) -> Iterator[None]:
    """Within it, a method of a user's works on arrays from `read_only`.

    Raises:
        ValueError: If it writes into one; the message names the method.
    """
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"{what} writes into an array that it is given, which belongs to others. Make a new "
            "one: y = x * 2 instead of x *= 2."
        ) from error


def floats(what: str, value: Any, shape: tuple[int, ...] | None, dtype: Any) -> Array:
    """Return what a user's method has returned as an array of the type ``dtype``.

    Args:
        what: The method and whose it is, such as ``"forward of layer 'gate'"``.
        value: What it returned.
        shape: The shape that it must have, or None for any.
        dtype: The float type of the model.

    Raises:
        TypeError: If it is no array of real floating-point numbers.
        ValueError: If it has another shape.

    >>> floats("derivative of loss 'mine'", np.zeros(2), (2,), "float32").dtype
    dtype('float32')
    >>> floats("derivative of loss 'mine'", None, (2,), "float32")
    Traceback (most recent call last):
      ...
    TypeError: derivative of loss 'mine' must return an array of floats. Received: None
    """
    if not isinstance(value, (np.ndarray, np.floating, float)) or np.ma.isMaskedArray(value):
        shown = "None" if value is None else f"an object of type {type(value).__name__}"
        raise TypeError(f"{what} must return an array of floats. Received: {shown}")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{what} must return an array of floats. Received: an array of type {array.dtype}. "
            "Convert it, for instance by .astype('float32')."
        )
    return as_returned(what, array, array.shape if shape is None else shape, dtype)


def output(layer: Layer, x: Any, training: bool = False) -> Any:
    """Return what a user's layer makes of the batch ``x``, whatever its shape.

    Raises:
        TypeError: If that is no array of floats, or a list or dict of such.
        ValueError: If the layer writes into ``x``.
    """
    what = f"forward of layer {layer.name!r}"
    with lent(what):
        result = layer.forward(map_structure(read_only, x), training)
    several = isinstance(result, (list, tuple, dict)) and flatten(result)
    if several and all(isinstance(y, np.ndarray) for y in several):
        return map_structure(lambda y: floats(what, y, None, layer.dtype), result)
    return floats(what, result, None, layer.dtype)


def forward(layer: Layer, x: Any, training: bool) -> Any:
    """Run the forward pass of a user's layer on the batch ``x``.

    Raises:
        TypeError: If it returns anything but an array of floats, or a list or dict of such.
        ValueError: If it writes into ``x``, or the shape of what it returns is not the one that
            its `compute_output_shape` says.
    """
    y = output(layer, x, training)
    expected = layer.output_shape_for(x)
    if not fitting(y, expected):
        raise ValueError(
            f"forward of layer {layer.name!r} must return an array of shape {expected} for an x "
            f"of shape {map_structure(np.shape, x)}, as its compute_output_shape says. Received: "
            f"shape {map_structure(np.shape, y)}"
        )
    if training:
        layer.shape_in_step = map_structure(np.shape, x)
    return y


def fitting(y: Any, expected: Any) -> bool:
    """Return whether arrays have the shapes expected of them, None standing for any size."""
    arrays, shapes = flatten(y), flatten(expected, SHAPES)
    return len(arrays) == len(shapes) and all(
        array.ndim == len(shape)
        and all(want in (None, size) for size, want in zip(array.shape, shape, strict=True))
        for array, shape in zip(arrays, shapes, strict=True)
    )


def backward(layer: Layer, gradient: Any) -> Any:
    """Run the backward pass of a user's layer, after `forward` in training.

    In the first step of a run every gradient of the layer's weights is looked at as well.

    Raises:
        TypeError: If it returns anything but an array of floats, or as many as the inputs.
        ValueError: If that is not of the input's shape, or the gradient of a weight was not
            written.
    """
    what = f"backward of layer {layer.name!r}"
    unproven = layer.learning_variables() if layer.unproven else []
    for variable in unproven:
        bits, mark = _bits(variable)
        bits.fill(mark)
    with lent(what):
        result = layer.backward(map_structure(read_only, gradient))
    for variable in unproven:
        bits, mark = _bits(variable)
        if (bits == mark).any():
            raise ValueError(
                f"{what} must write the whole gradient of weight {variable.name!r}, of shape "
                f"{variable.shape}, at every call: {variable.name}.gradient[...] = ..., and not "
                "+=. A weight without a gradient is made by add_weight(..., trainable=False)."
            )
    layer.unproven = False
    shapes = flatten(layer.shape_in_step, SHAPES)
    gradients = flatten(result) if len(shapes) > 1 else [result]
    if len(gradients) != len(shapes):
        raise ValueError(
            f"{what} must return a gradient for each of its {len(shapes)} inputs. Received: "
            f"{len(gradients)}"
        )
    checked = [
        floats(what, one, shape, layer.dtype) for one, shape in zip(gradients, shapes, strict=True)
    ]
    return pack_as(layer.shape_in_step, checked, SHAPES)


def _bits(variable: Variable) -> tuple[Array, int]:
    """Return a variable's gradient as bits, and those that mark it as not written."""
    kind, mark = _UNWRITTEN[variable.gradient.itemsize]
    return variable.gradient.view(kind), mark


def penalty(regularizer: Regularizer, x: Array) -> float:
    """Return the penalty on ``x``; what a user's regularizer says is checked.

    Raises:
        TypeError: If it returns anything but a number.
    """
    if not regularizer.of_user:
        return regularizer(x)
    what = f"__call__ of regularizer {type(regularizer).__name__}"
    with lent(what):
        return float(floats(what, regularizer(read_only(x)), (), np.float64))


def penalty_gradient(regularizer: Regularizer, x: Array) -> Array:
    """Return the derivative of the penalty on ``x``; what a user's regularizer says is checked.

    Raises:
        TypeError: If it returns anything but an array of floats.
        ValueError: If that is not of the shape of ``x``.
    """
    if not regularizer.of_user:
        return regularizer.gradient(x)
    what = f"gradient of regularizer {type(regularizer).__name__}"
    with lent(what):
        return floats(what, regularizer.gradient(read_only(x)), x.shape, x.dtype)
