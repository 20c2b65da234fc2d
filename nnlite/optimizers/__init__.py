"""Optimizers: update rules over one flat vector of weights."""

from nnlite.optimizers.optimizer import Optimizer, get, registry
from nnlite.optimizers.rules import SGD, Adam, RMSprop

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get", "registry"]
