"""GlobalMaxPooling and GlobalAveragePooling: one number for each channel of an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Spatial
from nnlite.utils.typing import Array


class GlobalPooling(Spatial):
    """Base class of poolings over a whole image: (m, sizes..., channels) to (m, channels).

    Args:
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, ...).
        keepdims: Whether the output keeps the axes of the image, of size 1.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a keyword is unknown.
        ValueError: If ``data_format`` is unknown; or if the input has the wrong number of axes.
    """

    samplewise = True

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.keepdims = bool(keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, channels), and sizes of 1 with ``keepdims``."""
        channels = self._split(input_shape)[1]
        return self._joined(input_shape[0], (1,) * self.rank * self.keepdims, channels)

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self._is_last else 2
        return tuple(range(first, first + self.rank))

    def _kept(self, y: Array, x: Array) -> Array:
        """Return an output array with all axes of the image ``x``."""
        return y.reshape([1 if i in self._axes else size for i, size in enumerate(x.shape)])


class GlobalMaxPooling(GlobalPooling):
    """Base class of poolings that take the largest entry; equal ones share dJ/dy."""

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of the places of the largest entries."""
        return {"hit": (shape, bool)}

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the largest entry of each channel into ``y``."""
        np.maximum.reduce(x, axis=self._axes, keepdims=self.keepdims, out=y)

    def backward_into(self, dy: Array, x: Array, y: Array, hit: Array, dx: Array) -> None:
        """Write ``dy``, divided among the largest entries, into ``dx``."""
        np.equal(x, self._kept(y, x), out=hit)
        number = np.add.reduce(hit, axis=self._axes, keepdims=True, dtype=self.dtype)
        np.multiply(hit, self._kept(dy, x) / number, out=dx)


class GlobalAveragePooling(GlobalPooling):
    """Base class of poolings that take the mean."""

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the mean of each channel into ``y``."""
        np.add.reduce(x, axis=self._axes, keepdims=self.keepdims, out=y)
        y /= math.prod(x.shape[axis] for axis in self._axes)

    def backward_into(self, dy: Array, dx: Array) -> None:
        """Write dJ/dy, divided by the number of entries, into all of them."""
        number = math.prod(dx.shape[axis] for axis in self._axes)
        np.divide(self._kept(dy, dx), number, out=dx)


@registry.register("GlobalMaxPool1D")
class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest entry of each channel of a sequence.

    See `GlobalPooling` for the arguments.

    >>> GlobalMaxPooling1D()(np.array([[[1.0, 5.0], [3.0, 2.0]]]))
    array([[3., 5.]], dtype=float32)
    """

    rank = 1


@registry.register("GlobalMaxPool2D")
class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest entry of each channel of an image.

    See `GlobalPooling` for the arguments.

    >>> GlobalMaxPooling2D()(np.zeros((2, 7, 7, 16))).shape
    (2, 16)
    """

    rank = 2


@registry.register("GlobalMaxPool3D")
class GlobalMaxPooling3D(GlobalMaxPooling):
    """The largest entry of each channel of a volume.

    See `GlobalPooling` for the arguments.

    >>> GlobalMaxPooling3D()(np.zeros((2, 3, 3, 3, 16))).shape
    (2, 16)
    """

    rank = 3


@registry.register("GlobalAvgPool1D")
class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of each channel of a sequence, over the unmasked steps.

    See `GlobalPooling` for the arguments. The mean of no steps is 0.

    >>> GlobalAveragePooling1D()(np.array([[[1.0, 5.0], [3.0, 2.0]]]))
    array([[2. , 3.5]], dtype=float32)
    """

    rank = 1
    supports_masking = True

    def forward_into(self, x: Array, y: Array, mask: Array | None = None) -> None:
        """Write the mean of each channel into ``y``."""
        if mask is None:
            super().forward_into(x, y)
        else:
            counts, number = self._counted(mask)
            np.add.reduce(x, self._axes, keepdims=self.keepdims, where=counts, out=y)
            y /= number.reshape(len(y), *(1,) * (y.ndim - 1))

    def backward_into(self, dy: Array, dx: Array, mask: Array | None = None) -> None:
        """Write dJ/dy, divided by the number of unmasked steps, into those."""
        if mask is None:
            super().backward_into(dy, dx)
        else:
            counts, number = self._counted(mask)
            np.multiply(counts, self._kept(dy, dx) / number, out=dx)

    def _counted(self, mask: Array) -> tuple[Array, Array]:
        """Return a mask with an axis for channels, and the number of its steps, at least 1."""
        counts = np.expand_dims(mask, -1 if self._is_last else 1)
        number = np.add.reduce(counts, axis=self._axes, keepdims=True, dtype=self.dtype)
        return counts, np.maximum(number, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: the output has no steps."""


@registry.register("GlobalAvgPool2D")
class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean of each channel of an image.

    See `GlobalPooling` for the arguments.

    >>> GlobalAveragePooling2D(keepdims=True)(np.zeros((2, 7, 7, 16))).shape
    (2, 1, 1, 16)
    """

    rank = 2


@registry.register("GlobalAvgPool3D")
class GlobalAveragePooling3D(GlobalAveragePooling):
    """The mean of each channel of a volume.

    See `GlobalPooling` for the arguments.

    >>> GlobalAveragePooling3D()(np.zeros((2, 3, 3, 3, 16))).shape
    (2, 16)
    """

    rank = 3
