"""Resizing and CenterCrop: images of another size."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.backend.resampling import line_weights, resample, resample_back
from nnlite.layers.layer import Shape, registry
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Spatial
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count, check_flag, check_number


class _Resized(Spatial):
    """Base class of layers whose output is R X C^T + fill (1 - R 1 C^T) for each channel.

    X is the used part of an image, and R and C are the weights of its rows and columns.
    """

    rank = 2
    interpolation = "bilinear"
    antialias = False
    fill_value = 0.0

    def __init__(self, height: int, width: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = check_count("height", height, 1)
        self.width = check_count("width", width, 1)
        self.data_format = check_data_format(data_format)

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        """Return the numbers of rows and columns that become the output."""
        raise NotImplementedError

    def _cropped_to_ratio(self, height: int, width: int) -> tuple[int, int]:
        rows, columns = width * self.height / self.width, height * self.width / self.height
        return max(min(height, int(rows)), 1), max(min(width, int(columns)), 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with the new height and width.

        Raises:
            ValueError: If it is not the shape of a batch of images.
        """
        _, channels = self._split(input_shape)
        return self._joined(input_shape[0], (self.height, self.width), channels)

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of images with new rows and old columns."""
        number, *sizes, channels = self._images(shape)
        _, columns = self._window(*sizes)
        return {
            "between": ((number, self.height, columns.stop - columns.start, channels), self.dtype)
        }

    def _window(self, height: int, width: int) -> list[slice]:
        """Return the slices of an image's used rows and columns."""
        pairs = zip((height, width), self._counts(height, width), strict=True)
        starts = [(max(size - count, 0) // 2, min(size, count)) for size, count in pairs]
        return [slice(start, start + count) for start, count in starts]

    def _parts(self, x: Array) -> tuple[Array, list[Array]]:
        """Return a view of the used parts of images, and R and C, or None to copy them."""
        images = x.reshape(self._images(x.shape))
        _, height, width, _ = images.shape
        rows, columns = self._window(height, width)
        part = images[:, rows, columns]
        new = (self.height, self.width)
        if part.shape[1:3] == new:
            return part, []
        how = (self.dtype, self.interpolation == "nearest", self.antialias)
        sizes = zip(part.shape[1:3], new, self._counts(height, width), strict=True)
        return part, [line_weights(size, count, *how, whole) for size, count, whole in sizes]

    def forward_into(self, x: Array, y: Array, between: Array) -> None:
        """Write R X C^T and the fill value into ``y``."""
        part, weights = self._parts(x)
        y = y.reshape(self._images(y.shape))
        if not weights:
            y[...] = part
            return
        rows, columns = weights
        resample(part, rows, columns, between, y)
        if self.fill_value:
            filled = 1 - np.multiply.outer(rows.sum(axis=1), columns.sum(axis=1))
            y += self.fill_value * filled[..., np.newaxis]

    def backward_into(self, dy: Array, dx: Array, between: Array) -> None:
        """Write R^T dJ/dY C into ``dx``."""
        part, weights = self._parts(dx)
        dy = dy.reshape(self._images(dy.shape))
        if part.size < dx.size:
            dx.fill(0)
        if weights:
            rows, columns = weights
            resample_back(dy, rows, columns, between, part)
        else:
            part[...] = dy


@registry.register()
class Resizing(_Resized):
    """Images of another size.

    ``"nearest"`` takes the old pixel at the centre of each new one, ``"bilinear"`` the mean of the
    four nearest, weighted by distance. Integers become floats, unrounded.

    Args:
        height: The new height.
        width: The new width.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        crop_to_aspect_ratio: Whether to crop an image of another ratio instead of distorting it.
        pad_to_aspect_ratio: Whether to pad such an image.
        fill_mode: ``"constant"``, the only one supported.
        fill_value: The value of padding.
        antialias: Whether to average all old pixels under a new one, in smaller images.
        data_format: ``"channels_last"`` (or None) or ``"channels_first"``.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is below 1; if ``interpolation`` or ``fill_mode`` is unknown; if both
            ratios are asked for; or on a call, if the input is not a batch of images.

    >>> Resizing(1, 2)(np.arange(8.0).reshape(1, 2, 4, 1)).ravel()
    array([2.5, 4.5], dtype=float32)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
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
        if fill_mode != "constant":
            raise ValueError(f"fill_mode must be 'constant'. Received: fill_mode={fill_mode!r}")
        self.fill_mode = fill_mode
        self.fill_value = check_number("fill_value", fill_value, minimum=-np.inf)
        self.antialias = check_flag("antialias", antialias)

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        if self.crop_to_aspect_ratio:
            return self._cropped_to_ratio(height, width)
        rows, columns = height, width
        if self.pad_to_aspect_ratio:  # equally on both sides
            rows += max(int(width * self.height / self.width) - height, 0) // 2 * 2
            columns += max(int(height * self.width / self.height) - width, 0) // 2 * 2
        return rows, columns


@registry.register()
class CenterCrop(_Resized):
    """The centre of images; smaller images are resized and cropped, as by `Resizing`.

    Args:
        height: The new height.
        width: The new width.
        data_format: ``"channels_last"`` (or None) or ``"channels_first"``.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is below 1, or on a call, if the input is not a batch of images.

    >>> CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
    array([5., 6.], dtype=float32)
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        if height < self.height or width < self.width:
            return self._cropped_to_ratio(height, width)
        return self.height, self.width
