"""The loss from `compile`, or the default for the model and the data."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnlite import losses
from nnlite.execution.abstract_model import AbstractModel
from nnlite.losses.labels import follows_from_data
from nnlite.metrics.compiled import MetricsOfOutputs
from nnlite.training.heads import (
    Heads,
    is_structure,
    loss_weights_by_output,
    losses_by_output,
    output_keys,
)
from nnlite.training.objective import Objective, default_loss, final_activations
from nnlite.utils.structures import map_structure
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_number

__all__ = ["AnyLoss", "CompiledLoss", "one_loss_weight", "to_descend_on"]

AnyLoss = losses.Loss | Heads


class CompiledLoss:
    """The loss that a model minimizes.

    Args:
        model: The model.

    Attributes:
        given: The loss from `compile` or chosen by the last fit, or a list or dict by output.
        weights: The ``loss_weights`` of `compile`.
        chooses: Whether the loss follows from the model and the data.
        crossentropy: Whether a cross-entropy is chosen.
    """

    def __init__(self, model: AbstractModel) -> None:
        self.model = model
        self.given: Any = None
        self.weights: Any = None
        self.chooses = True
        self.crossentropy = False

    def assign(self, value: Any) -> None:
        """Take a loss, a name, or a list or dict of them by output.

        Raises:
            TypeError: If it is anything else.
            ValueError: If a name is unknown, or a loss has reduction ``"none"``.
        """
        self.given = to_descend_on(value)
        self.chooses = self.given is None
        self.crossentropy = value is not None
        self.model.unread.pop("loss", None)
        if self.model.single_ended and not is_structure(self.given):
            self.single()

    @property
    def in_use(self) -> AnyLoss | None:
        """The loss of the last step; None before one."""
        objective: Objective | None = self.model._step.objective
        return None if objective is None else objective.loss

    def check_read(self, argument: str) -> None:
        """Raise a ValueError if the model's file has an unknown value for ``argument``."""
        if argument in self.model.unread:
            raise ValueError(
                f"The file of model {self.model.name!r} has the {argument} "
                f"{self.model.unread[argument]!r:.200}, which is unknown, as a warning said when "
                "it was loaded. Call compile(...) first, or load the file again with "
                "custom_objects={'name': ...}."
            )

    def fitting(self, y: Array, output_shape: tuple[int, ...]) -> losses.Loss:
        """Return the compiled loss, or the default for the last layer and the targets."""
        self.check_read("loss")
        loss = self.single()
        if loss is not None and not self.chooses:
            return loss
        fitting = default_loss(self.model.final_activation(), y, output_shape, self.crossentropy)
        fitting._loss_weight = one_loss_weight(self.weights)
        return loss if loss is not None and type(loss) is type(fitting) else fitting

    def single(self) -> losses.Loss | None:
        """Return the loss of a single output, with its weight; None if it follows from data."""
        if not isinstance(self.given, losses.Loss) and is_structure(self.given):
            structure = self.model._data.ends()[1] or self.model.output_names
            (given,) = losses_by_output(self.given, structure)
            Heads(self.model.output_names, [given], [1.0])  # refuses None
            self.chooses = self.crossentropy = isinstance(given, str)
            self.given = None if isinstance(given, str) else given
        loss, weight = self.given, one_loss_weight(self.weights)
        if loss is not None and loss._loss_weight != weight:
            self.given = loss = copy.copy(loss)  # a copy with its own weight
            loss._loss_weight = weight
        return loss

    def heads(self, ys: Sequence[Any] | None = None, outputs: Sequence[Any] = ()) -> Heads:
        """Return the losses of several outputs; missing ones are chosen by the targets.

        Args:
            ys: The targets; None chooses the mean squared error.
            outputs: The shapes of the outputs.
        """
        self.check_read("loss")
        structure = self.model._data.ends()[1]
        given = losses_by_output(self.given, structure)
        if not is_structure(self.given) and self.chooses:
            given = ["crossentropy" if self.crossentropy else "fitting"] * len(given)
        known = self.in_use
        before = known.losses if isinstance(known, Heads) else [None] * len(given)
        activations = final_activations(self.model)
        chosen: list[losses.Loss | None] = []
        for at, loss in enumerate(given):
            own = loss
            if isinstance(loss, str):
                own = losses.MeanSquaredError()
                if ys is not None:
                    own = default_loss(activations[at], ys[at], outputs[at], loss != "fitting")
                own = before[at] if type(before[at]) is type(own) else own
            chosen.append(own)
        weights = loss_weights_by_output(self.weights, structure, chosen)
        heads = Heads(output_keys(structure), chosen, weights)
        return known if isinstance(known, Heads) and heads.same_as(known) else heads

    def left_out(self) -> list[str]:
        """Return the names of the outputs that `compile` leaves out."""
        if not is_structure(self.given):
            return []
        structure = self.model._data.ends()[1]
        given = losses_by_output(self.given, structure)
        return [k for k, loss in zip(output_keys(structure), given, strict=True) if loss is None]

    def metrics_of(self, keys: Sequence[str], left_out: Sequence[str]) -> MetricsOfOutputs:
        """Return the metrics of `compile`, arranged by outputs."""
        with_loss = [key for key in keys if key not in left_out]
        known = self.model.compiled_metrics
        if isinstance(known, MetricsOfOutputs) and known.with_loss == with_loss:
            return known
        given = self.model.compile_arguments
        made = MetricsOfOutputs(
            given.get("metrics"),
            given.get("weighted_metrics"),
            self.model._data.ends()[1],
            keys,
            with_loss,
        )
        self.model.compiled_metrics = made
        return made

    def by_hand(self) -> AnyLoss:
        """Return the loss to minimize before data decide which loss fits."""
        if self.model._data.ends()[1] is not None and len(self.model.output_names) > 1:
            return self.heads()
        return self.single() or losses.MeanSquaredError()


def to_descend_on(identifier: Any) -> Any:
    """Return the loss for ``identifier``; None if it follows from the data.

    In a list or dict by output, None leaves an output out, and ``"crossentropy"`` stays a name.
    """
    if is_structure(identifier):
        return map_structure(
            lambda part: part if follows_from_data(part) else to_descend_on(part),
            identifier,
            (list, tuple, dict),
        )
    if identifier is None or follows_from_data(identifier):
        return None
    loss = losses.get(identifier)
    if loss.reduction in ("none", None):
        raise ValueError(f"Training needs a reduction, not 'none'. Received: loss={loss!r}")
    return loss


def one_loss_weight(given: Any) -> float:
    """Return the weight of the one output, which may be in a list or dict.

    Raises:
        TypeError: If it is not a number.
        ValueError: If there are several.
    """
    if given is not None and is_structure(given):
        weights = list(given.values()) if isinstance(given, Mapping) else given
        if len(weights) != 1:
            raise ValueError(
                "loss_weights must be one number, as the model has one output. Received: "
                f"loss_weights={given!r}"
            )
        (given,) = weights
    return 1.0 if given is None else check_number("loss_weights", given, -math.inf)
