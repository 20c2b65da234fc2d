"""CSVLogger: a line in a file for every epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from nnlite.callbacks.callback import Callback, Logs

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes loss and metrics of every epoch to a CSV file.

    The columns are the epoch, counted from 0, and the names in the first epoch's logs, sorted;
    where none of them is of a validation, each once more as ``val_...``. What an epoch lacks
    is ``NA``. The file is open only while a line is written, so that a run that fails leaves it
    whole.

    Args:
        filename: The file's path; its folder must exist.
        separator: What stands between two values, one character.
        append: Whether to go on at the end of a file that exists, rather than begin it anew.

    Raises:
        TypeError: If ``filename`` is no path, or ``separator`` no character.
        OSError: In training, if the file cannot be written.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="zeros")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = CSVLogger(f"{folder}/log.csv")
    ...     _ = model.fit(np.ones((4, 2)), np.zeros(4), epochs=2, verbose=0, callbacks=[log])
    ...     print(pathlib.Path(log.filename).read_text())
    epoch,loss,val_loss
    0,0.0,NA
    1,0.0,NA
    <BLANKLINE>
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise TypeError(f"separator must be one character. Received: separator={separator!r}")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin the file anew, unless lines are to be appended to it."""
        with open(self.filename, "a" if self.append else "w"):
            self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line, and before the file's first one the columns' names."""
        import csv  # only who writes such a file needs it

        logs = logs or {}
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if self.keys is None:
                self.keys = sorted(logs)
                if not any(name.startswith("val_") for name in self.keys):
                    self.keys += [f"val_{name}" for name in self.keys]
                if file.tell() == 0:
                    writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(_text(logs.get(name, "NA")) for name in self.keys)])


def _text(value: Any) -> Any:
    """Return a value as it is written: a list in brackets, as Keras writes it."""
    several = getattr(value, "ndim", 1) > 0  # a single number as an array can be no row
    if isinstance(value, Iterable) and not isinstance(value, str) and several:
        return f'"[{", ".join(map(str, value))}]"'
    return value
