"""SavingCallback: the base class of callbacks that write files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs


class SavingCallback(Callback):
    """Base class of callbacks that write a file after every epoch or every N batches."""

    def __init__(self, save_freq: str | int, on_error: str, name: str = "save_freq") -> None:
        counts = isinstance(save_freq, (int, np.integer)) and not isinstance(save_freq, bool)
        if save_freq != "epoch" and not (counts and int(save_freq) >= 1):
            raise ValueError(
                f"{name} must be 'epoch' or a number of batches, at least 1. "
                f"Received: {name}={save_freq!r}"
            )
        if on_error not in ("raise", "warn"):
            raise ValueError(f"on_error must be 'raise' or 'warn'. Received: on_error={on_error!r}")
        self.save_freq = int(save_freq) if counts else save_freq
        self.on_error = on_error
        self._batches = 0  # since the last save
        self._last_batch = -1  # within its epoch

    def _idle_hook(self) -> Callable[..., Any] | None:
        # fit collects logs for a hook only if the hook does something.
        return SavingCallback.on_train_batch_end if self.save_freq == "epoch" else None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if ``save_freq`` batches have passed."""
        super().on_train_batch_end(batch, logs)
        if isinstance(self.save_freq, str):
            return
        # Count by batch numbers, since fit may call the hook once for several batches.
        self._batches += batch - (self._last_batch if batch > self._last_batch else -1)
        self._last_batch = batch
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save_after_batch(batch, logs or {})

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        raise NotImplementedError

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Convert an OSError to a warning if ``on_error="warn"``."""
        try:
            yield
        except OSError as error:
            if self.on_error == "raise":
                raise
            warnings.warn(f"{error}. Training continues; the last good file is kept.", stacklevel=4)
