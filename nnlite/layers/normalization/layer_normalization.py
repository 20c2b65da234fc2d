"""Normalization of each sample along its axes: by variance, mean square or norm."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.layers.layer import Layer, Shape, fits, ones, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_axis, check_positive

_LEAST_NORM = 1e-12


class SampleNormalization(Layer):
    """Base class of layers that divide a sample's numbers by their spread.

    With c = x, or x - mean(x) if the spread is ``about_mean``, over the n numbers along
    ``axis``, y = gain v + shift for v = c / s, or v = x / s unless the layer is ``centered``, where
    s depends on the sum of c^2. For g = dJ/dy, dJ/dgain = sum g v and dJ/dshift = sum g over all
    samples; and with h = gain g,

        dJ/dx = (h - mean(h) - share c / s sum(h v)) / s,

    where mean(h) is omitted unless ``centered``, and share = s ds/d(sum c^2) 2 is 1 / n for the
    root of the mean square, and 1 for the norm.
    """

    elementwise = True

    #: Whether s measures the spread about the mean, and whether x is centered.
    about_mean: ClassVar[bool] = False
    centered = False
    _gain: Variable | None = None
    _shift: Variable | None = None

    def __init__(self, axis: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = (
            [*map(check_axis, axis)] if isinstance(axis, (list, tuple)) else check_axis(axis)
        )
        self._axes = tuple(self.axis) if isinstance(self.axis, list) else (self.axis,)

    def _spread(self, squares: Array, n: int, s: Array) -> None:
        """Write s for sums of n squares."""
        raise NotImplementedError

    def _share(self, s: Array, n: int) -> Any:
        """Return the share of n squares: see the class."""
        return 1 / n

    def arrays(self, shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the arrays of v and its products, with a row per set of numbers, and of s."""
        n = math.prod([shape[axis] for axis in self._axes])
        rows = math.prod(shape) // n
        matrix = ((rows, n), self.dtype)
        return {"v": matrix, "along": matrix, "s": ((rows,), self.dtype)}

    def forward_into(self, x: Array, y: Array, v: Array, s: Array) -> None:
        """Write gain v + shift into ``y``."""
        c = rows = self._rows(x)
        n = rows.shape[1]
        if self.about_mean:
            c = np.subtract(rows, self._sums(rows)[:, None] / n, out=v)
        self._spread(np.einsum("ij,ij->i", c, c), n, s)
        np.divide(c if self.centered else rows, s[:, None], out=v)
        out = self._moved(y)
        result = v.reshape(out.shape)
        sizes = out.shape[-len(self._axes) :]
        if self._gain is not None:
            result = np.multiply(result, self._gain.value.reshape(sizes), out=out)
        if self._shift is not None:
            result = np.add(result, self._shift.value.reshape(sizes), out=out)
        if result is not out:
            out[...] = result

    def backward_into(
        self, dy: Array, v: Array, s: Array, along: Array, dx: Array | None = None
    ) -> None:
        """Fill dJ/dgain and dJ/dshift, and write dJ/dx."""
        h = g = self._rows(dy)
        n = g.shape[1]
        if self._trainable and self._gain is not None:
            np.multiply(g, v, out=along)
            ones(len(g), self.dtype).dot(along, self._gain.gradient.reshape(n))
        if self._trainable and self._shift is not None:
            ones(len(g), self.dtype).dot(g, self._shift.gradient.reshape(n))
        if dx is None:
            return
        if self._gain is not None:
            h = np.multiply(g, self._gain.value.reshape(n), out=dx.reshape(g.shape))
        pull = np.einsum("ij,ij->i", h, v) * self._share(s, n)
        np.multiply(v, pull[:, None], out=along)
        if self.centered:
            along += self._sums(h)[:, None] / n
        elif self.about_mean:
            along -= (self._sums(v) * pull / n)[:, None]
        np.subtract(h, along, out=along)
        out = self._moved(dx)
        divisor = s.reshape(*out.shape[: -len(self._axes)], *(1 for _ in self._axes))
        np.divide(along.reshape(out.shape), divisor, out=out)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape``.

        Raises:
            ValueError: If the input lacks an axis.
        """
        ndim = len(input_shape)
        known = {axis % ndim for axis in self._axes if -ndim <= axis < ndim}
        if len(known - {0}) < max(1, len(self._axes)):
            raise ValueError(
                f"Layer {self.name!r} normalizes each sample along axis={self.axis}, which are not "
                f"all different axes of a sample in an input of shape {input_shape}."
            )
        return input_shape

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the sizes along the axes are those of the build."""
        return self.input_shape is None or fits(
            (None, *self.weight_shape(input_shape)), (None, *self.weight_shape(self.input_shape))
        )

    def weight_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the gain and the shift; raises as `compute_output_shape`."""
        self.compute_output_shape(input_shape)
        # Keras sorts the axes as they are given. The weights have the same order in memory.
        return tuple(input_shape[axis] for axis in sorted(self._axes))

    def _sums(self, rows: Array) -> Array:
        return rows.dot(ones(rows.shape[1], self.dtype))

    def _rows(self, x: Array) -> Array:
        """Return ``x`` as a matrix with each set of numbers in a row."""
        n = math.prod([x.shape[axis] for axis in self._axes])
        return self._moved(x).reshape(-1, n)

    def _moved(self, x: Array) -> Array:
        own, last = _places(self._axes, x.ndim)
        return x if own == last else np.moveaxis(x, own, last)


@functools.lru_cache(maxsize=64)
def _places(axes: tuple[int, ...], ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sorted axes of an array of ``ndim`` axes, and as many of its last ones."""
    return tuple(sorted(axis % ndim for axis in axes)), tuple(range(ndim - len(axes), ndim))


@registry.register()
class LayerNormalization(SampleNormalization):
    """Each sample's numbers with mean 0 and variance 1, then scaled and shifted.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the mean and (biased) variance of
    the sample, in training and outside of training.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016, section 3.

    Args:
        axis: The axis, or a list of axes, along which a sample's numbers are normalized.
        epsilon: Keeps the divisor above 0.
        center: Whether to add beta.
        scale: Whether to multiply by gamma.
        beta_initializer: Initializer of beta, of the sizes along ``axis``.
        gamma_initializer: Initializer of gamma, of the same shape.
        beta_regularizer: A penalty on beta, added to the loss.
        gamma_regularizer: A penalty on gamma.
        beta_constraint: A projection of beta after each update.
        gamma_constraint: A projection of gamma after each update.
        rms_scaling: True for y = gamma x / sqrt(variance + epsilon), without subtracting the
            mean or adding beta, whatever ``center`` and ``scale`` are. Keras deprecates it; for the
            root mean square see `RMSNormalization`.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an axis is not an integer.
        ValueError: If ``epsilon`` is not positive, or the input lacks an axis.

    >>> LayerNormalization()(np.array([[1.0, 3.0], [5.0, 15.0]])).round(2)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    supports_masking = True
    about_mean = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(axis, **kwargs)
        self.epsilon = check_positive("epsilon", epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.rms_scaling = bool(rms_scaling)
        self.centered = not self.rms_scaling
        self._keep("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._keep("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add gamma and beta."""
        shape = self.weight_shape(input_shape)
        if self.scale or self.rms_scaling:
            self._gain = self._add_named("gamma", shape, "gamma")
        if self.center and not self.rms_scaling:
            self._shift = self._add_named("beta", shape, "beta")

    @property
    def gamma(self) -> Variable | None:
        """The factor of the normalized numbers, or None."""
        return self._gain

    @property
    def beta(self) -> Variable | None:
        """The shift of the normalized numbers, or None."""
        return self._shift

    def _spread(self, squares: Array, n: int, s: Array) -> None:
        """Write sqrt(variance + epsilon)."""
        np.sqrt(squares / n + self.epsilon, out=s)


@registry.register()
class RMSNormalization(SampleNormalization):
    """Each sample's numbers divided by their root mean square, then scaled.

    y = scale x / sqrt(mean(x^2) + epsilon), in training and outside of training.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.

    Args:
        axis: The axis, or a list of axes, along which a sample's numbers are normalized.
        epsilon: Keeps the divisor above 0.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an axis is not an integer.
        ValueError: If ``epsilon`` is not positive, or the input lacks an axis.

    >>> RMSNormalization()(np.array([[3.0, -3.0, 3.0]])).round(2)
    array([[ 1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(axis, **kwargs)
        self.epsilon = check_positive("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        """Add the scale, of ones."""
        self._gain = self.add_weight("scale", self.weight_shape(input_shape), "ones")

    @property
    def scale(self) -> Variable | None:
        """The factor of the normalized numbers; None before the build."""
        return self._gain

    def _spread(self, squares: Array, n: int, s: Array) -> None:
        """Write sqrt(mean square + epsilon)."""
        np.sqrt(squares / n + self.epsilon, out=s)


@registry.register()
class UnitNormalization(SampleNormalization):
    """Each sample's numbers divided by their norm: y = x / max(sqrt(sum x^2), 1e-12).

    Args:
        axis: The axis, or a list of axes, along which a sample's numbers form one vector.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If an axis is not an integer.
        ValueError: If the input lacks an axis.

    >>> UnitNormalization()(np.array([[3.0, 4.0]])).round(2)
    array([[0.6, 0.8]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(axis, **kwargs)

    def _spread(self, squares: Array, n: int, s: Array) -> None:
        """Write the norm, at least 1e-12."""
        np.maximum(np.sqrt(squares), _LEAST_NORM, out=s)

    def _share(self, s: Array, n: int) -> Any:
        """Return 1, or 0 where s is the constant 1e-12."""
        return s > _LEAST_NORM
