"""Running a model forward: predict, and the door that its inputs come through."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite.callbacks import Callback, CallbackList
from nnlite.data.arrays import Samples
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
from nnlite.layers.layer import Layer, Shape, Shapes, fits
from nnlite.symbolic import any_symbolic
from nnlite.training.model_lock import Turns
from nnlite.utils import user_code
from nnlite.utils.overrides import overridden
from nnlite.utils.progress import Progress, check_verbose
from nnlite.utils.validation import (
    as_features,
    as_numeric,
    check_finite,
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


class Predictor(Layer):
    """A model that takes its inputs from a user: what `Trainer` and `Sequential` build on."""

    builds_once = False

    _input_shape: Shapes = None

    #: Whether `predict_step` is called, or what it does is done without a detour.
    predicts_own: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.predicts_own = overridden(cls, "predict_step")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.turns = Turns()
        self.stop_predicting = False
        self.column_names: tuple[str, ...] | None = None  # of the frame that it was trained on

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Array:
        """Return the output for every sample of ``x``, a new array.

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
        if type(x) is np.ndarray or not (is_stored(x) or holds_batches(x)):
            x = self._input_door("x", x)
            if callbacks is None and steps is None and len(x) <= (size or BATCH_SIZE):
                return self._predict_batch(x)
            inputs: Any = Samples(x, None, None, self.dtype, self.dtype)
        else:
            inputs = self._inputs(x, size)
        hooks = CallbackList(callbacks)
        bar = Progress(verbose, 1, delay=0.5)
        if not self.built:
            self.build((None, *inputs.shape[1:]))
        size = size or (
            default_batch_size(inputs.shape[0], steps) if steps else self._rows_at_once()
        )
        batches = Epochs(inputs.batches(size), steps, "steps")
        rows = inputs.shape[0]
        if rows is not None and steps is not None:
            rows = min(rows, steps * size)
        parts: list[Array] = []
        start = 0
        hooks.begin(self, verbose=verbose, epochs=1, steps=batches.length)
        if hooks.callbacks:  # another thread's flag is its own
            self.stop_predicting = False
        hooks.call("on_predict_begin")
        with np.errstate(under="ignore"), bar as progress, closing(batches):
            progress.begin_epoch(0, batches.length)
            for step, (batch, *_) in enumerate(batches):
                hooks.call("on_predict_batch_begin", step)
                part = self._predict(batch)
                if np.may_share_memory(part, batch):  # what callbacks keep is theirs
                    part = part.copy()
                if rows is None:
                    parts.append(part)
                else:
                    if not parts:
                        parts.append(np.empty((rows, *part.shape[1:]), part.dtype))
                    parts[0][start : start + len(part)] = part
                    start += len(part)
                hooks.call("on_predict_batch_end", step, logs={"outputs": part})
                progress.step(dict)
                if hooks.callbacks and self.stop_predicting:
                    break
        hooks.call("on_predict_end")
        if rows is not None and start < rows:
            return parts[0][:start].copy()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict_on_batch(self, x: Any) -> Array:
        """Return the output for ``x`` as one batch; as `predict`, without its options."""
        return self._predict_batch(self._input_door("x", x))

    def _predict_batch(self, x: Array) -> Array:
        if not self.built:
            self.build((None, *x.shape[1:]))
        x = x.astype(self.dtype, copy=False)
        with np.errstate(under="ignore"):
            output = self._predict(x)
        if output is x or (output.base is not None and np.may_share_memory(output, x)):
            return output.copy()
        return output

    def predict_step(self, data: Any) -> Array:
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

    def _predict(self, x: Array) -> Array:
        """Return the output for one batch, with the weights as they are between two steps."""
        self.turns.begin_reading()
        try:
            if not self.predicts_own:
                return self.run_forward(x)
            return user_code.floats(
                f"predict_step of model {self.name!r}",
                self.predict_step((user_code.read_only(x),)),
                None,
                self.dtype,
            )
        finally:
            self.turns.end_reading()

    def _rows_at_once(self) -> int:
        """Return how many samples make the widest layer's output fill the cache, not more."""
        shape, widest = self.input_shape, 1
        for layer in self.sublayers():
            shape = layer.told_shape(shape or ())
            widest = max(widest, int(np.prod([size or 1 for size in shape[1:]])))
        return max(BATCH_SIZE, _ENTRIES // widest)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers; see `Sequential.build`."""
        raise NotImplementedError

    def _inputs(self, x: Any, batch_size: int | None) -> StoredSamples | IterableSamples:
        """Return what is stored, or comes in batches, as samples without targets."""
        if not is_stored(x):
            if batch_size is not None:
                raise ValueError("x gives batches of its own: give no batch_size.")

            def admit_batch(batch: Any) -> tuple[Array]:
                array = self._input_door("x", unpacked(batch, targets=False)[0])
                return (array.astype(self.dtype, copy=False),)

            first, source = first_batch(x)
            with named_batch(source, 0):
                return IterableSamples(source, admit_batch, admit_batch(first)[0].shape)

        def admit_rows(parts: Any, row: int) -> None:
            self._input_door(f"x[{row}:]", parts[0])

        opener, _ = open_stored(x, None, None, targets=False)
        with opener() as columns:
            rows = len(columns[0])
            shape = self._input_door("x[0:]", columns[0][:1]).shape[1:]
        shapes, dtypes = (shape, None, None), (np.dtype(self.dtype), None, None)
        return StoredSamples(opener, (0, rows), shapes, dtypes, admit_rows)

    def _input_door(self, name: str, x: Any, like: Any = None) -> Array:
        """Return ``x`` as an array that the model can take.

        Args:
            name: What it is called in errors.
            x: The inputs.
            like: Samples that the model will take, if it has met none yet.
        """
        if not self.sublayers():
            raise ValueError("The model is empty: add layers first, Sequential([Dense(1)]).")
        array, expected = self._aligned(name, x, like)
        array = as_features(name, array, 2 if expected is None else min(2, len(expected)))
        if not fits(array.shape, expected):
            assert expected is not None
            shape = ", ".join(["samples", *map(str, expected[1:])])
            raise ValueError(
                f"Model {self.name!r}, whose first layer is {self.sublayers()[0].name!r}, expects "
                f"{name} of shape ({shape}). Received: {name} of shape {array.shape}"
            )
        check_finite(name, array, self.dtype)
        return array

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
        if any_symbolic(x):
            return self.on_tensors((x,), training)
        if isinstance(self._input_shape, (list, dict)):
            return super().__call__(x, training)
        return super().__call__(self._aligned("x", x)[0], training)

    def graph(self, training: bool) -> Graph:
        """Return the calls of the layers in order; see `nnlite.Model.graph`."""
        raise NotImplementedError

    def final_activation(self) -> Layer | None:
        """Return the activation that the model ends in, if it does."""
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
