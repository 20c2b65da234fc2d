"""Where batches come from: arrays, HDF5 files, iterables and sequences of batches."""

from nnlite.data.arrays import ArrayBatches, Samples
from nnlite.data.epochs import Epochs
from nnlite.data.weights import class_weights

__all__ = ["ArrayBatches", "Epochs", "Samples", "class_weights"]
