"""Heads: the weighted sum of losses that a model with several outputs minimizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnlite.losses import Loss
from nnlite.metrics.compiled import unique
from nnlite.utils.structures import arranged, flatten
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number

__all__ = ["Heads", "is_structure", "loss_weights_by_output", "losses_by_output", "output_keys"]


def is_structure(given: Any) -> bool:
    """Return whether an argument of `compile` has parts for several outputs.

    >>> is_structure({"age": "mse"}), is_structure("mse"), is_structure({"class_name": "Huber"})
    (True, False, False)
    """
    if isinstance(given, Mapping):
        return "class_name" not in given
    return isinstance(given, (list, tuple))


def output_keys(structure: Any) -> list[str]:
    """Return the outputs' names in logs: a dict's keys, else the names.

    >>> output_keys({"b": "dense", "a": "dense_1"}), output_keys(["dense", "dense_1"])
    (['a', 'b'], ['dense', 'dense_1'])
    """
    keys = sorted(structure) if isinstance(structure, dict) else flatten(structure)
    keys = keys if len(keys) == len(flatten(structure)) else flatten(structure)
    names: list[str] = []
    for key in keys:
        names.append(unique(key, names))
    return names


def losses_by_output(given: Any, structure: Any) -> list[Any]:
    """Return the loss of each output, None for one that is left out.

    A list has one loss or None for each output. A dict has all names; if the model's output is a
    dict, a missing name leaves the output out too, as in Keras.

    Args:
        given: The argument of `compile`: one loss for all outputs, or a list or dict.
        structure: The names of the outputs, in the structure of the output.

    Raises:
        ValueError: If a name is missing or unknown, or the number of losses is wrong.

    >>> losses_by_output({"b": None, "a": "mse"}, ["a", "b"])
    ['mse', None]
    """
    if not is_structure(given):
        return [given] * len(flatten(structure))
    partly = isinstance(structure, dict) and isinstance(given, Mapping)
    return arranged("loss", given, structure, "output", structure if partly else ())


def loss_weights_by_output(given: Any, structure: Any, losses: Sequence[Any]) -> list[float]:
    """Return the factor of each output's loss, by default 1.

    Args:
        given: The argument of `compile`: a number, or a list or dict by output.
        structure: The names of the outputs, in the structure of the output.
        losses: The loss of each output.

    Raises:
        TypeError: If a weight is not a number.
        ValueError: If a name is missing or unknown, or the number of weights is wrong.

    >>> loss_weights_by_output({"b": 0.5}, ["a", "b"], [None, "mse"])
    [1.0, 0.5]
    """
    if not is_structure(given):
        weights = [given] * len(losses)
    else:
        names = output_keys(structure)
        left_out = [name for name, loss in zip(names, losses, strict=True) if loss is None]
        weights = arranged("loss_weights", given, structure, "output", left_out)
    return [1.0 if w is None else check_number("loss_weights", w, -math.inf) for w in weights]


class Heads:
    """The weighted sum of the losses of a model's outputs, used as one loss.

    Targets, outputs and weights are flat lists of arrays in the order of the outputs.

    Args:
        names: The names of the outputs.
        losses: The loss of each; None for an output that is left out.
        weights: The factor of each loss.

    Raises:
        ValueError: If all outputs are left out.

    >>> import numpy as np
    >>> from nnlite.losses import MeanSquaredError
    >>> heads = Heads(["a", "b"], [MeanSquaredError(), None], [0.5, 1.0])
    >>> heads.value_and_gradients([np.zeros((1, 1)), None], [np.full((1, 1), 2.0)] * 2)
    (2.0, [array([[2.]]), None], [4.0, None])
    """

    def __init__(
        self, names: Sequence[str], losses: Sequence[Loss | None], weights: Sequence[float]
    ) -> None:
        if all(loss is None for loss in losses):
            raise ValueError(
                "Training needs a loss for at least one output. Received: None for "
                f"{', '.join(map(repr, names))}"
            )
        self.names = list(names)
        self.losses = list(losses)
        self.weights = list(weights)

    @property
    def left_out(self) -> list[str]:
        """The names of the outputs without a loss."""
        return [name for name, loss in zip(self.names, self.losses, strict=True) if loss is None]

    @property
    def takes_indices(self) -> list[bool]:
        """For each output, whether its targets are class indices."""
        return [loss is not None and loss.takes_indices for loss in self.losses]

    def same_as(self, other: object) -> bool:
        """Return whether the other has the same loss objects and weights."""
        return (
            isinstance(other, Heads)
            and all(a is b for a, b in zip(self.losses, other.losses, strict=True))
            and self.weights == other.weights
        )

    def with_losses(self, losses: Sequence[Loss | None]) -> Heads:
        """Return heads with other losses of the same outputs."""
        return Heads(self.names, losses, self.weights)

    def check_targets(self, name: str, ys: Sequence[Any], output_shapes: Any) -> list[Any]:
        """Return the targets as arrays that fit predictions of ``output_shapes``.

        Args:
            name: The targets' name in errors.
            ys: The targets of each output; None for an output without a loss.
            output_shapes: The shapes of the outputs, the number of samples first.

        Raises:
            TypeError: If targets are not numeric.
            ValueError: If targets are missing, or a shape does not fit.
        """
        return [
            y if loss is None else loss.check_targets(f"{name}[{own!r}]", y, shape)
            for own, loss, y, shape in zip(self.names, self.losses, ys, output_shapes, strict=True)
        ]

    def value_and_gradients(
        self,
        ys: Sequence[Any],
        outputs: Sequence[Array],
        sample_weights: Sequence[Array | None] | None = None,
    ) -> tuple[float, list[Array | None], list[float | None]]:
        """Return the sum of the losses, and for each output the derivative and its loss.

        Args:
            ys: The targets of each output.
            outputs: The model's outputs.
            sample_weights: The weight of each sample, for each output.

        Returns:
            sum_i w_i J_i; w_i dJ_i/dy_i of each output and J_i, None for those without a loss.
        """
        total, gradients, values = 0.0, [], []
        weights = sample_weights or [None] * len(self.losses)
        for loss, own, *arrays in zip(self.losses, self.weights, ys, outputs, weights, strict=True):
            value = gradient = None
            if loss is not None:
                value, gradient = loss.value_and_gradient(*arrays)
                total += own * value
                if own != 1:
                    gradient *= own
            values.append(value)
            gradients.append(gradient)
        return total, gradients, values

    # ---- by hand --------------------------------------------------------------------------

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return the sum of the losses for arguments in the structure of the output."""
        return self.values(y_true, y_pred, sample_weight)[0]

    def values(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tuple[float, list[float | None]]:
        """Return the sum of the losses, and each loss; arguments as for ``__call__``."""
        arrays = self._arrays(y_true, y_pred, sample_weight)
        total, _, values = self.value_and_gradients(*arrays)
        return total, values

    def gradient(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Array | None]:
        """Return the derivative of the sum by each of the outputs, None for those left out."""
        return self.value_and_gradients(*self._arrays(y_true, y_pred, sample_weight))[1]

    def _arrays(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Return the arguments of a direct call in the shapes and types of a training step."""
        parts = [flatten(part) for part in (y_true, y_pred, sample_weight)]
        if sample_weight is None or not isinstance(sample_weight, (list, tuple, dict)):
            parts[2] *= len(self.losses)
        arrays = [
            (None, y_pred, None) if loss is None else loss.arrays(y_true, y_pred, weight)
            for loss, y_true, y_pred, weight in zip(self.losses, *parts, strict=True)
        ]
        return [list(part) for part in zip(*arrays, strict=True)]

    def __repr__(self) -> str:
        return repr(dict(zip(self.names, self.losses, strict=True)))
