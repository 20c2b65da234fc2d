"""Batches of arrays: taken in order or shuffled, converted a batch at a time."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArrayBatches", "Column", "Samples"]

Array = NDArray[Any]


class Column:
    """One array of the data, and the memory that its batches are gathered into.

    The array keeps its type and place; a batch is converted when it is taken.
    """

    def __init__(self, array: Array, dtype: Any, batch_size: int) -> None:
        self.array = array
        self.converts = array.dtype != dtype
        shape = (min(batch_size, len(array)), *array.shape[1:])
        self._gathered = np.empty(shape, array.dtype)
        self._batch = np.empty(shape, dtype) if self.converts else self._gathered

    def slice(self, start: int, stop: int) -> Array:
        """Return rows start to stop: a view where no conversion is needed."""
        rows = self.array[start:stop]
        return self._convert(rows) if self.converts else rows

    def take(self, rows: Array) -> Array:
        """Return the rows of the given numbers, in that order."""
        gathered = self._gathered[: len(rows)]
        if self.array.flags.c_contiguous:
            # Without mode="clip", take would gather into a temporary first; rows are in range.
            self.array.take(rows, axis=0, out=gathered, mode="clip")
        else:
            gathered[...] = self.array[
                rows
            ]  # take would copy the whole array to make it contiguous
        return self._convert(gathered) if self.converts else gathered

    def _convert(self, rows: Array) -> Array:
        batch = self._batch[: len(rows)]
        batch[...] = rows
        return batch


class ArrayBatches:
    """Batches of arrays of equal length: each pass over it is one epoch.

    A batch is good until the next one is taken. The arrays themselves are never written to.

    Args:
        columns: Pairs of an array, or None, and the type that its batches are converted to.
        batch_size: The number of rows of a batch; the last one has what is left.
        shuffle: Draws a new order for each epoch, or None for the order as it is. Where one batch
            holds all rows, the order means nothing and is left alone.

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
    ) -> None:
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

    def __iter__(self) -> Generator[tuple[Array, ...], None, None]:
        order = None if self._shuffle is None else self._shuffle.permutation(self.rows)
        for start in range(0, self.rows, self.batch_size):
            stop = min(start + self.batch_size, self.rows)
            if order is None:
                yield tuple([c and c.slice(start, stop) for c in self._columns])  # type: ignore[misc]
            else:
                rows = order[start:stop]
                yield tuple([c and c.take(rows) for c in self._columns])  # type: ignore[misc]


class Samples:
    """Inputs, targets and weights that have passed the door, and the types of their batches.

    Args:
        x: The inputs.
        y: The targets, or None for a pass that needs none.
        weight: The weight of each sample, or None.
        dtype: The type that inputs and weights are computed in.
        target_dtype: The type that the loss takes targets in.
        names: The names of the inputs' columns, where they came as a frame.
    """

    def __init__(
        self,
        x: Array,
        y: Array | None,
        weight: Array | None,
        dtype: Any,
        target_dtype: Any,
        names: tuple[str, ...] | None = None,
    ) -> None:
        self.x = x
        self.names = names
        self.shape = x.shape
        self.columns: list[tuple[Array | None, Any]] = [
            (x, np.dtype(dtype)),
            (y, np.dtype(target_dtype)),
            (weight, np.dtype(dtype)),
        ]

    def batches(self, batch_size: int, shuffle: np.random.Generator | None = None) -> ArrayBatches:
        """Return the samples in batches."""
        return ArrayBatches(self.columns, batch_size, shuffle)

    def whole(self) -> Any:
        """Return x, y and weight as one batch."""
        return [
            None if array is None else array.astype(dtype, copy=False)
            for array, dtype in self.columns
        ]

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """Return the first samples, and the last ``fraction`` of them, as views.

        Raises:
            ValueError: If that leaves none on one side.
        """
        at = split_at(len(self.x), fraction)
        return self._part(slice(0, at)), self._part(slice(at, None))

    def _part(self, rows: slice) -> Samples:
        x, y, weight = [None if array is None else array[rows] for array, _ in self.columns]
        assert x is not None  # it is always there
        return Samples(x, y, weight, self.columns[0][1], self.columns[1][1], self.names)


def split_at(rows: int, fraction: float) -> int:
    """Return the number of rows that are left when the last ``fraction`` of them is taken off.

    Raises:
        ValueError: If that leaves none on one side.
    """
    at = int(rows * (1 - fraction))
    if not 0 < at < rows:
        raise ValueError(f"validation_split={fraction} of {rows} samples leaves none on one side.")
    return at
