"""CallbackList: calls the callbacks of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nnlite.callbacks.callback import Callback, Logs
from nnlite.callbacks.history import History
from nnlite.callbacks.learning_rate_scheduler import LearningRateScheduler
from nnlite.callbacks.monitor import MonitorCallback
from nnlite.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nnlite.distribution.processes import alone, current
from nnlite.execution.abstract_model import AbstractModel
from nnlite.execution.common_state import average_moving, hear_first, watch_changes

_Hook = tuple[Callback, Callable[..., Any]]  # a callback and its function

_BEGINNINGS = ("on_train_begin", "on_epoch_begin", "on_test_begin", "on_predict_begin")


class CallbackList:
    """The callbacks of one run.

    Args:
        callbacks: A callback, a list of callbacks (nested lists are allowed), or None.
        add_history: Whether to append a `History` if none is given. It comes last, so that it
            records what others add to the logs.
    """

    def __init__(
        self, callbacks: Callback | Iterable[Any] | None, add_history: bool = False
    ) -> None:
        given = [] if callbacks is None else list(_flat(callbacks))
        for callback in given:
            if not isinstance(callback, Callback):
                hint = " Create an instance of the class." if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks must be Callback objects. Received: {callback!r}.{hint}"
                )
        self.history = next((one for one in given if isinstance(one, History)), None)
        if self.history is None and add_history:
            self.history = History()
            given.append(self.history)
        self.callbacks = sorted(given, key=lambda callback: callback.comes_last)

    def begin(self, model: AbstractModel, **params: Any) -> None:
        """Set the model and the parameters of the callbacks."""
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)
        for callback in self.callbacks:
            callback.set_params(params)
        self._find_hooks()

    def _find_hooks(self) -> None:
        #: The functions of each hook, with their callbacks.
        self._hooks: dict[str, list[_Hook]] = {
            name: [
                (callback, function)
                for callback in self.callbacks
                if (function := _override(callback, name)) is not None
            ]
            for name in vars(Callback)
            if name.startswith("on_")
        }

    def has(self, kind: type[Callback] | tuple[type[Callback], ...]) -> bool:
        """Return whether any callback is an instance of a class."""
        return any(isinstance(callback, kind) for callback in self.callbacks)

    def wants(self, hook: str) -> bool:
        """Return whether any callback overrides ``hook``."""
        return bool(self._hooks[hook])

    def call(self, hook: str, *place: int, logs: Logs | None = None) -> None:
        """Call ``hook`` of every callback that overrides it."""
        functions = self._hooks[hook]
        if not functions:
            return
        logs = {} if logs is None else logs
        if current().size > 1:
            functions = self._call_in_first(hook, functions, place, logs)
        for callback, function in functions:
            self._call(hook, callback, function, place, logs)
        if hook in _BEGINNINGS:  # callbacks may have changed
            self._find_hooks()

    def _call(
        self,
        hook: str,
        callback: Callback,
        function: Callable[..., Any],
        place: tuple[int, ...],
        logs: Logs,
    ) -> None:
        function(*place, logs)
        for name in logs:
            if not isinstance(name, str):
                raise TypeError(
                    f"{hook} of {type(callback).__name__} put the name {name!r} in the logs. "
                    "A name there must be a string."
                )

    def _call_in_first(
        self, hook: str, functions: list[_Hook], place: tuple[int, ...], logs: Logs
    ) -> list[_Hook]:
        """Call the callbacks of process 0, broadcast their effects, and return the others."""
        first = [pair for pair in functions if not pair[0].in_every_process]
        average_moving(self._model)
        if first:
            of_batch = "batch" in hook
            weights = not of_batch or not all(_is_ours(function) for _, function in first)
            before = watch_changes(self._model, weights)
            if current().rank == 0:
                with alone():
                    for callback, function in first:
                        self._call(hook, callback, function, place, logs)
            hear_first(self._model, before, None if of_batch else logs)
        return [pair for pair in functions if pair[0].in_every_process]

    def expect(self, validates: bool) -> None:
        """Announce the names of the logs, before the first epoch."""
        kinds = self._model.compiled_metrics.kinds()
        names = ["loss", *kinds]
        if validates:
            names += [f"val_{name}" for name in names]
        if self.has((LearningRateScheduler, ReduceLROnPlateau)):
            names.append("learning_rate")
        writers = (
            function
            for hook in self._hooks
            if hook.endswith("_end")
            for _, function in self._hooks[hook]
        )
        complete = all(map(_is_ours, [type(self._model), *kinds.values(), *writers]))
        for callback in self.callbacks:
            if isinstance(callback, MonitorCallback):
                callback._expect(names, complete)


def _flat(callbacks: Any) -> Iterator[Any]:
    """Yield the callbacks in nested lists."""
    if isinstance(callbacks, Iterable) and not isinstance(callbacks, (Callback, str)):
        for one in callbacks:
            yield from _flat(one)
    else:
        yield callbacks


def _is_ours(thing: Any) -> bool:
    """Return whether a class, an object or a function belongs to nnlite."""
    return str(getattr(thing, "__module__", "")).startswith("nnlite.")


def _override(callback: Callback, name: str) -> Callable[..., Any] | None:
    """Return the overridden method of a callback, or None."""
    for hook in (name, name.replace("on_train_batch", "on_batch")):
        function = getattr(callback, hook)
        own = getattr(function, "__func__", None)
        if own is not vars(Callback)[hook] and (own is None or own is not callback._idle_hook()):
            return function
    return None
