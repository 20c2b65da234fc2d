"""The form of the layers in ONNX: core, merging, reshaping, normalization, preprocessing."""

from __future__ import annotations

import functools
import string
from typing import Any

import numpy as np

from nnlite import layers as of
from nnlite.config import epsilon
from nnlite.execution.graph import _AsFloats
from nnlite.layers.merging.merge import Merge
from nnlite.layers.normalization.batch_normalization import _ByMovingAverages
from nnlite.layers.normalization.layer_normalization import SampleNormalization
from nnlite.layers.preprocessing.images import _Resized
from nnlite.saving.onnx.builder import UNKNOWN, Builder, NoFormError, converts

__all__ = ["einsum_dense"]


@converts(_AsFloats)
def _as_floats(g: Builder, layer: Any, x: Any) -> Any:
    return g.cast(x)


@converts(of.Dense)
def _dense(g: Builder, layer: Any, x: Any) -> Any:
    z = g.MatMul(x, layer.kernel.value)
    return g.Add(z, layer.bias.value) if layer.use_bias else z


@converts(of.EinsumDense)
def einsum_dense(g: Builder, layer: Any, x: Any, rank: int = 0) -> Any:
    """Return einsum("X,W->Z", x, W) + b of an array of so many axes, or of those that it has."""
    of_x, kernel, of_z = layer._axes(rank or len(x.shape))
    z = g.Einsum(x, layer.kernel.value, equation=f"{of_x},{kernel}->{of_z}")
    return z if layer.bias is None else g.Add(z, layer.bias.value)


@converts(of.Embedding)
def _embedding(g: Builder, layer: Any, x: Any) -> Any:
    return g.Gather(layer.embeddings.value, g.cast(x, "int64"))


@converts(of.Masking)
def _masking(g: Builder, layer: Any, x: Any) -> Any:
    other = g.Where(g.Equal(x, layer.mask_value), 0, 1)
    return g.Where(g.Greater(g.ReduceMax(other, axes=[-1]), 0), x, 0)


# ---- merging ------------------------------------------------------------------------------

_FOLDS = {
    of.Add: "Add",
    of.Average: "Add",
    of.Maximum: "Max",
    of.Minimum: "Min",
    of.Multiply: "Mul",
    of.Subtract: "Sub",
}


@converts(*_FOLDS)
def _merge(g: Builder, layer: Merge, x: Any) -> Any:
    rank = max(len(np.shape(one)) for one in x)

    def aligned(one: Any) -> Any:
        missing = rank - len(np.shape(one))
        return g.Unsqueeze(one, [*range(1, missing + 1)]) if missing else one

    y = functools.reduce(getattr(g, _FOLDS[type(layer)]), map(aligned, x))
    return g.Div(y, len(x)) if isinstance(layer, of.Average) else y


@converts(of.Concatenate)
def _concatenate(g: Builder, layer: Any, x: Any) -> Any:
    return g.Concat(*x, axis=layer.axis)


@converts(of.Dot)
def _dot(g: Builder, layer: Any, x: Any) -> Any:
    free = iter(string.ascii_lowercase[2:])
    letters, rest = [], ""
    for i, (axis, one) in enumerate(zip(layer._pair, x, strict=True)):
        own = ["a", *(next(free) for _ in one.shape[1:])]
        own[axis] = "b"
        letters.append("".join(own))
        rest += "".join(letter for letter in own if letter not in "ab")
        if layer.normalize:
            length = g.Sqrt(g.ReduceSum(g.Mul(one, one), [axis]))
            x = [*x[:i], g.Div(one, g.Max(length, epsilon())), *x[i + 1 :]]
    y = g.Einsum(*x, equation=f"{','.join(letters)}->a{rest}")
    return y if rest else g.Unsqueeze(y, [1])


# ---- reshaping ----------------------------------------------------------------------------


@converts(of.Flatten)
def _flatten(g: Builder, layer: Any, x: Any) -> Any:
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        x = g.moved(x, len(x.shape), 1, -1)
    return g.Flatten(x, axis=1)


@converts(of.Reshape)
def _reshape(g: Builder, layer: Any, x: Any) -> Any:
    return g.Reshape(x, [0, *(-1 if size is None else size for size in layer.target_shape)])


@converts(of.Permute)
def _permute(g: Builder, layer: Any, x: Any) -> Any:
    return g.Transpose(x, perm=[0, *layer.dims])


@converts(of.RepeatVector)
def _repeat_vector(g: Builder, layer: Any, x: Any) -> Any:
    return g.Tile(g.Unsqueeze(x, [1]), [1, layer.n, 1])


# ---- normalization ------------------------------------------------------------------------


@converts(_ByMovingAverages)
def _batch_normalization(g: Builder, layer: Any, x: Any) -> Any:
    own, rank = layer._owner, len(x.shape)
    factor = 1 / np.sqrt(own.moving_variance.value + own.epsilon)
    factor = factor if own.gamma is None else own.gamma.value * factor
    shift = (0 if own.beta is None else own.beta.value) - own.moving_mean.value * factor
    sizes = [-1] + [1] * (rank - 1 - own.axis % rank)
    return g.Add(g.Mul(x, factor.reshape(sizes)), shift.reshape(sizes))


def _with_gain(g: Builder, v: Any, gain: Any, shift: Any, shape: Any) -> Any:
    """Return gain v + shift, of which both may be None, of a shape that spreads over v."""
    y = v if gain is None else g.Mul(v, gain.value.reshape(shape))
    return y if shift is None else g.Add(y, shift.value.reshape(shape))


@converts(SampleNormalization)
def _sample_normalization(g: Builder, layer: Any, x: Any) -> Any:
    rank = len(x.shape)
    axes = sorted(axis % rank for axis in layer._axes)
    c = g.Sub(x, g.ReduceMean(x, axes=axes)) if layer.about_mean else x
    squares = g.Mul(c, c)
    if isinstance(layer, of.UnitNormalization):
        s = g.Max(g.Sqrt(g.ReduceSum(squares, axes)), 1e-12)
    else:
        s = g.Sqrt(g.Add(g.ReduceMean(squares, axes=axes), layer.epsilon))
    v = g.Div(c if layer.centered else x, s)
    sizes = [x.shape[axis] if axis in axes else 1 for axis in range(rank)]
    return _with_gain(g, v, layer._gain, layer._shift, sizes)


@converts(of.GroupNormalization)
def _group_normalization(g: Builder, layer: Any, x: Any) -> Any:
    rank = len(x.shape)
    groups = x.shape[layer.axis] if layer.groups == -1 else layer.groups
    first = g.moved(x, rank, layer.axis, 1)
    rows = g.Reshape(first, [0, groups, -1])
    c = g.Sub(rows, g.ReduceMean(rows, axes=[2]))
    s = g.Sqrt(g.Add(g.ReduceMean(g.Mul(c, c), axes=[2]), layer.epsilon))
    v = g.Reshape(g.Div(c, s), g.Shape(first))
    y = _with_gain(g, v, layer.gamma, layer.beta, [-1] + [1] * (rank - 2))
    return g.moved(y, rank, 1, layer.axis)


# ---- preprocessing ------------------------------------------------------------------------


@converts(of.Rescaling)
def _rescaling(g: Builder, layer: Any, x: Any) -> Any:
    return g.Add(g.Mul(x, layer._scale), layer._offset)


@converts(of.Normalization)
def _normalization(g: Builder, layer: Any, x: Any) -> Any:
    mean, deviation = layer._in_use()
    if layer.invert:
        return g.Add(g.Mul(x, deviation), mean)
    return g.Div(g.Sub(x, mean), deviation)


@converts(_Resized)
def _resized(g: Builder, layer: Any, x: Any) -> Any:
    into, out = layer._axes
    if None in (x.shape[into.index("h")], x.shape[into.index("w")]):
        raise NoFormError(UNKNOWN)
    shifted = g.Sub(x, layer.fill_value)
    y = g.Einsum(shifted, *layer._matrices(x.shape), equation=f"{into},ih,jw->{out}")
    return g.Add(y, layer.fill_value)
