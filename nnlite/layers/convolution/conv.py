"""Conv1D, Conv2D and Conv3D: windows of the input times a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnlite.backend.convolution import gather, kernel_gradient, pad, parts, product, scatter
from nnlite.layers.convolution.base import Convolving
from nnlite.layers.layer import Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count


class Conv(Convolving):
    """A convolution: each output is a window of the input times the kernel, a = g(x * W + b).

    For a window at p, z[p] = sum_k x[p s + k d - padding] W[k] + b with strides s and dilation d,
    and x = 0 outside of the input. With D = dJ/dz, dJ/dW[k] = sum_p x[p s + k d - padding]^T D[p],
    dJ/db is the sum of D over samples and p, and dJ/dx sums D[p] W[k]^T over all p and k that
    read the entry (LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition",
    1989).

    Args:
        filters: The number of output channels.
        kernel_size: The sizes of a window: one integer, or one for each axis.
        strides: The step from one window to the next.
        padding: ``"valid"`` for windows inside the input only; ``"same"`` for zeros around it, so
            that there is a window for each stride; ``"causal"``, for sequences only, for zeros
            before the first step, so that no output depends on later steps.
        data_format: ``"channels_last"`` (or None), or ``"channels_first"`` for an input of shape
            (batch, channels, ...).
        dilation_rate: The step from one entry of a window to the next.
        groups: The number of groups of channels and filters, which are computed separately.
        activation: g, as a name, a layer, or a function of `nnlite.activations`; None for the
            identity.
        use_bias: Whether to add b.
        kernel_initializer: Initializer of W, of shape (*kernel_size, channels / groups, filters).
        bias_initializer: Initializer of b, of shape (filters,).
        kernel_regularizer: A penalty on W, added to the loss.
        bias_regularizer: A penalty on b.
        activity_regularizer: A penalty on the output, averaged over the batch.
        kernel_constraint: A projection of W after each update.
        bias_constraint: A projection of b after each update.
        **kwargs: As for `Layer`.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is out of range, ``groups`` does not divide ``filters`` or the
            channels, or strides and dilation_rate are both above 1; or if the input has the wrong
            number of axes, or is smaller than a window.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        self.groups = check_count("groups", groups, 1)
        if self.filters % self.groups:
            raise ValueError(
                "groups must divide filters. "
                f"Received: groups={self.groups}, filters={self.filters}"
            )
        self._keep("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.activation = activation

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        channels = self._split(input_shape)[1]
        if channels is not None and channels % self.groups:
            raise ValueError(
                f"Layer {self.name!r} has groups={self.groups}, which must divide the number of "
                f"channels. Received: input_shape={input_shape}"
            )
        each = channels and channels // self.groups
        self.kernel = self._add_named("kernel", (*self.kernel_size, each, self.filters), "kernel")
        self._add_bias(input_shape)

    def _filters_for(self, channels: int | None) -> int:
        return self.filters

    def forward_into(self, x: Array, y: Array, columns: Array, padded: Array) -> None:
        """Write z, the columns of x times W, into ``y``."""
        found, kernel = self._windows(x.shape), self.kernel.value
        x, y = self._channels_last(x), self._channels_last(y)
        for part in parts(len(x), self._step(found, len(x), x.shape[-1])):
            image = pad(found, x[part], padded)
            for own, rows, below in self._strips(found, x.shape[-1]):
                for taken, made in self._groups(x.shape[-1]):
                    matrix = gather(own, image[:, below, ..., taken], columns)
                    entries = kernel[..., made].reshape(matrix.shape[1], -1)
                    product(matrix, entries, y[part, rows, ..., made])
            if self.bias is not None:
                y[part] += self.bias.value

    def backward_into(
        self, dy: Array, x: Array, columns: Array, padded: Array, dx: Array | None = None
    ) -> None:
        """Fill dJ/dW, columns of x times dy, and dJ/db, and write dJ/dx."""
        found, kernel = self._windows(x.shape), self.kernel
        x, dy = self._channels_last(x), self._channels_last(dy)
        dx = None if dx is None else self._channels_last(dx)
        for part in parts(len(x), self._step(found, len(x), x.shape[-1])):
            if self._trainable:
                image = pad(found, x[part], padded)
            if dx is not None:
                dx[part] = 0
            for own, rows, below in self._strips(found, x.shape[-1]):
                for taken, made in self._groups(x.shape[-1]):
                    d = dy[part, rows, ..., made]
                    if self._trainable:
                        matrix = gather(own, image[:, below, ..., taken], columns)
                        first = part.start == rows.start == 0
                        kernel_gradient(matrix, d, kernel.gradient[..., made], first)
                    if dx is not None:
                        scatter(own, d, kernel.value[..., made], dx[part][..., taken], columns)
        if self._trainable:
            self._bias_gradient(dy)

    def _groups(self, channels: int) -> Iterator[tuple[slice, slice]]:
        """Yield the input and output channels of each group."""
        taken, made = channels // self.groups, self.filters // self.groups
        for i in range(self.groups):
            yield slice(i * taken, (i + 1) * taken), slice(i * made, (i + 1) * made)


@registry.register("Convolution1D")
class Conv1D(Conv):
    """A convolution along the steps of sequences: (m, steps, channels) to (m, steps', filters).

    See `Conv` for the arguments and the formula.

    >>> import numpy as np
    >>> layer = Conv1D(1, 2, kernel_initializer="ones")
    >>> layer(np.array([[[1.0], [2.0], [4.0]]]))[0, :, 0]
    array([3., 6.], dtype=float32)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


@registry.register("Convolution2D")
class Conv2D(Conv):
    """A convolution over images: (m, rows, columns, channels) to (m, rows', columns', filters).

    See `Conv` for the arguments and the formula.

    >>> import numpy as np
    >>> layer = Conv2D(8, (3, 3), padding="same", activation="relu")
    >>> layer(np.zeros((2, 28, 28, 1))).shape
    (2, 28, 28, 8)
    """

    rank = 2


@registry.register("Convolution3D")
class Conv3D(Conv):
    """A convolution over volumes, arrays of shape (m, depth, rows, columns, channels).

    See `Conv` for the arguments and the formula.

    >>> import numpy as np
    >>> Conv3D(2, 3)(np.zeros((1, 5, 5, 5, 1))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3
