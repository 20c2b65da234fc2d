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

from typing import TYPE_CHECKING

from nnlite import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    data,
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
from nnlite.utils.lazy import on_first_use
from nnlite.version import __version__ as __version__

if TYPE_CHECKING:
    from nnlite import datasets, gradcheck, tracing, visualize
    from nnlite.tracing import trace
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "nnlite.datasets": "",
            "nnlite.gradcheck": "",
            "nnlite.sklearn": "",
            "nnlite.tracing": "trace",
            "nnlite.visualize": "",
            "nnlite.wrappers": "",
        },
    )

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
