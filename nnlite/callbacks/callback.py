"""Callback: the base class of user code that runs during fit, evaluate and predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from nnlite.execution.abstract_model import AbstractModel
from nnlite.utils.validation import ChecksArguments

Logs = dict[str, Any]


class Callback(ChecksArguments):
    """Base class of callbacks: override the methods for the events of interest.

    ``self.model`` is the model and ``self.params`` a dict with ``"epochs"``, ``"steps"`` and
    ``"verbose"``. Setting ``self.model.stop_training = True`` stops training after the batch or
    epoch; ``stop_evaluating`` and ``stop_predicting`` stop `evaluate` and `predict` after the
    batch. Epochs and batches count from 0. Entries added to ``logs`` at the end of an epoch are
    recorded in the `History`; return values are ignored.

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

    model: AbstractModel = cast(AbstractModel, None)  # replaced before any hook is called
    #: Whether the callback is called after all others.
    comes_last: ClassVar[bool] = False

    #: Whether each of several processes calls its own; the others' decisions are process 0's.
    in_every_process: ClassVar[bool] = False

    params: Logs = {}  # noqa: RUF012  replaced, never changed, by set_params

    def _idle_hook(self) -> Callable[..., Any] | None:
        """Return the method that does nothing with the current arguments, or None."""
        return None

    def set_params(self, params: Logs) -> None:
        """Set the parameters of the run."""
        self.params = params

    def set_model(self, model: AbstractModel) -> None:
        """Take the model."""
        self.model = model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_begin`, called unless the new one is overridden."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_end`, called unless the new one is overridden."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation; ``logs`` has loss and metrics."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training step; ``logs`` has the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of an evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of an evaluation; ``logs`` has the means so far."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of predictions, which are ``logs["outputs"]``."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after training with the ``logs`` of the last epoch."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after an evaluation; ``logs`` has loss and metrics."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before predictions."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after predictions."""
