"""Callbacks: what a user has called along the way of fit, evaluate and predict."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnlite.checks import check_count, check_number
from nnlite.registry import Configurable

__all__ = ["Callback", "EarlyStopping", "History"]

Logs = dict[str, Any]


class Callback:
    """Called along the way; override the hooks that you want.

    ``self.model`` is the model and ``self.params`` a dict with ``"epochs"``, ``"steps"`` and
    ``"verbose"``. Setting ``self.model.stop_training = True`` ends the training after the batch or
    the epoch. Epochs and batches count from 0.

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
    params: Logs = {}  # noqa: RUF012  replaced, never changed, by set_params

    def set_params(self, params: Logs) -> None:
        """Take the run's parameters."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; ``logs`` has loss and metrics, val_ ones too."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` has the epoch's means so far."""

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


class CallbackList:
    """The callbacks of one run, and which of them want which hook.

    Args:
        callbacks: One callback, several, or None.
        history: A `History` to put last, so that it records what others add to logs, or None.
        model: The model that runs.
        params: What the callbacks are told of the run.

    Raises:
        TypeError: If one is no callback.
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None,
        history: History | None,
        model: Any,
        params: Logs,
    ) -> None:
        given: list[Any] = [] if callbacks is None else [callbacks]
        if isinstance(callbacks, Iterable):
            given = list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                hint = " Make an object of the class." if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks must be Callback objects. Received: {callback!r}.{hint}"
                )
        self._callbacks = [*given, *([history] if history else [])]
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)
        self._hooks: dict[str, list[Callable[..., None]]] = {
            name: [
                getattr(callback, hook)
                for callback in self._callbacks
                for hook in dict.fromkeys((name, name.replace("on_train_batch", "on_batch")))
                if getattr(getattr(callback, hook), "__func__", None) is not vars(Callback)[hook]
            ]
            for name in vars(Callback)
            if name.startswith("on_")
        }

    def wants(self, hook: str) -> bool:
        """Whether any callback overrides ``hook``."""
        return bool(self._hooks[hook])

    def call(self, hook: str, *place: int, logs: Logs | None = None) -> None:
        """Call ``hook`` of every callback that overrides it, with the epoch or batch and logs."""
        functions = self._hooks[hook]
        if functions:
            logs = {} if logs is None else logs
            for function in functions:
                function(*place, logs)


class History(Callback):
    """What `fit` returns: loss and metrics of every epoch.

    Attributes:
        history: Maps each name to a list with one value an epoch.
        epoch: The epochs that were run, from 0.
        model: The model.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self._epochs: dict[str, list[int]] = {}  # of each name: validation may skip some

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the epoch's values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def plot(self, axes: Any = None) -> Any:
        """Draw loss and metrics over the epochs, training and validation together.

        Args:
            axes: A sequence of matplotlib axes, one for each quantity; None makes a new figure.

        Returns:
            The matplotlib figure.

        Raises:
            ImportError: If matplotlib is not installed: ``pip install nnlite[plot]``.
            ValueError: If there is no epoch to draw, or too few axes.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "History.plot draws with matplotlib: pip install 'nnlite[plot]'"
            ) from error
        names = [name for name in self.history if not name.startswith("val_")]
        if not names:
            raise ValueError("There is no epoch to draw yet.")
        if axes is None:
            figure = Figure(figsize=(5 * len(names), 3.6), layout="constrained")
            axes = figure.subplots(1, len(names), squeeze=False)[0]
        axes = np.atleast_1d(axes)
        if len(axes) < len(names):
            raise ValueError(f"plot needs {len(names)} axes. Received: {len(axes)}")
        for name, axis in zip(names, axes, strict=False):
            for key, label in [(name, "training"), (f"val_{name}", "validation")]:
                values = self.history.get(key, [])
                if values:
                    epochs = np.array(self._epochs[key]) + 1
                    axis.plot(epochs, values, label=label, marker="." if len(values) < 40 else "")
            axis.set_xlabel("epoch")
            axis.set_ylabel(name)
            axis.legend()
        return axes[0].figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs: {last}>"


class EarlyStopping(Callback, Configurable):
    """Ends training when a quantity has stopped getting better.

    Source: Prechelt, "Early Stopping - But When?", 1998.

    Args:
        monitor: The quantity's name in the logs.
        min_delta: A change smaller than this is no improvement.
        patience: How many epochs without improvement to wait.
        verbose: 1 prints when it stops.
        mode: ``"min"``, ``"max"``, or ``"auto"``, which takes the larger for better where the name
            ends in accuracy, precision, recall, AUC or score.
        baseline: A value to get better than within ``patience`` epochs.
        restore_best_weights: Whether to put back, at the end, the weights of the best epoch.
        start_from_epoch: The epoch before which nothing is watched.

    Raises:
        ValueError: If ``mode`` is unknown, or a count is negative.

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
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
        self.monitor = monitor
        self.min_delta = abs(check_number("min_delta", min_delta, -math.inf))
        self.patience = check_count("patience", patience, 0)
        self.verbose = verbose
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_count("start_from_epoch", start_from_epoch, 0)
        larger = ("accuracy", "acc", "auc", "precision", "recall", "score")
        self._sign = -1 if mode == "max" or (mode == "auto" and monitor.endswith(larger)) else 1

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin to watch anew."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_weights: Any = None
        self.best_epoch = 0

    def _better(self, value: float, than: float | None) -> bool:
        return than is None or self._sign * value < self._sign * than - self.min_delta

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch's value with the best, and stop when patience ends."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"EarlyStopping watches {self.monitor!r}, which is not in the logs: "
                f"{', '.join(logs or {})}.",
                stacklevel=2,
            )
            return
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        if self._better(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put back the best weights, if that was asked for."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of epoch {self.best_epoch + 1}, the best.")
            self.model.set_weights(self.best_weights)
