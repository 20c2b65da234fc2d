"""ONNX for layers that turn tables into indices, or into a column per index."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite import layers as of
from nnlite.saving.onnx.builder import Builder, NoFormError, form
from nnlite.saving.onnx.protobuf import TYPES


@form(of.CategoryEncoding)
def _category_encoding(g: Builder, layer: Any, x: Any) -> Any:
    x, weights = x if isinstance(x, list) else (x, None)
    return _put_out(g, layer, g.cast(x, "int64"), x, weights)


@form(of.Discretization)
def _discretization(g: Builder, layer: Any, x: Any) -> Any:
    if layer.bin_boundaries is None:
        raise NoFormError("it has no boundaries yet: call adapt(data)")
    boundaries = np.asarray(layer.bin_boundaries, layer.dtype).astype("float64")
    at_most = g.GreaterOrEqual(g.Unsqueeze(g.cast(x, "float64"), [-1]), boundaries)
    counted = g.ReduceSum(g.Cast(at_most, to=TYPES["int64"]), [-1], keepdims=0)
    return _put_out(g, layer, counted, x)


@form(of.IntegerLookup, of.StringLookup)
def _lookup(g: Builder, layer: Any, x: Any) -> Any:
    layer._require_vocabulary()
    tokens = "strings" if isinstance(layer, of.StringLookup) else "int64s"
    known = [*range(layer.vocabulary_size())], layer.get_vocabulary()
    if layer.invert:
        return _encoded(g, x, *known, f"int64s {tokens}", layer.oov_token)
    if layer.num_oov_indices != 1:
        raise NoFormError("num_oov_indices must be 1")
    start = layer._oov_start()
    table = dict(zip(known[1][start + 1 :], known[0][start + 1 :], strict=True))
    if layer.mask_token is not None:
        table[layer.mask_token] = start - 1
    found = _encoded(g, x, [*table], [*table.values()], f"{tokens} int64s", start)
    return _put_out(g, layer, found, x)


def _encoded(g: Builder, x: Any, keys: Any, values: Any, kinds: str, default: Any) -> Any:
    """Return the value for each entry as a key; ``kinds`` names the types of keys and values."""
    of_keys, of_values = kinds.split()
    if default is None:
        raise NoFormError("it has no oov_token")
    pairs = {f"keys_{of_keys}": keys, f"values_{of_values}": values}
    pairs[f"default_{of_values.rstrip('s')}"] = default
    return g.LabelEncoder(x if of_keys == "strings" else g.cast(x, "int64"), **pairs)


def _put_out(g: Builder, layer: Any, indices: Any, x: Any, weights: Any = None) -> Any:
    """Return indices, of the shape of ``x`` and -1 for none, in the layer's ``output_mode``."""
    kind, mode = TYPES[g.dtype], layer.output_mode
    if mode == "int":
        return g.Cast(indices, to=kind)
    columns = g.Equal(g.Unsqueeze(indices, [-1]), np.arange(layer.depth()))
    columns = g.Cast(columns, to=kind)
    if mode == "one_hot":
        return g.Squeeze(columns, [-2]) if len(x.shape) > 1 and x.shape[-1] == 1 else columns
    if mode == "multi_hot":
        return g.ReduceMax(columns, axes=[1], keepdims=0)
    if weights is not None:
        columns = g.Mul(columns, g.Unsqueeze(g.cast(weights), [-1]))
    counts = g.ReduceSum(columns, [1], keepdims=0)
    return g.Mul(counts, layer._idf) if mode == "tf_idf" else counts
