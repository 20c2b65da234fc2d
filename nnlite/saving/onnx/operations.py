"""ONNX for `nnlite.ops`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.ops import arranging, elementwise, neural, reductions
from nnlite.ops.operation import canonical_axes
from nnlite.saving.onnx.builder import FORMS, Builder, NoFormError, form
from nnlite.saving.onnx.protobuf import TYPES

FORMS |= {
    elementwise.Square: lambda g, layer, x: g.Mul(x, x),
    elementwise.Clip: lambda g, layer, x: g.Min(g.Max(g.cast(x), layer.x_min), layer.x_max),
    neural.Cast: lambda g, layer, x: g.cast(x),
    arranging.Concatenate: lambda g, layer, x: g.Concat(*map(g.cast, x), axis=layer.axis),
    arranging.ExpandDims: lambda g, layer, x: g.Unsqueeze(x, np.atleast_1d(layer.axis).tolist()),
    arranging.Stack: lambda g, layer, x: g.Concat(
        *(g.Unsqueeze(g.cast(one), [layer.axis]) for one in x), axis=layer.axis
    ),
}

#: ONNX's operators by nnlite's.
_NAMES: dict[Any, str] = {
    elementwise.Absolute: "Abs",
    elementwise.Add: "Add",
    elementwise.Divide: "Div",
    elementwise.Exp: "Exp",
    elementwise.Log: "Log",
    elementwise.Maximum: "Max",
    elementwise.Minimum: "Min",
    elementwise.Multiply: "Mul",
    elementwise.Negative: "Neg",
    elementwise.Power: "Pow",
    elementwise.Sqrt: "Sqrt",
    elementwise.Subtract: "Sub",
    elementwise.TrueDivide: "Div",
    reductions.Matmul: "MatMul",
}


@form(*_NAMES)
def _named(g: Builder, layer: Any, x: Any) -> Any:
    return getattr(g, _NAMES[type(layer)])(*map(g.cast, x if isinstance(x, list) else [x]))


@form(reductions.Max, reductions.Mean, reductions.Min, reductions.Sum)
def _reduction(g: Builder, layer: Any, x: Any) -> Any:
    x, axes, kept = g.cast(x), list(layer._axes(len(x.shape))), layer.keepdims
    kind, start = type(layer).__name__, getattr(layer, "initial", None)
    if not axes:  # ONNX takes no axes for all axes
        y = x
    elif kind == "Sum":
        y = g.ReduceSum(x, axes, keepdims=kept)
    else:
        y = getattr(g, f"Reduce{kind}")(x, axes=axes, keepdims=kept)
    return y if start is None else getattr(g, kind)(y, start)


@form(neural.OneHot)
def _one_hot(g: Builder, layer: Any, x: Any) -> Any:
    rank = len(x.shape) + 1
    at = layer.axis % rank
    classes = np.arange(layer.num_classes).reshape([-1] + [1] * (rank - 1 - at))
    # Not ONNX's OneHot, which counts negative numbers from the end.
    dtype = x.dtype if x.dtype.startswith("float") else "int64"
    return g.Cast(
        g.Equal(g.Unsqueeze(g.cast(x, dtype), [at]), classes.astype(dtype)), to=TYPES[g.dtype]
    )


@form(arranging.Split)
def _split(g: Builder, layer: Any, x: Any) -> Any:
    where, axis = layer.indices_or_sections, layer.axis
    if isinstance(where, int):
        return g.Split(x, axis=axis, outputs=where)
    return [_slice(g, x, slice(*ends), axis) for ends in pairwise([0, *where, None])]


def _slice(g: Builder, x: Any, part: slice, axis: int) -> Any:
    """Return x[part] along an axis."""
    step, farthest = part.step or 1, np.iinfo(np.int64).max
    first = (0 if step > 0 else farthest) if part.start is None else part.start
    last = (farthest if step > 0 else -farthest) if part.stop is None else part.stop
    return g.Slice(x, [first], [last], [axis], [step])


@form(arranging.Reshape)
def _reshape(g: Builder, layer: Any, x: Any) -> Any:
    if 0 in layer.newshape:
        raise NoFormError("a size of 0 in newshape has another meaning in ONNX")
    return g.Reshape(x, [*layer.newshape])


@form(arranging.Squeeze)
def _squeeze(g: Builder, layer: Any, x: Any) -> Any:
    axes = layer._found if layer.axis is None else layer.axis
    if axes is None:
        axes = [i for i, size in enumerate(x.shape) if size == 1]
    axes = list(canonical_axes(layer.name, axes, len(x.shape)))
    return g.Squeeze(x, axes) if axes else x


@form(arranging.Transpose)
def _transpose(g: Builder, layer: Any, x: Any) -> Any:
    rank = len(x.shape)
    return g.Transpose(x, perm=[axis % rank for axis in layer.axes or range(rank)[::-1]])


@form(arranging.GetItem)
def _get_item(g: Builder, layer: Any, x: Any) -> Any:
    y, key = x
    at = key.index(Ellipsis) if Ellipsis in key else len(key)
    before, after = key[:at], key[at + 1 :]
    whole = len(y.shape) - sum(part is not None for part in before + after)
    axis = 0
    for part in [*before, *[slice(None)] * whole, *after]:
        if isinstance(part, int):
            y = g.Gather(y, np.array(part), axis=axis)
            continue
        if part is None:
            y = g.Unsqueeze(y, [axis])
        elif part != slice(None):
            y = _slice(g, y, part, axis)
        axis += 1
    return y
