"""Layers that act in training only, against overfitting: Dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import check_fraction
from nnlite.layers.layer import Layer, Shape, registry
from nnlite.random import new_generator

__all__ = ["Dropout"]

Array = NDArray[Any]

_DRAWS = 65_536  # what one draw of sixteen bits can be


@registry.register()
class Dropout(Layer):
    """In training, each input is 0 with probability ``rate``, and x / (1 - rate) otherwise.

    So the expected output is the input, which is what the layer returns outside of training.

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014.

    Args:
        rate: The fraction of inputs to drop, in [0, 1], to the nearest 1 / 65,536; at 1 all are.
        noise_shape: The shape of the random mask, where axes of size 1 (or the batch axis given as
            None) share one draw; None draws for every entry.
        seed: Makes the layer's draws repeat; None takes a seed from ``set_random_seed``'s root.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``rate`` is outside [0, 1].

    >>> Dropout(0.5, seed=1)(np.ones((1, 4)), training=True)
    array([[0., 0., 2., 2.]], dtype=float32)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: tuple[int | None, ...] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate, including_one=True)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.generator = new_generator(seed)
        self._threshold = round(self.rate * _DRAWS)
        self._scale = _DRAWS / (_DRAWS - self._threshold) if self.rate < 1 else 0.0

    def build(self, input_shape: Shape) -> None:
        """Check that the mask can be spread over the input."""
        if self.noise_shape is None:
            return
        if len(self.noise_shape) != len(input_shape) or any(
            size not in (None, 1, want)
            for size, want in zip(self.noise_shape, input_shape, strict=True)
        ):
            raise ValueError(
                f"Layer {self.name!r}: noise_shape must have, for each axis of the input's shape "
                f"{input_shape}, None, 1 or its size. Received: noise_shape={self.noise_shape}"
            )

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return ``x``, in training times a mask of 0 and 1 / (1 - rate)."""
        if not training:
            return x
        if not self.rate:
            self.cache = (None,)
            return x
        shape = x.shape
        if self.noise_shape is not None:
            shape = tuple(
                size if given is None else given
                for given, size in zip(self.noise_shape, x.shape, strict=True)
            )
        # Sixteen random bits an entry, straight from the generator: five times quicker than floats.
        size = math.prod(shape)
        bits = self.generator.bit_generator.random_raw(-(-size // 4)).view(np.uint16)
        kept = self.scratch("kept", shape, bool)
        np.greater_equal(bits[:size].reshape(shape), self._threshold, out=kept)
        self.cache = (kept,)
        y = np.multiply(x, kept, out=self.scratch("output", x.shape))
        y *= self._scale
        return y

    def backward(self, gradient: Array) -> Array:
        """Return ``gradient`` times the mask."""
        (kept,) = self.cache
        if kept is None:
            return gradient
        out = self.scratch("input_gradient", gradient.shape)
        np.multiply(gradient, kept, out=out)
        out *= self._scale
        return out

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``."""
        return input_shape
