"""Running a model forward: predict, and the door that its inputs come through."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.callbacks import Callback, CallbackList
from nnlite.checks import as_features, check_count, check_finite, optional_count
from nnlite.data import ArrayBatches
from nnlite.layers.layer import Layer, Shape, fits
from nnlite.progress import Progress, check_verbose
from nnlite.structure import per_structure

__all__ = ["Predictor"]

Array = NDArray[Any]

BATCH_SIZE = 32  # Keras's default
_ENTRIES = 131_072  # about how many a layer's output has when predict fills the cache with it


class Predictor(Layer):
    """A model that takes its inputs from a user: what `Trainer` and `Sequential` build on."""

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Array:
        """Return the output for every sample of ``x``, a new array.

        Many threads may predict on one model at once, as long as none trains it.

        Args:
            x: The inputs, as for `fit`.
            batch_size: Samples taken at once; by default as many as suit the cache.
            verbose: 1 shows a progress bar; ``"auto"`` does on a terminal, when it takes long.
            steps: How many batches to take; None takes all.
            callbacks: One callback or a list, whose ``on_predict_...`` hooks are called.

        Raises:
            TypeError: If ``x`` is not numeric.
            ValueError: If its shape is not the model's, or an entry is not finite.
        """
        x = self._input_door("x", x)
        check_verbose(verbose)
        size = optional_count("batch_size", batch_size)
        if steps is not None:
            steps = check_count("steps", steps, 1)
            size = size or BATCH_SIZE
            if steps > -(-len(x) // size):
                warnings.warn(
                    f"The data ended before steps={steps}: there are {-(-len(x) // size)} batches.",
                    stacklevel=2,
                )
            x = x[: steps * size]
        if callbacks is None and len(x) <= (size or BATCH_SIZE):
            return self._predict_batch(x)
        hooks = CallbackList(callbacks, None, self, {"verbose": verbose})
        if not self.built:
            self.build((None, *x.shape[1:]))
        bar = Progress(verbose, 1, delay=0.5)
        batches = ArrayBatches([(x, self.dtype)], size or self._rows_at_once())
        output: Array | None = None
        start = 0
        hooks.call("on_predict_begin")
        with np.errstate(under="ignore"), bar as progress:
            progress.begin_epoch(0, len(batches))
            for step, (batch,) in enumerate(batches):
                hooks.call("on_predict_batch_begin", step)
                part = self.forward(batch)
                if output is None:
                    output = np.empty((len(x), *part.shape[1:]), part.dtype)
                output[start : start + len(part)] = part
                start += len(part)
                hooks.call("on_predict_batch_end", step, logs={"outputs": part})
                progress.step(dict)
        hooks.call("on_predict_end")
        assert output is not None  # x is not empty
        return output

    def predict_on_batch(self, x: Any) -> Array:
        """Return the output for ``x`` as one batch; as `predict`, without its options."""
        return self._predict_batch(self._input_door("x", x))

    def _predict_batch(self, x: Array) -> Array:
        if not self.built:
            self.build((None, *x.shape[1:]))
        x = x.astype(self.dtype, copy=False)
        with np.errstate(under="ignore"):
            output = self.forward(x)
        return output.copy() if np.may_share_memory(output, x) else output

    def _rows_at_once(self) -> int:
        """Return how many samples make the widest layer's output fill the cache, not more."""
        shape, widest = self.input_shape, 1
        for layer in self.sublayers():
            shape = layer.compute_output_shape(shape or ())
            widest = max(widest, int(np.prod([size or 1 for size in shape[1:]])))
        return max(BATCH_SIZE, _ENTRIES // widest)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers; see `Sequential.build`."""
        raise NotImplementedError

    def _input_door(self, name: str, x: Any, like: tuple[int, ...] | None = None) -> Array:
        """Return ``x`` as an array that the model can take; ``like`` is a shape it will take."""
        if not self.sublayers():
            raise ValueError("The model is empty: add layers first, Sequential([Dense(1)]).")
        array = as_features(name, x)
        expected = self.input_shape if self.built else self.declared_input_shape() or like
        if not fits(array.shape, expected):
            assert expected is not None
            shape = ", ".join(["samples", *map(str, expected[1:])])
            raise ValueError(
                f"Model {self.name!r}, whose first layer is {self.sublayers()[0].name!r}, expects "
                f"{name} of shape ({shape}). Received: {name} of shape {array.shape}"
            )
        check_finite(name, array, self.dtype)
        return array

    def _sample_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one sample's output, given that of its input."""
        known = self._sample_shapes()
        if input_shape not in known:
            shape: Any = self.compute_output_shape((None, *input_shape))
            known[input_shape] = shape[1:]
        return known[input_shape]

    @per_structure
    def _sample_shapes(self) -> dict[tuple[int, ...], tuple[int, ...]]:
        return {}

    def declared_input_shape(self) -> Shape | None:
        """Return the input shape that the layers state, if they do."""
        raise NotImplementedError

    def step_penalty(self) -> float:
        """Return the penalties on outputs of the last step; see `Sequential.step_penalty`."""
        raise NotImplementedError

    def activity_penalty(self, x: Array) -> float:
        """Return the penalties on outputs for ``x``; see `Sequential.activity_penalty`."""
        raise NotImplementedError
