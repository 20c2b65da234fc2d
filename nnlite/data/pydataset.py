"""PyDataset: the base class of custom data sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any


class PyDataset:
    """Base class of data that are created one batch at a time.

    A subclass defines ``__getitem__``, which returns a batch by index, and ``__len__`` or
    `num_batches`, the number of batches. `fit` shuffles the batches unless ``shuffle=False``.

    Args:
        workers, use_multiprocessing, max_queue_size: Accepted for compatibility with Keras; batches
            are created one at a time when needed.

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
        """Return batch ``index``: ``(x, y)``, ``(x, y, sample_weight)``, or x for `predict`."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index)")

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None if infinite.

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
