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
    is ``NA``. The file is open only while a line is written, and a line that cannot be written
    whole is taken back. A run that `BackupAndRestore` takes up goes on with its own file.

    Args:
        filename: The file's path; its folder must exist.
        separator: What stands between two values, one character.
        append: Whether to go on at the end of a file that exists, rather than begin it anew with
            the first line.

    Raises:
        TypeError: If ``filename`` is no path, or ``separator`` no character.
        OSError: In training, if the file cannot be written; the message says what to do.

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
        self._end: int | None = None  # where the next line goes; None before the first one

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the file can be written."""
        from nnlite.utils.atomic_write import explaining

        with explaining(self.filename), open(self.filename, "ab"):
            self.keys = self._end = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line, and before the file's first one the columns' names."""
        import csv  # only who writes such a file needs these
        import io

        from nnlite.utils.atomic_write import append_whole

        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
        keys = self.keys

        def lines(end: int) -> bytes:
            text = io.StringIO()
            writer = csv.writer(text, delimiter=self.sep)
            if end == 0:
                writer.writerow(["epoch", *keys])
            writer.writerow([epoch, *(_text(logs.get(name, "NA")) for name in keys)])
            return text.getvalue().encode()

        if self._end is None and not self.append:
            self._end = 0
        # What was written after the backup that a run goes on from is dropped.
        self._end = append_whole(self.filename, self._end, lines)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Empty the file, if there was no epoch and it was to begin anew."""
        if self._end is None and not self.append:
            os.truncate(self.filename, 0)


def _text(value: Any) -> Any:
    """Return a value as it is written: a list in brackets, as Keras writes it."""
    several = getattr(value, "ndim", 1) > 0  # a single number as an array can be no row
    if isinstance(value, Iterable) and not isinstance(value, str) and several:
        return f'"[{", ".join(map(str, value))}]"'
    return value
