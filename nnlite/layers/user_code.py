"""Calls of a user's forward and backward, with checks: see `nnlite.utils.user_code`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.utils.structures import SHAPES, flatten, map_structure, pack_as
from nnlite.utils.typing import Array
from nnlite.utils.user_code import floats, lent, read_only


class UserLayer(Protocol):
    """The part of a layer that this module uses."""

    name: str
    dtype: str
    unproven: bool
    shape_in_step: Any

    def forward(self, x: Any, training: bool = False) -> Any:
        """Return the output."""

    def backward(self, gradient: Any) -> Any:
        """Return the gradient of the input."""

    def output_shape_for(self, x: Any) -> Any:
        """Return the expected shape of the output."""

    def learning_variables(self) -> list[Variable]:
        """Return the weights whose gradients `backward` must write."""


# A NaN that no computation produces marks a gradient that was not written.
_UNWRITTEN = {4: (np.uint32, 0x7FC0B0B1), 8: (np.uint64, 0x7FF80000B0B0B0B1)}


def output(layer: UserLayer, x: Any, training: bool = False) -> Any:
    """Return the output of a user's layer for the batch ``x``, of any shape."""
    what = f"forward of layer {layer.name!r}"
    with lent(what):
        result = layer.forward(map_structure(read_only, x), training)
    several = isinstance(result, (list, tuple, dict)) and flatten(result)
    if several and all(isinstance(y, np.ndarray) for y in several):
        return map_structure(lambda y: floats(what, y, None, layer.dtype), result)
    return floats(what, result, None, layer.dtype)


def forward(layer: UserLayer, x: Any, training: bool) -> Any:
    """Run the forward pass of a user's layer on the batch ``x``."""
    expected = layer.output_shape_for(x)  # first, as it may run forward, which keeps a cache
    y = output(layer, x, training)
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
    """Return whether arrays have the expected shapes, where None stands for any size."""
    arrays, shapes = flatten(y), flatten(expected, SHAPES)
    return len(arrays) == len(shapes) and all(
        array.ndim == len(shape)
        and all(want in (None, size) for size, want in zip(array.shape, shape, strict=True))
        for array, shape in zip(arrays, shapes, strict=True)
    )


def backward(layer: UserLayer, gradient: Any) -> Any:
    """Run the backward pass of a user's layer, after `forward` in training.

    In the first step of a run, the gradients of the layer's weights are checked as well.
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
    """Return a variable's gradient as bits, and the mark of entries not written."""
    kind, mark = _UNWRITTEN[variable.gradient.itemsize]
    return variable.gradient.view(kind), mark
