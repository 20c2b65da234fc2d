"""What the callbacks that watch a quantity share: which way is better, and by how much."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.checks import check_number
from nnlite.registry import Configurable

__all__ = ["MonitorCallback"]


class MonitorCallback(Callback, Configurable):
    """A callback that compares a quantity of the logs with the best so far.

    Args:
        monitor: The quantity's name in the logs, such as ``"val_loss"``.
        mode: ``"min"`` where less is better, ``"max"`` where more is; ``"auto"`` knows it of the
            loss and of the model's metrics that have a ``direction``.
        baseline: The value to begin with as the best; None takes the first one that comes.
        min_delta: A change smaller than this is no improvement.

    Raises:
        TypeError: If ``monitor`` is no name, or ``min_delta`` no number.
        ValueError: If ``mode`` is unknown.
    """

    def __init__(
        self,
        monitor: str,
        mode: str,
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(
                "monitor must be a name in the logs, such as 'val_loss'. "
                f"Received: monitor={monitor!r}"
            )
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(check_number("min_delta", min_delta, -math.inf))
        self.monitor_op: Callable[[Any, Any], bool] | None = None  # known once metrics are
        self._warned = False

    def set_model(self, model: Any) -> None:
        """Take the model, whose metrics say anew which way is better."""
        super().set_model(model)
        self.monitor_op = None
        self._warned = False

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """Return the monitored value, or None with a warning, once a run, where there is none.

        Raises:
            ValueError: If ``mode`` is ``"auto"`` and which way is better is not known.
        """
        logs = logs or {}
        if self.monitor_op is None:
            self.monitor_op = operator.gt if self._more_is_better(logs) else operator.lt
        value = logs.get(self.monitor)
        if value is None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not in the logs: "
                f"{', '.join(logs)}.",
                stacklevel=2,
            )
        return value

    def _more_is_better(self, logs: Logs) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        for metric in self.model.metrics:
            direction = getattr(metric, "direction", None)
            if metric.name == name and direction is not None:
                return direction == "up"
        raise ValueError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} should become larger or "
            "smaller: it is neither the loss nor a metric of the model that says so. Pass "
            f"mode='max' or mode='min'. The logs have: {', '.join(logs)}."
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Return whether ``value`` is better than ``reference``, by more than ``min_delta``.

        Raises:
            ValueError: If ``value`` is no single number.
        """
        if np.ndim(value):
            raise ValueError(
                f"{type(self).__name__} needs one number to compare. Received: {self.monitor!r} "
                f"with {np.size(value)} values, {value}. Average the metric (average='macro'), or "
                "monitor another."
            )
        if reference is None:
            return True
        assert self.monitor_op is not None  # get_monitor_value came first
        margin = self.min_delta if self.monitor_op is operator.lt else -self.min_delta
        return self.monitor_op(value + margin, reference)
