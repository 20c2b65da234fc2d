"""Masking: which steps of a sequence count."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number


@registry.register()
class Masking(Layer):
    """Masks the steps of a sequence whose features all equal ``mask_value``.

    With k = 0 for such a step and 1 for any other, y = k x and dJ/dx = k dJ/dy; the layers that
    follow get k, as booleans, as their mask.

    Args:
        mask_value: The value of masked steps.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``mask_value`` is not a number.
        ValueError: If it is not finite; or on a call, if the input has no features.

    >>> x = np.array([[[1.0, -1.0], [-1.0, -1.0]]])
    >>> Masking(mask_value=-1.0)(x)
    array([[[ 1., -1.],
            [ 0.,  0.]]], dtype=float32)
    >>> Masking(mask_value=-1.0).compute_mask(x)
    array([[ True, False]])
    """

    supports_masking = True
    makes_mask = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = check_number("mask_value", mask_value, minimum=-np.inf)

    def arrays(self, shape: tuple[int, ...]) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of the steps that count."""
        return {"kept": ((*shape[:-1], 1), bool)}

    def forward_into(self, x: Array, y: Array, kept: Array) -> None:
        """Write ``x``, and 0 where a step does not count, into ``y``."""
        np.any(x != self.mask_value, axis=-1, keepdims=True, out=kept)
        y.fill(0)
        np.copyto(y, x, where=kept)

    def backward_into(self, dy: Array, dx: Array, kept: Array) -> None:
        """Write ``dy``, and 0 where a step does not count, into ``dx``."""
        np.multiply(dy, kept, out=dx)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        if len(input_shape) < 2:
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape (batch, steps, features). "
                f"Received: input_shape={input_shape}"
            )
        return input_shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Array:
        """Return which steps count, as booleans of shape (batch, steps)."""
        mask: Array = np.any(np.not_equal(inputs, self.mask_value), axis=-1)
        return mask
