"""FitLoop: the loop over epochs and batches of one call of fit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from nnlite.callbacks import CallbackList, TerminateOnNaN
from nnlite.data.epochs import Epochs
from nnlite.execution.abstract_model import AbstractModel
from nnlite.execution.common_state import average_moving, check_equal
from nnlite.metrics import Mean
from nnlite.training.prediction import evaluate_all
from nnlite.utils.progress import Progress

__all__ = ["FitLoop"]


class FitLoop:
    """The loop of `fit`.

    Args:
        model: The model to train.
        batches: The batches of an epoch.
        held: The batches to evaluate on, or None.
        evaluates: Tells whether to evaluate after an epoch, counted from 0.
        hooks: The callbacks.
        progress: The progress display.
        epochs: The first epoch and the one to stop before.

    Attributes:
        epoch: The current epoch, counted from 0.
        end: The epoch to stop before.
        step: The number of finished batches of the epoch.
    """

    def __init__(
        self,
        model: AbstractModel,
        batches: Epochs,
        held: Epochs | None,
        evaluates: Callable[[int], bool],
        hooks: CallbackList,
        progress: Progress,
        epochs: tuple[int, int],
    ) -> None:
        self.model = model
        self.batches = batches
        self.hooks = hooks
        self.callbacks = hooks.callbacks
        self.epoch, self.end = epochs
        self.step = 0
        self._held = held
        self._evaluates = evaluates
        self._progress = progress
        #: Whether a callback ends the run if the loss is not finite, instead of an error.
        self.ends_on_nan = hooks.has(TerminateOnNaN)

    @property
    def mean(self) -> Mean:
        """The mean loss of the batches of the epoch so far."""
        return self.model.compiled_metrics.loss

    def run(self) -> None:
        """Train until the last epoch, or until a callback asks to stop."""
        model, hooks = self.model, self.hooks
        logs: dict[str, Any] = {}
        hooks.call("on_train_begin")  # may resume a run that was killed
        hooks.expect(validates=self._held is not None)
        try:
            while self.epoch < self.end:
                if not self.step:
                    hooks.call("on_epoch_begin", self.epoch)
                logs = self._run_epoch()
                if not self.step:  # the iterator is exhausted
                    break
                average_moving(model)
                if self._held is not None and self._evaluates(self.epoch):
                    scores = evaluate_all(model, self._held, hooks)
                    logs.update({f"val_{name}": value for name, value in scores.items()})
                hooks.call("on_epoch_end", self.epoch, logs=logs)
                check_equal(model)
                self._progress.end_epoch(self.epoch, logs, model.stop_training)
                self.epoch += 1
                self.step = 0
                if model.stop_training:
                    break
        finally:  # after an interruption too, as in Keras
            model.optimizer.finalize_variable_values()
        hooks.call("on_train_end", logs=logs)

    def _run_epoch(self) -> dict[str, Any]:
        """Train on the rest of the epoch, and return the means over the whole epoch."""
        model, hooks = self.model, self.hooks
        if not self.step:
            model.reset_metrics()
        own: dict[str, Any] | None = None  # the last result of a user's train_step

        def logs() -> dict[str, Any]:
            return dict(own) if own is not None else model.get_metrics_result()

        self._progress.begin_epoch(self.epoch, self.batches.length, self.step)
        begins, ends = hooks.wants("on_train_batch_begin"), hooks.wants("on_train_batch_end")
        pending = 0  # steps since the last hook
        with _Steps() as steps:
            try:
                for x, y, weight in self.batches:
                    if begins and not pending:
                        hooks.call("on_train_batch_begin", self.step)
                    steps.inside = True
                    own = model._step.take(x, y, weight)
                    self.step += 1
                    pending = (pending + 1) % model.steps_per_execution
                    steps.inside = False
                    if steps.interrupted:
                        raise KeyboardInterrupt
                    if ends and not pending:
                        hooks.call("on_train_batch_end", self.step - 1, logs=logs())
                    self._progress.step(logs)
                    if model.stop_training and not pending:
                        break
            except FloatingPointError as error:
                if not steps.inside:  # from a callback
                    raise
                raise FloatingPointError(
                    f"Epoch {self.epoch + 1}, batch {self.step + 1}: {error}"
                ) from error
        if ends and pending:
            hooks.call("on_train_batch_end", self.step - 1, logs=logs())
        return logs()


class _Steps:
    """A context in which Ctrl-C waits for the end of the current step."""

    def __init__(self) -> None:
        self.inside = False
        self.interrupted = False
        self._replaced: Callable[[int, FrameType | None], Any] | int | None = None

    def __enter__(self) -> _Steps:
        import signal  # slow to import

        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._replaced = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._replaced is not None:
            import signal

            signal.signal(signal.SIGINT, self._replaced)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.inside or self.interrupted:  # the second Ctrl-C does not wait
            raise KeyboardInterrupt
        self.interrupted = True
