"""Nets of other layers than Dense, built by Keras's names: by nnlite, and by Keras itself."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import Operation
from benchmarks.workloads import LEARNING_RATES, Workload, data, first_weights

__all__ = ["build", "operations", "prepare"]

LOSSES = {
    "mse": "mean_squared_error",
    "bce": "binary_crossentropy",
    "cce": "sparse_categorical_crossentropy",
}


def build(library: Any, workload: Workload) -> Any:
    """Return the workload's model of ``library``, nnlite or keras, as a functional one."""
    *shape, _ = workload.sizes
    of_words = workload.layers[0][0] == "Embedding"
    inputs = library.Input(tuple(shape), dtype="int32" if of_words else "float32")
    x = inputs
    for number, (name, *arguments) in enumerate(workload.layers, 1):
        options = {"activation": arguments.pop()} if "relu" in arguments else {}
        if number == len(workload.layers):
            options["activation"] = workload.output
        if name == "Beside":
            x = library.layers.Concatenate()([x, inputs])
        else:
            x = getattr(library.layers, name)(*arguments, **options)(x)
    return library.Model(inputs, x)


def prepare(library: Any, workload: Workload) -> dict[str, Operation]:
    """Return ``fit`` and ``predict_many`` of ``library``, or nothing if it lacks a layer."""
    names = {"Concatenate" if name == "Beside" else name for name, *_ in workload.layers}
    if not all(hasattr(library.layers, name) for name in names):
        return {}
    model = build(library, workload)
    model.set_weights(first_weights(workload))
    model.compile(library.optimizers.SGD(LEARNING_RATES["sgd"]), LOSSES[workload.loss])
    x, y = data(workload)

    def fit(epochs: int) -> float:
        history = model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return float(history.history["loss"][-1])

    return operations(workload, fit, lambda: model.predict(x, workload.batch, verbose=0))


def operations(workload: Workload, fit: Operation, predict: Any) -> dict[str, Operation]:
    """Return the two operations, of which a workload of single samples has the second only."""

    def predict_many(epochs: int) -> None:
        for _ in range(epochs):
            predict()

    both = {"fit": fit, "predict_many": predict_many}
    return {"predict_many": predict_many} if workload.by_row else both
