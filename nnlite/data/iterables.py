"""Batches from generators, iterables and Keras's sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.utils.validation import check_count


def is_sequence(source: Any) -> bool:
    """Return whether ``source`` has a length and elements by index."""
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def _is_dataset(source: Any) -> bool:
    """Return whether ``source`` has ``num_batches`` like Keras's ``PyDataset``."""
    return hasattr(type(source), "num_batches") and hasattr(source, "__getitem__")


def _count(source: Any) -> int | None:
    """Return the number of batches, or None if it is unknown or infinite."""
    if _is_dataset(source):
        name = f"{type(source).__name__}.num_batches"
        return None if source.num_batches is None else check_count(name, source.num_batches, 0)
    try:
        return len(source)
    except TypeError:
        return None


@contextmanager
def named_batch(source: Any, number: int) -> Iterator[None]:
    """Context in which errors name the batch and its source."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = type(source.source if isinstance(source, _PutBack) else source).__name__
        raise type(error)(f"Batch {number} of {kind}: {error}") from error


def first_batch(source: Any) -> tuple[Any, Any]:
    """Return the first batch of ``source``, and an equivalent iterable that still has it."""
    if _is_dataset(source) or is_sequence(source):
        if _count(source) == 0:
            raise ValueError(f"There are no batches: {type(source).__name__} has length 0.")
        return source[0], source
    iterator = iter(source)
    for batch in iterator:
        return batch, _PutBack(batch, iterator, source)
    raise ValueError(f"There are no batches: {type(source).__name__} gave none.")


class _PutBack:
    """An iterable whose first batch has been read."""

    def __init__(self, batch: Any, iterator: Iterator[Any], source: Iterable[Any]) -> None:
        self._begun: Iterator[Any] | None = itertools.chain([batch], iterator)
        self.source: Any = source

    def __len__(self) -> int:
        return len(self.source)  # raises a TypeError without a length

    def __iter__(self) -> Iterator[Any]:
        begun, self._begun = self._begun, None
        return iter(self.source) if begun is None else begun


class IterableBatches:
    """The checked batches of an iterable; one iteration is one epoch.

    Iterators can be consumed once: a new pass continues where the last one stopped.

    Args:
        source: An iterable of batches, or a sequence of them: ``__getitem__``, and ``__len__`` or
            ``num_batches``.
        admit: Converts an element of the source to a batch.
        shuffle: The generator that shuffles the batches of a sequence, or None.

    >>> batches = IterableBatches([1, 2], lambda batch: batch)
    >>> list(batches), list(batches)
    ([1, 2], [1, 2])
    """

    def __init__(
        self, source: Any, admit: Callable[[Any], Any], shuffle: np.random.Generator | None = None
    ) -> None:
        self._source = source
        self._admit = admit
        self._shuffle = shuffle

    @property
    def count(self) -> int | None:
        """The number of batches of a pass, or None if unknown."""
        return _count(self._source)

    def tell(self, event: str) -> None:
        """Call a hook of the source such as ``"on_epoch_end"``, if it exists."""
        hook = getattr(self._source, event, None)
        if hook is not None:
            hook()

    def __iter__(self) -> Generator[Any, None, None]:
        source, count = self._source, self.count
        if not (_is_dataset(source) or is_sequence(source)):
            for number, batch in enumerate(source):
                yield self._let_in(number, batch)
            return
        order: Iterable[int] = itertools.count() if count is None else range(count)
        if self._shuffle is not None and count is not None:
            order = self._shuffle.permutation(count).tolist()
        for number in order:
            yield self._let_in(number, source[number])

    def _let_in(self, number: int, batch: Any) -> Any:
        with named_batch(self._source, number):
            return self._admit(batch)
