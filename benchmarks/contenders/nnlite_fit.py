"""nnlite by its public door."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import nnlite
from benchmarks.contenders import Operation, layered
from benchmarks.contenders.calls import calls
from benchmarks.workloads import DROPOUT, LEARNING_RATES, Workload, data, first_weights, many_rows
from nnlite.layers import Activation, BatchNormalization, Dense, Dropout
from nnlite.optimizers import SGD, Adam

__all__ = ["prepare"]

LOSSES = {
    "mse": "mean_squared_error",
    "bce": "binary_crossentropy",
    "cce": "sparse_categorical_crossentropy",
}


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return ``fit``, on tiny also with its bar, or for rows the four single calls."""
    if workload.layers:
        return layered.prepare(nnlite, workload) if optimizer == "sgd" else {}
    model = build(workload, optimizer)
    x, y = data(workload)
    if workload.by_row:
        rows = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        inputs, many = [(row,) for row, _ in rows], many_rows(workload)
        return {
            "train_on_batch": calls(model.train_on_batch, rows),
            "predict": calls(lambda row: model.predict(row, verbose=0), inputs),
            "predict_on_batch": calls(model.predict_on_batch, inputs),
            "predict_many": calls(lambda: model.predict(many, verbose=0), [()]),
        }

    def fit(epochs: int) -> float:
        history = model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return float(history.history["loss"][-1])

    if "fit_with_bar" not in workload.operations(optimizer):
        return {"fit": fit}
    with_bar = build(workload, optimizer)

    def fit_with_bar(epochs: int) -> float:
        with contextlib.redirect_stdout(_Screen()):
            history = with_bar.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=1)
        return float(history.history["loss"][-1])

    return {"fit": fit, "fit_with_bar": fit_with_bar}


class _Screen(io.StringIO):
    """A terminal that costs nothing, so that a bar is drawn."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


def build(workload: Workload, optimizer: str) -> nnlite.Sequential:
    """Return the workload's model, compiled, with its first weights."""
    model: Any = nnlite.Sequential()
    model.add(nnlite.Input((workload.sizes[0],)))
    hidden = None if workload.regular else workload.hidden
    dense = [Dense(size, hidden) for size in workload.sizes[1:-1]]
    dense.append(Dense(workload.sizes[-1], workload.output))
    for layer in dense[:-1]:
        model.add(layer)
        if workload.regular:
            model.add(BatchNormalization())
            model.add(Activation(workload.hidden))
            model.add(Dropout(DROPOUT))
    model.add(dense[-1])
    for layer, weights in zip(dense, first_weights(workload), strict=True):
        layer.set_weights(list(weights))
    rate = LEARNING_RATES[optimizer]
    rules = {"sgd": SGD(rate), "momentum": SGD(rate, momentum=0.9), "adam": Adam(rate)}
    model.compile(rules[optimizer], LOSSES[workload.loss])
    return model  # type: ignore[no-any-return, unused-ignore]
