"""BackupAndRestore: resumes an interrupted run."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import Any

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.saving_callback import SavingCallback
from nnlite.distribution.processes import current
from nnlite.execution.abstract_model import Run
from nnlite.utils.progress import say
from nnlite.utils.validation import check_path


class BackupAndRestore(SavingCallback):
    """Backs up a run, so that calling the same `fit` again resumes it after an interruption.

    The backup contains everything that the next step depends on: weights, optimizer state, position
    and order of the data, random generators, running means, history, and plain attributes of
    callbacks. The resumed run gives bitwise the same result as an uninterrupted one. (A generator
    must yield the same data again; finished batches are skipped.) The file is written atomically,
    and deleted when `fit` ends.

    Args:
        backup_dir: The folder of the backup, for this run only; created if necessary.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: Whether to keep the previous backup too, in case the last one cannot be
            read.
        delete_checkpoint: Whether to delete the backup, and its folder if empty, after training.
        on_error: What to do if a backup cannot be written (full disk, read-only folder):
            ``"raise"``, or ``"warn"`` and continue training. The last good backup is kept.

    Raises:
        ValueError: If an argument is invalid; in training, if the backup is damaged or belongs to
            another model.
        OSError: In training, if the backup cannot be written.

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
        self.backup_dir = check_path("backup_dir", backup_dir)
        self.double_checkpoint = bool(double_checkpoint)
        self.delete_checkpoint = bool(delete_checkpoint)
        self._latest = os.path.join(self.backup_dir, "latest.npz")
        self._previous = os.path.join(self.backup_dir, "previous.npz")
        self._next = os.path.join(self.backup_dir, "next.npz")

    @property
    def _run(self) -> Run:
        run = self.model.fit_loop
        assert run is not None  # hooks are called within it
        return run

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the run from the backup, if there is one."""
        from nnlite.callbacks.run_state import restore
        from nnlite.utils.atomic_write import explaining, remove_leftovers

        group = current()
        if group.rank == 0:
            with self._going_on(), explaining(self.backup_dir):  # also within an epoch
                os.makedirs(self.backup_dir, exist_ok=True)
            for path in (self._latest, self._next):
                remove_leftovers(path)
        found = group.broadcast(None if group.rank else self._read(), "read the backup")
        if found is not None:
            path, state = found
            restore(self._run, state, path)
            self._batches, self._last_batch = 0, state["step"] - 1
            at = f", batch {state['step'] + 1}" if state["step"] else ""
            say(f"Going on at epoch {state['epoch'] + 1}{at}.")

    def _read(self) -> tuple[str, dict[str, Any]] | None:
        """Return the newest readable backup and its path."""
        from nnlite.callbacks.run_state import read_backup

        try:
            return self._latest, read_backup(self._latest)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            if os.path.exists(self._previous):
                if isinstance(error, ValueError):
                    warnings.warn(f"{error}. The previous backup is used.", stacklevel=2)
                return self._previous, read_backup(self._previous)
            if isinstance(error, ValueError):
                raise
        return None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up, if ``save_freq`` is ``"epoch"``."""
        if self.save_freq == "epoch":
            self._write(epoch + 1, 0)

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        self._write(self._run.epoch, self._run.step)

    def _write(self, epoch: int, step: int) -> None:
        from nnlite.callbacks.run_state import write_backup
        from nnlite.utils.atomic_write import explaining

        with self._going_on():
            if current().rank == 0:
                with explaining(self.backup_dir):
                    os.makedirs(self.backup_dir, exist_ok=True)
            if not self.double_checkpoint:
                write_backup(self._latest, self._run, epoch, step)
                return
            write_backup(self._next, self._run, epoch, step)
            if current().rank:
                return
            with explaining(self.backup_dir):
                if os.path.exists(self._latest):
                    os.replace(self._latest, self._previous)
                os.replace(self._next, self._latest)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup, and its folder if empty, if requested."""
        from nnlite.utils.atomic_write import explaining

        if not self.delete_checkpoint or current().rank:
            return
        for path in (self._latest, self._previous, self._next):
            if os.path.exists(path):
                with self._going_on(), explaining(path):
                    os.unlink(path)
        with suppress(OSError):
            os.rmdir(self.backup_dir)
