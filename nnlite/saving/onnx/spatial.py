"""ONNX for layers over space and time; in ONNX, channels come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.backend.convolution import windows
from nnlite.layers.convolution.conv import Conv
from nnlite.layers.convolution.conv_transpose import ConvTranspose
from nnlite.layers.convolution.depthwise import DepthwiseConv
from nnlite.layers.pooling.global_pooling import GlobalPooling
from nnlite.layers.pooling.pooling import Pooling
from nnlite.layers.reshaping.margins import Cropping, ZeroPadding
from nnlite.layers.reshaping.up_sampling import UpSampling
from nnlite.saving.onnx.builder import UNKNOWN, Builder, NoFormError, form

_Form = Callable[[Builder, Any, Any], Any]


def _channels_first(form: _Form) -> _Form:
    """Return ``form`` for inputs with channels last."""

    def convert(g: Builder, layer: Any, x: Any) -> Any:
        if not layer._is_last:
            return form(g, layer, x)
        rank = layer.rank + 2
        return g.moved(form(g, layer, g.moved(x, rank, -1, 1)), rank, 1, -1)

    return convert


def _padding(layer: Any, x: Any) -> dict[str, Any]:
    """Return the attribute for the padding of windows on an image with channels first."""
    sizes, window = x.shape[2:], layer._window()
    if layer.padding == "valid" or max(window) == 1:
        return {}
    if layer.padding == "same" and max(layer.strides) > 1 and None in sizes:
        if max(layer.dilation_rate) == 1:
            return {"auto_pad": "SAME_UPPER"}
        raise NoFormError(UNKNOWN)
    known = tuple(
        size or 1 for size in sizes
    )  # without strides, the padding does not depend on the size
    found = windows(known, window, layer.strides, layer.dilation_rate, layer.padding)
    rows = zip(found.padded, found.sizes, found.before, strict=True)
    return {"pads": [*found.before, *(whole - size - low for whole, size, low in rows)]}


def _weights(layer: Any, kernel: Any) -> list[Any]:
    """Return a kernel of shape (*sizes, a, b) as one of (b, a, *sizes), and the bias."""
    bias = [] if layer.bias is None else [layer.bias.value]
    return [np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))), *bias]


@form(Conv, DepthwiseConv)
@_channels_first
def _conv(g: Builder, layer: Any, x: Any) -> Any:
    kernel = layer.kernel.value
    if isinstance(layer, DepthwiseConv):
        groups = kernel.shape[-2]
        kernel = kernel.reshape(*layer.kernel_size, 1, -1)
    else:
        groups = layer.groups
    steps = {"strides": layer.strides, "dilations": layer.dilation_rate, "group": groups}
    return g.Conv(x, *_weights(layer, kernel), **steps, **_padding(layer, x))


@form(ConvTranspose)
@_channels_first
def _conv_transpose(g: Builder, layer: Any, x: Any) -> Any:
    # The output differs from the windows' total length by the same amount for any input.
    found = layer._windows(layer._joined(1, (1,) * layer.rank, 1))
    more = [
        n + low - end for n, low, end in zip(found.sizes, found.before, found.extents, strict=True)
    ]
    return g.ConvTranspose(
        x,
        *_weights(layer, layer.kernel.value),
        strides=layer.strides,
        dilations=layer.dilation_rate,
        pads=[*found.before, *(max(-n, 0) for n in more)],
        output_padding=[max(n, 0) for n in more],
    )


@form(Pooling)
@_channels_first
def _pooling(g: Builder, layer: Any, x: Any) -> Any:
    largest = type(layer).__name__.startswith("Max")
    pool = g.MaxPool if largest else g.AveragePool
    return pool(x, kernel_shape=layer.pool_size, strides=layer.strides, **_padding(layer, x))


@form(GlobalPooling)
def _global_pooling(g: Builder, layer: Any, x: Any) -> Any:
    largest = type(layer).__name__.startswith("GlobalMax")
    reduce = g.ReduceMax if largest else g.ReduceMean
    return reduce(x, axes=layer._axes, keepdims=layer.keepdims)


@form(UpSampling)
@_channels_first
def _up_sampling(g: Builder, layer: Any, x: Any) -> Any:
    scales = np.array([1, 1, *layer._factors], np.float32)
    if getattr(layer, "interpolation", "nearest") == "bilinear":
        return g.Resize(x, None, scales, mode="linear")
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.Resize(x, None, scales, mode="nearest", **how)


@form(ZeroPadding)
@_channels_first
def _zero_padding(g: Builder, layer: Any, x: Any) -> Any:
    before, after = zip(*layer._margins, strict=True)
    return g.Pad(x, [0, 0, *before, 0, 0, *after])


@form(Cropping)
def _cropping(g: Builder, layer: Any, x: Any) -> Any:
    first = 1 if layer._is_last else 2
    starts, cut = zip(*layer._margins, strict=True)
    ends = [-n or np.iinfo(np.int64).max for n in cut]
    return g.Slice(x, [*starts], ends, [*range(first, first + layer.rank)])
