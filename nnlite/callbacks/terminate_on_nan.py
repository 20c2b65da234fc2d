"""TerminateOnNaN: stops training when the loss is not finite."""

from __future__ import annotations

import math

from nnlite.callbacks.callback import Callback, Logs
from nnlite.callbacks.monitor import as_number
from nnlite.utils.progress import say


class TerminateOnNaN(Callback):
    """Stops training after a batch whose loss is NaN or infinite.

    Args:
        raise_error: Whether to raise an error, without calls of ``on_train_end``.

    Raises:
        RuntimeError: In training, with ``raise_error``.

    >>> import numpy as np
    >>> from nnlite import Sequential, optimizers
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="ones")])
    >>> model.compile(optimizers.SGD(1e9), "mse")
    >>> x = np.ones((4, 2))
    >>> with np.errstate(all="ignore"):
    ...     _ = model.fit(x, x[:, :1], epochs=50, verbose=0, callbacks=[TerminateOnNaN()])
    ... # doctest: +ELLIPSIS
    Batch 0: the loss is ... Training ends.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Check the loss."""
        loss = as_number((logs or {}).get("loss"))
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss is {loss} after batch {batch}.")
        say(f"Batch {batch}: the loss is {loss}. Training ends.")
        self.model.stop_training = True
