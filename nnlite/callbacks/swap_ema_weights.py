"""SwapEMAWeights: evaluates with the averaged weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.backend.variables import Variable
from nnlite.callbacks.callback import Callback, Logs
from nnlite.optimizers import Optimizer


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the running average of the weights.

    The weights are replaced by their average (Polyak and Juditsky, "Acceleration of
    Stochastic Approximation by Averaging", 1992) and restored afterwards. The optimizer needs
    ``use_ema=True``.

    Args:
        swap_on_epoch: Whether to keep the averages in place from the end of each epoch to the
            beginning of the next, for callbacks after this one such as `ModelCheckpoint`.

    Raises:
        ValueError: At the start of a run, if the optimizer has no averages.

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
        self._aside: list[
            tuple[Variable, NDArray[Any]]
        ] = []  # the weights that the averages replace

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the optimizer has averages."""
        self._aside = []  # discard those of a failed run
        self._check_optimizer()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Keep the averages, as `fit` does."""
        self._aside = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Restore the weights for training."""
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Swap in the averages until the next epoch, with ``swap_on_epoch``."""
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Swap in the averages."""
        self._put_averages()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Restore the weights."""
        self._put_back()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end

    def _check_optimizer(self) -> Optimizer:
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
