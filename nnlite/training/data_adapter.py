"""What a user hands to fit and evaluate, checked and made into samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import losses
from nnlite.data.arrays import Samples, check_rows, grouped
from nnlite.data.blocks import StoredSamples
from nnlite.data.frames import column_names
from nnlite.data.iterables import first_batch, named_batch
from nnlite.data.sources import IterableSamples, holds_batches, open_stored, unpacked
from nnlite.data.weights import class_weights
from nnlite.metrics.compiled import CompiledMetrics, MetricsOfOutputs
from nnlite.training.heads import (
    Heads,
    is_structure,
    loss_weights_by_output,
    losses_by_output,
    output_keys,
)
from nnlite.training.objective import Objective, default_loss, final_activations
from nnlite.training.prediction import Predictor
from nnlite.utils.structures import SHAPES, arranged, flatten, map_structure
from nnlite.utils.validation import (
    as_numeric,
    check_finite,
    check_number,
    only_one,
    sample_weights,
)

__all__ = ["DataAdapter"]

Array = NDArray[Any]
AnySamples = Samples | StoredSamples | IterableSamples
AnyLoss = losses.Loss | Heads


class DataAdapter(Predictor):
    """A model that takes inputs and targets from a user: what `Trainer` builds on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: What compile was given, or the last fit chose: a loss, or a list or dict by output.
        self._loss: Any = None
        self._chooses_loss = True
        #: What its file says of compile's arguments that is not known here.
        self.unread: dict[str, Any] = {}
        self._crossentropy = False  # whether the loss that is chosen is to be one
        self._loss_weights: Any = None  # as compile was given them
        self._objective: Objective | None = None
        self.compiled_metrics = CompiledMetrics([], [])
        self.compile_arguments: dict[str, Any] = {}  # what compile was given

    def _adapt_data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        batch_size: int | None,
        part: str = "",
        loss: AnyLoss | None = None,
        like: AnySamples | None = None,
        own: bool = False,
    ) -> tuple[AnySamples, Objective]:
        """Check data of any kind, and return it as samples, with what to minimise.

        Arrays are checked whole; what is stored or comes in batches, as it is read.

        Args:
            x: The inputs, or an `HDF5`, or what gives batches.
            y: The targets.
            sample_weight: The weight of each sample.
            class_weight: The weight of each class.
            batch_size: What the user asked for.
            part: What the data are called in errors, such as ``"validation "``.
            loss: The loss that the targets are for; None for the model's own.
            like: Samples whose shape and columns ``x`` is to have.
            own: Whether a step of the user's takes them, which may do without targets.
        """
        names = (f"{part}x", f"{part}y", f"{part}sample_weight")
        if self._stores(x, y, sample_weight):
            return self._adapt_stored(x, y, sample_weight, class_weight, names, loss, like)
        if holds_batches(x) and (y is None or not isinstance(x, (list, tuple))):
            for name, given, instead in [
                ("y", y, "gives (x, y)"),
                ("sample_weight", sample_weight, "gives (x, y, sample_weight)"),
                ("batch_size", batch_size, "gives batches of its own"),
            ]:
                if given is not None:
                    raise ValueError(
                        f"{names[0]} is a {type(x).__name__}, which {instead}: give no {name}."
                    )
            return self._adapt_batches(x, class_weight, names, loss, like, own)
        return self._adapt_arrays(x, y, sample_weight, class_weight, names, loss, like, own)

    def _adapt_arrays(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str] = ("x", "y", "sample_weight"),
        loss: AnyLoss | None = None,
        like: AnySamples | None = None,
        own: bool = False,
    ) -> tuple[Samples, Objective]:
        """Check all that a step is given, and return it as arrays, with what to minimise."""
        columns = self.column_names or (like and like.names) or column_names(x)
        x = self._validate_inputs(names[0], x, like)
        types = self._input_types()
        several = type(x) is list
        first = x[0] if several else x
        label = f"{names[0]}[{output_keys(self._ends()[0])[0]!r}]" if several else names[0]
        samples = partial(
            Samples,
            dtype=types if several else types[0],
            names=None if several else columns,
            weight_dtype=self.dtype,
        )
        if own and y is None and sample_weight is None and class_weight is None:
            data = samples(x, None, None, target_dtype=self.dtype)
            return data, self._objective or Objective(self._loss_by_hand(), self)
        if self._ends()[1] is not None and len(self.output_names) > 1:
            if class_weight is not None:
                raise ValueError(
                    "class_weight is for models of a single output. Use sample_weight, by output."
                )
            outputs = self._output_shapes(x)
            ys = self._targets_by_output(names[1], y, loss, (label, first))
            heads = loss if isinstance(loss, Heads) else self._heads_for(ys, outputs)
            ys = heads.check_targets(names[1], ys, outputs)
            weights = self._weights_by_output(names[2], sample_weight, heads, outputs)
            dtypes = [
                np.intp
                if indices or (one is not None and own is None and one.dtype.kind != "f")
                else self.dtype
                for indices, own, one in zip(heads.takes_indices, heads.losses, ys, strict=True)
            ]
            return samples(x, ys, weights, target_dtype=dtypes), self._objective_for(heads)
        y = as_numeric(names[1], self._single_output(y, len(first)))
        check_rows([(label, first), (names[1], y)])
        check_finite(names[1], y, self.dtype)
        (output,) = self._output_shapes(x)
        if not isinstance(loss, losses.Loss):
            loss = self._loss_for(y, output)
        y = loss.check_targets(names[1], y, output)
        weight = None
        if sample_weight is not None:
            sample_weight = self._single_output(sample_weight, len(first))
            weight = sample_weights(names[2], sample_weight, loss.samples_shape(output), self.dtype)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("Give class_weight or sample_weight, not both.")
            weight = class_weights(class_weight, y)
        target_dtype = np.intp if loss.takes_indices else self.dtype
        data = samples(x, y, weight, target_dtype=target_dtype)
        return data, self._objective_for(loss)

    def _objective_for(self, loss: AnyLoss) -> Objective:
        """Return the objective of a loss, the one in use if it is that of this very loss."""
        known = self._objective
        return known if known is not None and known.loss is loss else Objective(loss, self)

    def _output_shapes(self, x: Any) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs for inputs ``x``."""
        if type(x) is not list and self._ends()[1] is None:
            return [(len(x), *self.sample_shape(x.shape[1:]))]
        return flatten(self.compute_output_shape(map_structure(np.shape, x)), SHAPES)

    def _single_output(self, y: Any, rows: int) -> Any:
        """Return the only array of a list or, by the name of the output, of a dict."""
        if isinstance(y, Mapping) and list(y) == output_keys(self._ends()[1] or self.output_names):
            return next(iter(y.values()))
        return y if rows == 1 else only_one(y, 1)

    def _targets_by_output(
        self, name: str, y: Any, heads: AnyLoss | None, first: tuple[str, Array]
    ) -> list[Array | None]:
        """Return the targets of each output as arrays, None where an output is left out.

        Args:
            name: What they are called.
            y: The targets.
            heads: The losses that they are for; None for those of `compile`.
            first: The first of the inputs, with its name.
        """
        structure = self._ends()[1]
        keys = output_keys(structure)
        left_out = heads.left_out if isinstance(heads, Heads) else self._left_out()
        metrics = self._metrics_of(keys, left_out)
        ys: list[Array | None] = []
        parts = arranged(name, y, structure, "output", left_out)
        for key, part in zip(keys, parts, strict=True):
            label = f"{name}[{key!r}]"
            if part is None and key in left_out and not metrics.has_metric(key):
                ys.append(None)
                continue
            array = as_numeric(label, part)
            check_rows([first, (label, array)])
            check_finite(label, array, self.dtype)
            ys.append(array)
        return ys

    def _weights_by_output(
        self, name: str, weight: Any, heads: Heads, outputs: Sequence[tuple[int, ...]]
    ) -> list[Array | None] | None:
        """Return the sample weights of each output; one array is for all of them."""
        if weight is None:
            return None
        if not is_structure(weight):
            weight = [weight] * len(outputs)
        parts = arranged(name, weight, self._ends()[1], "output", heads.left_out)
        return [
            part
            if part is None
            else sample_weights(
                f"{name}[{key!r}]",
                part,
                shape[:1] if loss is None else loss.samples_shape(shape),
                self.dtype,
            )
            for key, part, loss, shape in zip(
                heads.names, parts, heads.losses, outputs, strict=True
            )
        ]

    def _adapt_stored(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: AnyLoss | None,
        like: AnySamples | None,
    ) -> tuple[StoredSamples, Objective]:
        """Check the first row of stored data, and return what checks the rest as it is read."""
        opener, counts = open_stored(x, y, sample_weight, arrange=self._arranged)
        with opener() as columns:
            rows = len(columns[0])
            first = grouped([None if column is None else column[:1] for column in columns], counts)
        samples, objective = self._adapt_arrays(
            first[0], first[1], first[2], class_weight, names, loss, like
        )
        shapes, dtypes = zip(
            *[(None if a is None else a.shape[1:], dtype) for a, dtype in samples.columns],
            strict=True,
        )

        def admit(parts: Any, row: int) -> None:
            at = (f"{names[0]}[{row}:]", f"{names[1]}[{row}:]", f"{names[2]}[{row}:]")
            self._adapt_arrays(parts[0], parts[1], parts[2], None, at, objective.loss, like)

        weigh = None if class_weight is None else partial(class_weights, class_weight)
        return StoredSamples(opener, (0, rows), shapes, dtypes, admit, weigh, counts), objective

    def _arranged(self, parts: Sequence[Any]) -> list[Any]:
        """Return x, y and weight of stored data, each one column or a list in the model's order."""
        x, y, weight = parts
        x = self._arranged_columns(x)
        structure = self._ends()[1]
        if structure is None or len(flatten(structure)) == 1:
            return [x, y, weight]
        every = output_keys(structure)  # what is missing is told when the first row is checked
        y = arranged("y", y, structure, "output", every)
        if weight is not None and not is_structure(weight):
            weight = [weight] * len(every)
        if weight is not None:
            weight = arranged("sample_weight", weight, structure, "output", every)
        return [x, y, weight]

    def _adapt_batches(
        self,
        source: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: AnyLoss | None,
        like: AnySamples | None,
        own: bool,
    ) -> tuple[IterableSamples, Objective]:
        """Check the first batch, and return what checks the others as they come."""
        first, source = first_batch(source)

        def adapted(
            batch: Any, loss: AnyLoss | None, like: AnySamples | None
        ) -> tuple[Samples, Objective]:
            parts = unpacked(batch, targets=not own)
            return self._adapt_arrays(*parts, class_weight, names, loss, like, own)

        with named_batch(source, 0):
            samples, objective = adapted(first, loss, like)

        def admit(batch: Any) -> Any:
            return adapted(batch, objective.loss, samples)[0].whole()

        return IterableSamples(source, admit, samples.shape, samples.names), objective

    def check_read(self, argument: str) -> None:
        """Raise a ValueError if the model's file told an argument of compile that is not known."""
        if argument in self.unread:
            raise ValueError(
                f"The file of model {self.name!r} has the {argument} "
                f"{self.unread[argument]!r:.200}, which could not be taken over, as the warning "
                "said when it was loaded. Call compile(...) first, or load the file again with "
                "custom_objects={'name': ...}."
            )

    def _loss_for(self, y: Array, output_shape: tuple[int, ...]) -> losses.Loss:
        """Return the compiled loss, or without one what fits the last layer and the targets."""
        self.check_read("loss")
        loss = self._single_loss()
        if loss is not None and not self._chooses_loss:
            return loss
        fitting = default_loss(self.final_activation(), y, output_shape, self._crossentropy)
        fitting._loss_weight = one_loss_weight(self._loss_weights)
        return loss if loss is not None and type(loss) is type(fitting) else fitting

    def _single_loss(self) -> losses.Loss | None:
        """Return the loss of a single output, with its weight; None where it follows from data."""
        if is_structure(self._loss):
            structure = self._ends()[1] or self.output_names
            (given,) = losses_by_output(self._loss, structure)
            Heads(self.output_names, [given], [1.0])  # which refuses None
            self._chooses_loss = self._crossentropy = isinstance(given, str)
            self._loss = None if isinstance(given, str) else given
        loss, weight = self._loss, one_loss_weight(self._loss_weights)
        if loss is not None and loss._loss_weight != weight:
            self._loss = loss = copy.copy(loss)  # whose weight is its own
            loss._loss_weight = weight
        return loss

    def _heads_for(self, ys: Sequence[Any] | None = None, outputs: Sequence[Any] = ()) -> Heads:
        """Return the losses of several outputs, those that are to be chosen by their targets.

        Args:
            ys: The targets; None for the mean squared error where a loss is to be chosen.
            outputs: The shapes of the outputs.
        """
        self.check_read("loss")
        structure = self._ends()[1]
        given = losses_by_output(self._loss, structure)
        if not is_structure(self._loss) and self._chooses_loss:
            given = ["crossentropy" if self._crossentropy else "fitting"] * len(given)
        known = self._objective.loss if self._objective is not None else None
        before = known.losses if isinstance(known, Heads) else [None] * len(given)
        activations = final_activations(self)
        chosen: list[losses.Loss | None] = []
        for at, loss in enumerate(given):
            own = loss
            if isinstance(loss, str):
                own = losses.MeanSquaredError()
                if ys is not None:
                    own = default_loss(activations[at], ys[at], outputs[at], loss != "fitting")
                own = before[at] if type(before[at]) is type(own) else own
            chosen.append(own)
        weights = loss_weights_by_output(self._loss_weights, structure, chosen)
        heads = Heads(output_keys(structure), chosen, weights)
        return known if isinstance(known, Heads) and heads.same_as(known) else heads

    def _left_out(self) -> list[str]:
        """Return the names of the outputs that `compile` was told to leave out."""
        if not is_structure(self._loss):
            return []
        structure = self._ends()[1]
        given = losses_by_output(self._loss, structure)
        return [k for k, loss in zip(output_keys(structure), given, strict=True) if loss is None]

    def _metrics_of(self, keys: Sequence[str], left_out: Sequence[str]) -> MetricsOfOutputs:
        """Arrange the metrics of `compile` by outputs, if they are not, and return them."""
        with_loss = [key for key in keys if key not in left_out]
        known = self.compiled_metrics
        if isinstance(known, MetricsOfOutputs) and known.with_loss == with_loss:
            return known
        given = self.compile_arguments
        made = MetricsOfOutputs(
            given.get("metrics"),
            given.get("weighted_metrics"),
            self._ends()[1],
            keys,
            with_loss,
        )
        self.compiled_metrics = made
        return made

    def _loss_by_hand(self) -> AnyLoss:
        """Return what is minimised before any data have told which loss fits."""
        if self._ends()[1] is not None and len(self.output_names) > 1:
            return self._heads_for()
        return self._single_loss() or losses.MeanSquaredError()


def one_loss_weight(given: Any) -> float:
    """Return the weight of the one output, which may stand in a list or dict.

    Raises:
        TypeError: If it is not a number.
        ValueError: If there are several.
    """
    if is_structure(given):
        weights = list(given.values()) if isinstance(given, Mapping) else given
        if len(weights) != 1:
            raise ValueError(
                "loss_weights must be one number, as the model has one output. Received: "
                f"loss_weights={given!r}"
            )
        (given,) = weights
    return 1.0 if given is None else check_number("loss_weights", given, -math.inf)
