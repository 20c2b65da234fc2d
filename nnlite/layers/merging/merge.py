"""Merge: base class of layers that merge several inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Layer, Shape
from nnlite.utils.typing import Array


class Merge(Layer):
    """Base class of layers that merge a list of arrays into one, entry by entry.

    The inputs have the same number of samples. Their other axes are broadcast: sizes are equal or
    1, and an input with fewer axes gets axes of size 1 behind that of the batch.
    """

    takes_several = True
    samplewise = True
    supports_masking = True

    #: The number of inputs; None for one or more.
    count: ClassVar[int | None] = None

    def checked_shapes(self, input_shape: Any) -> list[Shape]:
        """Return the inputs' shapes as a list of tuples.

        Raises:
            ValueError: If it is not a list of shapes, or the number or batch sizes do not fit.
        """
        expected = "inputs" if self.count is None else f"{self.count} inputs"
        listed = isinstance(input_shape, (list, tuple)) and len(input_shape) > 0
        if not listed or not all(isinstance(shape, (list, tuple)) for shape in input_shape):
            raise ValueError(
                f"Layer {self.name!r} must be called on a list of {expected}. "
                f"Received: an input of shape {input_shape}"
            )
        shapes = [tuple(shape) for shape in input_shape]
        if self.count not in (None, len(shapes)):
            raise ValueError(
                f"Layer {self.name!r} must be called on a list of {expected}. "
                f"Received: {len(shapes)} inputs of shapes {shapes}"
            )
        if () in shapes or len({shape[0] for shape in shapes} - {None}) > 1:
            raise ValueError(
                f"The inputs of layer {self.name!r} must have the same number of samples. "
                f"Received: shapes {shapes}"
            )
        return shapes

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the broadcast shape of the inputs."""
        shapes = self.checked_shapes(input_shape)
        rank = max(map(len, shapes))
        padded = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
        output: list[int | None] = []
        for axis, sizes in enumerate(zip(*padded, strict=True)):
            known = {size for size in sizes if size is not None} - ({1} if axis else set())
            if len(known) > 1:
                raise ValueError(
                    f"The inputs of layer {self.name!r} must have equal sizes, or 1. "
                    f"Received: shapes {shapes}"
                )
            if None in sizes and (axis or not known):
                output.append(None)
            else:
                output.append(known.pop() if known else 1)
        return tuple(output)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return where any of the inputs counts; None if an input does not have a mask.

        Args:
            inputs: The list of inputs.
            previous_mask: The list of their masks, each None or booleans of shape (batch, steps).

        Raises:
            ValueError: If the number of masks is not that of the inputs.
        """
        masks = self.checked_masks(inputs, previous_mask)
        if any(mask is None for mask in masks):
            return None
        return functools.reduce(np.logical_or, masks)

    def checked_masks(self, inputs: Any, masks: Any) -> list[Any]:
        """Return the masks as a list with an entry for each of ``inputs``.

        Raises:
            ValueError: If ``mask`` is not a list of that length.
        """
        if masks is None:
            return [None] * len(inputs)
        if not isinstance(masks, (list, tuple)) or len(masks) != len(inputs):
            came = f"{len(masks)} masks" if isinstance(masks, (list, tuple)) else type(masks)
            raise ValueError(
                f"Layer {self.name!r} takes a list of masks, one (or None) for each of its "
                f"{len(inputs)} inputs. Received: {came}"
            )
        return list(masks)


def aligned(array: Array, rank: int) -> Array:
    """Return ``array`` with axes of size 1 after the first, so that it has ``rank`` axes."""
    if array.ndim == rank:
        return array
    return array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:])


def fold(operation: Callable[..., Any], arrays: Sequence[Array], out: Array) -> None:
    """Write a ∘ b ∘ c ... into ``out``; sum over broadcast axes if it is smaller.

    Args:
        operation: The ufunc ∘.
        arrays: Arrays that broadcast together. If ``out`` is a gradient, the first has
            the whole shape.
        out: The output, or the gradient of an input.
    """
    rank = max(out.ndim, arrays[0].ndim)
    out = aligned(out, rank)
    first, *rest = (aligned(array, rank) for array in arrays)
    axes = tuple(axis for axis in range(rank) if out.shape[axis] < first.shape[axis])
    if axes:
        np.sum(functools.reduce(operation, rest, first), axis=axes, keepdims=True, out=out)
        return
    if not rest:
        out[...] = first
    for array in rest:
        operation(first, array, out=out)
        first = out
