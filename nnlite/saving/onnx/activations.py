"""The form of each activation in ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.backend.numerics import exp_maximum
from nnlite.layers import activations as of
from nnlite.layers.activations.prelu import PReLU
from nnlite.saving.onnx.builder import Builder, converts

__all__: list[str] = []

# g is the graph, x what comes in, a the activation.
_FORMS: dict[Any, Any] = {
    of.CELU: lambda g, a, x: g.Celu(x, alpha=a.alpha),
    of.ELU: lambda g, a, x: g.Elu(x, alpha=a.alpha),
    of.SELU: lambda g, a, x: g.Selu(x, alpha=a._alpha, gamma=a._scale),
    of.Exponential: lambda g, a, x: g.Exp(g.Min(x, exp_maximum(np.dtype(a.dtype)))),
    of.HardSigmoid: lambda g, a, x: g.HardSigmoid(x, alpha=0.5 / a.end, beta=0.5),
    of.HardSiLU: lambda g, a, x: g.Mul(x, g.HardSigmoid(x, alpha=1 / 6, beta=0.5)),
    of.HardTanh: lambda g, a, x: g.Clip(x, -1, 1),
    of.HardShrink: lambda g, a, x: g.Shrink(x, lambd=a.threshold),
    of.SoftShrink: lambda g, a, x: g.Shrink(x, lambd=a.threshold, bias=a.threshold),
    of.LeakyReLU: lambda g, a, x: g.LeakyRelu(x, alpha=a.negative_slope),
    of.LogSigmoid: lambda g, a, x: g.Neg(g.Softplus(g.Neg(x))),
    of.Mish: lambda g, a, x: g.Mul(x, g.Tanh(g.Softplus(x))),
    of.Sigmoid: lambda g, a, x: g.Sigmoid(x),
    of.SiLU: lambda g, a, x: g.Mul(x, g.Sigmoid(x)),
    of.Softplus: lambda g, a, x: g.Softplus(x),
    of.Softsign: lambda g, a, x: g.Softsign(x),
    of.SparseSigmoid: lambda g, a, x: _sparse_sigmoid(g, x),
    of.Tanh: lambda g, a, x: g.Tanh(x),
    of.TanhShrink: lambda g, a, x: g.Sub(x, g.Tanh(x)),
    of.Threshold: lambda g, a, x: g.Where(g.Greater(x, a.threshold), x, a.default_value),
    PReLU: lambda g, a, x: g.PRelu(x, a.alpha.value),
}
for _layer, _form in _FORMS.items():
    converts(_layer)(_form)


@converts(of.ReLU)
def _relu(g: Builder, a: Any, x: Any) -> Any:
    y = g.Relu(x)
    if a.negative_slope or a.threshold:
        below = g.Mul(g.Sub(g.Min(x, a.threshold), a.threshold), a.negative_slope)
        y = g.Where(g.Greater(x, a.threshold), x, below)
    return y if a.max_value is None else g.Min(y, a.max_value)


@converts(of.GELU)
def _gelu(g: Builder, a: Any, x: Any) -> Any:
    if a.approximate:
        cube = g.Mul(g.Mul(x, x), x)
        twice_u = g.Mul(g.Add(x, g.Mul(cube, 0.044715)), math.sqrt(8 / math.pi))
        return g.Mul(x, g.Sigmoid(twice_u))
    return g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Mul(x, math.sqrt(0.5))), 1))


@converts(of.GLU)
def _glu(g: Builder, a: Any, x: Any) -> Any:
    u, v = g.Split(x, axis=a.axis, outputs=2)
    return g.Mul(u, g.Sigmoid(v))


def _sparse_sigmoid(g: Builder, x: Any) -> Any:
    return g.Clip(g.Mul(g.Add(x, 1), 0.5), 0, 1)


@converts(of.SparsePlus)
def _sparse_plus(g: Builder, a: Any, x: Any) -> Any:
    half = _sparse_sigmoid(g, x)
    return g.Where(g.Less(x, 1), g.Mul(half, half), x)


@converts(of.Squareplus)
def _squareplus(g: Builder, a: Any, x: Any) -> Any:
    # As max(x, 0) + b / 4 / ((|x| + sqrt(x^2 + b)) / 2), which keeps the digits where x < 0.
    root = g.Max(g.Sqrt(g.Add(g.Mul(x, x), a.b)), float(np.finfo(a.dtype).tiny))
    half = g.Mul(g.Add(g.Abs(x), root), 0.5)
    return g.Add(g.Max(x, 0), g.Div(a.b / 4, half))


def softmax(g: Builder, x: Any, axes: Any) -> Any:
    """Return x with the entries along ``axes``, one or several, as numbers that sum to 1."""
    if len(axes) == 1:
        return g.Softmax(x, axis=axes[0])
    e = g.Exp(g.Sub(x, g.ReduceMax(x, axes=axes)))
    return g.Div(e, g.ReduceSum(e, [*axes]))


@converts(of.Softmax)
def _softmax(g: Builder, a: Any, x: Any) -> Any:
    return softmax(g, x, a._axes)


@converts(of.LogSoftmax)
def _log_softmax(g: Builder, a: Any, x: Any) -> Any:
    shifted = g.Sub(x, g.ReduceMax(x, axes=a._axes))
    return g.Sub(shifted, g.Log(g.ReduceSum(g.Exp(shifted), [*a._axes])))


@converts(of.Sparsemax)
def _sparsemax(g: Builder, a: Any, x: Any) -> Any:
    (axis,) = a._axes
    z = g.Max(g.Sub(x, g.ReduceMax(x, axes=[axis])), -1)
    size = g.Gather(g.Shape(x), [axis])
    falling, _ = g.TopK(z, size, axis=axis, outputs=2)
    sums = g.CumSum(falling, np.array(axis))
    ones = g.Add(g.Mul(falling, 0), 1)
    in_support = g.Greater(g.Add(g.Mul(g.CumSum(ones, np.array(axis)), falling), 1), sums)
    count = g.ReduceSum(g.Where(in_support, 1, 0), [axis])
    total = g.ReduceSum(g.Where(in_support, falling, 0), [axis])
    return g.Max(g.Sub(z, g.Div(g.Sub(total, 1), count)), 0)
