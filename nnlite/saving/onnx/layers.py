"""ONNX for core, activation, merging, reshaping, normalization and preprocessing layers.

In each function, ``g`` is the graph, ``layer`` the layer and ``x`` its input.
"""

from __future__ import annotations

import functools
import math
import string
from typing import Any

import numpy as np

from nnlite import layers as of
from nnlite.backend.numerics import exp_maximum
from nnlite.config import epsilon
from nnlite.execution.graph import _AsFloats
from nnlite.layers.normalization.batch_normalization import _ByMovingAverages
from nnlite.layers.normalization.layer_normalization import SampleNormalization
from nnlite.layers.preprocessing.images import _Resized
from nnlite.saving.onnx.builder import FORMS, UNKNOWN, Builder, NoFormError, form

FORMS |= {
    _AsFloats: lambda g, layer, x: g.cast(x),
    of.Embedding: lambda g, layer, x: g.Gather(layer.embeddings.value, g.cast(x, "int64")),
    of.CELU: lambda g, layer, x: g.Celu(x, alpha=layer.alpha),
    of.ELU: lambda g, layer, x: g.Elu(x, alpha=layer.alpha),
    of.SELU: lambda g, layer, x: g.Selu(x, alpha=layer._alpha, gamma=layer._scale),
    of.Exponential: lambda g, layer, x: g.Exp(g.Min(x, exp_maximum(layer.dtype))),
    of.HardSigmoid: lambda g, layer, x: g.HardSigmoid(x, alpha=0.5 / layer.end, beta=0.5),
    of.HardSiLU: lambda g, layer, x: g.Mul(x, g.HardSigmoid(x, alpha=1 / 6, beta=0.5)),
    of.HardTanh: lambda g, layer, x: g.Clip(x, -1, 1),
    of.HardShrink: lambda g, layer, x: g.Shrink(x, lambd=layer.threshold),
    of.SoftShrink: lambda g, layer, x: g.Shrink(x, lambd=layer.threshold, bias=layer.threshold),
    of.LeakyReLU: lambda g, layer, x: g.LeakyRelu(x, alpha=layer.negative_slope),
    of.LogSigmoid: lambda g, layer, x: g.Neg(g.Softplus(g.Neg(x))),
    of.Mish: lambda g, layer, x: g.Mul(x, g.Tanh(g.Softplus(x))),
    of.PReLU: lambda g, layer, x: g.PRelu(x, layer.alpha.value),
    of.Sigmoid: lambda g, layer, x: g.Sigmoid(x),
    of.SiLU: lambda g, layer, x: g.Mul(x, g.Sigmoid(x)),
    of.Softmax: lambda g, layer, x: softmax(g, x, layer._axes),
    of.Softplus: lambda g, layer, x: g.Softplus(x),
    of.Softsign: lambda g, layer, x: g.Softsign(x),
    of.SparseSigmoid: lambda g, layer, x: _sparse_sigmoid(g, x),
    of.Tanh: lambda g, layer, x: g.Tanh(x),
    of.TanhShrink: lambda g, layer, x: g.Sub(x, g.Tanh(x)),
    of.Threshold: lambda g, layer, x: g.Where(
        g.Greater(x, layer.threshold), x, layer.default_value
    ),
    of.Concatenate: lambda g, layer, x: g.Concat(*x, axis=layer.axis),
    of.Permute: lambda g, layer, x: g.Transpose(x, perm=[0, *layer.dims]),
    of.RepeatVector: lambda g, layer, x: g.Tile(g.Unsqueeze(x, [1]), [1, layer.n, 1]),
    of.Reshape: lambda g, layer, x: g.Reshape(x, [0, *(s or -1 for s in layer.target_shape)]),
    of.Rescaling: lambda g, layer, x: g.Add(g.Mul(x, layer._scale), layer._offset),
}


@form(of.Dense)
def _dense(g: Builder, layer: Any, x: Any) -> Any:
    z = g.MatMul(x, layer.kernel.value)
    return g.Add(z, layer.bias.value) if layer.use_bias else z


@form(of.EinsumDense)
def einsum_dense(g: Builder, layer: Any, x: Any, rank: int = 0) -> Any:
    """Return einsum("X,W->Z", x, W) + b; ``rank`` is the number of x's axes, 0 if x tells it."""
    of_x, kernel, of_z = layer._axes(rank or len(x.shape))
    z = g.Einsum(x, layer.kernel.value, equation=f"{of_x},{kernel}->{of_z}")
    return z if layer.bias is None else g.Add(z, layer.bias.value)


@form(of.Masking)
def _masking(g: Builder, layer: Any, x: Any) -> Any:
    other = g.Where(g.Equal(x, layer.mask_value), 0, 1)
    return g.Where(g.Greater(g.ReduceMax(other, axes=[-1]), 0), x, 0)


# ---- activations --------------------------------------------------------------------------


@form(of.ReLU)
def _relu(g: Builder, layer: Any, x: Any) -> Any:
    y, start = g.Relu(x), layer.threshold
    if layer.negative_slope or start:
        below = g.Mul(g.Sub(g.Min(x, start), start), layer.negative_slope)
        y = g.Where(g.Greater(x, start), x, below)
    return y if layer.max_value is None else g.Min(y, layer.max_value)


@form(of.GELU)
def _gelu(g: Builder, layer: Any, x: Any) -> Any:
    if layer.approximate:
        cubic = g.Add(x, g.Mul(g.Mul(g.Mul(x, x), x), 0.044715))
        return g.Mul(x, g.Sigmoid(g.Mul(cubic, math.sqrt(8 / math.pi))))
    return g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Mul(x, math.sqrt(0.5))), 1))


@form(of.GLU)
def _glu(g: Builder, layer: Any, x: Any) -> Any:
    u, v = g.Split(x, axis=layer.axis, outputs=2)
    return g.Mul(u, g.Sigmoid(v))


def _sparse_sigmoid(g: Builder, x: Any) -> Any:
    return g.Clip(g.Mul(g.Add(x, 1), 0.5), 0, 1)


@form(of.SparsePlus)
def _sparse_plus(g: Builder, layer: Any, x: Any) -> Any:
    half = _sparse_sigmoid(g, x)
    return g.Where(g.Less(x, 1), g.Mul(half, half), x)


@form(of.Squareplus)
def _squareplus(g: Builder, layer: Any, x: Any) -> Any:
    # As max(x, 0) + b / 2 / (|x| + sqrt(x^2 + b)), which loses no digits for x < 0.
    root = g.Max(g.Sqrt(g.Add(g.Mul(x, x), layer.b)), float(np.finfo(layer.dtype).tiny))
    return g.Add(g.Max(x, 0), g.Div(layer.b / 2, g.Add(g.Abs(x), root)))


def softmax(g: Builder, x: Any, axes: Any) -> Any:
    """Return the softmax of x along ``axes``, one or several."""
    if len(axes) == 1:
        return g.Softmax(x, axis=axes[0])
    e = g.Exp(g.Sub(x, g.ReduceMax(x, axes=axes)))
    return g.Div(e, g.ReduceSum(e, [*axes]))


@form(of.LogSoftmax)
def _log_softmax(g: Builder, layer: Any, x: Any) -> Any:
    shifted = g.Sub(x, g.ReduceMax(x, axes=layer._axes))
    return g.Sub(shifted, g.Log(g.ReduceSum(g.Exp(shifted), [*layer._axes])))


@form(of.Sparsemax)
def _sparsemax(g: Builder, layer: Any, x: Any) -> Any:
    (axis,) = layer._axes
    z = g.Max(g.Sub(x, g.ReduceMax(x, axes=[axis])), -1)
    falling, _ = g.TopK(z, g.Gather(g.Shape(x), [axis]), axis=axis, outputs=2)
    sums, ones = g.CumSum(falling, np.array(axis)), g.Add(g.Mul(falling, 0), 1)
    above = g.Add(g.Mul(g.CumSum(ones, np.array(axis)), falling), 1)
    support = g.Where(g.Greater(above, sums), 1, 0)
    total = g.ReduceSum(g.Mul(support, falling), [axis])
    return g.Max(g.Sub(z, g.Div(g.Sub(total, 1), g.ReduceSum(support, [axis]))), 0)


# ---- merging and reshaping ----------------------------------------------------------------

_FOLDS: dict[Any, str] = {
    of.Add: "Add",
    of.Average: "Add",
    of.Maximum: "Max",
    of.Minimum: "Min",
    of.Multiply: "Mul",
    of.Subtract: "Sub",
}


@form(*_FOLDS)
def _merge(g: Builder, layer: Any, x: Any) -> Any:
    rank = max(len(np.shape(one)) for one in x)

    def aligned(one: Any) -> Any:
        missing = rank - len(np.shape(one))
        return g.Unsqueeze(one, [*range(1, missing + 1)]) if missing else one

    y = functools.reduce(getattr(g, _FOLDS[type(layer)]), map(aligned, x))
    return g.Div(y, len(x)) if isinstance(layer, of.Average) else y


@form(of.Dot)
def _dot(g: Builder, layer: Any, x: Any) -> Any:
    free = iter(string.ascii_lowercase[2:])
    factors, letters = [], []
    for axis, one in zip(layer._pair, x, strict=True):
        own = ["a", *(next(free) for _ in one.shape[1:])]
        own[axis] = "b"
        letters.append("".join(own))
        if layer.normalize:
            length = g.Sqrt(g.ReduceSum(g.Mul(one, one), [axis]))
            one = g.Div(one, g.Max(length, epsilon()))
        factors.append(one)
    rest = [letter for letter in "".join(letters) if letter not in "ab"]
    y = g.Einsum(*factors, equation=f"{','.join(letters)}->a{''.join(rest)}")
    return y if rest else g.Unsqueeze(y, [1])


@form(of.Flatten)
def _flatten(g: Builder, layer: Any, x: Any) -> Any:
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        x = g.moved(x, len(x.shape), 1, -1)
    return g.Flatten(x, axis=1)


# ---- normalization and preprocessing ------------------------------------------------------


@form(_ByMovingAverages)
def _batch_normalization(g: Builder, layer: Any, x: Any) -> Any:
    own, rank = layer._owner, len(x.shape)
    factor = 1 / np.sqrt(own.moving_variance.value + own.epsilon)
    factor = factor if own.gamma is None else own.gamma.value * factor
    shift = (0 if own.beta is None else own.beta.value) - own.moving_mean.value * factor
    sizes = [-1] + [1] * (rank - 1 - own.axis % rank)
    return g.Add(g.Mul(x, factor.reshape(sizes)), shift.reshape(sizes))


def _scaled(g: Builder, v: Any, gain: Any, shift: Any, shape: Any) -> Any:
    """Return gain v + shift; both may be None, and ``shape`` is the one to broadcast them from."""
    y = v if gain is None else g.Mul(v, gain.value.reshape(shape))
    return y if shift is None else g.Add(y, shift.value.reshape(shape))


@form(SampleNormalization)
def _sample_normalization(g: Builder, layer: Any, x: Any) -> Any:
    axes = sorted(axis % len(x.shape) for axis in layer._axes)
    c = g.Sub(x, g.ReduceMean(x, axes=axes)) if layer.about_mean else x
    squares = g.Mul(c, c)
    if isinstance(layer, of.UnitNormalization):
        s = g.Max(g.Sqrt(g.ReduceSum(squares, axes)), 1e-12)
    else:
        s = g.Sqrt(g.Add(g.ReduceMean(squares, axes=axes), layer.epsilon))
    sizes = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    return _scaled(g, g.Div(c if layer.centered else x, s), layer._gain, layer._shift, sizes)


@form(of.GroupNormalization)
def _group_normalization(g: Builder, layer: Any, x: Any) -> Any:
    rank = len(x.shape)
    first = g.moved(x, rank, layer.axis, 1)
    groups = x.shape[layer.axis] if layer.groups == -1 else layer.groups
    rows = g.Reshape(first, [0, groups, -1])
    c = g.Sub(rows, g.ReduceMean(rows, axes=[2]))
    s = g.Sqrt(g.Add(g.ReduceMean(g.Mul(c, c), axes=[2]), layer.epsilon))
    v = g.Reshape(g.Div(c, s), g.Shape(first))
    y = _scaled(g, v, layer.gamma, layer.beta, [-1] + [1] * (rank - 2))
    return g.moved(y, rank, 1, layer.axis)


@form(of.Normalization)
def _normalization(g: Builder, layer: Any, x: Any) -> Any:
    mean, deviation = layer._in_use()
    if layer.invert:
        return g.Add(g.Mul(x, deviation), mean)
    return g.Div(g.Sub(x, mean), deviation)


@form(_Resized)
def _resized(g: Builder, layer: Any, x: Any) -> Any:
    sizes, channels = layer._split(x.shape)
    if None in (*sizes, channels):
        raise NoFormError(UNKNOWN)
    _, weights = layer._parts(np.zeros((1, *x.shape[1:]), layer.dtype))
    matrices = []
    for at, window in enumerate(layer._window(*sizes)):  # zeros where it is cut off
        own = weights[at] if weights else np.eye(window.stop - window.start)
        matrices.append(np.zeros((len(own), sizes[at]), layer.dtype))
        matrices[at][:, window] = own
    into, out = ("bhwc", "bijc") if layer._is_last else ("bchw", "bcij")
    shifted = g.Sub(x, layer.fill_value)
    y = g.Einsum(shifted, *matrices, equation=f"{into},ih,jw->{out}")
    return g.Add(y, layer.fill_value)
