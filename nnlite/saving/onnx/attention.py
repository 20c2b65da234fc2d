"""ONNX for attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnlite.layers.attention.attention import _NEVER, _Reading
from nnlite.layers.attention.multi_head_attention import _Heads
from nnlite.saving.onnx.builder import Builder, NoFormError, form
from nnlite.saving.onnx.layers import einsum_dense, softmax


def _weights(g: Builder, call: Any, scores: Any, masks: list[Any]) -> Any:
    """Return the softmax of scores, with 0 for those that a mask excludes.

    The masks broadcast to the scores; an entry that is not 0 keeps a score.
    """
    if call.dropping:
        raise NoFormError("it is called with training=True")
    if call.causal:
        shape = g.Shape(scores)
        rows, columns = (
            g.Range(np.array(0), g.Gather(shape, np.array(axis)), np.array(1)) for axis in (-2, -1)
        )
        read = g.Not(g.Less(g.Unsqueeze(rows, [1]), columns))
        scores = g.Where(read, scores, _NEVER)
    for mask in masks:
        scores = g.Where(g.Cast(mask, to=9), scores, _NEVER)
    return softmax(g, scores, [-1])


@form(_Reading)
def _reading(g: Builder, call: Any, x: Any) -> Any:
    layer = call.layer
    masks: list[Any] = [None, None]
    if isinstance(x[0], list):
        x, masks = x
    query, value, key = (*x, x[1])[:3]
    if layer.score_mode == "dot":
        scores = g.MatMul(query, g.Transpose(key, perm=[0, 2, 1]))
        scores = scores if layer.scale is None else g.Mul(scores, layer.scale.value)
    else:
        inner, outer = (np.asarray(factor, g.dtype) for factor in call._factors())
        sums = g.Add(g.Unsqueeze(query, [2]), g.Unsqueeze(key, [1]))
        scores = g.ReduceSum(g.Mul(g.Tanh(g.Mul(sums, inner)), outer), [-1], keepdims=0)
    of_value = [] if masks[1] is None else [g.Unsqueeze(masks[1], [1])]
    p = _weights(g, call, scores, of_value)
    y = g.MatMul(p, value)
    if masks[0] is not None:
        y = g.Where(g.Cast(g.Unsqueeze(masks[0], [2]), to=9), y, 0)
    return [y, p] if call.scores else y


@form(_Heads)
def _heads(g: Builder, call: Any, x: Any) -> Any:
    layer = call.layer
    given: list[Any] = [*x, *[None] * (7 - len(x))]
    query, value, key, *masks = given
    key = value if key is None else key
    rank = len(query.shape)
    axes = layer._axes(rank)
    steps = len(axes)
    last = range(-1 - steps, -1)
    beside = rank - steps  # the axes before the steps' axes

    def projected(part: Any, one: Any) -> tuple[Any, Any]:
        """Return a projection with its steps after the heads, and the same as matrices."""
        moved = g.moved(einsum_dense(g, part, one), rank + 1, axes, last)
        if steps == 1:
            return moved, moved
        return moved, g.Reshape(moved, [*[0] * beside, -1, part.kernel.shape[-1]])

    moved, q = projected(layer.query_dense, query)
    _, k = projected(layer.key_dense, key)
    _, v = projected(layer.value_dense, value)
    order = [*range(beside), beside + 1, beside]
    scores = g.Div(g.MatMul(q, g.Transpose(k, perm=order)), math.sqrt(layer.key_dim))
    at = [[1, 3], [1, 2], [1, 2], [1]]
    readable = [
        one if len(one.shape) > 3 else g.Unsqueeze(one, where)
        for one, where in zip(masks, at, strict=True)
        if one is not None
    ]
    p = _weights(g, call, scores, readable)
    read = g.MatMul(p, v)
    if steps > 1:
        if call.scores:
            raise NoFormError("it returns weights along several axes")
        sizes = g.Slice(g.Shape(moved), [0], [-1])
        read = g.Reshape(read, g.Concat(sizes, [layer.value_dim], axis=0))
    y = einsum_dense(g, layer.output_dense, g.moved(read, rank + 1, last, axes), rank + 1)
    return [y, p] if call.scores else y
