"""Base classes of layers over axes of space or time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnlite.backend.convolution import Windows, windows
from nnlite.layers.layer import Layer, Shape
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError


class Spatial(Layer):
    """Base class of layers over ``rank`` axes, with inputs (batch, sizes..., channels).

    With ``data_format="channels_first"``, inputs are (batch, channels, sizes...).
    """

    #: The number of axes of space or time.
    rank: ClassVar[int]

    data_format: str = "channels_last"

    @property
    def _is_last(self) -> bool:
        return self.data_format == "channels_last"

    def _channels_last(self, x: Array) -> Array:
        """Return ``x``, or a view of ``x`` with the channels in the last axis."""
        return x if self._is_last else np.moveaxis(x, 1, -1)

    def _split(self, shape: Shape) -> tuple[tuple[Any, ...], Any]:
        """Return the sizes of an image and the number of its channels."""
        if len(shape) != self.rank + 2:
            axes = ("steps",) if self.rank == 1 else ("depth", "rows", "columns")[-self.rank :]
            order = (*axes, "channels") if self._is_last else ("channels", *axes)
            raise ValueError(
                f"Layer {self.name!r} expects an input of shape (batch, {', '.join(order)}). "
                f"Received: input_shape={shape}"
            )
        return (shape[1:-1], shape[-1]) if self._is_last else (shape[2:], shape[1])

    def _images(self, shape: Shape) -> tuple[Any, ...]:
        """Return ``shape`` with channels last; if they were first, each becomes an image."""
        sizes, channels = self._split(shape)
        if self._is_last:
            return shape
        return (shape[0] * channels, *sizes, 1)

    def _joined(self, batch: int | None, sizes: Any, channels: int | None) -> Shape:
        """Return the shape of a batch of images, in the order of ``data_format``."""
        return (batch, *sizes, channels) if self._is_last else (batch, channels, *sizes)


class Windowed(Spatial):
    """Base class of layers that compute each entry of their output from a window of their input."""

    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]

    def _window(self) -> tuple[int, ...]:
        """Return the number of entries of a window on each axis."""
        raise NotImplementedError

    def _windows(self, shape: Shape) -> Windows:
        """Return the windows of an input of ``shape``."""
        sizes, _ = self._split(shape)
        return windows(sizes, self._window(), self.strides, self.dilation_rate, self.padding)

    def _counts(self, shape: Shape) -> list[int | None]:
        """Return the number of windows on each axis, or None if its size is unknown."""
        sizes, channels = self._split(shape)
        known = self._joined(1, [1 if size is None else size for size in sizes], channels)
        pairs = zip(sizes, self._output_sizes(self._windows(known)), strict=True)
        counts = [None if size is None else count for size, count in pairs]
        if any(count is not None and count < 1 for count in counts):
            raise ValueError(
                f"Layer {self.name!r} would have an empty output: its windows are larger than its "
                f"input. Make them smaller, or give padding='same'. Received: windows of "
                f"{self._window()} entries, {self.dilation_rate} apart, input_shape={shape}"
            )
        return counts

    def _output_sizes(self, found: Windows) -> tuple[int, ...]:
        return found.counts

    def _step(self, found: Windows, samples: int, channels: int) -> int:
        """Return how many samples are computed at once; ``channels`` are the image's."""
        return found.samples_at_once(samples, channels, np.dtype(self.dtype).itemsize)


def check_padding(padding: Any, known: tuple[str, ...] = ("valid", "same")) -> str:
    """Return ``padding`` in lower case."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in known:
        raise ArgumentError(
            f"padding must be one of {', '.join(map(repr, known))}. Received: padding={padding!r}"
        )
    return str(name)
