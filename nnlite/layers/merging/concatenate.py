"""Concatenate: inputs joined along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.layers.layer import Shape, fits, registry
from nnlite.layers.merging.merge import Merge
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis


@registry.register()
class Concatenate(Merge):
    """The inputs joined along an axis: y = [x_1, x_2, ...]; dJ/dx_i is a part of dJ/dy.

    Args:
        axis: The axis, counted from the batch axis, along which the sizes may differ.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``axis`` is not an integer.
        ValueError: If it is 0, the batch axis; or on a call, if the input is not a list, lacks
            the axis, or shapes differ along other axes.

    >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    array([[ 1.,  2., 10.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(axis)
        if self.axis == 0:
            raise ValueError(
                "Concatenate joins features or steps, not samples: axis must not be 0. "
                "Received: axis=0"
            )

    def forward_into(self, x: list[Array], y: Array) -> None:
        """Write [x_1, x_2, ...] into ``y``."""
        np.concatenate(x, self.axis, out=y, casting="same_kind")

    def backward_into(self, dy: Array, x: list[Array], dx: list[Array | None]) -> None:
        """Write the parts of dJ/dy into dJ/dx_i."""
        ends = np.cumsum([array.shape[self.axis] for array in x])
        for part, slope in zip(np.split(dy, ends[:-1], self.axis), dx, strict=True):
            if slope is not None:
                slope[...] = part

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the first input's shape, with the sum of all sizes along the axis."""
        shapes = self.checked_shapes(input_shape)
        rank = len(shapes[0])
        axis = self.axis + rank if self.axis < 0 else self.axis
        rests = [(None, *shape[:axis], *shape[axis + 1 :]) for shape in shapes]
        ranks = {len(shape) for shape in shapes}
        if not 0 < axis < rank or len(ranks) > 1 or not all(fits(r, rests[0]) for r in rests):
            raise ValueError(
                f"The inputs of layer {self.name!r} must have axis {self.axis} besides that of the "
                f"batch, and equal sizes along all others. Received: shapes {shapes}"
            )
        sizes = [shape[axis] for shape in shapes]
        whole = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        return (*shapes[0][:axis], whole, *shapes[0][axis + 1 :])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the joined masks, all True for an input without one; None if there are none.

        Along the last axis, a step counts if it counts in any of the inputs.
        """
        masks = self.checked_masks(inputs, previous_mask)
        if all(mask is None for mask in masks):
            return None
        whole = []
        for x, mask in zip(inputs, masks, strict=True):
            mask = np.asarray(True if mask is None else mask)
            if 0 < mask.ndim < np.ndim(x):
                mask = mask[..., np.newaxis]
            whole.append(np.broadcast_to(mask, np.shape(x)))
        return np.concatenate(whole, self.axis).any(axis=-1)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return ``Concatenate(axis, **kwargs)(inputs)``: joined arrays or tensors.

    >>> concatenate([np.ones((1, 2)), np.zeros((1, 1))])
    array([[1., 1., 0.]], dtype=float32)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)
