"""Recognition of the kinds of data, and their conversion to samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from nnlite.data.arrays import SINGLE, Counts, in_parts
from nnlite.data.hdf5 import HDF5
from nnlite.data.iterables import IterableBatches
from nnlite.utils.structures import SHAPES, flatten, map_structure
from nnlite.utils.validation import as_numeric, is_sparse


def is_stored(*values: Any) -> bool:
    """Return whether one of ``values`` is a stored dataset, to be read in blocks."""
    return any(isinstance(value, HDF5) or hasattr(value, "read_direct") for value in values)


def holds_batches(value: Any) -> bool:
    """Return whether ``value`` is an iterable of batches, such as a generator or a sequence.

    A list counts if it holds pairs or triples that start with samples; lists of numbers do not.
    """
    if isinstance(value, (list, tuple)):
        return bool(value) and all(
            isinstance(batch, (list, tuple)) and len(batch) in (2, 3) and _are_inputs(batch[0])
            for batch in value
        )
    if isinstance(value, (str, Mapping, Set, range, type)) or is_sparse(value) or _is_array(value):
        return False
    if hasattr(type(value), "collect"):  # a lazy data frame
        return False
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")


def _are_inputs(value: Any) -> bool:
    """Return whether ``value`` is an array of samples, or a list or dict of such arrays."""
    least = 1 if isinstance(value, Mapping) else 2  # axes
    return all(len(getattr(array, "shape", ())) >= least for array in flatten(value) or [None])


def _is_array(value: Any) -> bool:
    """Return whether ``value`` can be converted to an array as a whole."""
    if any(hasattr(value, name) for name in ("__array__", "__array_interface__", "__dlpack__")):
        return True
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def open_stored(
    x: Any,
    y: Any,
    sample_weight: Any,
    targets: bool = True,
    arrange: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
) -> tuple[Callable[[], AbstractContextManager[Sequence[Any]]], Counts]:
    """Return a function that opens the columns of stored data.

    Args:
        x: The inputs, or an `HDF5` that names all three.
        y: The targets.
        sample_weight: The weight of each sample.
        targets: Whether targets are required.
        arrange: Converts each of the three to columns, for models with several inputs or outputs.

    Returns:
        The function, and the numbers of columns of x, y and weights; see `in_parts`.
    """
    if isinstance(x, HDF5) and not (y is None and sample_weight is None):
        raise ValueError(
            "HDF5 names its own y and sample_weight, HDF5(path, x=..., y=..., "
            "sample_weight=...). Pass no others."
        )

    def columns_of(parts: Sequence[Any]) -> tuple[list[Any], Counts]:
        return (list(parts), SINGLE) if arrange is None else in_parts(arrange(parts))

    if isinstance(x, HDF5):
        with x.open(targets) as parts:
            counts = columns_of(parts)[1]
    else:
        given, counts = columns_of((x, y, sample_weight))
        given = [
            column if column is None or is_stored(column) else as_numeric(name, column)
            for name, column in zip(_names(counts), given, strict=True)
        ]

    @contextmanager
    def opener() -> Iterator[Sequence[Any]]:
        if not isinstance(x, HDF5):
            yield given
            return
        with x.open(targets) as parts:
            yield columns_of(parts)[0]

    with opener() as columns:
        for name, column in zip(_names(counts), columns, strict=True):
            if column is None:
                continue
            if np.dtype(column.dtype).kind not in "fiub" or not len(column.shape):
                raise TypeError(
                    f"{name} must hold rows of real numbers. Received: a dataset of type "
                    f"{column.dtype} and shape {column.shape}"
                )
            if column.shape[0] != columns[0].shape[0] or 0 in column.shape:
                raise ValueError(
                    "x, y and sample_weight must have the same number of samples, at least one. "
                    f"Received: {_names(counts)[0]} of shape {columns[0].shape}, {name} of shape "
                    f"{column.shape}"
                )
    return opener, counts


def _names(counts: Counts) -> list[str]:
    """Return the names of the columns in errors."""
    return [
        name if count is None else f"{name}[{at}]"
        for name, count in zip(("x", "y", "sample_weight"), counts, strict=True)
        for at in range(count or 1)
    ]


def unpacked(batch: Any, targets: bool = True) -> tuple[Any, Any, Any]:
    """Return x, y and weight of one batch of an iterable."""
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
        return (*batch, None)[:3]
    if not targets:
        return (batch[0] if isinstance(batch, tuple) and len(batch) == 1 else batch), None, None
    shown = f"{len(batch)} things" if isinstance(batch, (tuple, list)) else type(batch).__name__
    raise ValueError(f"A batch must be (x, y) or (x, y, sample_weight). Received: {shown}")


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights of the data of one step; missing parts are None.

    Args:
        data: ``(x,)``, ``(x, y)``, ``(x, y, sample_weight)`` or x.

    Raises:
        ValueError: If it is a tuple of another length.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "The data of a step are (x,), (x, y) or (x, y, sample_weight). "
            f"Received: {len(data)} things"
        )
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return the data of one step, the inverse of `unpack_x_y_sample_weight`.

    >>> pack_x_y_sample_weight(1, 2), pack_x_y_sample_weight(1)
    ((1, 2), 1)
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


class IterableSamples:
    """Samples from an iterable of batches."""

    def __init__(
        self,
        source: Any,
        admit: Callable[[Any], Any],
        shape: Any,
        names: tuple[str, ...] | None = None,
    ) -> None:
        self._source = source
        self._admit = admit
        self.shape: Any = map_structure(lambda one: (None, *one[1:]), shape, SHAPES)
        self.rows = None
        self.names = names

    def batches(
        self, batch_size: int, shuffle: np.random.Generator | None = None
    ) -> IterableBatches:
        """Return the batches; those of a sequence can be shuffled."""
        return IterableBatches(self._source, self._admit, shuffle)

    def split(self, fraction: float) -> Any:
        """Raise a ValueError: batches cannot be split."""
        raise ValueError(
            f"validation_split={fraction} needs arrays or an HDF5 file. With batches, give "
            "validation_data."
        )
