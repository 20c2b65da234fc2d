"""Batches that come ready-made: from generators, iterables, and Keras's sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.utils.validation import check_count

__all__ = ["IterableBatches", "first_batch", "is_sequence", "named_batch"]


def is_sequence(source: Any) -> bool:
    """Return whether ``source`` has a length, and an element of each number less than it."""
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def _is_dataset(source: Any) -> bool:
    """Return whether ``source`` tells its number of batches as Keras's ``PyDataset`` does."""
    return hasattr(type(source), "num_batches") and hasattr(source, "__getitem__")


def _count(source: Any) -> int | None:
    """Return the number of batches, or None where it is not known or there is no end to them."""
    if _is_dataset(source):
        name = f"{type(source).__name__}.num_batches"
        return None if source.num_batches is None else check_count(name, source.num_batches, 0)
    try:
        return len(source)
    except TypeError:
        return None


@contextmanager
def named_batch(source: Any, number: int) -> Iterator[None]:
    """Within it, an error about a batch says which one of which source it is."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = type(source.source if isinstance(source, _PutBack) else source).__name__
        raise type(error)(f"Batch {number} of {kind}: {error}") from error


def first_batch(source: Any) -> tuple[Any, Any]:
    """Return the first batch of ``source``, and an iterable in its place that has it still."""
    if _is_dataset(source) or is_sequence(source):
        if _count(source) == 0:
            raise ValueError(f"There are no batches: {type(source).__name__} has length 0.")
        return source[0], source
    iterator = iter(source)
    for batch in iterator:
        return batch, _PutBack(batch, iterator, source)
    raise ValueError(f"There are no batches: {type(source).__name__} gave none.")


class _PutBack:
    """An iterable whose first batch has been looked at."""

    def __init__(self, batch: Any, iterator: Iterator[Any], source: Iterable[Any]) -> None:
        self._begun: Iterator[Any] | None = itertools.chain([batch], iterator)
        self.source: Any = source

    def __len__(self) -> int:
        return len(self.source)  # a TypeError where it has none

    def __iter__(self) -> Iterator[Any]:
        begun, self._begun = self._begun, None
        return iter(self.source) if begun is None else begun


class IterableBatches:
    """The batches of an iterable, each checked; every pass over it is one epoch.

    An iterator can be passed over once: its next pass goes on where the last one stopped.

    Args:
        source: An iterable of batches, or a sequence of them: ``__getitem__``, and ``__len__`` or
            ``num_batches``.
        admit: Makes of what the source gives what a step takes.
        shuffle: Draws the order of a sequence's batches for each pass; None takes them in order.

    >>> batches = IterableBatches([1, 2], lambda batch: batch)
    >>> list(batches), list(batches)
    ([1, 2], [1, 2])
    """

    def __init__(
        self,
        source: Any,
        admit: Callable[[Any], Any],
        shuffle: np.random.Generator | None = None,
    ) -> None:
        self._source = source
        self._admit = admit
        self._shuffle = shuffle

    @property
    def count(self) -> int | None:
        """The number of batches of a pass, or None where it is not known."""
        return _count(self._source)

    def tell(self, event: str) -> None:
        """Call a hook of the source, such as ``"on_epoch_end"``, if it has it."""
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
