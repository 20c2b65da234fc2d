"""History: loss and metrics of every epoch, as lists, plots and data frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.progress import number


class History(Callback):
    """Loss and metrics of every epoch, returned by `fit`.

    Attributes:
        history: Maps each name to a list with one value per epoch.
        epoch: The epochs, counted from 0.
        model: The model.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="zeros")])
    >>> model.fit(np.ones((4, 2)), np.zeros(4), epochs=2, verbose=0).history
    {'loss': [0.0, 0.0]}
    """

    in_every_process = True

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self._rows: list[int] = []  # the epoch of each row, earlier runs included
        self._places: dict[str, list[int]] = {}  # the row of each value

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the epochs; as in Keras, values of an earlier run are kept."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the values of the epoch."""
        self.epoch.append(epoch)
        self._rows.append(epoch)
        for name, value in (logs or {}).items():
            if isinstance(value, np.ndarray):  # perhaps a weight, which training changes
                value = value.copy()
            self.history.setdefault(name, []).append(value)
            self._places.setdefault(name, []).append(len(self._rows) - 1)

    def _rows_of(self, name: str) -> list[int]:
        """Return the row of each value (for a user's list, the first rows)."""
        values, rows = self.history[name], self._places.get(name, [])
        return rows if len(rows) == len(values) else list(range(len(values)))

    def _epochs_of(self, name: str) -> Any:
        """Return the epoch of each value, counted from 1."""
        rows = self._rows_of(name)
        return np.array([self._rows[at] if at < len(self._rows) else at for at in rows], int) + 1

    def plot(self, axes: Any = None) -> Any:
        """Plot loss and metrics of training and validation over the epochs.

        Notebooks show the figure at the end of the cell; elsewhere use ``pyplot.show()``.

        Args:
            axes: A sequence of matplotlib axes, one per quantity; None creates a new figure.

        Returns:
            The matplotlib figure.

        Raises:
            ImportError: If matplotlib is not installed: ``pip install nnlite[plot]``.
            ValueError: If there are no epochs or too few axes.
        """
        try:
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError(
                "History.plot draws with matplotlib: pip install 'nnlite[plot]'"
            ) from error
        names = [name for name in self.history if not name.startswith("val_")]
        if not names:
            raise ValueError("There is no epoch to draw yet.")
        if axes is None:
            axes = _new_axes(len(names))
        axes = np.atleast_1d(axes)
        if len(axes) < len(names):
            raise ValueError(f"plot needs {len(names)} axes. Received: {len(axes)}")
        for name, axis in zip(names, axes, strict=False):
            for key, label in [(name, "training"), (f"val_{name}", "validation")]:
                values = self.history.get(key, [])
                if values:
                    marker = "." if len(values) < 40 else ""
                    axis.plot(self._epochs_of(key), values, label=label, marker=marker)
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
            axis.set_ylabel(name)
            axis.legend()
        return axes[0].figure

    def to_frame(self) -> Any:
        """Return the values as a pandas data frame, with a row per epoch and a column per name.

        The index holds the epochs, counted from 0. Missing values, such as those of an epoch
        without validation, are NaN.

        Raises:
            ImportError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "History.to_frame makes a data frame of pandas: pip install pandas. "
                "History.history holds the same values as lists."
            ) from error
        count = max([len(self._rows), *(len(values) for values in self.history.values())])
        columns = {}
        for name, values in self.history.items():
            columns[name] = [np.nan] * count
            for at, value in zip(self._rows_of(name), values, strict=True):
                columns[name][at] = value
        epochs = [*self._rows, *range(len(self._rows), count)]
        return pandas.DataFrame(columns, index=pandas.Index(epochs, name="epoch"))

    def _repr_html_(self) -> str:
        from nnlite.utils.markup import curves, element, sheet

        drawn = {
            name: (self._epochs_of(name), values)
            for name, values in self.history.items()
            if values and all(np.ndim(value) == 0 and _is_number(value) for value in values)
        }
        charts = []
        for name in drawn:
            if name.startswith("val_") and name[4:] in drawn:
                continue
            pair = [(name, "training", "var(--first)", False)]
            pair += [(f"val_{name}", "validation", "var(--second)", True)]
            lines = [
                (f"{label}: {number(drawn[key][1][-1])}", *drawn[key], colour, dashed)
                for key, label, colour, dashed in pair
                if key in drawn
            ]
            charts.append(element("div", sheet(name, [curves(name, lines)]), style=_CHART))
        style = "display:flex;flex-wrap:wrap;gap:12px"
        return element("p", repr(self)) + element("div", *charts, style=style)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={number(values[-1])}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs: {last}>"


_CHART = "flex:0 1 440px;min-width:0"


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float, np.number))


def _new_axes(count: int) -> Any:
    """Return ``count`` axes of a new figure."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    class ShownOnce(Figure):
        """A figure that a notebook shows only once."""

        def _ipython_display_(self) -> None:
            if "inline" in pyplot.get_backend():
                pyplot.close(self)  # do not show it again at the end of the cell
            raise NotImplementedError  # IPython then uses its own formatter

    size = (5 * count, 3.6)
    figure = pyplot.figure(FigureClass=ShownOnce, figsize=size, layout="constrained")
    return figure.subplots(1, count, squeeze=False)[0]
