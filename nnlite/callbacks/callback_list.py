"""The callbacks of one run, called together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nnlite.callbacks.callback import Callback, Logs
from nnlite.callbacks.history import History

__all__ = ["CallbackList"]


class CallbackList:
    """The callbacks of one run, and which of them want which hook.

    Args:
        callbacks: One callback, several, or None.
        history: A `History` to put last, so that it records what others add to logs, or None.
        model: The model that runs.
        params: What the callbacks are told of the run.

    Raises:
        TypeError: If one is no callback.
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None,
        history: History | None,
        model: Any,
        params: Logs,
    ) -> None:
        given: list[Any] = [] if callbacks is None else [callbacks]
        if isinstance(callbacks, Iterable):
            given = list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                hint = " Make an object of the class." if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks must be Callback objects. Received: {callback!r}.{hint}"
                )
        ordered = [*given, *([history] if history else [])]
        self.callbacks = sorted(ordered, key=lambda callback: callback.comes_last)
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)
        self._hooks: dict[str, list[Callable[..., None]]] = {
            name: [
                function
                for callback in self.callbacks
                if (function := _override(callback, name)) is not None
            ]
            for name in vars(Callback)
            if name.startswith("on_")
        }

    def has(self, kind: type[Callback]) -> bool:
        """Whether any callback is of a kind."""
        return any(isinstance(callback, kind) for callback in self.callbacks)

    def wants(self, hook: str) -> bool:
        """Whether any callback overrides ``hook``."""
        return bool(self._hooks[hook])

    def call(self, hook: str, *place: int, logs: Logs | None = None) -> None:
        """Call ``hook`` of every callback that overrides it, with the epoch or batch and logs."""
        functions = self._hooks[hook]
        if functions:
            logs = {} if logs is None else logs
            for function in functions:
                function(*place, logs)


def _override(callback: Callback, name: str) -> Callable[..., None] | None:
    """Return the callback's own hook, or None where it has but the empty one."""
    for hook in (name, name.replace("on_train_batch", "on_batch")):
        function = getattr(callback, hook)
        if getattr(function, "__func__", None) is not vars(Callback)[hook]:
            return function
    return None
