"""An optimizer's learning rate and count: numbers that have the methods of Keras's variables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Iterations", "LearningRate"]


class _Bound:
    """A number that was read from an optimizer, and sets it there by `assign`.

    As a number it stays what it was read as; ``value`` and `numpy` are what the optimizer has now.
    """

    attribute: ClassVar[str]
    _optimizer: Any

    @property
    def value(self) -> NDArray[Any]:
        """The optimizer's number as it is now, as an array without axes."""
        return np.array(getattr(self._optimizer, self.attribute))

    def numpy(self) -> NDArray[Any]:
        """Return ``value``."""
        return self.value

    def assign(self, value: Any) -> None:
        """Set the optimizer's number, as assigning to its attribute does."""
        setattr(self._optimizer, self.attribute, value)

    def assign_add(self, value: Any) -> None:
        """Add to the optimizer's number."""
        self.assign(self.value[()] + value)

    def assign_sub(self, value: Any) -> None:
        """Subtract from the optimizer's number."""
        self.assign(self.value[()] - value)


class LearningRate(_Bound, float):
    """The learning rate that an optimizer had when it was asked.

    >>> from nnlite.optimizers import SGD
    >>> optimizer = SGD(0.5)
    >>> optimizer.learning_rate.assign(0.25)
    >>> optimizer.learning_rate, optimizer.learning_rate.numpy()
    (0.25, array(0.25))
    """

    attribute = "learning_rate"

    def __new__(cls, value: float, optimizer: Any) -> LearningRate:
        """Make it of the number."""
        self = super().__new__(cls, value)
        self._optimizer = optimizer
        return self

    def __reduce__(self) -> Any:
        return float, (float(self),)  # a copy, as in a history, is a number


class Iterations(_Bound, int):
    """The number of steps that an optimizer had taken when it was asked.

    >>> from nnlite.optimizers import SGD
    >>> optimizer = SGD()
    >>> optimizer.iterations.assign_add(3)
    >>> optimizer.iterations + 1
    4
    """

    attribute = "iterations"

    def __new__(cls, value: int, optimizer: Any) -> Iterations:
        """Make it of the number."""
        self = super().__new__(cls, value)
        self._optimizer = optimizer
        return self

    def __reduce__(self) -> Any:
        return int, (int(self),)
