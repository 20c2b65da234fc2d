"""Running a model forward: predict, and the check of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite.backend.structure_cache import per_structure
from nnlite.callbacks import Callback, CallbackList
from nnlite.data.arrays import Samples, check_rows, grouped, rows_of
from nnlite.data.blocks import StoredSamples
from nnlite.data.epochs import Epochs
from nnlite.data.frames import in_order
from nnlite.data.iterables import first_batch, named_batch
from nnlite.data.sources import (
    IterableSamples,
    holds_batches,
    is_stored,
    open_stored,
    unpack_x_y_sample_weight,
    unpacked,
)
from nnlite.execution import Graph
from nnlite.layers.abstract_model import AbstractModel
from nnlite.layers.layer import Layer, Shape, Shapes, fits
from nnlite.symbolic import KerasTensor, any_symbolic
from nnlite.symbolic import in_order as nodes_in_order
from nnlite.training.model_lock import ReadersWriterLock
from nnlite.utils import user_code
from nnlite.utils.overrides import overridden
from nnlite.utils.progress import Progress, check_verbose
from nnlite.utils.structures import SHAPES, arranged, flatten, map_structure, pack_as
from nnlite.utils.validation import (
    as_features,
    as_numeric,
    check_entries,
    only_one,
    optional_count,
    with_rank_of,
)

__all__ = ["Predictor", "default_batch_size"]

Array = NDArray[Any]

BATCH_SIZE = 32  # Keras's default
_ENTRIES = 131_072  # about how many a layer's output has when predict fills the cache with it


def default_batch_size(rows: int | None, steps: int | None) -> int:
    """Return 32, or with ``steps`` and a known number of rows, what makes so many batches of all.

    >>> default_batch_size(100, None), default_batch_size(100, 8)
    (32, 13)
    """
    return -(-rows // steps) if rows and steps else BATCH_SIZE


def _apart(y: Array, x: Any) -> Array:
    """Return an output that shares no memory with the inputs."""
    inputs = x if type(x) is list else [x]
    return y.copy() if any(np.may_share_memory(y, one) for one in inputs) else y


class Predictor(AbstractModel):
    """A model that takes its inputs from a user: what `Trainer` and `Sequential` build on."""

    builds_once = False

    #: Whether it has one input and one output, whatever it is built for.
    single_ended: ClassVar[bool] = False

    _input_shape: Shapes = None

    #: Whether `predict_step` is called, or what it does is done without a detour.
    predicts_own: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.predicts_own = overridden(cls, "predict_step")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = ReadersWriterLock()
        self.stop_predicting = False
        self.column_names: tuple[str, ...] | None = None  # of the frame that it was trained on

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """Return the output for every sample of ``x``, a new array, or a list or dict of arrays.

        Many threads may predict on one model at once; where one trains it meanwhile, each batch is
        predicted with the weights as they are between two steps.

        Args:
            x: The inputs, as for `fit`.
            batch_size: Samples taken at once; by default as many as suit the cache.
            verbose: 1 shows a progress bar; ``"auto"`` does on a terminal, when it takes long.
            steps: How many batches to take; None takes all. Without a ``batch_size``, all samples
                come in so many batches.
            callbacks: One callback or a list, whose ``on_predict_...`` hooks are called.

        Raises:
            TypeError: If ``x`` is not numeric.
            ValueError: If its shape is not the model's, or an entry is not finite.
        """
        check_verbose(verbose)
        size = optional_count("batch_size", batch_size)
        steps = optional_count("steps", steps)
        if type(x) is np.ndarray or not (self._stores(x) or holds_batches(x)):
            x = self._validate_inputs("x", x)
            if callbacks is None and steps is None and rows_of(x) <= (size or BATCH_SIZE):
                return self._predict_batch(x)
            types = self._input_types()
            inputs: Any = Samples(x, None, None, types if type(x) is list else types[0], None)
        else:
            inputs = self._inputs(x, size)
        hooks = CallbackList(callbacks)
        bar = Progress(verbose, 1, delay=0.5)
        if not self.built:
            self.build((None, *inputs.shape[1:]))
        rows = inputs.rows
        size = size or (default_batch_size(rows, steps) if steps else self._rows_at_once())
        batches = Epochs(inputs.batches(size), steps, "steps")
        if rows is not None and steps is not None:
            rows = min(rows, steps * size)
        parts: list[list[Array]] = []  # the arrays of each batch, or those of all rows
        structure: Any = None
        start = 0
        hooks.begin(self, verbose=verbose, epochs=1, steps=batches.length)
        if hooks.callbacks:  # another thread's flag is its own
            self.stop_predicting = False
        hooks.call("on_predict_begin")
        with np.errstate(under="ignore"), bar as progress, closing(batches):
            progress.begin_epoch(0, batches.length)
            for step, (batch, *_) in enumerate(batches):
                hooks.call("on_predict_batch_begin", step)
                structure = map_structure(lambda y: _apart(y, batch), self._predict(batch))  # noqa: B023  called at once
                part = flatten(structure)
                if rows is None:
                    parts.append(part)
                else:
                    if not parts:
                        parts.append([np.empty((rows, *y.shape[1:]), y.dtype) for y in part])
                    for whole, y in zip(parts[0], part, strict=True):
                        whole[start : start + len(y)] = y
                    start += len(part[0])
                hooks.call("on_predict_batch_end", step, logs={"outputs": structure})
                progress.step(dict)
                if hooks.callbacks and self.stop_predicting:
                    break
        hooks.call("on_predict_end")
        if rows is not None and start < rows:
            parts[0] = [whole[:start].copy() for whole in parts[0]]
        if len(parts) == 1:
            return pack_as(structure, parts[0])
        return pack_as(structure, [np.concatenate(each) for each in zip(*parts, strict=True)])

    def predict_on_batch(self, x: Any) -> Any:
        """Return the output for ``x`` as one batch; as `predict`, without its options."""
        return self._predict_batch(self._validate_inputs("x", x))

    def _predict_batch(self, x: Any) -> Any:
        if type(x) is list:
            x = [a.astype(t, copy=False) for a, t in zip(x, self._input_types(), strict=True)]
        else:
            if not self.built:
                self.build((None, *x.shape[1:]))
            x = x.astype(self._input_types()[0], copy=False)
        with np.errstate(under="ignore"):
            output = self._predict(x)
        if type(output) is np.ndarray:
            return output if output.base is None and output is not x else _apart(output, x)
        return map_structure(lambda y: _apart(y, x), output)

    def predict_step(self, data: Any) -> Any:
        """Return the output for one batch: what `predict` calls where a subclass overrides it.

        Args:
            data: ``(x,)``, as `nnlite.utils.unpack_x_y_sample_weight` takes it.

        >>> from nnlite import Sequential
        >>> from nnlite.layers import Dense
        >>> class Doubled(Sequential):
        ...     def predict_step(self, data):
        ...         return 2 * super().predict_step(data)
        >>> Doubled([Dense(1, kernel_initializer="ones")]).predict(np.array([[1.0, 2.0]]))
        array([[6.]], dtype=float32)
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self.run_forward(x)

    def _predict(self, x: Any) -> Any:
        """Return the output for one batch, with the weights as they are between two steps."""
        self.lock.acquire_read()
        try:
            if not (self.predicts_own or self.of_user):
                return self.forward(x)
            x = self._packed_input(x)
            if not self.predicts_own:
                return self.run_forward(x)
            what = f"predict_step of model {self.name!r}"
            output = self.predict_step((map_structure(user_code.read_only, x),))
            return map_structure(lambda y: user_code.floats(what, y, None, self.dtype), output)
        finally:
            self.lock.release_read()

    def _rows_at_once(self) -> int:
        """Return how many samples make the widest layer's output fill the cache, not more."""
        nodes = nodes_in_order(self.outputs, until=self.inputs)
        shapes = [tensor.shape for node in nodes for tensor in node.outputs]
        widest = max([1, *(math.prod(size or 1 for size in shape[1:]) for shape in shapes)])
        return max(BATCH_SIZE, _ENTRIES // widest)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers; see `Sequential.build`."""
        raise NotImplementedError

    def _inputs(self, x: Any, batch_size: int | None) -> StoredSamples | IterableSamples:
        """Return what is stored, or comes in batches, as samples without targets."""
        if not self._stores(x):
            if batch_size is not None:
                raise ValueError("x gives batches of its own: give no batch_size.")

            def admit_batch(batch: Any) -> Any:
                x = self._validate_inputs("x", unpacked(batch, targets=False)[0])
                types = self._input_types()
                return Samples(x, None, None, types if type(x) is list else types[0], None).whole()

            first, source = first_batch(x)
            with named_batch(source, 0):
                shape = map_structure(np.shape, admit_batch(first)[0])
                return IterableSamples(source, admit_batch, shape)

        def admit_rows(parts: Any, row: int) -> None:
            self._validate_inputs(f"x[{row}:]", parts[0])

        def arrange(parts: Any) -> Any:
            return [self._arranged_columns(parts[0]), None, None]

        opener, counts = open_stored(x, None, None, targets=False, arrange=arrange)
        with opener() as columns:
            rows = len(columns[0])
            first_rows = grouped([c if c is None else c[:1] for c in columns], counts)
        first = flatten(self._validate_inputs("x[0:]", first_rows[0]))
        shapes, dtypes = [a.shape[1:] for a in first], self._input_types()
        rest = (None, None)
        return StoredSamples(
            opener, (0, rows), [*shapes, *rest], [*dtypes, *rest], admit_rows, counts=counts
        )

    # ---- several inputs -------------------------------------------------------------------

    @per_structure
    def _input_types(self) -> list[Any]:
        """Return the type of each input's arrays."""
        return [np.dtype(dtype) for dtype in self.input_dtypes]

    @per_structure
    def _ends(self) -> tuple[Any, Any]:
        """Return the names of the inputs and of the outputs, in structures as those have.

        A single array is told by None, in the place of a name.
        """
        if not self.built:
            return None, None
        ends = (
            (self.input_structure(), self.input_names),
            (self.output_structure(), self.output_names),
        )
        inputs, outputs = [
            pack_as(own, names) if isinstance(own, (list, dict)) else None for own, names in ends
        ]
        return inputs, outputs

    def _packed_input(self, x: Any) -> Any:
        """Return a batch of inputs in the structure that `call` takes."""
        inputs = self._ends()[0]
        return x if inputs is None else pack_as(inputs, flatten(x))

    def _input_structure(self, x: Any) -> Any:
        """Return the names of the inputs, as `_ends`; of a model to be built, as ``x`` has it."""
        if self.built or self.single_ended:
            return self._ends()[0]
        if isinstance(x, Mapping):
            return {key: key for key in x}
        several = isinstance(x, (list, tuple)) and len(x) > 1
        if several and all(len(getattr(part, "shape", ())) > 1 for part in x):
            return [str(at) for at in range(len(x))]
        return None

    def _arranged_input(self, name: str, x: Any) -> Any:
        """Return the parts of ``x`` in a list, in the order of the inputs; a single one as it is.

        Raises:
            ValueError: If an input is missing, or there is one more.
        """
        structure = self._input_structure(x)
        if structure is None:
            single = isinstance(x, Mapping) and self.built and list(x) == self.input_names
            return next(iter(x.values())) if single else x
        if len(flatten(structure)) == 1 and not isinstance(x, Mapping):
            return only_one(x, 2)
        parts = arranged(name, x, structure, "input")
        return parts if len(parts) > 1 else parts[0]

    def _arranged_columns(self, x: Any) -> Any:
        """Return what `_arranged_input` does of stored data.

        A model of the user's that is not built yet is built for the first row.
        """
        structure, parts = self._input_structure(x), self._arranged_input("x", x)
        if not (self.built or self.single_ended):
            several = type(parts) is list and structure is not None
            rows = [part[:1] for part in (parts if several else [parts])]
            self._validate_inputs("x", rows[0] if structure is None else pack_as(structure, rows))
        return parts

    def _stores(self, *values: Any) -> bool:
        """Return whether any of ``values`` is a dataset in a file, or has one among its parts."""
        if is_stored(*values):
            return True
        return not self.single_ended and any(
            is_stored(*(value.values() if isinstance(value, Mapping) else value))
            for value in values
            if isinstance(value, (Mapping, list, tuple))
        )

    # ---- the check of inputs --------------------------------------------------------------

    def _validate_inputs(self, name: str, x: Any, like: Any = None) -> Any:
        """Return ``x`` as an array that the model can take, or as a list of them, one an input.

        A model of the user's that is not built yet is built for the shapes that ``x`` has.

        Args:
            name: What it is called in errors.
            x: The inputs.
            like: Samples that the model will take, if it has met none yet.
        """
        if self.tracks_layers:
            self._follow_attributes()
        elif not self.sublayers():
            raise ValueError("The model is empty: add layers first, Sequential([Dense(1)]).")
        if type(x) is not np.ndarray or self._ends()[0] is not None:
            structure, x = self._input_structure(x), self._arranged_input(name, x)
            if structure is not None:
                arrays = self._several_inputs(name, x, structure)
                return arrays if len(arrays) > 1 else arrays[0]
        array, expected = self._aligned(name, x, like)
        array = as_features(name, array, 2 if expected is None else min(2, len(expected)))
        if not fits(array.shape, expected):
            assert expected is not None
            shape = ", ".join(["samples", *map(str, expected[1:])])
            raise ValueError(
                f"Model {self.name!r}, whose first layer is {self.sublayers()[0].name!r}, expects "
                f"{name} of shape ({shape}). Received: {name} of shape {array.shape}"
            )
        if not (self.built or self.single_ended):
            self.build((None, *array.shape[1:]))
        check_entries(name, array, self._input_types()[0])
        return array

    def _several_inputs(self, name: str, parts: Any, structure: Any) -> list[Array]:
        """Return what `_arranged_input` returned as arrays, each checked."""
        keys = sorted(structure) if isinstance(structure, dict) else []
        leaves = flatten(structure)
        parts = parts if len(leaves) > 1 else [parts]
        labels = [f"{name}[{key!r}]" for key in (keys if len(keys) == len(leaves) else leaves)]
        shapes = flatten(self.input_shape, SHAPES) if self.built else [None] * len(parts)
        arrays = []
        for label, part, shape in zip(labels, parts, shapes, strict=True):
            array = with_rank_of(as_numeric(label, part), shape)
            array = as_features(label, array, 2 if shape is None else min(2, len(shape)))
            if not fits(array.shape, shape):
                wanted = ", ".join(["samples", *map(str, shape[1:])])
                raise ValueError(
                    f"Model {self.name!r} expects {label} of shape ({wanted}). Received: {label} "
                    f"of shape {array.shape}"
                )
            arrays.append(array)
        check_rows(zip(labels, arrays, strict=True))
        if not self.built:
            self.build(pack_as(structure, [(None, *array.shape[1:]) for array in arrays]))
        for label, array, dtype in zip(labels, arrays, self._input_types(), strict=True):
            check_entries(label, array, dtype)
        return arrays

    def _aligned(self, name: str, x: Any, like: Any = None) -> tuple[Array, Shape | None]:
        """Return ``x``, its columns and last axis as the model has them, and the shape to have."""
        expected = self.input_shape if self.built else self.declared_input_shape()
        names = self.column_names
        if like is not None:
            expected, names = expected or like.shape, names or like.names
        if type(x) is not np.ndarray:
            x = only_one(x, 2 if expected is None else max(2, len(expected)))
            x = as_numeric(name, in_order(name, x, names))
        fitting = expected is not None and x.ndim == len(expected)
        return (x if fitting else with_rank_of(x, expected)), expected

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the output for ``x`` as one batch, a new array; the inputs are as for `predict`.

        Raises:
            TypeError: If ``x`` is not numeric.
            ValueError: If its shape does not fit the model.
        """
        if self.tracks_layers:
            self._follow_attributes()
        if any_symbolic(x) or mask is not None:
            return super().__call__(x, training, mask)
        if type(x) is not np.ndarray or self._ends()[0] is not None:
            structure, x = self._input_structure(x), self._arranged_input("x", x)
            if structure is not None:
                x = self._packed_input(self._several_inputs("x", x, structure))
                return super().__call__(x, training)
        x, dtype = self._aligned("x", x)[0], self._input_types()[0]
        if dtype.kind != "f":
            check_entries("x", x, dtype)
        return super().__call__(x, training)

    def _follow_attributes(self) -> None:
        """Take note of layers that attributes of a subclass have come to hold."""
        raise NotImplementedError

    def graph(self, training: bool) -> Graph:
        """Return the calls of the layers in order; see `nnlite.Model.graph`."""
        raise NotImplementedError

    def final_activation(self) -> Layer | None:
        """Return the activation that the model ends in, if it does."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors that stand for the inputs; see `nnlite.Model.inputs`."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[KerasTensor]:
        """The tensors that stand for the outputs; see `nnlite.Model.outputs`."""
        raise NotImplementedError

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that put out the outputs."""
        raise NotImplementedError

    @property
    def input_dtypes(self) -> list[str]:
        """The type of each input's entries."""
        raise NotImplementedError

    def input_structure(self) -> Any:
        """Return a structure as that of the input; see `nnlite.Model.input_structure`."""
        raise NotImplementedError

    def output_structure(self) -> Any:
        """Return a structure as that of the output; see `nnlite.Model.output_structure`."""
        raise NotImplementedError

    def declared_input_shape(self) -> Shape | None:
        """Return the input shape that the layers state, if they do."""
        raise NotImplementedError

    def step_penalty(self) -> float:
        """Return the penalties on outputs of the last step; see `Sequential.step_penalty`."""
        raise NotImplementedError

    def activity_penalty(self, x: Array) -> float:
        """Return the penalties on outputs for ``x``; see `Sequential.activity_penalty`."""
        raise NotImplementedError
