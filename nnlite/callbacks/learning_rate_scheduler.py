"""LearningRateScheduler: a learning rate for every epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.progress import say

__all__ = ["LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Every epoch's rate stands in the logs, and so in the history, as ``"learning_rate"``.

    Args:
        schedule: Called with the epoch, counted from 0, and the rate so far, or with the epoch
            alone where it takes but one argument; returns the rate.
        verbose: 1 prints each epoch's rate.

    Raises:
        TypeError: If ``schedule`` cannot be called; in training, if the optimizer's own schedule
            decides on the rate.
        ValueError: In training, if what it returns is no number, negative or not finite.

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
        """Set the epoch's rate."""
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
        """Note the rate in the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _arguments_taken(schedule: Callable[..., float]) -> int:
    """Return 2 where a schedule takes epoch and rate, 1 where it takes but the epoch."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return 1
    except ValueError:  # a function without a signature, such as some written in C
        return 2
    return 2
