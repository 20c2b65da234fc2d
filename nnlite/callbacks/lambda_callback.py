"""LambdaCallback: a callback made from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnlite.callbacks.callback import Callback

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """Callback made from functions.

    Args:
        on_epoch_begin: Called with ``(epoch, logs)``.
        on_epoch_end: Called with ``(epoch, logs)``.
        on_train_begin: Called with ``(logs)``.
        on_train_end: Called with ``(logs)``.
        on_train_batch_begin: Called with ``(batch, logs)``.
        on_train_batch_end: Called with ``(batch, logs)``.
        **kwargs: Functions for the other hooks of `Callback`, by their names. Other names become
            attributes, unless they look like a misspelt hook.

    Raises:
        TypeError: If a name looks like a misspelt hook, or a hook is not a function.

    >>> import numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(f"EPOCH {epoch}!"))
    >>> model = Sequential([Dense(1)])
    >>> _ = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[shout])
    EPOCH 0!
    EPOCH 1!
    """

    def __init__(
        self,
        on_epoch_begin: Hook | None = None,
        on_epoch_end: Hook | None = None,
        on_train_begin: Hook | None = None,
        on_train_end: Hook | None = None,
        on_train_batch_begin: Hook | None = None,
        on_train_batch_end: Hook | None = None,
        **kwargs: Any,
    ) -> None:
        from difflib import get_close_matches  # slow to import

        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        hooks = [name for name, hook in vars(Callback).items() if name[0] != "_" and callable(hook)]
        for name, hook in given.items():
            if name in hooks:
                if not (hook is None or callable(hook)):
                    raise TypeError(f"{name} must be a function. Received: {hook!r}")
            elif name.startswith("on_") or get_close_matches(name, hooks):
                raise TypeError(f"{name!r} is not a callback method. Known: {', '.join(hooks)}.")
            if hook is not None:
                setattr(self, name, hook)
