"""MultiHeadAttention: several attentions side by side, each with its own projections."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.attention.attention import Attending, AttentionLayer
from nnlite.layers.core.einsum_dense import EinsumDense
from nnlite.layers.layer import Layer, Shape, as_shape, as_shapes, registry
from nnlite.layers.reshaping.reshaping import check_integers
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, check_count, check_flag, optional_count


@registry.register()
class MultiHeadAttention(AttentionLayer):
    """Attention of several heads: y = the sum over heads of softmax(Q K^T / sqrt(key_dim)) V W + b.

    Each head has its own Q, K and V, projections of query, key and value by an `EinsumDense`, and
    its own W.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.

    It is called as ``layer(query, value)``; without a key, the value is the key. A masked value or
    key is not read.

    Args:
        num_heads: The number of heads.
        key_dim: The features of Q and K in each head.
        value_dim: The features of V in each head; None for ``key_dim``.
        dropout: The probability with which a weight of the softmax is 0 in training.
        use_bias: Whether the projections have biases.
        output_shape: The features of the output, one size or several; None for those of the query.
        attention_axes: The axes of steps; None for all between batch and features.
        kernel_initializer: Initializer of the kernels.
        bias_initializer: Initializer of the biases.
        kernel_regularizer: A penalty on each kernel, added to the loss.
        bias_regularizer: A penalty on each bias.
        kernel_constraint: A projection of each kernel after each update.
        bias_constraint: A projection of each bias after each update.
        seed: Seed of the draws of ``dropout``.
        **kwargs: As for `Layer`, but no ``activity_regularizer``.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is below 1; or on a call, if the inputs do not fit, or if there is
            a mask and more than one axis between batch and features.

    >>> x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> MultiHeadAttention(2, 3, kernel_initializer="ones")(x, x).shape
    (1, 2, 2)
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {
        "sliding_window": None,
        "flash_attention": None,
        "use_gate": False,
        "activity_regularizer": None,
    }

    call_options = (
        *("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
        *AttentionLayer.call_options,
    )

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, seed, **kwargs)
        self.num_heads = check_count("num_heads", num_heads, 1)
        self.key_dim = check_count("key_dim", key_dim, 1)
        self.value_dim = optional_count("value_dim", value_dim) or self.key_dim
        self.use_bias = check_flag("use_bias", use_bias)
        self.output_shape = as_shape("output_shape", output_shape) if output_shape else None
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        self.attention_axes = attention_axes and check_integers("attention_axes", attention_axes)
        self._keep("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._keep("bias", bias_initializer, bias_regularizer, bias_constraint)
        self._parts: list[EinsumDense] = []

    def __call__(  # type: ignore[override]
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the output, a new array or tensor; with the weights if requested.

        Args:
            query: The queries, of shape (batch, T, n).
            value: The values, of shape (batch, S, m).
            key: The keys, of shape (batch, S, k); None for ``value``.
            query_mask: Which steps of the query count, of shape (batch, T); None takes that
                of the tensor.
            value_mask: Which steps of the value count, of shape (batch, S); None as above.
            key_mask: Which steps of the key count, of shape (batch, S); None as above.
            attention_mask: Which values each query reads, of shape (batch, T, S) or
                (batch, num_heads, T, S).
            return_attention_scores: Whether to return the softmax, of shape
                (batch, num_heads, T, S), as well.
            training: As for `Layer`.
            use_causal_mask: Whether a query ignores values of later steps.

        Raises:
            TypeError: If there is no value.
            ValueError: If the inputs or masks do not fit.
        """
        if value is None:
            raise ArgumentError(
                f"Layer {self.name!r} is called as layer(query, value); for self-attention as "
                "layer(x, x). Received: one input"
            )
        arguments = [query, value, key, query_mask, value_mask, key_mask, attention_mask]
        while arguments[-1] is None and len(arguments) > 2:
            arguments.pop()
        return self._call(
            arguments,
            training,
            return_attention_scores=return_attention_scores,
            use_causal_mask=use_causal_mask,
        )

    def _shapes(self, input_shape: Any) -> tuple[Shape, Shape, Shape]:
        """Return the shapes of query, value and key."""
        listed = isinstance(input_shape, (list, tuple)) and len(input_shape) > 1
        if not listed or not all(isinstance(shape, tuple) for shape in input_shape):
            raise ValueError(
                f"Layer {self.name!r} is called as layer(query, value). "
                f"Received: an input of shape {input_shape}"
            )
        query, value = input_shape[:2]
        key = input_shape[2] if len(input_shape) > 2 and input_shape[2] else value
        rank = len(query)
        if rank < 3 or len(value) != rank or value[1:-1] != key[1:-1]:
            raise ValueError(
                f"Inputs of layer {self.name!r} must have equally many axes, three or more, and "
                "value and key equally many steps. "
                f"Received: query, value and key of shapes {query}, {value} and {key}"
            )
        axes = self._axes(rank)
        if any(not 0 < axis < rank - 1 for axis in axes) or any(
            None not in (query[axis], value[axis]) and query[axis] != value[axis]
            for axis in {*range(1, rank - 1)} - {*axes}
        ):
            raise ValueError(
                f"Layer {self.name!r} attends along axes {axes}: query and value must have these, "
                "between batch and features, and equal sizes along all others. "
                f"Received: query and value of shapes {query} and {value}"
            )
        return query, value, key

    def _axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes of steps of arrays of a rank."""
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        return tuple(axis if axis >= 0 else axis + rank for axis in self.attention_axes)

    def build(self, input_shape: Any) -> None:
        """Make the projections."""
        query, value, key = self._shapes(input_shape)
        inner = string.ascii_letters[: len(query) - 1]
        heads, output = (None,) * (len(query) - 2), self.output_shape or query[-1:]

        parts = ("initializer", "regularizer", "constraint")
        names = [f"{weight}_{part}" for weight in ("kernel", "bias") for part in parts]
        weights: Any = {name: getattr(self, name) for name in names}

        def dense(name: str, shape: Shape, sizes: Shape, summed: str) -> EinsumDense:
            to = "UVWXYZ"[: len(sizes)] if summed == "xy" else "xy"
            part = EinsumDense(
                f"{inner}{summed},{summed}{to}->{inner}{to}",
                (*heads, *sizes),
                bias_axes=to if self.use_bias else None,
                **weights,
                name=name,
                dtype=self.dtype,
            )
            self._parts.append(part)
            part.ensure_built(shape)
            return part

        self._parts = []
        of_key, of_value = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim)
        self.query_dense = dense("query", query, of_key, "z")
        self.key_dense = dense("key", key, of_key, "z")
        self.value_dense = dense("value", value, of_value, "z")
        context = (*query[:-1], *of_value)
        self.output_dense = dense("attention_output", context, output, "xy")
        for part in self._parts:
            part.trainable = self._trainable

    def takes(self, input_shape: Any) -> bool:
        """Return whether the projections fit such inputs."""
        parts = self._parts[:3]
        query, value, key = self._shapes(input_shape)
        return all(p.takes(s) for p, s in zip(parts, (query, key, value), strict=bool(parts)))

    def compute_output_shape(
        self, input_shape: Any, return_attention_scores: bool = False, use_causal_mask: bool = False
    ) -> Any:
        """Return the shape of the output, and that of the weights if requested."""
        query, value, _ = self._shapes(input_shape)
        output = (*query[:-1], *(self.output_shape or query[-1:]))
        if not return_attention_scores:
            return output
        axes = self._axes(len(query))
        beside = [size for axis, size in enumerate(query[:-1]) if axis not in axes]
        steps = [shape[axis] for shape in (query, value) for axis in axes]
        return [output, (*beside, self.num_heads, *steps)]

    def attending(self, dropping: bool, scores: bool, causal: bool) -> Attending:
        """Return the primitive layer of a call."""
        return _Heads(self, dropping, scores, causal)

    def sublayers(self) -> Sequence[Layer]:
        """Return the projections."""
        return self._parts

    def forget_weights(self) -> None:
        """Undo `build`."""
        super().forget_weights()
        self._parts = []

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the argument of `build_from_config`, or None before the build."""
        if not self.built or self.input_shape is None:
            return None
        query, value, key = self._shapes(self.input_shape)
        shapes = {"query_shape": query, "value_shape": value}
        return {"shapes_dict": shapes | ({} if key == value else {"key_shape": key})}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer from the result of another one's `get_build_config`."""
        shapes = config["shapes_dict"]
        names = ("query_shape", "value_shape", "key_shape")
        self.ensure_built(as_shapes("shapes_dict", [shapes[n] for n in names if shapes.get(n)]))


class _Heads(Attending):
    """A call of `MultiHeadAttention`."""

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of the projections, of P and of each head's D V."""
        layer = self.layer
        query, value, key = layer._shapes(shape)
        n = layer.num_heads
        axes = layer._axes(len(query))
        beside = [size for axis, size in enumerate(query[:-1]) if axis not in axes]
        steps = [math.prod([one[axis] for axis in axes]) for one in (query, value)]
        p = (*beside, n, *steps)
        return {
            "q": ((*query[:-1], n, layer.key_dim), self.dtype),
            "k": ((*key[:-1], n, layer.key_dim), self.dtype),
            "v": ((*value[:-1], n, layer.value_dim), self.dtype),
            "context": ((*query[:-1], n, layer.value_dim), self.dtype),
            **self.weight_arrays(p),
        }

    def _moved(self, a: Array) -> Array:
        """Return a projection with the heads' axis before the axes of steps."""
        axes = self.layer._axes(a.ndim - 1)
        return np.moveaxis(a, axes, range(-1 - len(axes), -1))

    def _matrices(self, a: Array) -> Array:
        """Return a projection as a matrix (steps, features) for each head."""
        moved = self._moved(a)
        steps = len(self.layer._axes(a.ndim - 1))
        return moved.reshape(*moved.shape[: -1 - steps], -1, a.shape[-1])

    def _spread(self, matrices: Array, like: Array) -> Array:
        """Return ``matrices`` with the axes in the order of the projection ``like``."""
        a = np.empty_like(like)
        moved = self._moved(a)
        moved[...] = matrices.reshape(moved.shape)
        return a

    def _inputs(self, x: list[Any], mask: Any) -> tuple[list[Array], Array | None]:
        """Return query, value and key, and which keys each query of each head reads."""
        given = [*x, *[None] * (7 - len(x))]
        came = [*mask, *[None] * (3 - len(mask))]
        of_query, of_value, of_key = (
            own if own is not None else along
            for own, along in zip(given[3:6], came[:3], strict=True)
        )
        query, value, key = given[0], given[1], given[1] if given[2] is None else given[2]
        masks = [
            None if of_query is None else of_query[:, np.newaxis, :, np.newaxis],
            *(
                None if one is None else one[:, np.newaxis, np.newaxis, :]
                for one in (of_value, of_key)
            ),
        ]
        if (whole := given[6]) is not None:
            masks.append(whole[:, np.newaxis] if whole.ndim == 3 else whole)
        if query.ndim > 3 and (self.causal or any(one is not None for one in masks)):
            raise ValueError(
                f"Layer {self.layer.name!r} takes masks for inputs of shape (batch, steps, "
                f"features). Received: a query of shape {query.shape}"
            )
        return [query, value, key], self.readable((query.shape[1], value.shape[1]), masks)

    def forward_into(
        self,
        x: Any,
        y: Any,
        q: Array,
        k: Array,
        v: Array,
        context: Array,
        p: Array,
        kept: Array,
        dropped: Array,
        mask: Any,
    ) -> None:
        """Write the output, the projected D V of all heads, into ``y``."""
        layer = self.layer
        (query, value, key), readable = self._inputs(x, mask)
        layer.query_dense.forward_into(query, q)
        layer.key_dense.forward_into(key, k)
        layer.value_dense.forward_into(value, v)
        np.matmul(self._matrices(q), self._matrices(k).swapaxes(-1, -2), out=p)
        p /= math.sqrt(layer.key_dim)
        self.softmax(p, readable)
        read = self.drop(p, kept, dropped) @ self._matrices(v)
        moved = self._moved(context)
        moved[...] = read.reshape(moved.shape)
        layer.output_dense.forward_into(context, y[0] if self.scores else y)
        if self.scores:
            y[1][...] = p.reshape(y[1].shape)

    def backward_into(
        self,
        dy: Any,
        x: Any,
        dx: Any,
        q: Array,
        k: Array,
        v: Array,
        context: Array,
        p: Array,
        ds: Array,
        kept: Array,
        dropped: Array,
        mask: Any,
    ) -> None:
        """Write the gradients of the inputs, and fill those of the projections.

        With S = Q K^T / sqrt(n), dJ/dQ = dJ/dS K / sqrt(n) and dJ/dK = (dJ/dS)^T Q / sqrt(n).
        """
        layer = self.layer
        (query, value, key), readable = self._inputs(x, mask)
        d_context = np.empty_like(context)
        layer.output_dense.backward_into(dy[0] if self.scores else dy, context, d_context)
        d, values = self._matrices(d_context), self._matrices(v)
        dv = (dropped if self.dropping else p).swapaxes(-1, -2) @ d
        np.matmul(d, values.swapaxes(-1, -2), out=ds)
        if self.dropping:
            ds *= kept
        if self.scores:
            ds += dy[1].reshape(p.shape)
        self.softmax_back(p, ds, readable)
        ds /= math.sqrt(layer.key_dim)
        dq, dk = ds @ self._matrices(k), ds.swapaxes(-1, -2) @ self._matrices(q)
        d_query, d_value, d_key, *of_masks = list(dx) + [None] * (3 - len(dx))
        layer.query_dense.backward_into(self._spread(dq, q), query, d_query)
        layer.value_dense.backward_into(self._spread(dv, v), value, d_value)
        if key is not value:
            layer.key_dense.backward_into(self._spread(dk, k), key, d_key)
        else:
            more = None if d_value is None else np.empty_like(d_value)
            layer.key_dense.backward_into(self._spread(dk, k), key, more)
            if more is not None:
                d_value += more
        for out in of_masks:
            if out is not None:
                out[...] = 0  # a mask given as numbers
