"""HDF5 files read in Python alone: the part of the format that Keras and h5py write, nothing else.

libhdf5 never sees the bytes of a model file. Of 30,000 copies of such files with a few bytes
changed, its version 1.14.2 crashed the process on 42, hung on 4 and took up to 2.5 GB for others;
version 2.0 crashed on 8 of 42,000 and hung on 10. What this reader does not know, it refuses by
name.
"""

from nnlite.saving.formats.hdf5.files import Node, open_hdf5

__all__ = ["Node", "open_hdf5"]
