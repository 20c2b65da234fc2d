"""Circle loss: pulls embeddings of one label together and pushes other labels apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.numerics import exp_limit
from nnlite.losses.loss import Loss, registry
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number

__all__ = ["Circle"]


@registry.register()
class Circle(Loss):
    """Circle loss of embeddings, each compared with every other one of the batch.

    With d_ij = max(1 - x_i x_j, 0), the cosine distance of embeddings of length 1, the loss of
    sample i is log(1 + P_i N_i), where, with the margin m, P_i is the sum of
    exp(gamma (d_ij + m) (d_ij - m)) over the others j of the same label, and N_i that of
    exp(gamma max(1 + m - d_ij, 0) (1 - m - d_ij)) over those of another label. A sample without
    both kinds of partners is ignored. Each sample's loss depends on all embeddings, so the batch
    has a gradient, but a single sample has no `derivative`.

    Source: Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020,
    equations 6 to 8, which use the similarities 1 - d.

    Args:
        gamma: The scale of the exponents.
        margin: m.
        remove_diagonal: Whether to skip the comparison of an embedding with itself.
        reduction, name, dtype: As for `Loss`.

    Raises:
        TypeError: If ``gamma`` or ``margin`` is not a number.
        ValueError: If either is negative.

    >>> x = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    >>> round(Circle(gamma=2.0)([0, 0, 1, 1], x), 6)
    1.785669
    """

    takes_indices = True

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **Loss.refused_overrides,
        **dict.fromkeys(
            ("call", "derivative", "call_and_derivative", "against"),
            "each embedding is in the loss of every other one. Subclass Loss, with axis = None.",
        ),
    }

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.gamma = check_number("gamma", gamma)
        self.margin = check_number("margin", margin)
        self.remove_diagonal = bool(remove_diagonal)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample."""
        return self.against(y_true, y_pred, y_true, y_pred)[0]

    def value_and_gradient(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss and its derivative with respect to all embeddings."""
        values, slopes = self.against(y_true, y_pred, y_true, y_pred)
        scale = np.broadcast_to(self._scale(values, y_true, sample_weight), values.shape)
        slopes *= scale[:, None]
        # Each embedding occurs in its own row of distances and in a column of every other row.
        gradient = slopes @ y_pred + slopes.T @ y_pred
        return float(np.sum(values * scale)), gradient.astype(y_pred.dtype, copy=False)

    def valid(self, y_true: Array) -> Array | None:
        """Return which samples have a partner with the same label and one with another label."""
        return self._pairs(y_true, y_true)[2]

    def check_targets(self, name: str, y_true: Any, output_shape: tuple[int, ...]) -> Array:
        """Check as `Loss.check_targets` does; predictions must be one embedding per sample."""
        if len(output_shape) != 2:
            raise ValueError(
                f"Circle expects an output of shape (samples, features), one embedding per sample. "
                f"Received: an output of shape {output_shape}"
            )
        return super().check_targets(name, y_true, output_shape)

    def against(
        self, labels: Array, x: Array, reference_labels: Array, references: Array
    ) -> tuple[Array, Array]:
        """Return the loss of each x compared with references, and its derivative by the products.

        Args:
            labels: The label of each x, shape (m,).
            x: Embeddings, shape (m, features).
            reference_labels: The label of each reference, shape (n,).
            references: Embeddings, shape (n, features).

        Returns:
            The losses, shape (m,), and the derivative of each by x_i r_j, shape (m, n).
        """
        same, other, counts = self._pairs(labels, reference_labels)
        product = x @ references.T
        d = np.maximum(1 - product, 0)
        weight = np.maximum(1 + self.margin - d, 0)
        p, share_p = _log_sum_exp(self.gamma * (d + self.margin) * (d - self.margin), same)
        n, share_n = _log_sum_exp(self.gamma * weight * (1 - self.margin - d), other)
        total = p + n
        e = np.exp(-np.minimum(np.abs(total), exp_limit(x.dtype)))
        values = (np.maximum(total, 0) + np.log1p(e)) * counts  # log(1 + exp(total))
        slope = np.where(total >= 0, 1, e) / (1 + e) * counts
        by_distance = share_p * d + share_n * (d - 1) * (weight > 0)
        return values, -2 * self.gamma * slope[:, None] * by_distance * (product < 1)

    def _pairs(self, labels: Array, reference_labels: Array) -> tuple[Array, Array, Array]:
        """Return which pairs share a label, which do not, and which rows have both kinds."""
        same = labels[:, None] == reference_labels
        other = ~same
        if self.remove_diagonal:
            np.fill_diagonal(same, False)
        return same, other, np.asarray(same.any(axis=1) & other.any(axis=1))


def _log_sum_exp(x: Array, chosen: Array) -> tuple[Array, Array]:
    """Return log(sum(exp(x))) over the chosen entries of each row (0 if none), and the softmax."""
    top = np.max(x, axis=1, keepdims=True, where=chosen, initial=-np.inf)
    top = np.where(chosen.any(axis=1, keepdims=True), top, 0)
    e = np.exp(np.maximum(np.minimum(x - top, 0), -exp_limit(x.dtype))) * chosen
    total = e.sum(axis=1, keepdims=True)
    total = np.where(total == 0, 1, total)
    return (top + np.log(total))[:, 0], e / total
