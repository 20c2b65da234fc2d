"""Embedding: a learned vector for each index."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.layer import Layer, Shape, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_samples, check_count, check_flag


@registry.register()
class Embedding(Layer):
    """A learned vector for each index: y = E[x], the rows of E that ``x`` selects.

    ``x`` holds integers from 0 to ``input_dim - 1``, in any shape; the output has one more axis,
    of size ``output_dim``. In the backward pass, dJ/dE[i] is the sum of dJ/dy over all places where
    x is i, and 0 if there are none (Bengio et al., "A Neural Probabilistic Language Model", 2003).

    Args:
        input_dim: The number of indices.
        output_dim: The length of each vector.
        embeddings_initializer: Initializer of E, of shape (input_dim, output_dim).
        embeddings_regularizer: A penalty on E, added to the loss.
        embeddings_constraint: A projection of E after each update.
        mask_zero: Whether 0 is padding; the mask is then x != 0.
        weights: The initial E, an array or a list with one array, instead of the initializer.
        **kwargs: As for `Layer`. ``input_length`` is accepted with a warning and ignored.

    Raises:
        TypeError: If a size is not an integer, or a keyword is unknown.
        ValueError: If a size is below 1, ``weights`` has another shape, or a name is unknown; or
            on a call, if an index is out of range or not a whole number.

    >>> layer = Embedding(3, 2, weights=np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
    >>> layer(np.array([[2, 0, 2]]))
    array([[[3., 4.],
            [0., 0.],
            [3., 4.]]], dtype=float32)
    """

    takes_integers = True
    default_input_dtype = "int32"
    fixed_config: ClassVar[Mapping[str, Any]] = {"quantization_config": None}
    left_out_if_none = ()

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("input_length", None) is not None:
            warnings.warn(
                "Embedding takes sequences of any length: input_length is ignored.", stacklevel=2
            )
        super().__init__(**kwargs)
        self.input_dim = check_count("input_dim", input_dim, 1)
        self.output_dim = check_count("output_dim", output_dim, 1)
        self._keep(
            "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint
        )
        self.mask_zero = check_flag("mask_zero", mask_zero)
        self.supports_masking = self.makes_mask = self.mask_zero
        if weights is not None:
            self._make_embeddings()
            self.built = True  # for inputs of any shape
            self.set_weights(
                weights if isinstance(weights, list) and len(weights) == 1 else [weights]
            )

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        known = super()._parameters()
        known.pop("weights", None)  # the initial E does not define the layer
        return known

    def build(self, input_shape: Shape) -> None:
        """Add the embeddings."""
        self._make_embeddings()

    def _make_embeddings(self) -> None:
        self.embeddings = self._add_named(
            "embeddings", (self.input_dim, self.output_dim), "embeddings"
        )

    def takes(self, input_shape: Shape) -> bool:
        """Return True: inputs can have any shape."""
        return True

    def _as_array(self, x: Any) -> Array:
        return self._indices(as_samples("x", x))

    def _indices(self, x: Array) -> Array:
        """Return ``x`` as indices that NumPy accepts."""
        floats = x.dtype.kind == "f"
        exact = 2 / np.finfo(x.dtype).eps if floats else np.inf  # whole numbers below it are exact
        if not (x.min() >= 0 and x.max() < min(self.input_dim, exact)):
            wrong = x[~((x >= 0) & (x < min(self.input_dim, exact)))][0]
            if 0 <= wrong < self.input_dim:
                raise ValueError(
                    f"Layer {self.name!r} cannot tell large indices apart in {x.dtype}. Give "
                    f"integers. Received: {wrong}"
                )
            raise ValueError(
                f"Layer {self.name!r} takes indices from 0 to {self.input_dim - 1} "
                f"(input_dim={self.input_dim}). Received: {wrong}"
            )
        indices = x.astype(np.intp, copy=False)
        if floats and not np.array_equal(indices, x):
            raise ValueError(
                f"Layer {self.name!r} takes whole numbers. Received: {x[indices != x][0]}"
            )
        return indices

    def _largest_product(self, samples: int) -> int:
        return 0  # rows are looked up

    def forward_into(self, x: Array, y: Array) -> None:
        """Write E[x] into ``y``."""
        # The indices are checked; with mode="raise" NumPy would buffer the output.
        np.take(self.embeddings.value, self._indices(x), axis=0, out=y, mode="clip")

    def backward_into(self, dy: Array, x: Array, dx: Array | None = None) -> None:
        """Fill dJ/dE: for each index, the sum of ``dy`` over its places; x has no gradient."""
        if dx is not None:
            dx.fill(0)
        if not self._trainable:
            return
        # Equal indices are neighbours after sorting; reduceat sums them four times as fast as
        # np.add.at.
        indices = self._indices(x).ravel()
        order = indices.argsort(kind="stable")
        indices = indices[order]
        starts = np.flatnonzero(np.diff(indices, prepend=-1))
        rows = dy.reshape(-1, self.output_dim)[order]
        self.embeddings.gradient.fill(0)
        self.embeddings.gradient[indices[starts]] = np.add.reduceat(rows, starts, axis=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``input_shape`` with ``output_dim`` appended."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return ``inputs != 0``, or None without ``mask_zero``."""
        return np.not_equal(inputs, 0) if self.mask_zero else None
