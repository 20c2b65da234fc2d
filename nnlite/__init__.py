"""nnlite: a Keras-like layer framework in pure NumPy.

>>> import numpy as np
>>> from nnlite import Sequential
>>> from nnlite.layers import Dense
>>> x = np.linspace(-1, 1, 64)[:, None]
>>> model = Sequential([Dense(16, activation="tanh"), Dense(1)])
>>> history = model.fit(x, x**2, epochs=3, verbose=0)
>>> model.predict(x).shape
(64, 1)
"""

from typing import TYPE_CHECKING, Any

from nnlite import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    data,
    datasets,
    distribution,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from nnlite.backend.variables import Variable
from nnlite.initializers import Initializer
from nnlite.layers import Input, Layer
from nnlite.losses import Loss
from nnlite.metrics import Metric
from nnlite.models import Model
from nnlite.models.sequential import Sequential
from nnlite.optimizers import Optimizer
from nnlite.random import set_random_seed
from nnlite.regularizers import Regularizer
from nnlite.version import __version__ as __version__

if TYPE_CHECKING:
    from nnlite import gradcheck, tracing, visualize
    from nnlite.tracing import trace

__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "data",
    "datasets",
    "distribution",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "set_random_seed",
    "trace",
    "tracing",
    "utils",
    "visualize",
]


def __getattr__(name: str) -> Any:
    # Whoever does not check a derivative, open a step or draw does not pay in import time.
    if name == "gradcheck":
        import nnlite.gradcheck as checks

        return checks
    if name == "tracing":
        import nnlite.tracing as traces

        return traces
    if name == "visualize":
        import nnlite.visualize as pictures

        return pictures
    if name == "sklearn":
        import nnlite.sklearn as estimators

        return estimators
    if name == "wrappers":
        import nnlite.wrappers as wrapped

        return wrapped
    if name == "trace":
        from nnlite.tracing import trace

        return trace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
