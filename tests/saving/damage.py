"""Small files as Keras writes them, and copies with some bytes changed or cut off.

``python -m saving.damage FILE FIRST LAST STEP``, in the folder above, reads every STEP-th of the
copies number FIRST to LAST of a file with at most 100 MB of memory beyond what the imports take,
and prints how many were read and how many refused.
"""

import io
import json
import random
import sys
import zipfile
from pathlib import Path

import numpy as np

from nnlite.saving.formats.hdf5 import open_hdf5
from nnlite.saving.formats.keras_archive import read_archive

from .limits import limit_memory


def small_hdf5(layers=1, **options):
    """Return a file as Keras's legacy format has it; many layers are kept otherwise than few."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        file.attrs["keras_version"] = b"2.9.0"
        group = file.create_group("model_weights")
        names = [*(f"dense_{number}" for number in range(layers)), "out"]
        for number, name in enumerate(names):
            units = 1 if name == "out" else 3
            group.attrs[f"layer_names{number}"] = [name.encode()]
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array(["kernel", "bias"], dtype=h5py.string_dtype())
            layer["kernel"] = np.arange(2 * units, dtype="float32").reshape(2, units)
            layer["bias"] = np.zeros(units, "float32")
        if "libver" not in options:
            layer.create_dataset("packed", data=np.eye(5), chunks=(2, 5), compression="gzip")
    return stream.getvalue()


def small_archive(compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("model.weights.h5", small_hdf5(libver="latest"))
    return stream.getvalue()


def answered(call, key):
    try:
        call(key)
    except ValueError:
        return False
    return True


def read_tree(node):
    """Ask a node and those below it for all they have; return how many answers were not refused."""
    calls = [(node.text_list, "weight_names"), (node.text_list, "layer_names")]
    calls += [(node.attribute, "model_config"), (node.attribute, "keras_version")]
    for key in node.datasets():

        def array(key=key):
            found = node.array(key)
            assert found.shape == node.shape(key)
            assert found.dtype.isnative

        calls.append((array, key))
    answers = sum(answered(call, key) for call, key in calls)
    return answers + sum(read_tree(node.group(key)) for key in node.groups())


def read(data):
    """Return how many things a file has, 0 if it is refused by a ValueError."""
    try:
        if data[:2] == b"PK":
            with read_archive(io.BytesIO(data)) as archive:
                return 1 + read_tree(archive.weights)
        with open_hdf5(io.BytesIO(data), "damaged.h5") as root:
            return 1 + read_tree(root)
    except ValueError:
        return 0


def damaged(data, seed):
    """Return a copy that is cut off somewhere, or has one to sixteen bytes changed."""
    draw = random.Random(seed)
    if draw.random() < 0.1:
        return data[: draw.randrange(len(data))]
    copy = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 4, 16])):
        at = draw.randrange(len(copy))
        if draw.random() < 0.5:
            copy[at] ^= 1 << draw.randrange(8)
        else:
            copy[at] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    return bytes(copy)


def main(path, *numbers):
    limit_memory()
    data = Path(path).read_bytes()
    answers = [read(damaged(data, seed)) for seed in range(*map(int, numbers))]
    print(np.count_nonzero(answers), answers.count(0))


if __name__ == "__main__":
    main(*sys.argv[1:])
