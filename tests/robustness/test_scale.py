"""Data larger than memory should be: how much memory it takes to go through them."""

import gc
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

import nnlite
from nnlite import Sequential
from nnlite.data import HDF5
from nnlite.layers import Dense, Input, Normalization

GENERATOR = np.random.default_rng(0)
MB = 2**20

# In a process of its own: the system tells the most memory that it has had since it was asked to
# begin anew. (What getrusage tells may be that of the process that started it.)
SCRIPT = """
import json, sys
import numpy as np
import nnlite
from nnlite import Sequential
from nnlite.callbacks import LambdaCallback
from nnlite.data import HDF5
from nnlite.layers import Dense, Flatten, Input, Normalization, Rescaling

def most():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

path, epochs, in_memory = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "array"
model = Sequential([Input((128,)), Rescaling(1 / 255), Dense(8, "relu"), Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((64, 128)), np.ones(64), epochs=2, verbose=0)  # what is used once is loaded
import h5py
data = (HDF5(path),)
if in_memory:
    with h5py.File(path) as file:
        data = (file["x"][:], file["y"][:])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before, after = most(), []
note = LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(most()))
model.fit(*data, batch_size=2048, epochs=epochs, verbose=0, callbacks=[note])
model.evaluate(*data, batch_size=2048, verbose=0)
after.append(most())
print(json.dumps([(size - before) / 1024 for size in after]))
"""


def peaks(path, epochs=3, source="file"):
    """Return the megabytes above what the process had before, after each epoch."""
    import json

    command = [sys.executable, "-c", SCRIPT, str(path), str(epochs), source]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


LAYOUTS = {
    "contiguous": (2**21, "float32", {}),
    "chunked": (2**21, "float32", {"chunks": (1000, 128)}),
    "chunked across features": (2**20, "float32", {"chunks": (4096, 32)}),
    "one chunk": (2**20, "float32", {"chunks": (2**20, 128)}),
    "compressed": (2**18, "float32", {"chunks": (1000, 128), "compression": 1}),
}


def write(path, rows, dtype, options):
    """Write so many rows of 128 numbers, and a target for each."""
    block = GENERATOR.integers(0, 255, (4096, 128)).astype(dtype)
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (rows, 128), dtype, **options)
        for start in range(0, rows, len(block)):
            x[start : start + len(block)] = block
        file["y"] = np.zeros(rows, np.float32)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="does not tell the most memory used")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_a_gigabyte_is_trained_on_in_less_than_300_megabytes(tmp_path, layout):
    path = tmp_path / "large.h5"
    write(path, *LAYOUTS[layout])
    assert path.stat().st_size > 2**30 * 0.99 or layout != "contiguous"
    first, *later = peaks(path)
    path.unlink()
    assert first < 300
    assert later[-1] < first + 20  # no more with every epoch


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="does not tell the most memory used")
def test_half_a_gigabyte_of_bytes_is_never_converted_at_once(tmp_path):
    path = tmp_path / "bytes.h5"
    write(path, 2**22, "uint8", {})
    for source in ("array", "file"):
        assert max(peaks(path, epochs=1, source=source)) < 150
    path.unlink()


# ---- Normalization ----------------------------------------------------------------------------


def sources(path, x):
    class Sequence:
        def __len__(self):
            return 10

        def __getitem__(self, number):
            return x[number * 1000 : (number + 1) * 1000], None

    file = h5py.File(path)
    return {
        "HDF5": HDF5(path),
        "a dataset": file["x"],
        "a memory map": np.memmap(path.with_suffix(".raw"), x.dtype, "r", shape=x.shape),
        "a generator": (x[start : start + 700] for start in range(0, len(x), 700)),
        "batches with targets": ([x[start : start + 700], 0] for start in range(0, len(x), 700)),
        "a sequence": Sequence(),
    }, file


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (900, 3)}, {"chunks": (64, 5), "compression": 4}]
)
@pytest.mark.parametrize("dtype", ["float32", "uint8", ">i2"])
def test_normalization_measures_what_is_stored_as_what_is_in_memory(tmp_path, options, dtype):
    x = (GENERATOR.gamma(2.0, 10.0, (10_000, 5)) + np.arange(5) * 10).astype(dtype)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=x, **options)
    x.tofile(path.with_suffix(".raw"))
    wide = x.astype(np.float64)
    expected = [wide.mean(axis=0), wide.var(axis=0)]
    found, file = sources(path, x)
    with file:
        for name, data in found.items():
            layer = Normalization(dtype="float64")
            layer.adapt(data)
            mean, variance, count = layer.get_weights()
            assert count == len(x), name
            np.testing.assert_allclose(mean, expected[0], rtol=1e-13, err_msg=name)
            np.testing.assert_allclose(variance, expected[1], rtol=1e-12, err_msg=name)


def traced(call):
    """Return the most memory, in bytes, that Python and NumPy took at once in a call."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("options", [{}, {"chunks": (1000, 64)}])
def test_normalization_takes_as_much_memory_for_much_as_for_little(tmp_path, options):
    peak = {}
    for rows in (2**14, 2**17):
        path = tmp_path / f"{rows}.h5"
        with h5py.File(path, "w") as file:
            x = file.create_dataset("x", (rows, 64), np.float32, **options)
            for start in range(0, rows, 4096):
                x[start : start + 4096] = GENERATOR.standard_normal((4096, 64), np.float32)
        peak[rows] = traced(lambda path=path: Normalization().adapt(HDF5(path)))
    assert peak[2**17] < 8 * MB  # of 32 in the file
    assert peak[2**17] < peak[2**14] * 1.1


def test_a_sparse_matrix_is_refused_by_normalization():
    class Sparse:
        nnz, shape = 3, (20, 3)

        def toarray(self):
            raise AssertionError("it is not made dense by us")

    layer = Normalization()
    for bad, message in [
        (Sparse(), "is a sparse Sparse"),
        (HDF5("none.h5"), "none.h5"),
        (3, "int"),
    ]:
        with pytest.raises((TypeError, FileNotFoundError), match=message):
            layer.adapt(bad)
    assert not layer.built


# ---- what a pass keeps in memory ----------------------------------------------------------------


def test_a_file_is_read_through_two_windows_whatever_its_size(tmp_path, monkeypatch):
    from nnlite.data import blocks

    monkeypatch.setattr(blocks, "_WINDOW", 2 * MB)
    monkeypatch.setattr(blocks, "_BLOCK", MB // 8)
    peak = {}
    for rows in (2**15, 2**17):
        path = tmp_path / f"{rows}.h5"
        with h5py.File(path, "w") as file:
            file["x"] = np.ones((rows, 64), np.float32)
            file["y"] = np.ones(rows, np.float32)
        nnlite.set_random_seed(1)
        model = Sequential([Input((64,)), Dense(1)])
        model.fit(HDF5(path), batch_size=512, verbose=0)
        peak[rows] = traced(lambda: model.fit(HDF5(path), batch_size=512, verbose=0))  # noqa: B023
    assert peak[2**17] < 8 * MB
    assert peak[2**17] < peak[2**15] * 1.1
