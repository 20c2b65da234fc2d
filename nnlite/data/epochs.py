"""Epochs: passes over batches, or fixed numbers of batches."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from typing import Any, Protocol

import numpy as np

from nnlite.data.iterables import IterableBatches


class Batches(Protocol):
    """An iterable of batches; one iteration is one pass."""

    @property
    def count(self) -> int | None:
        """The number of batches of a pass, or None if unknown."""

    def __iter__(self) -> Generator[Any, None, None]: ...


class Epochs:
    """Epochs of whole passes over batches, or of ``steps`` batches each.

    With ``steps``, an epoch continues where the previous one stopped. If the data end within an
    epoch, the epoch ends early with a warning, as in Keras, and the next one starts again.

    Args:
        batches: The batches.
        steps: The number of batches per epoch, or None for all.
        order: The generator that shuffles, or None.
        name: The name of the argument ``steps`` in warnings.

    >>> from nnlite.data.arrays import ArrayBatches
    >>> epochs = Epochs(ArrayBatches([(np.arange(3.0), np.dtype(float))], batch_size=1), steps=2)
    >>> next(iter(epochs))
    (array([0.]),)
    """

    def __init__(
        self,
        batches: Batches,
        steps: int | None,
        name: str = "steps_per_epoch",
        order: np.random.Generator | None = None,
    ) -> None:
        self.batches = batches
        self._order = order
        self._began: Any = None  # the state of ``order`` at the start of the pass
        self._passed = 0  # batches of the pass so far
        self.steps = steps
        self.name = name
        self._pass: Generator[Any, None, None] | None = None
        self._counted: int | None = None
        self.taken = 0  # batches of the epoch so far
        self._resumed = 0  # batches taken before an interruption
        self._begun = False  # whether on_epoch_begin of the source has been called

    @property
    def length(self) -> int | None:
        """The number of batches of an epoch, once known."""
        if self.steps is not None:
            return self.steps
        return self._counted if self.batches.count is None else self.batches.count

    def __iter__(self) -> Iterator[Any]:
        self.taken, self._resumed = self._resumed, 0
        if not self._begun:
            self._tell("on_epoch_begin")
        self._begun = False
        while self.steps is None or self.taken < self.steps:
            fresh = self._pass is None
            if self._pass is None:
                self._begin_pass()
                assert self._pass is not None
            batch = next(self._pass, None)
            if batch is not None:
                self.taken += 1
                self._passed += 1
                yield batch
                continue
            self._pass = None
            if self.steps is None and self.taken:
                self._counted = self.taken
                break
            if fresh or self.taken:
                asked = "" if self.steps is None else f" of {self.name}={self.steps}"
                hint = "" if self.taken else " An iterator gives its batches only once."
                warnings.warn(
                    f"The data ended after {self.taken}{asked} steps. The epoch ends early.{hint}",
                    stacklevel=2,
                )
                break
        self._tell("on_epoch_end")

    def _tell(self, event: str) -> None:
        """Call a hook of the source."""
        if isinstance(self.batches, IterableBatches):
            self.batches.tell(event)

    def _begin_pass(self) -> None:
        self._began = None if self._order is None else self._order.bit_generator.state
        self._pass = iter(self.batches)
        self._passed = 0

    def state(self) -> dict[str, Any]:
        """Return the position in the data, for `restore`."""
        if self._pass is None:
            began = None if self._order is None else self._order.bit_generator.state
            return {"order": began, "passed": None, "taken": self.taken}
        return {"order": self._began, "passed": self._passed, "taken": self.taken}

    def restore(self, state: dict[str, Any], within_epoch: bool) -> None:
        """Continue at a position, skipping the batches before it.

        Args:
            state: The result of `state`.
            within_epoch: Whether to continue the epoch or to begin the next one.
        """
        if self._order is not None:
            self._order.bit_generator.state = state["order"]
        self._resumed = state["taken"] if within_epoch else 0
        if within_epoch:
            self._tell("on_epoch_begin")
            self._begun = True
        if state["passed"] is not None:
            self._begin_pass()
            assert self._pass is not None
            for _ in range(state["passed"]):
                if next(self._pass, None) is None:
                    raise ValueError(
                        f"The data ended after {self._passed} batches, of which the run had taken "
                        f"{state['passed']} when it was backed up. Give the same data again."
                    )
                self._passed += 1

    def close(self) -> None:
        """End the pass and its reader; the next epoch begins at the first batch."""
        if self._pass is not None:
            self._pass.close()
            self._pass = None
