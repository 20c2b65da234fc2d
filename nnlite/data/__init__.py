"""Sources of batches: arrays, HDF5 files, iterables and sequences."""

from nnlite.data.hdf5 import HDF5

__all__ = ["HDF5"]
