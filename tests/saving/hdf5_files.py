"""HDF5 files of the tests, opened by this reader, and refusals of them."""

import io

import h5py

from nnlite.saving.formats.hdf5 import open_hdf5

from .limits import refuses


def written(fill, **options):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        fill(file)
    return stream.getvalue()


def opened(data):
    return open_hdf5(io.BytesIO(data), "model.h5")


def refused(fill, message, read=None, **options):
    """Check that the file that ``fill`` writes is refused when opened, or by ``read(root)``."""
    data = written(fill, **options) if callable(fill) else fill

    def call():
        with opened(data) as root:
            assert read is not None, "the file was opened"
            read(root)

    refuses(call, f"^model.h5: .*{message}")
