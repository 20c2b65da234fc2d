"""SwapEMAWeights: the averaged weights in the model's place while it is evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.backend.variables import Variable
from nnlite.callbacks.callback import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Evaluates, and predicts, with the running average of the weights that an optimizer keeps.

    The weights that learn step aside for their average (Polyak and Juditsky, "Acceleration of
    Stochastic Approximation by Averaging", 1992) and come back afterwards. The optimizer must have
    ``use_ema=True``.

    Args:
        swap_on_epoch: Whether the averages are in place also from the end of each epoch to the
            beginning of the next, so that callbacks after this one, such as `ModelCheckpoint`,
            work with them.

    Raises:
        ValueError: When a run begins, if the model's optimizer keeps no average.

    >>> from nnlite import Sequential, optimizers
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1)])
    >>> model.compile(optimizers.SGD(use_ema=True), "mse")
    >>> x = np.ones((4, 2))
    >>> history = model.fit(
    ...     x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0, callbacks=[SwapEMAWeights()]
    ... )
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = swap_on_epoch
        self._aside: list[tuple[Variable, NDArray[Any]]] = []  # what the averages have displaced

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that there are averages."""
        self._aside = []  # those of a run that failed belong to it
        self._check_optimizer()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let the averages stay: `fit` ends with them."""
        self._aside = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Put the weights back to learn on."""
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Put the averages in place until the next epoch, with ``swap_on_epoch``."""
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Put the averages in place."""
        self._put_averages()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Put the weights back."""
        self._put_back()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Put the averages in place."""
        self._put_averages()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Put the weights back."""
        self._put_back()

    def _check_optimizer(self) -> Any:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights needs an optimizer that averages the weights, such as "
                f"compile(Adam(use_ema=True)). Received: {optimizer!r}"
            )
        return optimizer

    def _put_averages(self) -> None:
        optimizer = self._check_optimizer()
        if not self._aside:
            self._aside = [(weight, weight.numpy()) for weight in self.model.trainable_weights]
            optimizer.finalize_variable_values()

    def _put_back(self) -> None:
        for weight, value in self._aside:
            np.copyto(weight.value, value)
        self._aside = []
