"""CSVLogger: one line per epoch in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from nnlite.callbacks.callback import Callback, Logs
from nnlite.utils.validation import check_path


class CSVLogger(Callback):
    """Writes loss and metrics of every epoch to a CSV file.

    The columns are the epoch, counted from 0, and the sorted names in the logs of the first epoch,
    plus ``val_...`` columns if there was no validation. Missing values are ``NA``. The file is open
    only during a write, and a partly written line is removed. A run resumed by `BackupAndRestore`
    continues its own file.

    Args:
        filename: The path of the file, in an existing folder.
        separator: The character between two values.
        append: Whether to append to an existing file instead of overwriting it.

    Raises:
        TypeError: If ``filename`` is not a path, or ``separator`` is not one character.
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
        self.filename = check_path("filename", filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._end: int | None = None  # the offset of the next line; None before the first one

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the file can be written."""
        from nnlite.utils.atomic_write import explaining

        with explaining(self.filename), open(self.filename, "ab"):
            self.keys = self._end = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line of the epoch, preceded by the header at the first one."""
        import csv  # rarely needed
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
        # Lines written after the backup of a resumed run are dropped.
        self._end = append_whole(self.filename, self._end, lines)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Empty the file if there was no epoch and ``append`` is False."""
        if self._end is None and not self.append:
            os.truncate(self.filename, 0)


def _text(value: Any) -> Any:
    """Return the text of a value, as Keras writes it."""
    several = getattr(value, "ndim", 1) > 0  # a 0-D array is a number
    if isinstance(value, Iterable) and not isinstance(value, str) and several:
        return f'"[{", ".join(map(str, value))}]"'
    return value
