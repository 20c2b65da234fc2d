"""LearningRateScheduler: sets the learning rate of every epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.progress import say


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    The rate is recorded in the logs and the history as ``"learning_rate"``.

    Args:
        schedule: A function ``f(epoch, rate)`` or ``f(epoch)`` of the epoch, counted from 0, and
            the current rate, which returns the new rate.
        verbose: 1 prints the rate of each epoch.

    Raises:
        TypeError: If ``schedule`` is not callable; in training, if the optimizer has a schedule.
        ValueError: In training, if ``schedule`` returns a negative or non-finite number.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    >>> history = Sequential([Dense(1)]).fit(
    ...     np.ones((4, 2)), np.ones(4), epochs=3, verbose=0, callbacks=[halve]
    ... )
    >>> history.history["learning_rate"]
    [0.01, 0.005, 0.0025]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function. Received: schedule={schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate."""
        optimizer = self.model.optimizer
        arguments: tuple[Any, ...] = (epoch, optimizer.learning_rate)
        rate: Any = self.schedule(*arguments[: _arguments_taken(self.schedule)])
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)):
            raise ValueError(  # noqa: TRY004  as in Keras
                f"schedule must return the learning rate, a number. Received: {rate!r} for "
                f"epoch {epoch}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose:
            say(f"Epoch {epoch + 1}: the learning rate is set to {float(rate):.4g}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the rate in the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _arguments_taken(schedule: Callable[..., float]) -> int:
    """Return 2 if a schedule takes epoch and rate, 1 if only the epoch."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return 1
    except ValueError:  # a function without a signature, such as some C functions
        return 2
    return 2
