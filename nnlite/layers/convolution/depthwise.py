"""DepthwiseConv and SeparableConv: each channel has its own kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnlite.backend.convolution import depthwise, depthwise_back, parts
from nnlite.layers.convolution.base import Convolving
from nnlite.layers.convolution.conv import Conv, Conv1D, Conv2D
from nnlite.layers.layer import Layer, Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_count


class DepthwiseConv(Convolving):
    """A convolution of each channel with its own ``depth_multiplier`` kernels.

    z[p, c, i] = sum_k x[p s + k d - padding, c] W[k, c, i] + b[c, i]; output channel c n + i is the
    i-th of channel c, of n. The gradients are those of a `Conv` with a group for each channel.

    Args:
        depth_multiplier: The number of kernels of each channel.
        depthwise_initializer: Initializer of W, shape (*kernel_size, channels, depth_multiplier).
        bias_initializer: Initializer of b, of shape (channels * depth_multiplier,).
        depthwise_regularizer: A penalty on W, added to the loss.
        depthwise_constraint: A projection of W after each update.
        **kwargs: As for `Layer`; all other arguments as for `Conv`.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is out of range; or if the input has the wrong number of axes or
            is smaller than a window.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"use_bias": use_bias, "activity_regularizer": activity_regularizer}
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, **kwargs)
        self._keep("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.depth_multiplier = check_count("depth_multiplier", depth_multiplier, 1)
        self._keep("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.activation = activation

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        shape = (*self.kernel_size, self._split(input_shape)[1], self.depth_multiplier)
        self.kernel = self._add_named("kernel", shape, "depthwise")
        self._add_bias(input_shape)

    def _filters_for(self, channels: int | None) -> int | None:
        return None if channels is None else channels * self.depth_multiplier

    def _largest_product(self, samples: int) -> int:
        return 0  # entries are multiplied one by one

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the array of products of a part of the batch."""
        found, channels = self._windows(shape), self._image_channels(shape)
        part = (self._step(found, shape[0], channels), *found.counts, channels)
        return {"partial": (part, self.dtype)}

    def forward_into(self, x: Array, y: Array, partial: Array) -> None:
        """Write z, channel by channel, into ``y``."""
        found, kernel = self._windows(x.shape), self.kernel.value
        x, y = self._channels_last(x), self._channels_last(y)
        for part in parts(len(x), len(partial)):
            z = y[part]
            each = z.reshape(*z.shape[:-1], -1, self.depth_multiplier)  # a view
            depthwise(found, x[part], kernel, each, partial[: len(z)])
            if self.bias is not None:
                z += self.bias.value

    def backward_into(self, dy: Array, x: Array, partial: Array, dx: Array | None = None) -> None:
        """Fill dJ/dW and dJ/db, and write dJ/dx."""
        found, kernel = self._windows(x.shape), self.kernel
        x, dy = self._channels_last(x), self._channels_last(dy)
        dx = None if dx is None else self._channels_last(dx)
        gradient = kernel.gradient if self._trainable else None
        if gradient is not None:
            gradient.fill(0)
            self._bias_gradient(dy)
        each = dy.reshape(*dy.shape[:-1], -1, self.depth_multiplier)
        for part in parts(len(x), len(partial)):
            into = None if dx is None else dx[part]
            own = partial[: len(x[part])]
            depthwise_back(found, each[part], x[part], kernel.value, own, gradient, into)


@registry.register()
class DepthwiseConv1D(DepthwiseConv):
    """A convolution along the steps of sequences, channel by channel.

    See `DepthwiseConv` for the arguments and the formula.

    >>> import numpy as np
    >>> layer = DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer(np.array([[[1.0, 0.0], [2.0, 5.0]]]))
    array([[[3., 5.]]], dtype=float32)
    """

    rank = 1


@registry.register()
class DepthwiseConv2D(DepthwiseConv):
    """A convolution over images, channel by channel.

    See `DepthwiseConv` for the arguments and the formula.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, depth_multiplier=2)(np.zeros((1, 8, 8, 4))).shape
    (1, 6, 6, 8)
    """

    rank = 2


class SeparableConv(Convolving):
    """A `DepthwiseConv` without a bias, then a `Conv` with windows of one entry.

    Args:
        depth_multiplier: The number of kernels of each channel.
        depthwise_initializer: Initializer of the first W, of shape (*kernel_size, channels,
            depth_multiplier).
        pointwise_initializer: Initializer of the second, of shape (1..., channels *
            depth_multiplier, filters).
        depthwise_regularizer: A penalty on the first W, added to the loss.
        pointwise_regularizer: A penalty on the second.
        depthwise_constraint: A projection of the first W after each update.
        pointwise_constraint: A projection of the second.
        **kwargs: As for `Layer`; all other arguments as for `Conv`.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is out of range; or if the input has the wrong number of axes or
            is smaller than a window.
    """

    #: The layers that it runs.
    _parts: ClassVar[tuple[type[DepthwiseConv], type[Conv]]]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"use_bias": use_bias, "activity_regularizer": activity_regularizer}
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, **kwargs)
        self._keep("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.filters = check_count("filters", filters, 1)
        self.depth_multiplier = check_count("depth_multiplier", depth_multiplier, 1)
        self._keep("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._keep("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.activation = activation
        first, second = self._parts
        same: Any = {"data_format": self.data_format, "dtype": self.dtype}
        self._depthwise = first(
            self.kernel_size,
            self.strides,
            self.padding,
            self.depth_multiplier,
            dilation_rate=self.dilation_rate,
            use_bias=False,
            **same,
        )
        self._pointwise = second(self.filters, 1, **same)
        self.aside = (self._depthwise, self._pointwise)

    def build(self, input_shape: Shape) -> None:
        """Add the kernels and the bias."""
        channels = self._split(input_shape)[1]
        first = (*self.kernel_size, channels, self.depth_multiplier)
        made = channels and channels * self.depth_multiplier
        second = (*(1,) * self.rank, made, self.filters)
        self.depthwise_kernel = self._add_named("depthwise_kernel", first, "depthwise")
        self.pointwise_kernel = self._add_named("pointwise_kernel", second, "pointwise")
        self._add_bias(input_shape)
        self._depthwise._adopt(self.depthwise_kernel, None)
        self._pointwise._adopt(self.pointwise_kernel, self.bias)

    def stages(self, training: bool) -> Sequence[Layer]:
        """Return the two convolutions and the stages of g."""
        for part in (own := (self._depthwise, self._pointwise)):
            part._trainable, part.dtype = self._trainable, self.dtype
        return (*own, *self._activation.in_stages(training))

    def _filters_for(self, channels: int | None) -> int:
        return self.filters


@registry.register("SeparableConvolution1D")
class SeparableConv1D(SeparableConv):
    """A convolution along steps, channel by channel, then a mix of channels at each step.

    See `SeparableConv` for the arguments.

    >>> import numpy as np
    >>> SeparableConv1D(5, 3)(np.zeros((1, 8, 4))).shape
    (1, 6, 5)
    """

    rank = 1
    _parts = (DepthwiseConv1D, Conv1D)


@registry.register("SeparableConvolution2D")
class SeparableConv2D(SeparableConv):
    """A convolution over images, channel by channel, then a mix of channels at each place.

    See `SeparableConv` for the arguments. (Chollet, "Xception: Deep Learning with Depthwise
    Separable Convolutions", 2017.)

    >>> import numpy as np
    >>> SeparableConv2D(5, 3)(np.zeros((1, 8, 8, 4))).shape
    (1, 6, 6, 5)
    """

    rank = 2
    _parts = (DepthwiseConv2D, Conv2D)
