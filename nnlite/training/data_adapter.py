"""Checks the arguments of fit, evaluate and predict and turns them into samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from nnlite import losses
from nnlite.backend.structure_cache import per_structure, without_memo
from nnlite.config import data_type
from nnlite.data.arrays import Samples, check_rows, grouped
from nnlite.data.blocks import StoredSamples
from nnlite.data.frames import column_names, in_order
from nnlite.data.iterables import first_batch, named_batch
from nnlite.data.sources import IterableSamples, holds_batches, is_stored, open_stored, unpacked
from nnlite.data.weights import class_weights
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import Shape, fits
from nnlite.training.compiled_loss import AnyLoss, CompiledLoss
from nnlite.training.heads import Heads, is_structure, output_keys
from nnlite.utils.structures import SHAPES, arranged, flatten, map_structure, pack_as
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    as_features,
    as_numeric,
    as_text,
    check_entries,
    check_finite,
    only_one,
    sample_weights,
    with_rank_of,
)

__all__ = ["AnySamples", "DataAdapter"]

AnySamples = Samples | StoredSamples | IterableSamples

_INDEX = np.dtype(np.intp)


class DataAdapter:
    """Checks a model's data and turns it into samples.

    Args:
        model: The model.
        loss: The model's loss, which decides which targets fit.
    """

    def __init__(self, model: AbstractModel, loss: CompiledLoss) -> None:
        self.model = model
        self.loss = loss

    def __getstate__(self) -> dict[str, Any]:
        return without_memo(vars(self))

    def data(
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
    ) -> tuple[AnySamples, AnyLoss]:
        """Check data of any kind, and return it as samples, with the loss to minimize.

        Arrays are checked at once; stored data and batches are checked as they are read.

        Args:
            x: The inputs, or an `HDF5`, or an iterable of batches.
            y: The targets.
            sample_weight: The weight of each sample.
            class_weight: The weight of each class.
            batch_size: The user's batch size.
            part: The name of the data in errors, such as ``"validation "``.
            loss: The loss that the targets are for; None for the model's own.
            like: Samples whose shape and columns ``x`` must have.
            own: Whether a user's step takes the data; the targets may then be missing.
        """
        names = (f"{part}x", f"{part}y", f"{part}sample_weight")
        if self.stores(x, y, sample_weight):
            return self._stored(x, y, sample_weight, class_weight, names, loss, like)
        if holds_batches(x) and (y is None or not isinstance(x, (list, tuple))):
            for name, given, instead in [
                ("y", y, "gives (x, y)"),
                ("sample_weight", sample_weight, "gives (x, y, sample_weight)"),
                ("batch_size", batch_size, "gives its own batches"),
            ]:
                if given is not None:
                    raise ValueError(
                        f"{names[0]} is a {type(x).__name__}, which {instead}: do not pass {name}."
                    )
            return self._batches(x, class_weight, names, loss, like, own)
        return self.arrays(x, y, sample_weight, class_weight, names, loss, like, own)

    def arrays(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str] = ("x", "y", "sample_weight"),
        loss: AnyLoss | None = None,
        like: AnySamples | None = None,
        own: bool = False,
    ) -> tuple[Samples, AnyLoss]:
        """Check the data of a step, and return it as arrays, with the loss to minimize."""
        columns = self.model.column_names or (like and like.names) or column_names(x)
        x = self.validate(names[0], x, like)
        types = self.input_types()
        several = type(x) is list
        first = x[0] if several else x
        label = f"{names[0]}[{output_keys(self.ends()[0])[0]!r}]" if several else names[0]
        dtype = np.dtype(self.model.dtype)

        def samples(y: Any, weight: Any, target_dtype: Any) -> Samples:
            own_types, own_names = (types, None) if several else (types[0], columns)
            return Samples(x, y, weight, own_types, target_dtype, own_names, dtype)

        if own and y is None and sample_weight is None and class_weight is None:
            return samples(None, None, dtype), self.loss.in_use or self.loss.by_hand()
        if self.ends()[1] is not None and len(self.model.output_names) > 1:
            if class_weight is not None:
                raise ValueError(
                    "class_weight is for models with one output. Use sample_weight by output."
                )
            outputs = self._output_shapes(x)
            ys = self._targets_by_output(names[1], y, loss, (label, first))
            heads = loss if isinstance(loss, Heads) else self.loss.heads(ys, outputs)
            ys = heads.check_targets(names[1], ys, outputs)
            weights = self._weights_by_output(names[2], sample_weight, heads, outputs)
            dtypes = [
                np.intp
                if indices or (one is not None and own is None and one.dtype.kind != "f")
                else dtype
                for indices, own, one in zip(heads.takes_indices, heads.losses, ys, strict=True)
            ]
            return samples(ys, weights, dtypes), heads
        y = as_numeric(names[1], self._single_output(y, len(first)))
        if y.shape[:1] != first.shape[:1]:
            check_rows([(label, first), (names[1], y)])
        check_finite(names[1], y, dtype)
        (output,) = self._output_shapes(x)
        if not isinstance(loss, losses.Loss):
            loss = self.loss.fitting(y, output)
        y = loss.check_targets(names[1], y, output)
        weight = None
        if sample_weight is not None:
            sample_weight = self._single_output(sample_weight, len(first))
            weight = sample_weights(names[2], sample_weight, loss.samples_shape(output), dtype)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("Give class_weight or sample_weight, not both.")
            weight = class_weights(class_weight, y)
        return samples(y, weight, _INDEX if loss.takes_indices else dtype), loss

    def _output_shapes(self, x: Any) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs for inputs ``x``."""
        if type(x) is not list and self.ends()[1] is None:
            return [(len(x), *self.model.sample_shape(x.shape[1:]))]
        return flatten(self.model.compute_output_shape(map_structure(np.shape, x)), SHAPES)

    def _single_output(self, y: Any, rows: int) -> Any:
        """Return the only array of a list, or of a dict with the name of the output."""
        if type(y) is np.ndarray:
            return y
        if isinstance(y, Mapping) and list(y) == output_keys(
            self.ends()[1] or self.model.output_names
        ):
            return next(iter(y.values()))
        return y if rows == 1 else only_one(y, 1)

    def _targets_by_output(
        self, name: str, y: Any, heads: AnyLoss | None, first: tuple[str, Array]
    ) -> list[Array | None]:
        """Return the targets of each output as arrays, None if an output is left out.

        Args:
            name: The targets' name in errors.
            y: The targets.
            heads: The losses of the targets; None for those of `compile`.
            first: The first input, with its name.
        """
        structure = self.ends()[1]
        keys = output_keys(structure)
        left_out = heads.left_out if isinstance(heads, Heads) else self.loss.left_out()
        metrics = self.loss.metrics_of(keys, left_out)
        ys: list[Array | None] = []
        parts = arranged(name, y, structure, "output", left_out)
        for key, part in zip(keys, parts, strict=True):
            label = f"{name}[{key!r}]"
            if part is None and key in left_out and not metrics.has_metric(key):
                ys.append(None)
                continue
            array = as_numeric(label, part)
            check_rows([first, (label, array)])
            check_finite(label, array, self.model.dtype)
            ys.append(array)
        return ys

    def _weights_by_output(
        self, name: str, weight: Any, heads: Heads, outputs: Sequence[tuple[int, ...]]
    ) -> list[Array | None] | None:
        """Return the sample weights of each output; one array is for all outputs."""
        if weight is None:
            return None
        if not is_structure(weight):
            weight = [weight] * len(outputs)
        parts = arranged(name, weight, self.ends()[1], "output", heads.left_out)
        return [
            part
            if part is None
            else sample_weights(
                f"{name}[{key!r}]",
                part,
                shape[:1] if loss is None else loss.samples_shape(shape),
                self.model.dtype,
            )
            for key, part, loss, shape in zip(
                heads.names, parts, heads.losses, outputs, strict=True
            )
        ]

    def _stored(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: AnyLoss | None,
        like: AnySamples | None,
    ) -> tuple[StoredSamples, AnyLoss]:
        """Check the first row of stored data, and return samples that are checked when read."""
        opener, counts = open_stored(x, y, sample_weight, arrange=self._arranged)
        with opener() as columns:
            rows = len(columns[0])
            first = grouped([None if column is None else column[:1] for column in columns], counts)
        samples, chosen = self.arrays(first[0], first[1], first[2], class_weight, names, loss, like)
        shapes, dtypes = zip(
            *[(None if a is None else a.shape[1:], dtype) for a, dtype in samples.columns],
            strict=True,
        )

        def admit(parts: Any, row: int) -> None:
            at = (f"{names[0]}[{row}:]", f"{names[1]}[{row}:]", f"{names[2]}[{row}:]")
            self.arrays(parts[0], parts[1], parts[2], None, at, chosen, like)

        weigh = None if class_weight is None else partial(class_weights, class_weight)
        return StoredSamples(opener, (0, rows), shapes, dtypes, admit, weigh, counts), chosen

    def _arranged(self, parts: Sequence[Any]) -> list[Any]:
        """Return x, y and weight of stored data, each one column or a list in the model's order."""
        x, y, weight = parts
        x = self._arranged_columns(x)
        structure = self.ends()[1]
        if structure is None or len(flatten(structure)) == 1:
            return [x, y, weight]
        every = output_keys(structure)  # checking the first row finds missing ones
        y = arranged("y", y, structure, "output", every)
        if weight is not None and not is_structure(weight):
            weight = [weight] * len(every)
        if weight is not None:
            weight = arranged("sample_weight", weight, structure, "output", every)
        return [x, y, weight]

    def _batches(
        self,
        source: Any,
        class_weight: Any,
        names: tuple[str, str, str],
        loss: AnyLoss | None,
        like: AnySamples | None,
        own: bool,
    ) -> tuple[IterableSamples, AnyLoss]:
        """Check the first batch, and return samples that check the others when read."""
        first, source = first_batch(source)

        def adapted(
            batch: Any, loss: AnyLoss | None, like: AnySamples | None
        ) -> tuple[Samples, AnyLoss]:
            parts = unpacked(batch, targets=not own)
            return self.arrays(*parts, class_weight, names, loss, like, own)

        with named_batch(source, 0):
            samples, chosen = adapted(first, loss, like)

        def admit(batch: Any) -> Any:
            return adapted(batch, chosen, samples)[0].whole()

        return IterableSamples(source, admit, samples.shape, samples.names), chosen

    def inputs(self, x: Any, batch_size: int | None) -> StoredSamples | IterableSamples:
        """Return stored data or batches as samples without targets."""
        if not self.stores(x):
            if batch_size is not None:
                raise ValueError("x gives its own batches: do not pass batch_size.")

            def admit_batch(batch: Any) -> Any:
                x = self.validate("x", unpacked(batch, targets=False)[0])
                return self.samples_of(x).whole()

            first, source = first_batch(x)
            with named_batch(source, 0):
                shape = map_structure(np.shape, admit_batch(first)[0])
                return IterableSamples(source, admit_batch, shape)

        def admit_rows(parts: Any, row: int) -> None:
            self.validate(f"x[{row}:]", parts[0])

        def arrange(parts: Any) -> Any:
            return [self._arranged_columns(parts[0]), None, None]

        opener, counts = open_stored(x, None, None, targets=False, arrange=arrange)
        with opener() as columns:
            rows = len(columns[0])
            first_rows = grouped([c if c is None else c[:1] for c in columns], counts)
        first = flatten(self.validate("x[0:]", first_rows[0]))
        shapes, dtypes = [a.shape[1:] for a in first], self.input_types()
        rest = (None, None)
        return StoredSamples(
            opener, (0, rows), [*shapes, *rest], [*dtypes, *rest], admit_rows, counts=counts
        )

    def samples_of(self, x: Any) -> Samples:
        """Return checked inputs as samples without targets."""
        types = self.input_types()
        return Samples(x, None, None, types if type(x) is list else types[0], None)

    @per_structure
    def input_types(self) -> list[np.dtype[Any]]:
        """Return the type of each input's arrays."""
        return [data_type(dtype) for dtype in self.model.input_dtypes]

    @per_structure
    def ends(self) -> tuple[Any, Any]:
        """Return the names of the inputs and outputs, in the same structures.

        For a single array it is None instead of a name.
        """
        if not self.model.built:
            return None, None
        ends = (
            (self.model.input_structure(), self.model.input_names),
            (self.model.output_structure(), self.model.output_names),
        )
        inputs, outputs = [
            pack_as(own, names) if isinstance(own, (list, dict)) else None for own, names in ends
        ]
        return inputs, outputs

    def packed(self, x: Any) -> Any:
        """Return a batch of inputs in the structure that `call` takes."""
        inputs = self.ends()[0]
        return x if inputs is None else pack_as(inputs, flatten(x))

    def structure_of(self, x: Any) -> Any:
        """Return the names of the inputs as `ends`; a model not built takes the structure of x."""
        if self.model.built or self.model.single_ended:
            return self.ends()[0]
        if isinstance(x, Mapping):
            return {key: key for key in x}
        several = isinstance(x, (list, tuple)) and len(x) > 1
        if several and all(len(getattr(part, "shape", ())) > 1 for part in x):
            return [str(at) for at in range(len(x))]
        return None

    def arranged_input(self, name: str, x: Any) -> Any:
        """Return the parts of ``x`` in a list in the order of the inputs; a single one as it is.

        Raises:
            ValueError: If an input is missing or unknown.
        """
        structure = self.structure_of(x)
        if structure is None:
            single = (
                isinstance(x, Mapping) and self.model.built and list(x) == self.model.input_names
            )
            return next(iter(x.values())) if single else x
        if len(flatten(structure)) == 1 and not isinstance(x, Mapping):
            return only_one(x, 2)
        parts = arranged(name, x, structure, "input")
        return parts if len(parts) > 1 else parts[0]

    def _arranged_columns(self, x: Any) -> Any:
        """Do as `arranged_input` for stored data.

        A user's model that is not built yet is built for the first row.
        """
        structure, parts = self.structure_of(x), self.arranged_input("x", x)
        if not (self.model.built or self.model.single_ended):
            several = type(parts) is list and structure is not None
            rows = [part[:1] for part in (parts if several else [parts])]
            self.validate("x", rows[0] if structure is None else pack_as(structure, rows))
        return parts

    def stores(self, *values: Any) -> bool:
        """Return whether any of ``values`` is or contains a dataset in a file."""
        if is_stored(*values):
            return True
        return not self.model.single_ended and any(
            is_stored(*(value.values() if isinstance(value, Mapping) else value))
            for value in values
            if isinstance(value, (Mapping, list, tuple))
        )

    def validate(self, name: str, x: Any, like: Any = None) -> Any:
        """Return ``x`` as an array that the model can take, or as a list with one per input.

        A user's model that is not built yet is built for the shapes of ``x``.

        Args:
            name: The name of ``x`` in errors.
            x: The inputs.
            like: The training samples, if the model has not seen any yet.
        """
        plain = self._plain()
        if type(x) is np.ndarray and x.dtype == plain[1] and x.shape[1:] == plain[0] and len(x):
            check_entries(name, x, plain[1])
            return x
        if self.model.tracks_layers:
            self.model._follow_attributes()
        elif not self.model.sublayers():
            raise ValueError("The model is empty: add layers first, Sequential([Dense(1)]).")
        if type(x) is not np.ndarray or self.ends()[0] is not None:
            structure, x = self.structure_of(x), self.arranged_input(name, x)
            if structure is not None:
                arrays = self.several(name, x, structure)
                return arrays if len(arrays) > 1 else arrays[0]
        array, expected = self.aligned(name, x, like)
        array = as_features(name, array, 2 if expected is None else min(2, len(expected)))
        if not fits(array.shape, expected):
            assert expected is not None
            shape = ", ".join(["samples", *map(str, expected[1:])])
            raise ValueError(
                f"Model {self.model.name!r}, whose first layer is "
                f"{self.model.sublayers()[0].name!r}, expects {name} of shape ({shape}). "
                f"Received: {name} of shape {array.shape}"
            )
        if not (self.model.built or self.model.single_ended):
            self.model.build((None, *array.shape[1:]))
        check_entries(name, array, self.input_types()[0])
        return array

    @per_structure
    def _plain(self) -> tuple[Any, Any]:
        """Return the sample shape and type that a model with one input takes unchanged."""
        model = self.model
        if not model.built or model.tracks_layers or self.ends()[0] is not None:
            return None, None
        assert model.input_shape is not None  # it is built
        shape, dtype = model.input_shape[1:], self.input_types()[0]
        return (shape, dtype) if dtype.kind == "f" and shape else (None, None)

    def several(self, name: str, parts: Any, structure: Any) -> list[Array]:
        """Return the parts from `arranged_input` as checked arrays."""
        keys = sorted(structure) if isinstance(structure, dict) else []
        leaves = flatten(structure)
        parts = parts if len(leaves) > 1 else [parts]
        labels = [f"{name}[{key!r}]" for key in (keys if len(keys) == len(leaves) else leaves)]
        shapes = (
            flatten(self.model.input_shape, SHAPES) if self.model.built else [None] * len(parts)
        )
        arrays = []
        types = self.input_types() if self.model.built else [None] * len(parts)
        for label, part, shape, dtype in zip(labels, parts, shapes, types, strict=True):
            array = with_rank_of(_entries(label, part, dtype), shape)
            array = as_features(label, array, 2 if shape is None else min(2, len(shape)))
            if not fits(array.shape, shape):
                wanted = ", ".join(["samples", *map(str, shape[1:])])
                raise ValueError(
                    f"Model {self.model.name!r} expects {label} of shape ({wanted}). Received: "
                    f"{label} of shape {array.shape}"
                )
            arrays.append(array)
        check_rows(zip(labels, arrays, strict=True))
        if not self.model.built:
            self.model.build(pack_as(structure, [(None, *array.shape[1:]) for array in arrays]))
        for label, array, dtype in zip(labels, arrays, self.input_types(), strict=True):
            check_entries(label, array, dtype)
        return arrays

    def aligned(self, name: str, x: Any, like: Any = None) -> tuple[Array, Shape | None]:
        """Return ``x`` with the model's columns and last axis, and the expected shape."""
        expected = self.model.input_shape if self.model.built else self.model.declared_input_shape()
        names = self.model.column_names
        if like is not None:
            expected, names = expected or like.shape, names or like.names
        if type(x) is not np.ndarray:
            x = only_one(x, 2 if expected is None else max(2, len(expected)))
            x = in_order(name, x, names)
        known = self.model.built or self.model.single_ended
        x = _entries(name, x, self.input_types()[0] if known else None)
        fitting = expected is not None and x.ndim == len(expected)
        return (x if fitting else with_rank_of(x, expected)), expected


def _entries(name: str, value: Any, dtype: np.dtype[Any] | None) -> Array:
    """Return ``value`` as an array of ``dtype``, numbers or text; None allows both."""
    if dtype is None:
        kind = getattr(np.asarray(value), "dtype", np.dtype(float)).kind
        dtype = np.dtype(object if kind in "OUST" else float)
    return as_text(name, value) if dtype.kind == "O" else as_numeric(name, value)
