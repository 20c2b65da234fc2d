"""Layers that turn entries into indices, and indices into columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.structure_cache import invalidate
from nnlite.data.iterables import is_sequence
from nnlite.layers.layer import Layer, Shape, registry
from nnlite.symbolic import any_symbolic
from nnlite.utils.structures import map_structure
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    ArgumentError,
    as_numeric,
    as_samples,
    check_count,
    check_finite,
    check_fraction,
    optional_count,
)


class Encoder(Layer):
    """Base class of layers that return indices, or a column for each index.

    They do not have a gradient: nothing before them may learn.
    """

    fixed_config: ClassVar[Mapping[str, Any]] = {"sparse": False}

    takes_integers = True
    differentiable = False

    #: The output modes.
    modes: ClassVar[tuple[str, ...]] = ("int", "one_hot", "multi_hot", "count")

    #: The type of the returned indices.
    index_type = "int64"

    output_mode: str

    def set_mode(self, mode: Any) -> None:
        """Set the output mode.

        Raises:
            ValueError: If ``mode`` is not one of `modes`.
        """
        mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(
            str(mode), mode
        )  # Keras's older names
        if mode not in self.modes:
            raise ValueError(
                f"output_mode must be one of {', '.join(self.modes)}. "
                f"Received: output_mode={mode!r}"
            )
        self.output_mode = mode

    def depth(self) -> int:
        """Return the number of columns."""
        raise NotImplementedError

    def indices(self, x: Array) -> Array:
        """Return the index of each entry, or -1 for an entry without a column."""
        raise NotImplementedError

    def forward_into(self, x: Any, y: Array) -> None:
        """Write the indices of ``x``, or their columns, into ``y``."""
        x, weights = x if isinstance(x, list) else (x, None)
        indices = self.indices(x)
        if self.output_mode == "int":
            y[...] = indices
            return
        rows = y.reshape(-1, y.shape[-1])
        rows.fill(0)
        entries = indices.reshape(len(rows), -1)
        row, column = np.nonzero(entries >= 0)
        at = row, entries[row, column]
        if self.output_mode in ("one_hot", "multi_hot"):
            rows[at] = 1
        else:
            np.add.at(
                rows, at, 1 if weights is None else weights.reshape(entries.shape)[row, column]
            )

    def backward_into(self) -> None:
        """Raise an error.

        Raises:
            TypeError: Always: indices have no gradient.
        """
        raise TypeError(f"Layer {self.name!r} has no gradient.")

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return ``input_shape``, with an axis of columns added or instead of the last.

        Raises:
            ValueError: If a row stands for several entries of an input with more than two axes.
        """
        shape, weights = input_shape if isinstance(input_shape, list) else (input_shape, None)
        if weights not in (None, shape):
            raise ValueError(f"count_weights must have shape {shape}, as x. Received: {weights}")
        if self.output_mode == "int":
            return shape
        if self.output_mode == "one_hot":
            return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), self.depth())
        if len(shape) > 2:
            raise ValueError(
                f"Layer {self.name!r}, output_mode={self.output_mode!r}, expects inputs of shape "
                f"(samples, entries). Received: shape {shape}"
            )
        return (*shape[:-1], self.depth())

    def on_tensors(
        self, arguments: Sequence[Any], training: bool | None = None, **options: Any
    ) -> Any:
        """As `Layer.on_tensors`.

        Raises:
            ValueError: If the shape does not have an axis of entries.
        """
        outputs = super().on_tensors(arguments, training, **options)
        if self.output_mode != "int" and outputs.ndim < 2:
            raise ValueError(
                f"Layer {self.name!r}, output_mode={self.output_mode!r}, expects inputs of shape "
                f"(samples, entries). Received: shape {arguments[0].shape}"
            )
        return outputs

    def output_shape_for(self, x: Any) -> Shape:
        """Return the shape of the output for the array ``x``."""
        return self.compute_output_shape(map_structure(np.shape, x))

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of the indices, or of the columns."""
        return self.index_type if self.output_mode == "int" else self.dtype

    def _as_array(self, x: Any) -> Array:
        return as_samples("x", x)

    def _whole(self, x: Array) -> Array:
        """Return whole numbers as int64."""
        x = as_numeric(f"the input of layer {self.name!r}", x)
        check_finite(f"the input of layer {self.name!r}", x, x.dtype)
        with np.errstate(invalid="ignore"):
            whole = x.astype(np.int64)
        if x.dtype.kind == "f" and not np.array_equal(whole, x):
            raise ValueError(
                f"Layer {self.name!r} takes whole numbers. Received: {x[whole != x][0]}"
            )
        return whole


@registry.register()
class CategoryEncoding(Encoder):
    """A column for each of the integers from 0 to ``num_tokens`` - 1.

    Args:
        num_tokens: The number of columns.
        output_mode: ``"one_hot"`` for a row for each entry (instead of a last axis of size 1),
            ``"multi_hot"`` for a row for each sample, with a 1 for every integer in it, or
            ``"count"`` for the number of times that each integer occurs.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If ``num_tokens`` is None, or the mode is unknown; on a call, if an entry
            is not whole or out of range.

    >>> CategoryEncoding(4, output_mode="one_hot")(np.array([3, 2]))
    array([[0., 0., 0., 1.],
           [0., 0., 1., 0.]], dtype=float32)
    >>> CategoryEncoding(4)(np.array([[0, 1], [0, 3]]))
    array([[1., 1., 0., 0.],
           [1., 0., 0., 1.]], dtype=float32)
    """

    modes = ("one_hot", "multi_hot", "count")
    default_input_dtype = "int32"
    takes_several = True

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be the number of columns. If it is not known, use "
                "IntegerLookup. Received: num_tokens=None"
            )
        self.num_tokens = check_count("num_tokens", num_tokens, 1)
        self.set_mode(output_mode)

    def __call__(
        self, x: Any, training: bool | None = None, mask: Any = None, *, count_weights: Any = None
    ) -> Any:
        """Return the columns for ``x``, as `Layer.__call__` does.

        Args:
            x: Integers of shape (samples, entries).
            training: As for `Layer`.
            mask: As for `Layer`.
            count_weights: For ``"count"``, the weight of each entry, of the same shape.

        Raises:
            ValueError: If there are weights and the mode is not ``"count"``.
        """
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "count_weights are for output_mode='count'. "
                f"Received: output_mode={self.output_mode!r}"
            )
        x = x if any_symbolic(x) else self._as_array(x)  # a list is one array
        return super().__call__(x if count_weights is None else [x, count_weights], training, mask)

    def depth(self) -> int:
        """Return ``num_tokens``."""
        return self.num_tokens

    def indices(self, x: Array) -> Array:
        """Return ``x`` as integers with a column each."""
        whole = self._whole(x)
        wrong = (whole < 0) | (whole >= self.num_tokens)
        if wrong.any():
            raise ValueError(
                f"Layer {self.name!r} takes integers from 0 to {self.num_tokens - 1} "
                f"(num_tokens={self.num_tokens}). Received: {whole[wrong][0]}"
            )
        return whole

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        config = super().get_config()
        del config["sparse"]  # Keras does not write it
        return config


@registry.register()
class Discretization(Encoder):
    """The index of the bin of each entry: the number of boundaries that do not exceed it.

    The boundaries are given, or `adapt` chooses them so that all bins have equally many entries,
    up to an error of ``epsilon``.

    Args:
        bin_boundaries: The boundaries, in ascending order: ``[0.0, 1.0]`` makes the three bins
            below 0, from 0 to below 1, and from 1 on.
        num_bins: The number of bins for `adapt`.
        epsilon: The error of the quantiles; smaller ones take more memory.
        output_mode: ``"int"`` for the bins' numbers, or as for `CategoryEncoding`.
        **kwargs: As for `Layer`.

    Raises:
        ValueError: If not just one of ``bin_boundaries`` and ``num_bins`` is given, the boundaries
            do not ascend, or the mode is unknown.

    >>> Discretization(bin_boundaries=[0.0, 1.0, 2.0])(np.array([[-1.5, 1.0, 3.4, 0.5]]))
    array([[0, 2, 3, 1]], dtype=int32)
    """

    index_type = "int32"

    _summary: Array  # values, and the number of entries that each stands for

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_mode(output_mode)
        self.num_bins = None if num_bins is None else check_count("num_bins", num_bins, 0)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Give bin_boundaries, or num_bins and call adapt. Received: "
                f"bin_boundaries={bin_boundaries!r}, num_bins={num_bins!r}"
            )
        self.epsilon = check_fraction("epsilon", epsilon)
        self.bin_boundaries = None if bin_boundaries is None else _boundaries(bin_boundaries)
        self.reset_state()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Discretization:
        """Create a layer from the result of `get_config`, with the measured boundaries."""
        rest = dict(config)
        adapted = rest.pop("bin_boundaries", None) if rest.get("num_bins") is not None else None
        layer = super().from_config(rest)
        if adapted is not None:
            layer.bin_boundaries = _boundaries(adapted)
        return layer

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Choose boundaries with equally many entries of ``data`` between them.

        Args:
            data: An array, or an iterable or a list of arrays.
            steps: The number of arrays to take from an iterable; None takes all.

        Raises:
            ValueError: If boundaries were given, or there is no data.
        """
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add the entries of an array to the summary."""
        if self.num_bins is None:
            raise ValueError(
                f"Layer {self.name!r} was given bin_boundaries: there is nothing to adapt. "
                "Give num_bins instead."
            )
        entries = as_samples("data", data)
        check_finite("data", entries, np.float32)
        entries = np.sort(entries.astype(np.float32), axis=None)
        step = max(entries.size * self.epsilon, 1)
        kept = entries[int(step - 1) :: int(step)]
        summary = np.stack([kept, np.full_like(kept, step)])
        merged = np.concatenate((summary, self._summary), axis=1)
        self._summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Set the boundaries from the summary."""
        if self.num_bins is not None and self._summary.size:
            summary = _compressed(self._summary, 1 / max(1, self.num_bins))
            self.bin_boundaries = summary[0, :-1].tolist()
            invalidate()

    def reset_state(self) -> None:
        """Clear the summary."""
        self._summary = np.zeros((2, 0), np.float32)

    def depth(self) -> int:
        """Return the number of bins."""
        if self.bin_boundaries is not None:
            return len(self.bin_boundaries) + 1
        assert self.num_bins is not None  # one of the two is given
        return self.num_bins

    def indices(self, x: Array) -> Array:
        """Return the index of each entry's bin."""
        if self.bin_boundaries is None:
            raise ValueError(
                f"Layer {self.name!r} has no boundaries yet: call adapt(data), or give "
                "bin_boundaries."
            )
        x = as_numeric(f"the input of layer {self.name!r}", x)
        check_finite(f"the input of layer {self.name!r}", x, self.dtype)
        return np.digitize(x, np.asarray(self.bin_boundaries, self.dtype))


def _boundaries(given: Any) -> list[float]:
    array = as_numeric("bin_boundaries", given)
    if array.ndim != 1 or not (array[1:] >= array[:-1]).all() or not np.isfinite(array).all():
        raise ValueError(
            f"bin_boundaries must be finite numbers in ascending order. Received: {given!r:.200}"
        )
    return array.astype(float).tolist()


def _compressed(summary: Array, epsilon: float) -> Array:
    """Return a summary of about 1 / epsilon values and the number of entries of each."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    total = summary[1].cumsum()
    values = np.interp(shares, total / total[-1], summary[0])
    counts = np.diff(np.interp(shares, total / total[-1], total), prepend=0)
    return np.stack([values, counts]).astype(np.float32)


def batches_of(data: Any, steps: int | None) -> Iterator[Any]:
    """Yield ``data`` if it is an array, a frame's column or a list of entries; else its batches."""
    steps = optional_count("steps", steps)
    batches = isinstance(data, (list, tuple)) and any(hasattr(part, "shape") for part in data)
    if (isinstance(data, (list, tuple)) and not batches) or hasattr(data, "__array__"):
        yield data
        return
    if isinstance(data, (str, bytes, Mapping)) or not (
        isinstance(data, Iterable) or is_sequence(data)
    ):
        raise ArgumentError(
            f"data must be an array, or an iterable of arrays. Received: {type(data).__name__}"
        )
    each = map(data.__getitem__, range(len(data))) if is_sequence(data) else iter(data)
    yield from islice(each, steps)
