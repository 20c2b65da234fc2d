"""The door to training: what a user hands to fit and evaluate, checked and made into samples."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import losses
from nnlite.data.arrays import Samples
from nnlite.data.blocks import StoredSamples
from nnlite.data.frames import column_names
from nnlite.data.iterables import first_batch, named_batch
from nnlite.data.sources import IterableSamples, holds_batches, is_stored, open_stored, unpacked
from nnlite.data.weights import class_weights
from nnlite.training.objective import Objective, default_loss
from nnlite.training.prediction import Predictor
from nnlite.utils.validation import as_numeric, check_finite, only_one, sample_weights

__all__ = ["Door"]

Array = NDArray[Any]
AnySamples = Samples | StoredSamples | IterableSamples


class Door(Predictor):
    """A model that takes inputs and targets from a user: what `Trainer` builds on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._loss: losses.Loss | None = None  # what compile was given, or the last fit chose
        self._chooses_loss = True
        #: What its file says of compile's arguments that is not known here.
        self.unread: dict[str, Any] = {}
        self._crossentropy = False  # whether the loss that is chosen is to be one
        self._loss_weight = 1.0
        self._objective: Objective | None = None

    def _data_door(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        batch_size: int | None,
        part: str = "",
        loss: losses.Loss | None = None,
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
        if is_stored(x, y, sample_weight):
            return self._stored_door(x, y, sample_weight, class_weight, names, loss, like)
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
            return self._batches_door(x, class_weight, names, loss, like, own)
        return self._door(x, y, sample_weight, class_weight, names, loss, like, own)

    def _door(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str] = ("x", "y", "sample_weight"),
        loss: losses.Loss | None = None,
        like: AnySamples | None = None,
        own: bool = False,
    ) -> tuple[Samples, Objective]:
        """Check all that a step is given, and return it as arrays, with what to minimise."""
        columns = self.column_names or (like and like.names) or column_names(x)
        x = self._input_door(names[0], x, like)
        if own and y is None and sample_weight is None and class_weight is None:
            objective = self._objective or Objective(self._loss or losses.MeanSquaredError(), self)
            return Samples(x, None, None, self.dtype, self.dtype, columns), objective
        y = as_numeric(names[1], y if len(x) == 1 else only_one(y, 1))
        if y.ndim == 0 or len(y) != len(x):
            raise ValueError(
                f"{names[0]} and {names[1]} must have the same number of samples. Received: "
                f"{names[0]} of shape {x.shape}, {names[1]} of shape {y.shape}"
            )
        check_finite(names[1], y, self.dtype)
        output = (len(x), *self.sample_shape(x.shape[1:]))
        loss = loss or self._loss_for(y, output)
        y = loss.check_targets(names[1], y, output)
        weight = None
        if sample_weight is not None:
            samples = loss.samples_shape(output)
            weight = sample_weights(names[2], sample_weight, samples, self.dtype)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("Give class_weight or sample_weight, not both.")
            weight = class_weights(class_weight, y)
        target_dtype = np.intp if loss.takes_indices else self.dtype
        data = Samples(x, y, weight, self.dtype, target_dtype, columns)
        if self._objective is not None and self._objective.loss is loss:
            return data, self._objective
        return data, Objective(loss, self)

    def _stored_door(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: losses.Loss | None,
        like: AnySamples | None,
    ) -> tuple[StoredSamples, Objective]:
        """Check the first row of stored data, and return what checks the rest as it is read."""
        opener, _ = open_stored(x, y, sample_weight)
        with opener() as columns:
            rows = len(columns[0])
            first = [None if column is None else column[:1] for column in columns]
        samples, objective = self._door(
            first[0], first[1], first[2], class_weight, names, loss, like
        )
        shapes, dtypes = zip(
            *[(None if a is None else a.shape[1:], dtype) for a, dtype in samples.columns],
            strict=True,
        )

        def admit(parts: Any, row: int) -> None:
            at = (f"{names[0]}[{row}:]", f"{names[1]}[{row}:]", f"{names[2]}[{row}:]")
            self._door(parts[0], parts[1], parts[2], None, at, objective.loss, like)

        weigh = None if class_weight is None else partial(class_weights, class_weight)
        return StoredSamples(opener, (0, rows), shapes, dtypes, admit, weigh), objective

    def _batches_door(
        self,
        source: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: losses.Loss | None,
        like: AnySamples | None,
        own: bool,
    ) -> tuple[IterableSamples, Objective]:
        """Check the first batch, and return what checks the others as they come."""
        first, source = first_batch(source)

        def door(
            batch: Any, loss: losses.Loss | None, like: AnySamples | None
        ) -> tuple[Samples, Objective]:
            parts = unpacked(batch, targets=not own)
            return self._door(*parts, class_weight, names, loss, like, own)

        with named_batch(source, 0):
            samples, objective = door(first, loss, like)

        def admit(batch: Any) -> Any:
            return door(batch, objective.loss, samples)[0].whole()

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
        loss = self._loss
        if loss is not None and not self._chooses_loss:
            return loss
        fitting = default_loss(self.final_activation(), y, output_shape, self._crossentropy)
        fitting._loss_weight = self._loss_weight
        return loss if loss is not None and type(loss) is type(fitting) else fitting
