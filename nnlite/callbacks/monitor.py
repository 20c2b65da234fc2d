"""MonitorCallback: the base class of callbacks that compare a quantity with its best value."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from nnlite.callbacks.callback import Callback, Logs
from nnlite.execution.abstract_model import AbstractModel
from nnlite.utils.validation import check_number


class MonitorCallback(Callback):
    """Base class of callbacks that compare a quantity in the logs with its best value.

    NaN never counts as an improvement; the first number after it does.
    """

    #: The effect of a missing quantity, for the warning.
    _without_value: ClassVar[str] = "The callback does nothing."

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
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
        self.monitor_op: Callable[[Any, Any], bool] | None = None  # set with the model
        self._found_op = False  # whether monitor_op was derived from the model
        self._told: list[str] = []  # the warnings so far in this run

    def set_model(self, model: AbstractModel) -> None:
        """Set the model, and derive the direction again."""
        super().set_model(model)
        if self._found_op:
            self.monitor_op = None
        self._told = []

    def _expect(self, names: Iterable[str], complete: bool) -> None:
        """Check the names of the logs, before the first epoch."""
        if self.monitor_op is None:
            self._set_monitor_op(names)
        own = getattr(self.get_monitor_value, "__func__", None) is not _GET
        if complete and not own and self.monitor not in names:
            self._warn_of_absence(names)

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """Return the monitored value, or None with one warning per run if it is missing.

        A subclass may return another number, or None to skip an epoch.
        """
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            self._warn_of_absence(logs)
        return value

    def _watched(self, logs: Logs | None) -> Any:
        """Return the result of `get_monitor_value`, as a float if it is a single number."""
        if self.monitor_op is None:
            self._set_monitor_op(logs or {})
        value = self.get_monitor_value(logs)
        number = as_number(value)
        return value if number is None else number

    def _set_monitor_op(self, names: Iterable[str] = ()) -> None:
        self.monitor_op = operator.gt if self._more_is_better(names) else operator.lt
        self._found_op = True

    def _more_is_better(self, names: Iterable[str]) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        known = {one.name: one for one in getattr(self.model, "metrics", ())}
        compiled = getattr(self.model, "compiled_metrics", None)
        if compiled is not None:
            known.update(compiled.kinds())
        direction = getattr(known.get(name), "direction", None)
        if direction is not None:
            return direction == "up"
        raise ValueError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} should become larger or "
            "smaller: it is neither the loss nor a metric of the model that says so. Pass "
            f"mode='max' or mode='min'. The logs have: {', '.join(names)}."
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Return whether ``value`` improves on ``reference`` by more than ``min_delta``."""
        if not isinstance(value, (int, float)):
            raise ValueError(  # noqa: TRY004  a value of the logs, not an argument
                f"{type(self).__name__} needs one number to compare. Received: {self.monitor!r} "
                f"with {np.size(value)} values, {value!r}. Average the metric (average='macro'), "
                "or monitor another."
            )
        if math.isnan(value):
            self._warn(f"watches {self.monitor!r}, which is nan: that is never the best.")
            return False
        if reference is None or math.isnan(reference):
            return True
        assert self.monitor_op is not None  # set by _watched
        margin = self.min_delta if self.monitor_op(0.0, 1.0) else -self.min_delta
        return bool(self.monitor_op(value + margin, reference))

    def _warn_of_absence(self, names: Iterable[str]) -> None:
        self._warn(
            f"watches {self.monitor!r}, which is not in the logs: {', '.join(names)}. "
            f"{self._without_value}"
        )

    def _warn(self, message: str) -> None:
        """Warn once per run."""
        if message not in self._told:
            self._told.append(message)
            warnings.warn(f"{type(self).__name__} {message}", stacklevel=4)


_GET = MonitorCallback.get_monitor_value


def as_number(value: Any) -> float | None:
    """Return a number or the only entry of an array as a float, else None.

    >>> as_number(np.array([0.5])), as_number([1.0, 2.0]), as_number("0.5")
    (0.5, None, None)
    """
    array = np.asarray(value) if np.size(value) == 1 else np.array("")
    return float(array.item()) if array.dtype.kind in "fiub" else None


def check_reference(name: str, value: Any) -> float | None:
    """Return the baseline as a float (which may be infinite), or None."""
    if value is None or (isinstance(value, float) and math.isinf(value)):
        return value
    return check_number(name, value, -math.inf)
