"""Progress of fit: a bar per epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_REFRESH = 0.1  # seconds between updates of a bar
_FORMAT = "{desc}: {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
_COUNT = "{desc}: {n_fmt} steps {elapsed}{postfix}"  # unknown number of steps
_LINES = 20  # approximate number of lines of "auto" without a terminal
_silent = False  # whether another process prints


class Progress:
    """A progress bar, or plain lines, or nothing.

    Args:
        verbose: 0 for nothing, 1 for a bar, 2 for a line per epoch; ``"auto"`` for a bar on a
            terminal or in a notebook, else about twenty lines.
        epochs: The number of epochs.
        delay: Seconds before a bar appears, for single passes (``evaluate``, ``predict``), which
            print no lines.
    """

    def __init__(self, verbose: int | str, epochs: int, delay: float | None = None) -> None:
        check_verbose(verbose)
        self._epochs = epochs
        self._delay = delay
        seen = _is_terminal() or "ipykernel" in sys.modules
        wanted = verbose == 1 or (verbose == "auto" and seen)
        self._draws = wanted and sys.stdout is not None and not _silent
        self._prints = verbose in ("auto", 2) and not (self._draws or _silent) and delay is None
        self._every = max(1, -(-epochs // _LINES)) if verbose == "auto" else 1
        self._bar: Any = None
        self.begin_epoch(0, 0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def begin_epoch(self, epoch: int, steps: int | None, done: int = 0) -> None:
        """Begin an epoch of ``steps`` steps (None: unknown), some of which may be done."""
        self._epoch, self._total, self._steps, self._done = epoch, steps, done, done
        self._began = self._stepped = time.perf_counter()
        self._due = self._began + (self._delay or _REFRESH)

    def step(self, logs: Callable[[], dict[str, float]]) -> None:
        """Count one step; ``logs`` is called only when the bar is drawn.

        A bar is as slow to create as some steps, so that it appears after a while.
        """
        if not self._draws:
            return
        self._steps += 1
        now = self._stepped = time.perf_counter()
        if now >= self._due and self._total != 1:
            self._draw(logs())
            self._due = now + _REFRESH

    def end_epoch(self, epoch: int, logs: dict[str, float], last: bool) -> None:
        """Close the bar of the epoch, or print its line."""
        self._close()
        if self._draws:
            _show(self._line(logs))
        done = epoch + 1
        if self._prints and (last or done in (1, self._epochs) or done % self._every == 0):
            _show(f"Epoch {done}/{self._epochs} - {text(logs)}")

    def _line(self, logs: dict[str, float]) -> str:
        """Return the final line of an epoch, shortened to the width of a terminal."""
        import shutil  # slow to import

        of_all = " steps" if self._total is None else f"/{self._total}"
        seconds = f"{time.perf_counter() - self._began:.0f}s"
        line = f"{self._title()}: {self._steps}{of_all} {seconds} {self._pace()} - {text(logs)}"
        values = " ".join(f"{name} {number(value)}" for name, value in logs.items())
        place = f"{self._epoch + 1}/{self._epochs}"
        for shorter in (f"{place} {self._pace()} {values}", f"{place} {values}"):
            if not _is_terminal() or len(line) < shutil.get_terminal_size().columns:
                break
            line = shorter
        return line

    def _pace(self) -> str:
        """Return the time per step without validation, as Keras writes it."""
        return pace((self._stepped - self._began) / max(1, self._steps - self._done))

    def _title(self) -> str:
        return "Batches" if self._delay else f"Epoch {self._epoch + 1}/{self._epochs}"

    def _draw(self, logs: dict[str, float]) -> None:
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=self._total,
                desc=self._title(),
                file=sys.stdout,
                unit="step",
                leave=False,
                dynamic_ncols=True,
                bar_format=_COUNT if self._total is None else _FORMAT,
            )
            self._bar.start_t -= time.perf_counter() - self._began
        values = f" - {text(logs)}" if logs else ""
        self._bar.set_postfix_str(f"{self._pace()}{values}", refresh=False)
        self._bar.update(self._steps - self._bar.n)
        self._bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def pace(seconds: float, of: str = "step") -> str:
    """Return the time per step, as Keras writes it.

    >>> pace(0.0125), pace(2.0, "sample")
    ('12ms/step', '2s/sample')
    """
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1 or seconds == 0:
            return f"{seconds * factor:.0f}{unit}/{of}"
    return f"{seconds * 1e6:.0f}us/{of}"


def check_verbose(verbose: int | str) -> None:
    """Refuse what ``verbose`` cannot be."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")


def silence(silent: bool) -> None:
    """Suppress the output of progress, or allow it again."""
    global _silent
    _silent = silent


def say(message: str) -> None:
    """Print a line, above the bar if there is one.

    >>> say("Epoch 3: early stopping")
    Epoch 3: early stopping
    """
    if _silent:
        return
    tqdm = sys.modules.get("tqdm.auto")  # imported if there is a bar
    if tqdm is None or sys.stdout is None:
        _show(message)
    else:
        tqdm.tqdm.write(message)


def _show(line: str) -> None:
    """Print and flush a line, if there is a stdout."""
    print(line, flush=hasattr(sys.stdout, "flush"))


def _is_terminal() -> bool:
    """Return whether stdout is a terminal; it may be an object with only ``write``."""
    return bool(getattr(sys.stdout, "isatty", bool)())


def text(logs: dict[str, Any]) -> str:
    """Return values as one line.

    >>> text({"loss": 0.69314, "accuracy": 0.5})
    'loss: 0.6931 - accuracy: 0.5000'
    """
    return " - ".join(f"{name}: {number(value)}" for name, value in logs.items())


def number(value: Any) -> str:
    """Return the text of a number or an abbreviated array; other values use ``str``.

    >>> number(1e-5), number(np.array([0.5, 1.0])), number(None)
    ('1.0000e-05', '[0.5 1. ]', 'None')
    """
    if isinstance(value, np.ndarray):  # a metric may have one value per class
        return " ".join(np.array2string(value, precision=4, threshold=8, edgeitems=2).split())
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    value = float(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4e}"
