"""Where batches come from: arrays, HDF5 files, iterables and sequences of batches."""

from nnlite.data.hdf5 import HDF5

__all__ = ["HDF5"]
