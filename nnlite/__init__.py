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

from nnlite import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from nnlite.layers import Input
from nnlite.random import set_random_seed
from nnlite.sequential import Sequential

__all__ = [
    "Input",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "set_random_seed",
    "utils",
]

__version__ = "0.1.0"
