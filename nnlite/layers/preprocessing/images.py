"""Images of another size: Resizing and CenterCrop."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.utils.validation import check_count, check_flag, check_number

__all__ = ["CenterCrop", "Resizing"]

Array = NDArray[Any]


class _Resized(Layer):
    """Base class of layers whose output is, for each channel, R X C^T + fill (1 - R 1 C^T).

    X is an image, R and C are matrices that say which rows and columns make those of the output.
    """

    fill_value = 0.0

    def __init__(self, height: int, width: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = check_count("height", height, 1)
        self.width = check_count("width", width, 1)
        self.data_format = check_data_format(data_format)
        # Rows and columns of the input, then of the output.
        self._axes = ("bhwc", "bijc") if self.data_format == "channels_last" else ("bchw", "bcij")

    def matrices(self, height: int, width: int) -> tuple[Array, Array]:
        """Return R and C for images of a size."""
        raise NotImplementedError

    def _matrices(self, shape: Shape) -> tuple[Array, Array]:
        sizes: Any = dict(zip(self._axes[0], shape, strict=True))
        rows, columns = self.matrices(sizes["h"], sizes["w"])
        return rows.astype(self.dtype), columns.astype(self.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with the new height and width.

        Raises:
            ValueError: If it is not that of a batch of images.
        """
        if len(input_shape) != 4:
            raise ValueError(
                f"Layer {self.name!r} expects images of shape (batch, height, width, channels), or "
                f"(batch, channels, height, width). Received: input_shape={input_shape}"
            )
        sizes = dict(zip(self._axes[0], input_shape, strict=True))
        sizes |= {"i": self.height, "j": self.width}
        return tuple(sizes[axis] for axis in self._axes[1])

    def forward_into(self, x: Array, y: Array) -> None:
        """Write R X C^T, and the value that fills, into ``y``."""
        into, out = self._axes
        shifted = x - self.fill_value if self.fill_value else x
        np.einsum(f"{into},ih,jw->{out}", shifted, *self._matrices(x.shape), out=y, optimize=True)
        y += self.fill_value

    def backward_into(self, dy: Array, x: Array, dx: Array | None = None) -> None:
        """Write R^T dJ/dY C into ``dx``."""
        into, out = self._axes
        if dx is not None:
            matrices = self._matrices(x.shape)
            np.einsum(f"{out},ih,jw->{into}", dy, *matrices, out=dx, optimize=True)


@functools.lru_cache(maxsize=64)
def _weights(size: int, start: int, count: int, new: int, nearest: bool, wide: bool) -> Array:
    """Return which share each of ``size`` pixels has in each of ``new`` ones.

    The new ones divide ``count`` pixels from ``start`` on, of which some may lie outside.

    Args:
        size: The number of pixels that there are.
        start: The first that counts.
        count: How many count.
        new: How many there are to be.
        nearest: Whether each new pixel is one old one, else a mean of two neighbours.
        wide: Whether the mean is one of all that the new pixel covers.
    """
    new_ones, old = np.arange(new)[:, np.newaxis], np.arange(count)
    if nearest:
        shares = (old == (2 * new_ones + 1) * count // (2 * new)).astype(float)
    else:
        reach = max(count / new, 1.0) if wide else 1.0
        center = (new_ones + 0.5) * count / new - 0.5
        shares = np.maximum(0.0, 1.0 - np.abs(center - old) / reach)
        shares /= shares.sum(axis=1, keepdims=True)
    whole = np.zeros((new, size))
    inside = np.arange(max(start, 0), min(start + count, size))
    whole[:, inside] = shares[:, inside - start]
    return whole


@registry.register()
class Resizing(_Resized):
    """Images of another size.

    ``"nearest"`` takes for each new pixel the old one at its centre, ``"bilinear"`` the mean of
    the four next to that, weighted by how near they are. Integers come as floats, unrounded.

    Args:
        height: The new height.
        width: The new width.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        crop_to_aspect_ratio: Whether an image of another shape is cropped rather than distorted.
        pad_to_aspect_ratio: Whether it is padded instead.
        fill_value: What it is padded with.
        antialias: Whether a smaller image is made of means over all that a new pixel covers.
        data_format: ``"channels_last"`` (or None) or ``"channels_first"``.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If a size is below 1; if ``interpolation`` is another; if both ratios are
            asked for; or on a call, if the input is no batch of images.

    >>> Resizing(1, 2)(np.arange(8.0).reshape(1, 2, 4, 1)).ravel()
    array([2.5, 4.5], dtype=float32)
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {"fill_mode": "constant"}

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                "interpolation must be 'bilinear' or 'nearest'. "
                f"Received: interpolation={interpolation!r}"
            )
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = check_flag("crop_to_aspect_ratio", crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = check_flag("pad_to_aspect_ratio", pad_to_aspect_ratio)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(
                "Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True. "
                "Received: both"
            )
        self.fill_value = check_number("fill_value", fill_value, minimum=-np.inf)
        self.antialias = check_flag("antialias", antialias)

    def matrices(self, height: int, width: int) -> tuple[Array, Array]:
        """Return R and C for images of a size."""
        rows, columns = height, width
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            rows = int(width * self.height / self.width)
            columns = int(height * self.width / self.height)
            if self.crop_to_aspect_ratio:
                rows, columns = max(min(height, rows), 1), max(min(width, columns), 1)
            else:
                rows = height + max(rows - height, 0) // 2 * 2  # as much on both sides
                columns = width + max(columns - width, 0) // 2 * 2
        nearest = self.interpolation == "nearest"

        def weights(size: int, count: int, new: int) -> Array:
            return _weights(size, int((size - count) / 2), count, new, nearest, self.antialias)

        return weights(height, rows, self.height), weights(width, columns, self.width)


@registry.register()
class CenterCrop(_Resized):
    """The middle of images; of images that are smaller, what `Resizing` crops to the ratio.

    Args:
        height: The new height.
        width: The new width.
        data_format: ``"channels_last"`` (or None) or ``"channels_first"``.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If a size is below 1, or on a call, if the input is no batch of images.

    >>> CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
    array([5., 6.], dtype=float32)
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self._resizing = Resizing(height, width, crop_to_aspect_ratio=True)

    def matrices(self, height: int, width: int) -> tuple[Array, Array]:
        """Return R and C for images of a size."""
        if height < self.height or width < self.width:
            return self._resizing.matrices(height, width)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return np.eye(self.height, height, top), np.eye(self.width, width, left)
