"""Learning rates and step counts: numbers with the methods of Keras variables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite.optimizers.state import State


class _Bound:
    """A number read from an optimizer, with `assign` to change the optimizer.

    The number itself is constant; ``value`` and `numpy` return the optimizer's current value.
    """

    attribute: ClassVar[str]
    _optimizer: State

    @property
    def value(self) -> NDArray[Any]:
        """The optimizer's current value, as a 0-D array."""
        return np.array(getattr(self._optimizer, self.attribute))

    def numpy(self) -> NDArray[Any]:
        """Return ``value``."""
        return self.value

    def assign(self, value: Any) -> None:
        """Set the optimizer's value."""
        setattr(self._optimizer, self.attribute, value)

    def assign_add(self, value: Any) -> None:
        """Add to the optimizer's value."""
        self.assign(self.value[()] + value)

    def assign_sub(self, value: Any) -> None:
        """Subtract from the optimizer's value."""
        self.assign(self.value[()] - value)


class LearningRate(_Bound, float):
    """The learning rate of an optimizer at the time of reading.

    >>> from nnlite.optimizers import SGD
    >>> optimizer = SGD(0.5)
    >>> optimizer.learning_rate.assign(0.25)
    >>> optimizer.learning_rate, optimizer.learning_rate.numpy()
    (0.25, array(0.25))
    """

    attribute = "learning_rate"

    def __new__(cls, value: float, optimizer: State) -> LearningRate:
        """Create the object."""
        self = super().__new__(cls, value)
        self._optimizer = optimizer
        return self

    def __reduce__(self) -> Any:
        return float, (float(self),)  # a copy is a plain number


class Iterations(_Bound, int):
    """The number of steps of an optimizer at the time of reading.

    >>> from nnlite.optimizers import SGD
    >>> optimizer = SGD()
    >>> optimizer.iterations.assign_add(3)
    >>> optimizer.iterations + 1
    4
    """

    attribute = "iterations"

    def __new__(cls, value: int, optimizer: State) -> Iterations:
        """Create the object."""
        self = super().__new__(cls, value)
        self._optimizer = optimizer
        return self

    def __reduce__(self) -> Any:
        return int, (int(self),)
