"""Keras by its public door, on the backend that KERAS_BACKEND names."""

# mypy: disable-error-code="import-not-found, import-untyped"
from __future__ import annotations

import keras

from benchmarks.contenders import Operation, layered
from benchmarks.contenders.calls import calls
from benchmarks.workloads import DROPOUT, LEARNING_RATES, Workload, data, first_weights

__all__ = ["prepare"]

LOSSES = {
    "mse": "mean_squared_error",
    "bce": "binary_crossentropy",
    "cce": "sparse_categorical_crossentropy",
}


def prepare(workload: Workload, optimizer: str) -> dict[str, Operation]:
    """Return ``fit``, or for rows the single calls; 100,000 rows at once are not asked of it."""
    if workload.layers:
        return layered.prepare(keras, workload) if optimizer == "sgd" else {}
    hidden = None if workload.regular else workload.hidden
    dense = [keras.layers.Dense(size, hidden) for size in workload.sizes[1:-1]]
    dense.append(keras.layers.Dense(workload.sizes[-1], workload.output))
    layers = [keras.Input((workload.sizes[0],))]
    for layer in dense[:-1]:
        layers.append(layer)
        if workload.regular:
            layers.append(keras.layers.BatchNormalization())
            layers.append(keras.layers.Activation(workload.hidden))
            layers.append(keras.layers.Dropout(DROPOUT))
    model = keras.Sequential([*layers, dense[-1]])
    for layer, weights in zip(dense, first_weights(workload), strict=True):
        layer.set_weights(list(weights))
    rate = LEARNING_RATES[optimizer]
    rule = {
        "sgd": lambda: keras.optimizers.SGD(rate),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(rate),
    }[optimizer]()
    model.compile(rule, LOSSES[workload.loss])
    x, y = data(workload)

    def fit(epochs: int) -> float:
        history = model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return float(history.history["loss"][-1])

    if not workload.by_row:
        return {"fit": fit}
    rows = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    inputs = [(row,) for row, _ in rows]
    return {
        "train_on_batch": calls(model.train_on_batch, rows),
        "predict": calls(lambda row: model.predict(row, verbose=0), inputs),
        "predict_on_batch": calls(model.predict_on_batch, inputs),
    }
