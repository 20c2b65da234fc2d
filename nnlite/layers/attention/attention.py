"""Attention and AdditiveAttention: means of values, weighted by keys and queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.layers.random_layer import RandomLayer
from nnlite.symbolic import any_symbolic
from nnlite.utils.structures import flatten
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_flag, check_fraction

_NEVER = -1e9  # the score of masked keys, whose exp is 0 beside any other


class AttentionLayer(RandomLayer):
    """Base class of layers that weight values by softmax(scores)."""

    takes_several = True
    supports_masking = True
    call_options: ClassVar[tuple[str, ...]] = ("return_attention_scores", "use_causal_mask")

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = check_fraction("dropout", dropout)
        self.seed_with(seed)
        self._ways: dict[tuple[bool, ...], Attending] = {}

    def stages(
        self, training: bool, return_attention_scores: bool = False, use_causal_mask: bool = False
    ) -> Sequence[Layer]:
        """Return the stages of a call: with dropout, with scores as an output, or causal."""
        way = (training and self.dropout > 0, return_attention_scores, use_causal_mask)
        if way not in self._ways:
            self._ways[way] = self.attending(*way)
        self._ways[way]._variables = self.all_variables()
        return (self._ways[way],)

    def attending(self, dropping: bool, scores: bool, causal: bool) -> Attending:
        """Return the primitive layer of a call with those options."""
        raise NotImplementedError

    def _call(self, arguments: Sequence[Any], training: bool | None, **options: Any) -> Any:
        on = {name: True for name, value in options.items() if check_flag(name, value)}
        if any_symbolic(arguments):
            return self.on_tensors(arguments, training, **on)
        x = arguments[0] if len(arguments) == 1 else list(arguments)
        return self.on_arrays(x, training, **on)

    def _as_arrays(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [self._as_arrays(part) for part in x]
        return None if x is None else self._as_array(x)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the query, the first of ``inputs``."""
        return None if previous_mask is None else previous_mask[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_ways": {}}


class Attending(Layer):
    """Base class of calls of an attention layer, with their options.

    With P = softmax(S) along the keys and D = P after dropout, the output is D V.
    In the backward pass, dJ/dV = D^T d and dJ/dD = d V^T for d = dJ/d(D V), and
    dJ/dS = P (dJ/dP - sum of P dJ/dP along the keys).

    Args:
        layer: The layer, whose weights it uses.
        dropping: Whether to apply dropout.
        scores: Whether the attention weights are a second output.
        causal: Whether a query ignores values of later steps.
    """

    takes_several = True
    supports_masking = True
    mask_outputs = 1

    def __init__(self, layer: Any, dropping: bool, scores: bool, causal: bool) -> None:
        super().__init__(name=layer.name, dtype=layer.dtype)
        self.layer = layer
        self.dropping, self.scores, self.causal = dropping, scores, causal

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, or of the output and the weights."""
        return self.layer.compute_output_shape(input_shape, self.scores)

    def softmax(self, scores: Array, readable: Array | None) -> None:
        """Turn scores of shape (..., queries, keys) into weights, in place."""
        if readable is not None:
            np.copyto(scores, _NEVER, where=~readable)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)

    def softmax_back(self, p: Array, ds: Array, readable: Array | None) -> None:
        """Turn dJ/dP into dJ/dS, in place."""
        ds -= np.einsum("...s,...s->...", p, ds)[..., np.newaxis]
        ds *= p
        if readable is not None:
            ds *= readable

    def weight_arrays(self, shape: tuple[int, ...]) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of P and dJ/dS, of dropout's factors and of D, given P's shape."""
        dropped = shape if self.dropping else ()
        shapes = {"p": shape, "ds": shape, "kept": dropped, "dropped": dropped}
        return {name: (one, self.dtype) for name, one in shapes.items()}

    def drop(self, p: Array, kept: Array, dropped: Array) -> Array:
        """Draw the factors of dropout, and return D."""
        if not self.dropping:
            return p
        self.layer.generator.random(dtype=p.dtype, out=kept)
        np.greater_equal(kept, self.layer.dropout, out=kept)
        kept /= 1 - self.layer.dropout
        return np.multiply(p, kept, out=dropped)

    def readable(self, query_keys: tuple[int, int], masks: Sequence[Any]) -> Array | None:
        """Return which keys each query reads, given all masks and causality."""
        if self.causal:
            masks = [*masks, np.tri(*query_keys, dtype=bool)]
        whole: Array | None = None
        for mask in masks:
            if mask is not None:
                whole = mask != 0 if whole is None else whole & (mask != 0)
        return whole


@registry.register()
class Attention(AttentionLayer):
    """The mean of the values for each query, weighted by softmax(S) along the keys.

    With queries Q of shape (batch, T, n), values V of shape (batch, S, m) and keys K of shape
    (batch, S, n), S = scale Q K^T, or S = weight * the sum over n of tanh(scale (q + k)).

    Source: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine
    Translation", 2015, section 3.1.

    It is called on ``[query, value]`` or ``[query, value, key]``; without keys, the values are the
    keys. The masks of query and value are used: a masked value is not read, and the output of a
    masked query is 0.

    Args:
        use_scale: Whether to learn a scale, initially 1.
        score_mode: ``"dot"`` for the first form of S, ``"concat"`` for the second.
        dropout: The probability with which a weight of softmax(S) is 0 in training.
        seed: Seed of the draws of ``dropout``.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``score_mode`` or ``dropout`` is invalid, or on a call, if the inputs are
            not two or three arrays that fit.

    >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> Attention()([query, value])
    array([[[2., 3.]]], dtype=float32)
    """

    call_options = ("inputs", "mask", *AttentionLayer.call_options)

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, seed, **kwargs)
        self.use_scale = check_flag("use_scale", use_scale)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                f"score_mode must be 'dot' or 'concat'. Received: score_mode={score_mode!r}"
            )
        self.score_mode = score_mode

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the output, a new array or tensor; with the weights if requested.

        Args:
            inputs: ``[query, value]`` or ``[query, value, key]``.
            mask: Their masks, ``[query_mask, value_mask]``, each None or of shape (batch, steps);
                None takes those of the tensors.
            training: As for `Layer`.
            return_attention_scores: Whether to return softmax(S) as well.
            use_causal_mask: Whether a query ignores values of later steps.

        Raises:
            ValueError: If the inputs or masks do not fit.
        """
        if mask is not None and (not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3)):
            raise ValueError(f"mask must be [query_mask, value_mask]. Received: mask={mask!r:.200}")
        arguments = (inputs,) if mask is None else (inputs, [*mask[:2]])
        return self._call(
            arguments,
            training,
            return_attention_scores=return_attention_scores,
            use_causal_mask=use_causal_mask,
        )

    def _shapes(self, input_shape: Any) -> list[Shape]:
        nested = bool(input_shape) and isinstance(input_shape[0], list)
        shapes = [*(input_shape[0] if nested else input_shape)]
        if len(shapes) not in (2, 3) or not all(
            isinstance(shape, tuple) and len(shape) == 3 for shape in shapes
        ):
            raise ValueError(
                f"Layer {self.name!r} must be called on [query, value] or [query, value, key], "
                f"each of shape (batch, steps, features). Received: shapes {input_shape}"
            )
        query, value, key = (*shapes, shapes[1])[:3]
        if None not in (query[2], key[2]) and query[2] != key[2]:
            raise ValueError(
                f"Query and key of layer {self.name!r} must have equally many features. "
                f"Received: shapes {shapes}"
            )
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise ValueError(
                f"Value and key of layer {self.name!r} must have equally many steps. "
                f"Received: shapes {shapes}"
            )
        return [query, value, key]

    def build(self, input_shape: Any) -> None:
        """Add the scale and the weight of the scores, if used."""
        self._shapes(input_shape)
        self.scale = self.add_weight("scale", (), "ones") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight("concat_score_weight", (), "ones")

    def takes(self, input_shape: Any) -> bool:
        """Return True: `compute_output_shape` checks the shape."""
        self._shapes(input_shape)
        return True

    def compute_output_shape(
        self, input_shape: Any, return_attention_scores: bool = False, use_causal_mask: bool = False
    ) -> Any:
        """Return (batch, T, m), and (batch, T, S) if the weights are returned."""
        query, value, key = self._shapes(input_shape)
        output = (*query[:2], value[2])
        return [output, (*query[:2], key[1])] if return_attention_scores else output

    def attending(self, dropping: bool, scores: bool, causal: bool) -> Attending:
        """Return the primitive layer of a call."""
        return _Reading(self, dropping, scores, causal)


class _Reading(Attending):
    """A call of `Attention` or `AdditiveAttention`."""

    def arrays(self, shape: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the arrays of P and dropout, and of tanh and its gradient for sums of tanh."""
        query, value, _ = self.layer._shapes(shape)
        p = (*query[:2], value[1])
        each = () if self.layer.score_mode == "dot" else (*p, query[2])
        return self.weight_arrays(p) | dict.fromkeys(("tanh", "slope"), (each, self.dtype))

    def _parts(self, x: Any, mask: Any) -> tuple[list[Array], Array | None, Array | None]:
        """Return query, value and key; the mask of the query; and which keys each query reads."""
        if isinstance(x[0], list):
            x, mask = x
        query, value, key = (*x, x[1])[:3]
        of_query, of_value = mask[:2]
        steps = None if of_value is None else of_value[:, np.newaxis, :]
        readable = self.readable((query.shape[1], value.shape[1]), [steps])
        rows = None if of_query is None else (of_query != 0)[:, :, np.newaxis]
        return [query, value, key], rows, readable

    def forward_into(
        self, x: Any, y: Any, p: Array, kept: Array, dropped: Array, tanh: Array, mask: Any
    ) -> None:
        """Write D V into ``y``."""
        (query, value, key), rows, readable = self._parts(x, mask)
        self.score(query, key, p, tanh)
        self.softmax(p, readable)
        d = self.drop(p, kept, dropped)
        output = y[0] if self.scores else y
        np.matmul(d, value, out=output)
        if rows is not None:
            output *= rows
        if self.scores:
            y[1][...] = d

    def backward_into(
        self,
        dy: Any,
        x: Any,
        dx: Any,
        p: Array,
        ds: Array,
        kept: Array,
        dropped: Array,
        tanh: Array,
        slope: Array,
        mask: Any,
    ) -> None:
        """Write the gradients of query, value and key; fill those of the weights."""
        (query, value, key), rows, readable = self._parts(x, mask)
        d = dy[0] if self.scores else dy
        d = d if rows is None else d * rows
        dv = (dropped if self.dropping else p).swapaxes(1, 2) @ d
        np.matmul(d, value.swapaxes(1, 2), out=ds)
        if self.scores:
            ds += dy[1]
        if self.dropping:
            ds *= kept
        self.softmax_back(p, ds, readable)
        into = dx[0] if isinstance(x[0], list) else dx
        dq, dk = self.score_back(query, key, ds, tanh, slope)
        parts = [dq, dv, dk] if len(into) > 2 else [dq, dv + dk]
        for out, gradient in zip(into, parts, strict=True):
            if out is not None:
                out[...] = gradient
        for out in flatten(dx[1]) if isinstance(x[0], list) else ():
            if out is not None:
                out[...] = 0  # a mask given as numbers

    def _factors(self) -> tuple[Any, Any]:
        """Return the scale inside tanh, and the factor of each feature's tanh."""
        layer = self.layer
        scale = 1 if layer.scale is None else layer.scale.value
        if isinstance(layer, AdditiveAttention):
            return 1, scale
        return scale, layer.concat_score_weight.value

    def score(self, query: Array, key: Array, s: Array, tanh: Array) -> None:
        """Write S."""
        if self.layer.score_mode == "dot":
            np.matmul(query, key.swapaxes(1, 2), out=s)
            if self.layer.scale is not None:
                s *= self.layer.scale.value
            return
        inner, outer = self._factors()
        np.add(query[:, :, np.newaxis, :], key[:, np.newaxis, :, :], out=tanh)
        tanh *= inner
        np.tanh(tanh, out=tanh)
        np.matmul(tanh, np.full(tanh.shape[-1:], outer, tanh.dtype), out=s)

    def score_back(
        self, query: Array, key: Array, ds: Array, tanh: Array, slope: Array
    ) -> tuple[Array, Array]:
        """Return dJ/dQ and dJ/dK, and fill the gradients of the weights."""
        layer = self.layer
        scale = layer.scale if layer._trainable else None
        if layer.score_mode == "dot":
            dq = ds @ key
            if scale is not None:
                scale.gradient[...] = np.vdot(dq, query)
            if layer.scale is not None:
                ds *= layer.scale.value
                dq *= layer.scale.value
            return dq, ds.swapaxes(1, 2) @ query
        inner, outer = self._factors()
        by_feature = ds.reshape(-1) @ tanh.reshape(-1, tanh.shape[-1])
        np.multiply(tanh, tanh, out=slope)
        np.subtract(1, slope, out=slope)
        slope *= outer
        slope *= ds[..., np.newaxis]
        dq, dk = slope.sum(axis=2), slope.sum(axis=1)
        if isinstance(layer, AdditiveAttention):
            if scale is not None:
                scale.gradient[...] = by_feature
        elif layer._trainable:
            layer.concat_score_weight.gradient[...] = by_feature.sum()
            if scale is not None:
                scale.gradient[...] = np.vdot(dq, query) + np.vdot(dk, key)
        return dq * inner, dk * inner


@registry.register()
class AdditiveAttention(Attention):
    """Attention with S = the sum over n of scale tanh(q + k), with a scale for each feature.

    Source: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and
    Translate", 2015, appendix A.1.2.

    It is called like `Attention`.

    Args:
        use_scale: Whether to learn the scale, of shape (n,), instead of using ones.
        dropout: The probability with which a weight of softmax(S) is 0 in training.
        **kwargs: As for `Layer`, and ``seed``.

    Raises:
        ValueError: As for `Attention`.

    >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 2.0], [1.0, 2.0]]])
    >>> AdditiveAttention()([query, value])
    array([[[1., 2.]]], dtype=float32)
    """

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(use_scale, "concat", dropout, seed, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Add the scale, if used."""
        query, _, _ = self._shapes(input_shape)
        self.scale = self.add_weight("scale", query[2:]) if self.use_scale else None

    def takes(self, input_shape: Any) -> bool:
        """Return whether the scale is built for that number of features."""
        query, _, _ = self._shapes(input_shape)
        built = self._shapes(self.input_shape)[0] if self.input_shape else query
        return None in (query[2], built[2]) or query[2] == built[2]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as plain data in Keras's form."""
        config = super().get_config()
        del config["score_mode"]  # there is one
        return config
