"""ModelCheckpoint: saves the model or its weights during training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from nnlite.callbacks.callback import Logs
from nnlite.callbacks.monitor import MonitorCallback, check_reference
from nnlite.callbacks.saving_callback import SavingCallback
from nnlite.utils.progress import say
from nnlite.utils.validation import check_path


class ModelCheckpoint(MonitorCallback, SavingCallback):
    """Saves the model or its weights after every epoch or every N batches.

    Files are written atomically. Missing folders are created.

    Args:
        filepath: The path, which ends in ``".keras"`` or ``".h5"``, or in ``".weights.h5"`` for
            weights only. ``{epoch}`` (from 1) and names in the logs such as ``{val_loss:.2f}``
            are replaced, and ``{batch}`` (from 1) if ``save_freq`` is a number.
        monitor: The name in the logs of the quantity for ``save_best_only``.
        verbose: 1 prints a line per file.
        save_best_only: Whether to save only if the quantity has improved.
        save_weights_only: Whether to save weights and optimizer state without the model.
        mode: ``"min"``, ``"max"``, or ``"auto"``, which uses the direction of the loss or
            of the metric.
        save_freq: ``"epoch"``, or a number of batches. Within an epoch, the logs have
            no ``val_...``, and their means are of the epoch so far.
        initial_value_threshold: The value that the first save must improve on.
        on_error: What to do if the file cannot be written (full disk, read-only folder):
            ``"raise"``, or ``"warn"`` and continue training. An older file is kept.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the suffix, ``mode``, ``save_freq`` or ``on_error`` is invalid;
            in training, if ``mode`` is ``"auto"`` and the direction is unknown.
        KeyError: In training, if the path contains a name that is not in the logs; before the first
            epoch, unless your own callback or metric may add names.
        OSError: In training, if the file cannot be written.

    >>> import pathlib, tempfile
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="zeros")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save = ModelCheckpoint(f"{folder}/{{epoch:02d}}-{{loss:.1f}}.keras")
    ...     _ = model.fit(np.ones((4, 2)), np.zeros(4), epochs=2, verbose=0, callbacks=[save])
    ...     print(sorted(path.name for path in pathlib.Path(folder).iterdir()))
    ['01-0.0.keras', '02-0.0.keras']
    """

    _without_value: ClassVar[str] = "The model is saved each time."

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        *,
        on_error: str = "raise",
    ) -> None:
        threshold = check_reference("initial_value_threshold", initial_value_threshold)
        MonitorCallback.__init__(self, monitor, mode, threshold)
        SavingCallback.__init__(self, save_freq, on_error)
        self.filepath = check_path("filepath", filepath)
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"filepath must end in {' or '.join(map(repr, endings))} with "
                f"save_weights_only={save_weights_only}. Received: filepath={self.filepath!r}"
            )
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.initial_value_threshold = initial_value_threshold
        self._epoch = 0

    def _expect(self, names: Iterable[str], complete: bool) -> None:
        """Check the names of the logs, before the first epoch."""
        by_epochs = self.save_freq == "epoch"
        names = [name for name in names if by_epochs or not name.startswith("val_")]
        if self.save_best_only:
            super()._expect(names, complete)
        if complete:
            place = {"epoch": 1} if by_epochs else {"epoch": 1, "batch": 1}
            self._path({**place, **dict.fromkeys(names, 0.5)})

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if ``save_freq`` is ``"epoch"``."""
        if self.save_freq == "epoch":
            self._save_if_due(logs or {}, {"epoch": epoch + 1})

    def _save_after_batch(self, batch: int, logs: Logs) -> None:
        run = getattr(self.model, "fit_loop", None)  # a subclass may override on_epoch_begin
        epoch = self._epoch if run is None else run.epoch
        self._save_if_due(logs, {"epoch": epoch + 1, "batch": batch + 1})

    def _save_if_due(self, logs: Logs, place: dict[str, int]) -> None:
        """Save unless only the best is saved and this is not the best."""
        path, epoch = self._path({**place, **logs}), place["epoch"]
        why, best_now = "", self.best
        if self.save_best_only:
            value = self._watched(logs)
            if np.size(value) > 1:
                warnings.warn(
                    f"{self.monitor!r} must be a single number for save_best_only. "
                    f"Received: {value}. The model is saved each time.",
                    stacklevel=2,
                )
            elif value is not None:  # without a value, Keras saves too
                best = "None" if self.best is None else f"{self.best:.5f}"
                if not self._is_improvement(value, self.best):
                    if self.verbose:
                        say(f"Epoch {epoch}: {self.monitor} did not improve from {best}.")
                    return
                best_now = value
                why = f"{self.monitor} improved from {best} to {value:.5f}, "
        if self.verbose:
            say(f"Epoch {epoch}: {why}saving to {path}")
        with self._going_on():
            self._write(path)
            self.best = best_now  # after the file is on disk

    def _path(self, names: dict[str, Any]) -> str:
        """Return the path with its placeholders replaced."""
        try:
            return self.filepath.format(**names)
        except KeyError as error:
            raise KeyError(
                f"filepath={self.filepath!r} names {error}, which is none of {', '.join(names)}."
            ) from error
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"filepath={self.filepath!r} cannot be filled in from {', '.join(names)}: {error}."
            ) from error

    def _write(self, path: str) -> None:
        if os.path.isdir(path):
            raise IsADirectoryError(f"filepath must be a file. Received a folder: {path}")
        folder = os.path.dirname(path)
        if folder:
            from nnlite.utils.atomic_write import explaining

            with explaining(folder):
                os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
