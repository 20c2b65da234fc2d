"""Callback: what a user has called along the way of fit, evaluate and predict."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Callback", "Logs"]

Logs = dict[str, Any]


class Callback:
    """Called along the way; override the hooks that you want.

    ``self.model`` is the model and ``self.params`` a dict with ``"epochs"``, ``"steps"`` and
    ``"verbose"``. Setting ``self.model.stop_training = True`` ends the training after the batch or
    the epoch; ``stop_evaluating`` and ``stop_predicting`` end `evaluate` and `predict` after the
    batch. Epochs and batches count from 0. What a hook adds to ``logs`` at the end of an epoch is
    recorded in the `History`; what it returns is not used.

    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"EPOCH {epoch}!")
    >>> model = Sequential([Dense(1)])
    >>> _ = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[Shout()])
    EPOCH 0!
    EPOCH 1!
    """

    model: Any = None
    #: Whether it is called after all others, whatever its place in the list.
    comes_last: ClassVar[bool] = False

    #: Whether each of several processes calls its own; the others' decisions are process 0's.
    in_every_process: ClassVar[bool] = False

    params: Logs = {}  # noqa: RUF012  replaced, never changed, by set_params

    def _idle_hook(self) -> Any:
        """Return the hook of its class that has nothing to do as it is set up, or None."""
        return None

    def set_params(self, params: Logs) -> None:
        """Take the run's parameters."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_begin`, called where that one is not overridden."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_end`, called where that one is not overridden."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; ``logs`` has loss and metrics, ``val_`` ones too."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` has the epoch's means so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation, validation included."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation; ``logs`` has the means so far."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of predictions; ``logs["outputs"]`` are they."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After training; ``logs`` are those of the last epoch."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation; ``logs`` has loss and metrics."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before predictions."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After predictions."""
