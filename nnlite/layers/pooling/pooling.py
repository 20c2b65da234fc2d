"""MaxPooling and AveragePooling: one number for each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.backend.convolution import parts
from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Windowed, check_padding
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_sizes


class Pooling(Windowed):
    """Base class of poolings: one number for each window and channel.

    Args:
        pool_size: The sizes of a window: one integer, or one for each axis.
        strides: The step from one window to the next; None for ``pool_size``.
        padding: ``"valid"`` for windows inside the input only; ``"same"`` for a window for each
            stride, where only the part inside the input counts.
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, ...).
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is below 1, or ``padding`` or ``data_format`` is unknown; or if the
            input has the wrong number of axes, or is smaller than a window.
    """

    samplewise = True

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = check_sizes("pool_size", pool_size, self.rank)
        strides = self.pool_size if strides is None else strides
        self.strides = check_sizes("strides", strides, self.rank)
        self.padding = check_padding(padding)
        self.data_format = check_data_format(data_format)
        self.dilation_rate = (1,) * self.rank

    def _window(self) -> tuple[int, ...]:
        return self.pool_size

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the number of windows on each axis."""
        channels = self._split(input_shape)[1]
        return self._joined(input_shape[0], self._counts(input_shape), channels)


class MaxPooling(Pooling):
    """Base class of poolings that take the largest entry; the first one gets dJ/dy."""

    takes_maximum = True

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of a part of the batch: windows done, dy assigned and dy left."""
        found, (_, channels) = self._windows(shape), self._split(shape)
        part = (self._step(found, shape[0], channels), *found.counts, channels)
        given = (part, self.dtype)
        return {"hit": (part, bool), "given": given, "left": given}

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the largest entry of each window into ``y``."""
        found = self._windows(x.shape)
        x, y = self._channels_last(x), self._channels_last(y)
        for part in parts(len(x), self._step(found, len(x), x.shape[-1])):
            image, largest = x[part], y[part]
            largest.fill(-np.inf)
            for entry, own in found.taps:
                np.maximum(largest[own], image[entry], out=largest[own])

    def backward_into(
        self, dy: Array, x: Array, y: Array, hit: Array, given: Array, left: Array, dx: Array
    ) -> None:
        """Add ``dy`` at the first largest entry of each window."""
        found = self._windows(x.shape)
        x, y, dy, dx = (self._channels_last(array) for array in (x, y, dy, dx))
        for part in parts(len(x), self._step(found, len(x), x.shape[-1])):
            image, largest, gradient = x[part], y[part], dx[part]
            hit, given, left = (array[: len(image)] for array in (hit, given, left))
            np.copyto(left, dy[part])  # not assigned to an entry yet
            if not found.tile:
                gradient.fill(0)
            for entry, own in found.taps:
                np.equal(image[entry], largest[own], out=hit[own])
                np.multiply(left[own], hit[own], out=given[own])
                if found.tile:
                    gradient[entry] = given
                else:
                    gradient[entry] += given[own]
                left[own] -= given[own]


class AveragePooling(Pooling):
    """Base class of poolings that take the mean over the part of a window inside the input."""

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the mean of each window into ``y``."""
        found = self._windows(x.shape)
        x, y = self._channels_last(x), self._channels_last(y)
        for part in parts(len(x), self._step(found, len(x), x.shape[-1])):
            image, mean = x[part], y[part]
            mean.fill(0)
            for entry, own in found.taps:
                mean[own] += image[entry]
            mean /= found.inside.astype(self.dtype)

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of shares of a part of the batch."""
        found, (_, channels) = self._windows(shape), self._split(shape)
        part = (self._step(found, shape[0], channels), *found.counts, channels)
        return {"shares": (part, self.dtype)}

    def backward_into(self, dy: Array, shares: Array, dx: Array) -> None:
        """Write the sum of each entry's shares of its windows' gradients."""
        found = self._windows(dx.shape)
        dy, dx = self._channels_last(dy), self._channels_last(dx)
        dx.fill(0)
        for part in parts(len(dx), self._step(found, len(dx), dx.shape[-1])):
            share = shares[: len(dx[part])]
            np.divide(dy[part], found.inside.astype(self.dtype), out=share)
            for entry, own in found.taps:
                dx[part][entry] += share[own]


@registry.register("MaxPool1D")
class MaxPooling1D(MaxPooling):
    """The largest entry of each window of steps, for each channel.

    See `Pooling` for the arguments. The gradient goes to the first of equal entries.

    >>> MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([3., 2.], dtype=float32)
    """

    rank = 1


@registry.register("MaxPool2D")
class MaxPooling2D(MaxPooling):
    """The largest entry of each window of an image, for each channel.

    See `Pooling` for the arguments. The gradient goes to the first of equal entries.

    >>> MaxPooling2D()(np.zeros((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """

    rank = 2


@registry.register("MaxPool3D")
class MaxPooling3D(MaxPooling):
    """The largest entry of each window of a volume, for each channel.

    See `Pooling` for the arguments. The gradient goes to the first of equal entries.

    >>> MaxPooling3D()(np.zeros((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


@registry.register("AvgPool1D")
class AveragePooling1D(AveragePooling):
    """The mean of each window of steps, for each channel.

    See `Pooling` for the arguments.

    >>> AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([2., 1.], dtype=float32)
    """

    rank = 1


@registry.register("AvgPool2D")
class AveragePooling2D(AveragePooling):
    """The mean of each window of an image, for each channel.

    See `Pooling` for the arguments.

    >>> AveragePooling2D()(np.zeros((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """

    rank = 2


@registry.register("AvgPool3D")
class AveragePooling3D(AveragePooling):
    """The mean of each window of a volume, for each channel.

    See `Pooling` for the arguments.

    >>> AveragePooling3D()(np.zeros((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3
