"""scikit-learn's MLPClassifier, an epoch by each ``partial_fit``."""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.contenders import Operation
from benchmarks.workloads import LEARNING_RATES, Workload, data, first_weights

__all__ = ["prepare"]


class _Seeded(MLPClassifier):
    """An MLPClassifier that begins at given weights; there is no public way to."""

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        kernel, bias = next(self.first_weights)
        assert kernel.shape == (fan_in, fan_out)
        return kernel.astype(dtype), bias.astype(dtype)


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return epochs of ``partial_fit``; regression by rows and normalization it does not have."""
    if workload.layers:
        return {}
    if workload.by_row or workload.regular:
        return {}
    model = _Seeded(
        workload.sizes[1:-1],
        activation=workload.hidden,
        solver="adam" if optimizer == "adam" else "sgd",
        alpha=0,
        batch_size=workload.batch,
        learning_rate_init=LEARNING_RATES[optimizer],
        momentum=0.9 if optimizer == "momentum" else 0,
        nesterovs_momentum=False,
    )
    model.first_weights = iter(first_weights(workload))
    x, y = data(workload)
    y = y.ravel().astype(int)
    classes = np.arange(max(2, workload.sizes[-1]))

    def fit(epochs: int) -> float:
        for _ in range(epochs):
            model.partial_fit(x, y, classes=classes)
        return float(model.loss_)

    return {"fit": fit}
