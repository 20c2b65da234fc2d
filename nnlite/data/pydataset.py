"""The base class of a user's own data sets: batches by number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["PyDataset"]


class PyDataset:
    """Base class of data that are made a batch at a time.

    A subclass defines ``__getitem__``, which returns the batch of a number, and ``__len__`` or
    `num_batches`, which say how many there are. `fit` takes them in a new order each epoch, unless
    it is told not to shuffle.

    Args:
        workers: Accepted as in Keras; batches are made one at a time, when they are due.
        use_multiprocessing: Likewise.
        max_queue_size: Likewise.

    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> class Halves(PyDataset):
    ...     def __init__(self, x, y, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.x, self.y = x, y
    ...
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def __getitem__(self, index):
    ...         return self.x[index::2], self.y[index::2]
    >>> data = Halves(np.ones((6, 3)), np.ones(6))
    >>> Sequential([Dense(1)]).fit(data, verbose=0).params["steps"]
    2
    """

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return batch ``index``: ``(x, y)`` or ``(x, y, sample_weight)``; for `predict` also x."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index)")

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None if there is no end to them.

        Raises:
            NotImplementedError: If neither it nor ``__len__`` is defined.
        """
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches.")

    def __iter__(self) -> Iterator[Any]:
        try:
            count = self.num_batches
        except NotImplementedError:
            count = None
        numbers: Iterable[int] = itertools.count() if count is None else range(count)
        return (self[number] for number in numbers)

    def on_epoch_begin(self) -> None:
        """Do nothing; called before each epoch."""

    def on_epoch_end(self) -> None:
        """Do nothing; called after each epoch."""
