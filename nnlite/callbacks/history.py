"""History: loss and metrics of every epoch, and their curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.progress import number

__all__ = ["History"]


class History(Callback):
    """What `fit` returns: loss and metrics of every epoch.

    Attributes:
        history: Maps each name to a list with one value an epoch.
        epoch: The epochs that were run, from 0.
        model: The model.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="zeros")])
    >>> model.fit(np.ones((4, 2)), np.zeros(4), epochs=2, verbose=0).history
    {'loss': [0.0, 0.0]}
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self._epochs: dict[str, list[int]] = {}  # of each name: validation may skip some

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the epochs anew; as in Keras, the values of an earlier run stay."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the epoch's values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            if isinstance(value, np.ndarray):  # perhaps a weight's, which training changes
                value = value.copy()
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
        last = ", ".join(f"{name}={number(values[-1])}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs: {last}>"
