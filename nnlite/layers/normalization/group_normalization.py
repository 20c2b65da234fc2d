"""GroupNormalization: normalization of each sample's channels in groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_count, check_positive


@registry.register()
class GroupNormalization(Layer):
    """Each group of a sample's channels with mean 0 and variance 1, then scaled and shifted.

    y = gamma v + beta with v = (x - mean) / s, s = sqrt(variance + epsilon), mean and (biased)
    variance of all numbers of the group. In the backward pass, with h = gamma dJ/dy,
    dJ/dx = (h - mean(h) - v mean(h v)) / s.

    Source: Wu and He, "Group Normalization", 2018, section 3.1.

    Args:
        groups: The number of groups; -1 for one per channel (instance normalization).
        axis: The axis of the channels.
        epsilon: Keeps the divisor above 0.
        center: Whether to add beta, one for each channel.
        scale: Whether to multiply by gamma, one for each channel.
        beta_initializer: Initializer of beta.
        gamma_initializer: Initializer of gamma.
        beta_regularizer: A penalty on beta, added to the loss.
        gamma_regularizer: A penalty on gamma.
        beta_constraint: A projection of beta after each update.
        gamma_constraint: A projection of gamma after each update.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If ``groups`` or ``axis`` is not an integer.
        ValueError: If ``groups`` is neither positive nor -1, or does not divide the channels; if
            ``epsilon`` is not positive; or if the input lacks the axis.

    >>> GroupNormalization(groups=2)(np.array([[1.0, 3.0, 10.0, 20.0]])).round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = groups if groups == -1 else check_count("groups", groups, 1)
        self.axis = check_axis(axis)
        self.epsilon = check_positive("epsilon", epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self._keep("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._keep("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)

    def _channels(self, shape: Shape) -> Any:
        if not -len(shape) < self.axis < len(shape) or self.axis == 0:
            raise ValueError(
                f"Layer {self.name!r} normalizes along axis={self.axis}, which is not an axis of a "
                f"sample in an input of shape {shape}."
            )
        channels = shape[self.axis]
        if channels is not None and channels % self.groups:
            raise ValueError(
                f"Layer {self.name!r} needs a number of channels that groups={self.groups} "
                f"divides, along axis={self.axis}. Received: an input of shape {shape}"
            )
        return channels

    def build(self, input_shape: Shape) -> None:
        """Add gamma and beta."""
        shape = (self._channels(input_shape),)
        self.gamma: Any = self._add_named("gamma", shape, "gamma") if self.scale else None
        self.beta: Any = self._add_named("beta", shape, "beta") if self.center else None

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the numbers of axes and channels are those of the build."""
        built = self.input_shape
        return built is None or (
            len(built) == len(input_shape) and self._channels(built) == self._channels(input_shape)
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``; raises a ValueError if its channels do not fit."""
        self._channels(input_shape)
        return input_shape

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of v and its products, with a row per group, and of s."""
        count = self._channels(shape) if self.groups == -1 else self.groups
        rows = shape[0] * count
        matrix = ((rows, math.prod(shape[1:]) // count), self.dtype)
        return {"v": matrix, "along": matrix, "s": ((rows, 1), self.dtype)}

    def _by_channel(self, x: Array) -> Array:
        """Return ``x`` with the axis of the channels after that of the batch."""
        return np.moveaxis(x, self.axis, 1)

    def forward_into(self, x: Array, y: Array, v: Array, along: Array, s: Array) -> None:
        """Write gamma v + beta into ``y``."""
        x, y = self._by_channel(x), self._by_channel(y)
        normalized, sizes = v.reshape(x.shape), (-1, *(1,) * (x.ndim - 2))
        normalized[...] = x
        v -= v.mean(axis=1, keepdims=True)
        np.multiply(v, v, out=along).mean(axis=1, keepdims=True, out=s)
        s += self.epsilon
        np.sqrt(s, out=s)
        v /= s
        y[...] = normalized
        if self.gamma is not None:
            y *= self.gamma.value.reshape(sizes)
        if self.beta is not None:
            y += self.beta.value.reshape(sizes)

    def backward_into(
        self, dy: Array, v: Array, along: Array, s: Array, dx: Array | None = None
    ) -> None:
        """Fill dJ/dgamma and dJ/dbeta, and write dJ/dx."""
        g = self._by_channel(dy)
        h = along.reshape(g.shape)
        others = tuple(axis for axis in range(g.ndim) if axis != 1)
        if self._trainable and self.gamma is not None:
            np.multiply(g, v.reshape(g.shape), out=h)
            np.sum(h, axis=others, out=self.gamma.gradient)
        if self._trainable and self.beta is not None:
            np.sum(g, axis=others, out=self.beta.gradient)
        if dx is None:
            return
        gamma = 1 if self.gamma is None else self.gamma.value.reshape(-1, *(1,) * (g.ndim - 2))
        np.multiply(g, gamma, out=h)
        pull = np.multiply(along, v, out=dx.reshape(v.shape))
        along -= along.mean(axis=1, keepdims=True)
        along -= np.multiply(v, pull.mean(axis=1, keepdims=True), out=pull)
        along /= s
        self._by_channel(dx)[...] = h
