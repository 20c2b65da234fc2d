"""Batches of rows that are read in blocks in advance and shuffled within a window."""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.data.arrays import Column, Counts, grouped, split_at
from nnlite.distribution.processes import Processes, current
from nnlite.utils.typing import Array

Rows = Sequence["Array | None"]

_BLOCK = 2**22  # minimum bytes per read; 2**20 makes an epoch 5 % slower
_WINDOW = 2**25  # bytes of a window, of which two are in memory


class BlockBatches:
    """Batches of stored columns; one iteration is one epoch.

    A separate thread reads whole blocks (of whole chunks, if the data are chunked) into a window,
    while the model uses the previous window. Shuffling permutes the blocks, and then the rows of
    each window, so that every row occurs once per epoch. Of several processes that train together,
    each reads its share of the blocks of every window, and sends it to the others.

    Args:
        open_columns: Returns a context that yields the columns of x, y and weights: arrays or
            datasets of equal length, or None.
        rows: The range of rows, start and stop.
        row_shapes: The shape of one row of the batches of each column.
        dtypes: The type of the batches of each column.
        admit: Checks x, y and weight of a block, given its first row number, at the first read.
        weigh: Computes the weights from a block of y, if there is no weight column.
        counts: The numbers of columns of x, y and weights; see `in_parts`.
        batch_size: The number of rows of a batch; the last batch can be smaller.
        shuffle: The generator that shuffles, or None.
    """

    def __init__(
        self,
        open_columns: Callable[[], AbstractContextManager[Sequence[Any]]],
        rows: tuple[int, int],
        row_shapes: Sequence[tuple[int, ...] | None],
        dtypes: Sequence[Any],
        admit: Callable[[Rows, int], None],
        weigh: Callable[[Array], Array] | None,
        counts: Counts,
        batch_size: int,
        shuffle: np.random.Generator | None,
    ) -> None:
        self._open = open_columns
        self._first, self._last = rows
        self._row_shapes = row_shapes
        self._dtypes = dtypes
        self._admit = admit
        self._weigh = weigh
        self._counts = counts
        self.batch_size = batch_size
        self._shuffle = shuffle
        with self._open() as columns:
            self._stored = [None if column is None else column.dtype for column in columns]
            row_bytes = sum(_row_bytes(column) for column in columns if column is not None)
            chunk = (getattr(columns[0], "chunks", None) or (1,))[0]
            if chunk * row_bytes > _WINDOW and not getattr(columns[0], "compression", None):
                chunk = 1  # uncompressed chunks can be read in part
        self._block = chunk * max(1, round(_BLOCK / (row_bytes * chunk)))
        self._blocks_in_window = max(1, _WINDOW // (row_bytes * self._block))
        self._admitted: set[int] = set()

    @property
    def count(self) -> int:
        """The number of batches of a pass."""
        return -(-(self._last - self._first) // self.batch_size)

    def __iter__(self) -> Generator[tuple[Any, ...], None, None]:
        for flat in self._flat():
            yield grouped(flat, self._counts)

    def _flat(self) -> Generator[tuple[Array | None, ...], None, None]:
        """Yield the arrays of each batch as a tuple."""
        windows = self._windows()
        self._check_alike(group := current(), windows)
        drawn = None
        if self._shuffle is not None:
            drawn = np.random.Generator(np.random.SFC64(int(self._shuffle.integers(2**63))))
        longest = max(sum(stop - start for start, stop in window) for window in windows)
        spare = self.batch_size  # space for the remaining rows of the previous window
        buffers = [self._buffer(spare + longest) for _ in windows[:2]]
        with _Reader(self, windows, buffers, spare, group) as reader:
            left: list[Array | None] = []
            count = 0
            for number in range(len(windows)):
                buffer, ends = reader.next()
                for filled in filter(None, buffer):
                    group.exchange(filled.array, ends, "exchange what each has read")
                begin, end = spare - count, ends[-1]
                for column, rest in zip(buffer, left, strict=False):
                    if column is not None and rest is not None:
                        column.array[begin:spare] = rest
                order = None
                if drawn is not None:
                    order = drawn.permutation(np.arange(begin, end))
                total = end - begin
                last = number == len(windows) - 1
                whole = total if last else total - total % self.batch_size
                for start in range(0, whole, self.batch_size):
                    stop = min(start + self.batch_size, whole)
                    if order is None:
                        yield tuple([c and c.slice(begin + start, begin + stop) for c in buffer])  # type: ignore[misc]
                    else:
                        yield tuple([c and c.take(order[start:stop]) for c in buffer])  # type: ignore[misc]
                rows: Any = slice(begin + whole, end) if order is None else order[whole:]
                left = [None if c is None else c.array[rows].copy() for c in buffer]
                count = total - whole
                reader.release(buffer)

    def _windows(self) -> list[list[tuple[int, int]]]:
        """Return the blocks of each window, as pairs of start and stop."""
        edges = [*range(self._first - self._first % self._block, self._last, self._block)]
        blocks = [(max(e, self._first), min(e + self._block, self._last)) for e in edges]
        if self._shuffle is not None:
            blocks = [blocks[number] for number in self._shuffle.permutation(len(blocks))]
        size = self._blocks_in_window
        return [blocks[start : start + size] for start in range(0, len(blocks), size)]

    def _check_alike(self, group: Processes, windows: list[list[tuple[int, int]]]) -> None:
        """Refuse files that differ: each process would read its share of another one."""
        if group.size > 1:
            with self._open() as columns:
                ends = [(c[self._first], c[self._last - 1]) for c in columns if c is not None]
            digests = {"order of blocks": windows, "first and last rows": ends}
            digests = {name: zlib.crc32(repr(value).encode()) for name, value in digests.items()}
            group.check_alike("fit, evaluate and predict on the same file", digests)

    def _buffer(self, rows: int) -> list[Column | None]:
        """Return buffers for rows of each column in the stored types."""
        stored = list(self._stored)
        if self._weigh is not None:
            stored[-1] = np.dtype(self._dtypes[-1])
        return [
            None
            if kind is None
            else Column(np.empty((rows, *(shape or ())), kind), dtype, self.batch_size)
            for kind, shape, dtype in zip(stored, self._row_shapes, self._dtypes, strict=True)
        ]

    def fill(
        self, columns: Sequence[Any], blocks: Any, buffer: list[Column | None], at: int
    ) -> None:
        """Read ``blocks`` of the columns into ``buffer`` from row ``at``."""
        for start, stop in blocks:
            end = at + stop - start
            parts: list[Array | None] = []
            for source, column in zip(columns, buffer, strict=True):
                if source is None or column is None:
                    parts.append(None)
                    continue
                rows = column.array[at:end].reshape(stop - start, *source.shape[1:])
                if hasattr(source, "read_direct"):
                    source.read_direct(rows, np.s_[start:stop])
                else:
                    rows[...] = source[start:stop]
                parts.append(rows)
            if start not in self._admitted:
                self._admit(grouped(parts, self._counts), start)
                self._admitted.add(start)
            weights = buffer[-1]
            if self._weigh is not None and weights is not None and parts[-2] is not None:
                weights.array[at:end] = self._weigh(parts[-2])
            at = end


class _Reader:
    """A thread that fills one buffer while the other is in use."""

    def __init__(
        self,
        batches: BlockBatches,
        windows: list[list[tuple[int, int]]],
        buffers: list[list[Column | None]],
        spare: int,
        group: Processes,
    ) -> None:
        import queue  # rarely needed

        self._batches = batches
        self._windows = windows
        self._spare = spare
        self._group = group
        self._stopped = False
        self._free: queue.SimpleQueue[list[Column | None]] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for buffer in buffers:
            self._free.put(buffer)
        self._thread = threading.Thread(target=self._run, name="nnlite reads ahead", daemon=True)

    def _run(self) -> None:
        try:
            with self._batches._open() as columns:
                for blocks in self._windows:
                    buffer = self._free.get()
                    if self._stopped:
                        return
                    ends = [self._spare]  # rows in the buffer at which the processes' shares end
                    for rank, (start, stop) in enumerate(pairwise(self._group.ends(len(blocks)))):
                        share = blocks[start:stop]
                        if rank == self._group.rank:
                            self._batches.fill(columns, share, buffer, ends[-1])
                        ends.append(ends[-1] + sum(stop - start for start, stop in share))
                    self._ready.put((buffer, ends))
        except BaseException as error:  # re-raised by the consumer
            self._ready.put(error)

    def next(self) -> tuple[list[Column | None], list[int]]:
        """Return the buffer of the next window, and where the rows of each share end in it."""
        done = self._ready.get()
        if isinstance(done, BaseException):
            raise done
        return done

    def release(self, buffer: list[Column | None]) -> None:
        """Return a buffer to the reader."""
        self._free.put(buffer)

    def __enter__(self) -> _Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._free.put([])
        self._thread.join()


def _row_bytes(column: Any) -> int:
    return max(1, math.prod(column.shape[1:]) * column.dtype.itemsize)


class StoredSamples:
    """Stored samples that are read in blocks."""

    names = None  # stored columns have no names

    def __init__(
        self,
        open_columns: Callable[[], AbstractContextManager[Sequence[Any]]],
        rows: tuple[int, int],
        row_shapes: Sequence[tuple[int, ...] | None],
        dtypes: Sequence[Any],
        admit: Callable[[Rows, int], None],
        weigh: Callable[[Array], Array] | None = None,
        counts: Counts = (None, None, None),
    ) -> None:
        self._rows = rows
        self._rest = (row_shapes, dtypes, admit, weigh, counts)
        self._open = open_columns
        self.rows = rows[1] - rows[0]
        x = grouped([(self.rows, *(shape or ())) for shape in row_shapes], counts)[0]
        self.shape: Any = x

    def batches(self, batch_size: int, shuffle: np.random.Generator | None = None) -> BlockBatches:
        """Return the samples in batches."""
        return BlockBatches(self._open, self._rows, *self._rest, batch_size, shuffle)

    def split(self, fraction: float) -> tuple[StoredSamples, StoredSamples]:
        """Return the first samples, and the last ``fraction`` of them."""
        first, last = self._rows
        at = first + split_at(last - first, fraction)
        return (
            StoredSamples(self._open, (first, at), *self._rest),
            StoredSamples(self._open, (at, last), *self._rest),
        )
