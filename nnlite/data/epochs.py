"""Passes over batches, cut into epochs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from nnlite.data.arrays import ArrayBatches

__all__ = ["Epochs"]

Array = NDArray[Any]


class Epochs:
    """Passes over batches, cut into epochs: whole passes, or ``steps`` batches each.

    With ``steps``, an epoch goes on where the one before it stopped. When the data end within an
    epoch, that epoch ends early with a warning, as in Keras, and the next one starts anew.

    Args:
        batches: What to pass over; iterating it is one pass.
        steps: The number of batches of an epoch, or None for all.
        name: What the argument is called that gave ``steps``.

    >>> import numpy as np
    >>> epochs = Epochs(ArrayBatches([(np.arange(3.0), np.dtype(float))], batch_size=1), steps=2)
    >>> next(iter(epochs))
    (array([0.]),)
    """

    def __init__(
        self, batches: ArrayBatches, steps: int | None, name: str = "steps_per_epoch"
    ) -> None:
        self.batches = batches
        self.steps = steps
        self.name = name
        self._pass: Iterator[tuple[Array, ...]] | None = None
        self._taken = 0

    def __len__(self) -> int:
        return len(self.batches) if self.steps is None else self.steps

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        if self.steps is None:
            yield from self.batches
            return
        for step in range(self.steps):
            if self._pass is None or (step == 0 and self._taken == len(self.batches)):
                self._pass, self._taken = iter(self.batches), 0
            if self._taken == len(self.batches):
                warnings.warn(
                    f"The data ended after {step} of {self.name}={self.steps} steps: there are "
                    f"{len(self.batches)} batches. The epoch ends early.",
                    stacklevel=2,
                )
                return
            self._taken += 1
            yield next(self._pass)

    def rewind(self) -> None:
        """Begin the next epoch at the first batch."""
        self._pass = None
