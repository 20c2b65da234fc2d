"""Base class of convolutions: sizes, strides, padding, order of axes, bias, activation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.convolution import Windows, parts
from nnlite.backend.variables import Variable
from nnlite.layers.activations.activated import Activated
from nnlite.layers.layer import Shape, ones
from nnlite.layers.reshaping.reshaping import check_data_format
from nnlite.layers.spatial import Windowed, check_padding
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_sizes


class Convolving(Windowed, Activated):
    """Base class of convolutions."""

    left_out_if_none: ClassVar[tuple[str, ...]] = ()

    samplewise = True

    #: The kinds of padding.
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(self, *window: Any, use_bias: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kernel_size, strides, padding, data_format, dilation_rate = window
        self.kernel_size = check_sizes("kernel_size", kernel_size, self.rank)
        self.strides = check_sizes("strides", strides, self.rank)
        self.padding = check_padding(padding, self.paddings)
        self.data_format = check_data_format(data_format)
        self.dilation_rate = check_sizes("dilation_rate", dilation_rate, self.rank)
        self.use_bias = bool(use_bias)

    def _refuse_strides_with_dilation(self) -> None:
        """Raise a ValueError if both are above 1."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__} supports strides or dilation_rate above 1, not both. "
                f"Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def _window(self) -> tuple[int, ...]:
        return self.kernel_size

    def takes(self, input_shape: Shape) -> bool:
        """Return whether the layer and g are built for that number of channels."""
        if self.input_shape is None:
            return True
        if len(input_shape) != self.rank + 2:
            return False
        channels, built = self._split(input_shape)[1], self._split(self.input_shape)[1]
        return channels in (None, built) and self.activation.takes(self._z_shape(input_shape))

    def _filters_for(self, channels: int | None) -> int | None:
        """Return the number of output channels."""
        raise NotImplementedError

    def _z_shape(self, input_shape: Shape | None) -> Shape:
        shape = input_shape or (None,) * (self.rank + 2)
        filters = self._filters_for(self._split(shape)[1])
        return self._joined(shape[0], self._counts(shape), filters)

    def output_shape_for(self, x: Array) -> Shape:
        """Return the shape of z."""
        return self._z_shape(x.shape)

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of a part of the batch: columns, and padded images if needed."""
        found, channels = self._windows(shape), self._image_channels(shape)
        step, rows = self._step(found, shape[0], channels), self._rows(found, channels)
        columns = step * math.prod((rows, *found.counts[1:], *found.kernel, channels))
        copied = found.padded != found.sizes or not self._is_last
        padded = (step, *found.padded, channels) if copied else (0,)
        return {"columns": ((columns,), self.dtype), "padded": (padded, self.dtype)}

    def _largest_product(self, samples: int) -> int:
        shape = tuple(size or 1 for size in self.input_shape or (1,) * (self.rank + 2))
        found = self._windows(shape)
        channels = self._image_channels(shape)
        step, rows = self._step(found, samples, channels), self._rows(found, channels)
        return super()._largest_product(step * rows * math.prod(found.counts[1:]))

    def _convolved(self, samples: int) -> int:
        if self.input_shape is None:
            return 0
        shape = tuple(size or 1 for size in self.input_shape)
        weights = sum(variable.size for variable in self._variables)
        return samples * math.prod(self._windows(shape).counts) * weights

    def _rows(self, found: Windows, channels: int) -> int:
        """Return how many rows of windows of a sample are computed at once."""
        return found.rows_at_once(channels, np.dtype(self.dtype).itemsize)

    def _strips(self, found: Windows, channels: int) -> Iterator[tuple[Windows, slice, slice]]:
        """Yield windows of some rows each, which rows, and where the padded image begins."""
        for rows in parts(found.counts[0], self._rows(found, channels)):
            yield (
                found.rows(rows.start, rows.stop),
                rows,
                slice(rows.start * found.strides[0], None),
            )

    def _image_channels(self, shape: Shape) -> int:
        """Return the number of channels of a window, for an input of ``shape``."""
        return int(self._split(shape)[1])

    def _add_bias(self, input_shape: Shape) -> None:
        """Add the bias, if used, and build the activation."""
        z_shape = self._z_shape(input_shape)
        filters = self._split(z_shape)[1]
        self.bias: Any = self._add_named("bias", (filters,), "bias") if self.use_bias else None
        self.activation.ensure_built(z_shape)

    def _adopt(self, kernel: Variable, bias: Variable | None) -> None:
        """Use the weights of another layer, of which this one is a stage."""
        self.kernel, self.bias = kernel, bias
        self._variables = [kernel] if bias is None else [kernel, bias]
        self.built = True

    def _bias_gradient(self, dy: Array) -> None:
        """Fill dJ/db, the sums of ``dy`` over all axes but the channels."""
        if self.bias is None:
            return
        if dy.flags.c_contiguous:
            rows = dy.reshape(-1, dy.shape[-1])
            ones(len(rows), self.dtype).dot(rows, self.bias.gradient)
        else:
            np.add.reduce(dy, axis=tuple(range(dy.ndim - 1)), out=self.bias.gradient)
