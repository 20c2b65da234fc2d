"""Reads HDF5 files in pure Python: only the part of the format that Keras and h5py write.

libhdf5 never sees the bytes of a model file. On 30,000 copies of such files with a few bytes
changed, libhdf5 1.14.2 crashed the process 42 times, hung 4 times and took up to 2.5 GB;
version 2.0 crashed on 8 of 42,000 and hung on 10. This reader refuses unknown features by name.
"""

from nnlite.saving.formats.hdf5.files import Node, open_hdf5

__all__ = ["Node", "open_hdf5"]
