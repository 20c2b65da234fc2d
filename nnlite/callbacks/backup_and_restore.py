"""BackupAndRestore: a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import Any

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.saving_callback import SavingCallback
from nnlite.distribution.processes import current
from nnlite.utils.progress import say

__all__ = ["BackupAndRestore"]


class BackupAndRestore(SavingCallback):
    """Backs a run up along the way; the same `fit`, called again, goes on from there.

    The backup holds all that the next step depends on: weights, the optimizer's state, the place
    in the data and their order, every random generator, running means, the history, and what the
    callbacks keep in plain attributes. So the run ends in the same bits as one that was never
    interrupted. (Data from a generator must come the same again; the batches that were done are
    passed over.) It is written whole or not at all, by a rename, and deleted when `fit` ends.

    Args:
        backup_dir: The folder of the backup, for this run alone; it is made if need be.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: Whether to keep the backup before the last one too, for the case that
            the last one cannot be read.
        delete_checkpoint: Whether to delete the backup when training has ended, and the folder
            where nothing else is in it.
        on_error: ``"raise"`` where a backup cannot be written (a full disk, a folder that is
            read-only), or ``"warn"`` to go on training without; the last good one stays.

    Raises:
        ValueError: If an argument is none of the above; in training, if the backup is that of
            another model or damaged.
        OSError: In training, if it cannot be written.

    >>> import tempfile
    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.callbacks import LambdaCallback
    >>> from nnlite.layers import Dense
    >>> def fail(epoch, logs):
    ...     if epoch == 2:
    ...         raise RuntimeError("The power fails.")
    >>> model, x = Sequential([Dense(1)]), np.ones((8, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         backup = [BackupAndRestore(folder), LambdaCallback(on_epoch_begin=fail)]
    ...         _ = model.fit(x, x[:, 0], epochs=5, verbose=0, callbacks=backup)
    ...     except RuntimeError as error:
    ...         print(error)
    ...     backup = [BackupAndRestore(folder), LambdaCallback()]
    ...     history = model.fit(x, x[:, 0], epochs=5, verbose=0, callbacks=backup)
    The power fails.
    Going on at epoch 3.
    >>> len(history.history["loss"])
    5
    """

    comes_last = True
    in_every_process = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        on_error: str = "raise",
    ) -> None:
        super().__init__(save_freq, on_error)
        if not backup_dir:
            raise ValueError(f"backup_dir must name a folder. Received: backup_dir={backup_dir!r}")
        self.backup_dir = os.fspath(backup_dir)
        self.double_checkpoint = bool(double_checkpoint)
        self.delete_checkpoint = bool(delete_checkpoint)
        self._latest = os.path.join(self.backup_dir, "latest.npz")
        self._previous = os.path.join(self.backup_dir, "previous.npz")
        self._next = os.path.join(self.backup_dir, "next.npz")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Put the run where the backup was made, if there is one."""
        from nnlite.callbacks.run_state import restore
        from nnlite.utils.atomic_write import explaining, remove_leftovers

        group = current()
        if group.rank == 0:
            with self._going_on(), explaining(self.backup_dir):  # not only after an epoch
                os.makedirs(self.backup_dir, exist_ok=True)
            for path in (self._latest, self._next):
                remove_leftovers(path)
        found = group.broadcast(None if group.rank else self._read(), "read the backup")
        if found is not None:
            path, state = found
            restore(self.model.fit_loop, state, path)
            self._batches, self._last_batch = 0, state["step"] - 1
            at = f", batch {state['step'] + 1}" if state["step"] else ""
            say(f"Going on at epoch {state['epoch'] + 1}{at}.")

    def _read(self) -> tuple[str, dict[str, Any]] | None:
        """Return the newest backup that can be read, and its file's path."""
        from nnlite.callbacks.run_state import read_backup

        try:
            return self._latest, read_backup(self._latest)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            if os.path.exists(self._previous):
                if isinstance(error, ValueError):
                    warnings.warn(f"{error}. The backup before it is taken.", stacklevel=2)
                return self._previous, read_backup(self._previous)
            if isinstance(error, ValueError):
                raise
        return None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up, if it is done by epochs."""
        if self.save_freq == "epoch":
            self._write(epoch + 1, 0)

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        self._write(self.model.fit_loop.epoch, self.model.fit_loop.step)

    def _write(self, epoch: int, step: int) -> None:
        from nnlite.callbacks.run_state import write_backup
        from nnlite.utils.atomic_write import explaining

        with self._going_on():
            if current().rank == 0:
                with explaining(self.backup_dir):
                    os.makedirs(self.backup_dir, exist_ok=True)
            if not self.double_checkpoint:
                write_backup(self._latest, self.model.fit_loop, epoch, step)
                return
            write_backup(self._next, self.model.fit_loop, epoch, step)
            if current().rank:
                return
            with explaining(self.backup_dir):
                if os.path.exists(self._latest):
                    os.replace(self._latest, self._previous)
                os.replace(self._next, self._latest)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup, and its folder where nothing else is in it, if that was asked for."""
        from nnlite.utils.atomic_write import explaining

        if not self.delete_checkpoint or current().rank:
            return
        for path in (self._latest, self._previous, self._next):
            if os.path.exists(path):
                with self._going_on(), explaining(path):
                    os.unlink(path)
        with suppress(OSError):
            os.rmdir(self.backup_dir)
