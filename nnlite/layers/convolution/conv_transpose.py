"""Conv1DTranspose, Conv2DTranspose and Conv3DTranspose: transposed convolutions."""

from __future__ import annotations

from typing import Any

from nnlite.backend.convolution import (
    Windows,
    gather,
    kernel_gradient,
    pad,
    parts,
    product,
    scatter,
    transposed_windows,
)
from nnlite.layers.convolution.base import Convolving
from nnlite.layers.layer import Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count, check_sizes


class ConvTranspose(Convolving):
    """A transposed convolution: each input times the kernel is added to a window of the output.

    With strides s and dilation d, z sums x[p] W[k]^T at p s + k d - padding, plus b, like dJ/dx of
    a `Conv`. With D = dJ/dz, dJ/dx[p] = sum_k D[p s + k d - padding] W[k], and dJ/dW[k] =
    sum_p D[p s + k d - padding]^T x[p] (Zeiler et al., "Deconvolutional Networks", 2010).

    Args:
        filters: The number of output channels.
        kernel_size: The sizes of a window: one integer, or one for each axis.
        strides: The step from one window to the next.
        padding: ``"valid"`` for an output that contains every window; ``"same"`` for one that is
            ``strides`` times as large as the input.
        output_padding: How much the output exceeds the smallest size that contains the middle of
            every window; less than ``strides``. None follows ``padding``.
        kernel_initializer: Initializer of W, of shape (*kernel_size, filters, channels).
        **kwargs: As for `Layer`; all other arguments as for `Conv`.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is out of range, or strides and dilation_rate are both above 1; or
            if the input has the wrong number of axes.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"use_bias": use_bias, "activity_regularizer": activity_regularizer}
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, **kwargs)
        self._keep("bias", bias_initializer, bias_regularizer, bias_constraint)
        self._refuse_strides_with_dilation()
        self.filters = check_count("filters", filters, 1)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = check_sizes("output_padding", output_padding, self.rank, 0)
            if any(n >= s for n, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    "output_padding must be less than strides. Received: "
                    f"output_padding={self.output_padding}, strides={self.strides}"
                )
        self._keep("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.activation = activation

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        shape = (*self.kernel_size, self.filters, self._split(input_shape)[1])
        self.kernel = self._add_named("kernel", shape, "kernel")
        self._add_bias(input_shape)

    def _filters_for(self, channels: int | None) -> int:
        return self.filters

    def _windows(self, shape: Shape) -> Windows:
        counts, _ = self._split(shape)
        more = self.output_padding or (None,) * self.rank
        steps = (self.kernel_size, self.strides, self.dilation_rate)
        return transposed_windows(counts, *steps, self.padding, more)

    def _output_sizes(self, found: Windows) -> tuple[int, ...]:
        return found.sizes

    def _image_channels(self, shape: Shape) -> int:
        return self.filters

    def forward_into(self, x: Array, y: Array, columns: Array) -> None:
        """Write z, the sums of x W^T over windows, into ``y``."""
        found, kernel = self._windows(x.shape), self.kernel.value
        x, y = self._channels_last(x), self._channels_last(y)
        for part in parts(len(x), self._step(found, len(x), self.filters)):
            y[part] = 0
            for own, rows, _ in self._strips(found, self.filters):
                scatter(own, x[part, rows], kernel, y[part], columns)
            if self.bias is not None:
                y[part] += self.bias.value

    def backward_into(
        self, dy: Array, x: Array, columns: Array, padded: Array, dx: Array | None = None
    ) -> None:
        """Fill dJ/dW, columns of dy times x, and dJ/db, and write dJ/dx."""
        found, kernel = self._windows(x.shape), self.kernel
        x, dy = self._channels_last(x), self._channels_last(dy)
        dx = None if dx is None else self._channels_last(dx)
        for part in parts(len(x), self._step(found, len(x), self.filters)):
            image = pad(found, dy[part], padded)
            for own, rows, below in self._strips(found, self.filters):
                matrix = gather(own, image[:, below], columns)
                if self._trainable:
                    first = part.start == rows.start == 0
                    kernel_gradient(matrix, x[part, rows], kernel.gradient, first)
                if dx is not None:
                    product(matrix, kernel.value.reshape(matrix.shape[1], -1), dx[part, rows])
        if self._trainable:
            self._bias_gradient(dy)


@registry.register("Convolution1DTranspose")
class Conv1DTranspose(ConvTranspose):
    """A transposed convolution along steps: (m, steps, channels) to (m, steps', filters).

    See `ConvTranspose` for the arguments and the formula.

    >>> import numpy as np
    >>> layer = Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer(np.array([[[1.0], [3.0]]]))[0, :, 0]
    array([1., 1., 3., 3.], dtype=float32)
    """

    rank = 1


@registry.register("Convolution2DTranspose")
class Conv2DTranspose(ConvTranspose):
    """A transposed convolution over images, often used to enlarge them.

    See `ConvTranspose` for the arguments and the formula.

    >>> import numpy as np
    >>> layer = Conv2DTranspose(8, 3, strides=2, padding="same")
    >>> layer(np.zeros((2, 7, 7, 16))).shape
    (2, 14, 14, 8)
    """

    rank = 2


@registry.register("Convolution3DTranspose")
class Conv3DTranspose(ConvTranspose):
    """A transposed convolution over volumes.

    See `ConvTranspose` for the arguments and the formula.

    >>> import numpy as np
    >>> Conv3DTranspose(2, 3)(np.zeros((1, 3, 3, 3, 1))).shape
    (1, 5, 5, 5, 2)
    """

    rank = 3
