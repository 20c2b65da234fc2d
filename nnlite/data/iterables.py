"""Batches that come ready-made: from generators, iterables, and Keras's sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["IterableBatches", "first_batch", "is_sequence"]


def is_sequence(source: Any) -> bool:
    """Return whether batches can be asked of ``source`` by number."""
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def first_batch(source: Any) -> tuple[Any, Any]:
    """Return the first batch of ``source``, and an iterable in its place that has it still.

    Raises:
        ValueError: If there is none.
    """
    if is_sequence(source):
        if not len(source):
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
        self._source: Any = source

    def __len__(self) -> int:
        return len(self._source)  # a TypeError where it has none

    def __iter__(self) -> Iterator[Any]:
        begun, self._begun = self._begun, None
        return iter(self._source) if begun is None else begun


class IterableBatches:
    """The batches of an iterable, each let in by a door; every pass over it is one epoch.

    An iterator can be passed over once: its next pass goes on where the last one stopped.

    Args:
        source: An iterable of batches, or a sequence of them (``__len__`` and ``__getitem__``),
            whose ``on_epoch_begin`` and ``on_epoch_end`` are called where it has them.
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
        try:
            return len(self._source)
        except TypeError:
            return None

    def __iter__(self) -> Generator[Any, None, None]:
        source = self._source
        if not is_sequence(source):
            yield from map(self._admit, source)
            return
        _tell(source, "on_epoch_begin")
        order: Iterable[int] = range(len(source))
        if self._shuffle is not None:
            order = self._shuffle.permutation(len(source)).tolist()
        for number in order:
            yield self._admit(source[number])
        _tell(source, "on_epoch_end")


def _tell(source: Any, event: str) -> None:
    hook = getattr(source, event, None)
    if hook is not None:
        hook()
