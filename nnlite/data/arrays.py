"""Batches of arrays, in order or shuffled, converted one batch at a time."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from nnlite.utils.typing import Array

#: For x, y and weight: the number of arrays in a list, or None for a single array or none.
Counts = tuple[int | None, ...]
SINGLE: Counts = (None, None, None)


def rows_of(part: Any) -> int:
    """Return the number of samples of one array, or of a list of arrays."""
    return len(next(a for a in part if a is not None) if type(part) is list else part)


def in_parts(parts: Sequence[Any]) -> tuple[list[Any], Counts]:
    """Return the arrays of x, y and weight in one list, and the number of arrays in each.

    >>> in_parts(["x", ["y1", "y2"], None])
    (['x', 'y1', 'y2', None], (None, 2, None))
    """
    if list not in map(type, parts):
        return list(parts), SINGLE
    flat = [one for part in parts for one in (part if type(part) is list else [part])]
    return flat, tuple([len(part) if type(part) is list else None for part in parts])


def grouped(flat: Sequence[Any], counts: Counts) -> tuple[Any, ...]:
    """Return x, y and weight from the result of `in_parts`.

    >>> grouped(["x", "y1", "y2", None], (None, 2, None))
    ('x', ['y1', 'y2'], None)
    """
    if counts == SINGLE:
        return tuple(flat)
    rest = iter(flat)
    return tuple([next(rest) if n is None else list(itertools.islice(rest, n)) for n in counts])


def check_rows(columns: Iterable[tuple[str, Any]]) -> None:
    """Raise a ValueError if arrays differ in their numbers of samples; None is ignored.

    >>> check_rows([("x", np.ones(3)), ("y", np.ones(4))])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    ValueError: x and y must have the same number of samples. Received: x of shape (3,), ...
    """
    given = [(name, np.shape(array)) for name, array in columns if array is not None]
    first, shape = given[0]
    for name, other in given[1:]:
        if not other or other[0] != shape[0]:
            raise ValueError(
                f"{first} and {name} must have the same number of samples. Received: "
                f"{first} of shape {shape}, {name} of shape {other}"
            )


class Column:
    """An array and a buffer for its batches, which are converted one at a time."""

    def __init__(self, array: Array, dtype: Any, batch_size: int) -> None:
        self.array = array
        self.converts = array.dtype != dtype
        shape = (min(batch_size, len(array)), *array.shape[1:])
        self._gathered = np.empty(shape, array.dtype)
        self._batch = np.empty(shape, dtype) if self.converts else self._gathered

    def slice(self, start: int, stop: int) -> Array:
        """Return rows start to stop, as a view if no conversion is needed."""
        rows = self.array[start:stop]
        return self._convert(rows) if self.converts else rows

    def take(self, rows: Array) -> Array:
        """Return the rows with the given indices."""
        gathered = self._gathered
        if len(rows) < len(gathered):
            gathered = gathered[: len(rows)]
        if self.array.flags.c_contiguous:
            # With mode="clip", take needs no temporary array; rows are in range.
            self.array.take(rows, axis=0, out=gathered, mode="clip")
        else:
            gathered[...] = self.array[rows]  # take would copy the whole array first
        return self._convert(gathered) if self.converts else gathered

    def _convert(self, rows: Array) -> Array:
        batch = self._batch if len(rows) == len(self._batch) else self._batch[: len(rows)]
        batch[...] = rows
        return batch


class ArrayBatches:
    """Batches of arrays of equal length; one iteration is one epoch.

    A batch is valid until the next one is taken. The arrays are never modified.

    Args:
        columns: Pairs of an array (or None) and the type of its batches.
        batch_size: The number of rows of a batch; the last batch can be smaller.
        shuffle: The generator that shuffles each epoch, or None. A single batch of all rows is not
            shuffled.
        counts: The numbers of columns of x, y and weights, from `in_parts`; None if a batch is one
            array per column.

    >>> x = np.arange(5.0)[:, None]
    >>> batches = ArrayBatches([(x, np.dtype("float32")), (None, None)], batch_size=2)
    >>> batches.count
    3
    >>> [batch.ravel().tolist() for batch, _ in batches]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        columns: list[tuple[Array | None, Any]],
        batch_size: int,
        shuffle: np.random.Generator | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._counts = None if counts == SINGLE else counts
        self._columns = [
            None if array is None else Column(array, dtype, batch_size) for array, dtype in columns
        ]
        self.rows = next(len(array) for array, _ in columns if array is not None)
        self.batch_size = batch_size
        self._shuffle = shuffle if batch_size < self.rows else None

    @property
    def count(self) -> int:
        """The number of batches of a pass."""
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Generator[tuple[Any, ...], None, None]:
        if self._counts is None:
            yield from self._flat()
        else:
            for flat in self._flat():
                yield grouped(flat, self._counts)

    def _flat(self) -> Generator[tuple[Array, ...], None, None]:
        """Yield the arrays of each batch as a tuple."""
        order = None if self._shuffle is None else self._shuffle.permutation(self.rows)
        for start in range(0, self.rows, self.batch_size):
            stop = min(start + self.batch_size, self.rows)
            if order is None:
                yield tuple([c and c.slice(start, stop) for c in self._columns])  # type: ignore[misc]
            else:
                rows = order[start:stop]
                yield tuple([c and c.take(rows) for c in self._columns])  # type: ignore[misc]


class Samples:
    """Checked inputs, targets and weights, and the types of their batches.

    Each is an array or a list of arrays (with a list of types); batches have the same structure.

    Args:
        x: The inputs.
        y: The targets, or None.
        weight: The weight of each sample, or None.
        dtype: The type of inputs in the model.
        target_dtype: The type of targets in the loss.
        names: The column names of inputs from a data frame.
        weight_dtype: The type of weights, if it differs from that of a single input.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        weight: Any,
        dtype: Any,
        target_dtype: Any,
        names: tuple[str, ...] | None = None,
        weight_dtype: Any = None,
    ) -> None:
        self.x = x
        self.names = names
        self.shape: Any = [one.shape for one in x] if type(x) is list else x.shape
        self.rows = rows_of(x)
        arrays, self._counts = in_parts((x, y, weight))
        several = self._counts[2]
        if weight_dtype is None:
            weight_dtype = None if type(dtype) is list else dtype
        weights = weight_dtype if several is None else [weight_dtype] * several
        dtypes: Sequence[Any] = (dtype, target_dtype, weights)
        if self._counts != SINGLE:
            dtypes, _ = in_parts(dtypes)
        self.columns: list[tuple[Array | None, Any]] = [
            (array, np.dtype(one)) for array, one in zip(arrays, dtypes, strict=True)
        ]

    def batches(self, batch_size: int, shuffle: np.random.Generator | None = None) -> ArrayBatches:
        """Return the samples in batches."""
        return ArrayBatches(self.columns, batch_size, shuffle, self._counts)

    def whole(self) -> Any:
        """Return x, y and weight as one batch."""
        flat = [
            None if array is None else array.astype(dtype, copy=False)
            for array, dtype in self.columns
        ]
        return grouped(flat, self._counts)

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """Return the first samples, and the last ``fraction`` of them, as views."""
        at = split_at(self.rows, fraction)
        return self._part(slice(0, at)), self._part(slice(at, None))

    def _part(self, rows: slice) -> Samples:
        part = copy.copy(self)
        part.columns = [(a if a is None else a[rows], dtype) for a, dtype in self.columns]
        part.x = grouped([array for array, _ in part.columns], self._counts)[0]
        part.rows = rows_of(part.x)
        part.shape = [a.shape for a in part.x] if type(part.x) is list else part.x.shape
        return part


def split_at(rows: int, fraction: float) -> int:
    """Return the number of rows without the last ``fraction`` of them."""
    at = int(rows * (1 - fraction))
    if not 0 < at < rows:
        raise ValueError(f"validation_split={fraction} of {rows} samples leaves none on one side.")
    return at
