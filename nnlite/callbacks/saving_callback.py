"""What the callbacks that write files share: how often, and what to do where it fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs

__all__ = ["SavingCallback"]


class SavingCallback(Callback):
    """A callback that writes a file after every epoch, or every so many batches.

    Args:
        save_freq: ``"epoch"``, or a number of batches.
        on_error: ``"raise"`` where the file cannot be written, or ``"warn"`` to go on training.
        name: What the argument ``save_freq`` is called in messages.

    Raises:
        ValueError: If either is anything else.
    """

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
        self._last_batch = -1  # in its epoch

    def _idle_hook(self) -> Any:
        # fit gathers logs for a hook only if it has something to do.
        return SavingCallback.on_train_batch_end if self.save_freq == "epoch" else None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if it is done by batches and enough have passed."""
        super().on_train_batch_end(batch, logs)
        if isinstance(self.save_freq, str):
            return
        # Told by the batches' numbers: fit may call the hook once for several.
        self._batches += batch - (self._last_batch if batch > self._last_batch else -1)
        self._last_batch = batch
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save_after_batch(batch, logs or {})

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        raise NotImplementedError

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Let an OSError inside pass, or with ``on_error="warn"`` make a warning of it."""
        try:
            yield
        except OSError as error:
            if self.on_error == "raise":
                raise
            warnings.warn(f"{error}. Training goes on; the last good file stays.", stacklevel=4)
