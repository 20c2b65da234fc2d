"""ReduceLROnPlateau: reduces the learning rate when a quantity has stopped improving."""

from __future__ import annotations

import math

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.monitor import MonitorCallback
from nnlite.utils.progress import say
from nnlite.utils.validation import check_count, check_number


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a quantity has stopped improving.

    The rate is recorded in the logs and the history as ``"learning_rate"``.

    Args:
        monitor: The name of the quantity in the logs.
        factor: The factor, less than 1.
        patience: The number of epochs without improvement to wait.
        verbose: 1 prints each reduction.
        mode: ``"min"``, ``"max"``, or ``"auto"``, which uses the direction of the loss or
            of the metric.
        min_delta: The smallest change that counts as an improvement.
        cooldown: The number of epochs to ignore after a reduction.
        min_lr: The smallest rate.

    Raises:
        TypeError: If an argument has the wrong type; in training, if the optimizer has a
            schedule.
        ValueError: If ``factor`` is 1 or more, ``mode`` is unknown, or a number is negative; in
            training, if ``mode`` is ``"auto"`` and the direction is unknown.

    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> reduce = ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1)
    >>> history = Sequential([Dense(1, kernel_initializer="zeros")]).fit(
    ...     np.zeros((4, 2)), np.zeros(4), epochs=4, verbose=0, callbacks=[reduce]
    ... )
    >>> history.history["learning_rate"]
    [0.01, 0.01, 0.005, 0.0025]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor = check_number("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"factor must be less than 1. Received: factor={factor}")
        self.patience = check_count("patience", patience, 0)
        self.verbose = verbose
        self.cooldown = check_count("cooldown", cooldown, 0)
        self.min_lr = check_number("min_lr", min_lr, -math.inf)
        self._reset()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the best value and the counters."""
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Return whether the cooldown lasts."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the rate in the logs, and reduce it when patience is exhausted."""
        logs = {} if logs is None else logs
        rate = logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self._watched(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                reduced = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = reduced
                if self.verbose:
                    say(f"Epoch {epoch + 1}: the learning rate is reduced to {reduced:.4g}.")
                self.cooldown_counter = self.cooldown
                self.wait = 0
