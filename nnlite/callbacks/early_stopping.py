"""EarlyStopping: stops training when a quantity has stopped improving."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.monitor import MonitorCallback, check_reference
from nnlite.utils.progress import say
from nnlite.utils.validation import check_count


class EarlyStopping(MonitorCallback):
    """Stops training when a quantity has stopped improving.

    Source: Prechelt, "Early Stopping - But When?", 1998.

    Args:
        monitor: The name of the quantity in the logs.
        min_delta: The smallest change that counts as an improvement.
        patience: The number of epochs without improvement to wait.
        verbose: 1 prints when it stops.
        mode: ``"min"``, ``"max"``, or ``"auto"``, which uses the direction of the loss or
            of the metric.
        baseline: A value that must be exceeded within ``patience`` epochs.
        restore_best_weights: Whether to restore the weights of the best epoch at the end.
        start_from_epoch: The first epoch to monitor.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``mode`` is unknown, or a count is negative; in training, if ``mode`` is
            ``"auto"`` and the direction is unknown.

    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> stop = EarlyStopping(monitor="loss", patience=2)
    >>> history = Sequential([Dense(1, kernel_initializer="zeros")]).fit(
    ...     np.zeros((4, 2)), np.zeros(4), epochs=50, verbose=0, callbacks=[stop]
    ... )
    >>> len(history.epoch)
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = check_count("patience", patience, 0)
        self.verbose = verbose
        self.baseline = check_reference("baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_count("start_from_epoch", start_from_epoch, 0)
        self._reset()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the best value and the counters."""
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights: list[NDArray[Any]] | None = None
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the value with the best, and stop when patience is exhausted."""
        value = self._watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self._is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights, if requested."""
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(f"Restoring the weights of epoch {self.best_epoch + 1}, the best.")
            self.model.set_weights(self.best_weights)
