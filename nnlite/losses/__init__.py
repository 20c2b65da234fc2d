"""Losses: how wrong a prediction is, the value beside its derivative."""

from nnlite.losses.crossentropy import (
    BinaryCrossEntropy,
    BinaryCrossentropy,
    CategoricalCrossEntropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossEntropy,
    SparseCategoricalCrossentropy,
)
from nnlite.losses.loss import Loss, get, registry
from nnlite.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "BinaryCrossentropy",
    "CategoricalCrossEntropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossEntropy",
    "SparseCategoricalCrossentropy",
    "get",
    "registry",
]
