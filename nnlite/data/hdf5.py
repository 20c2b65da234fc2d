"""HDF5: samples in a file that need not fit in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnlite.serialization.registry import Configurable
from nnlite.utils.structures import flatten, map_structure


class HDF5(Configurable):
    """Samples in an HDF5 file, read a block at a time: ``model.fit(HDF5("train.h5", x="images"))``.

    The file is opened for each pass and closed afterwards, so that the object can be pickled and
    used in other processes. Only the named datasets are read.

    Args:
        path: The path of the file.
        x: The name of the dataset of inputs, of shape (m, ...), of integers or floats. A model of
            several inputs takes a list of names, or a dict by input: ``{"age": "people/age"}``.
        y: The name or names of the targets, in the same form; not needed by `predict`.
        sample_weight: The name or names of the sample weights, in the same form, or None.

    Raises:
        TypeError: If ``path`` or a name has the wrong type.

    >>> import tempfile, h5py, numpy as np
    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> folder = tempfile.TemporaryDirectory()
    >>> with h5py.File(f"{folder.name}/train.h5", "w") as file:
    ...     file["x"], file["y"] = np.ones((100, 3), np.uint8), np.zeros(100)
    >>> data = HDF5(f"{folder.name}/train.h5")
    >>> history = Sequential([Dense(1)]).fit(data, epochs=2, verbose=0)
    >>> len(history.history["loss"])
    2
    >>> folder.cleanup()
    """

    def __init__(self, path: Any, x: Any = "x", y: Any = "y", sample_weight: Any = None) -> None:
        self.path = os.fspath(path)
        for name, value in [("x", x), ("y", y), ("sample_weight", sample_weight)]:
            may_lack = name == "sample_weight"
            for dataset in flatten(value) or [None]:
                if not isinstance(dataset, str) and not (may_lack and dataset is None):
                    raise TypeError(f"{name} must be the name of a dataset. Received: {value!r}")
        self.x = x
        self.y = y
        self.sample_weight = sample_weight

    @contextmanager
    def open(self, targets: bool = True) -> Iterator[list[Any]]:
        """Open the file and yield the datasets of x, y and weight, structured like the names.

        Args:
            targets: Whether y is required.

        Raises:
            FileNotFoundError: If the file does not exist.
            OSError: If it is not an HDF5 file.
            ValueError: If a dataset is missing.
        """
        import h5py  # slow to import

        with h5py.File(self.path, "r") as file:
            names = [self.x, self.y if targets else None, self.sample_weight if targets else None]
            missing = [name for name in flatten(names) if name and not _is_dataset(file.get(name))]
            if missing:
                found: list[str] = []
                file.visititems(lambda key, item: found.append(key) if _is_dataset(item) else None)
                raise ValueError(
                    f"{self.path} has no dataset {missing[0]!r}. It has: "
                    f"{', '.join(sorted(found)) or 'none'}."
                )
            yield map_structure(lambda name: None if name is None else file[name], names)


def _is_dataset(item: Any) -> bool:
    return hasattr(item, "read_direct")
