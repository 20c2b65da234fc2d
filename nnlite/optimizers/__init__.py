"""Optimizers: update rules over one flat vector of weights."""

from nnlite.optimizers import schedules
from nnlite.optimizers.adam import Adam, Adamax, AdamW, Nadam
from nnlite.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from nnlite.optimizers.lion import Lion
from nnlite.optimizers.optimizer import Optimizer, deserialize, get, registry, serialize
from nnlite.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "registry",
    "schedules",
    "serialize",
]
