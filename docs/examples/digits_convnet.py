"""A convolutional network for handwritten digits.

    python docs/examples/digits_convnet.py [FOLDER]

Trains on the 1,437 small pictures within nnlite, in some ten seconds on two cores, and knows
99 % of the 360 others. FOLDER may hold MNIST's files as they are published, each also with .gz
behind its name: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
t10k-labels-idx1-ubyte. If the two of training are not there, the first nine tenths of the other
two are trained on.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

import nnlite
from nnlite import Input, Sequential
from nnlite.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, ReLU
from nnlite.optimizers import Adam, schedules


def read_idx(folder, name):
    """Return the array of an IDX file: two bytes of 0, type, number of axes, sizes, entries."""
    path = next((one for one in (folder / name, folder / f"{name}.gz") if one.exists()), None)
    if path is None:
        return None
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    axes = data[3]
    sizes = np.frombuffer(data, ">u4", axes, 4)
    return np.frombuffer(data, "uint8", offset=4 + 4 * axes).reshape(sizes)


def load():
    """Return pictures and labels to train on, and others to test on; pixels in [0, 1]."""
    if len(sys.argv) < 2:
        (x, y), (x_test, y_test) = nnlite.datasets.digits.load_data()
        return x.reshape(-1, 8, 8, 1) / 16, y, x_test.reshape(-1, 8, 8, 1) / 16, y_test
    folder = Path(sys.argv[1])
    x, y, x_test, y_test = (
        read_idx(folder, f"{part}-{kind}-ubyte")
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )
    if x_test is None or y_test is None:
        raise SystemExit(f"{folder} holds no t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte.")
    if x is None or y is None:
        x, x_test = np.split(x_test, [len(x_test) * 9 // 10])
        y, y_test = np.split(y_test, [len(y_test) * 9 // 10])
    return x[..., None] / 255, y, x_test[..., None] / 255, y_test


nnlite.set_random_seed(1)
x, y, x_test, y_test = (np.asarray(array, "float32") for array in load())
y, y_test = y.astype(int), y_test.astype(int)
epochs, batch_size = (30, 32) if len(x) < 5000 else (4, 64)


def block(filters):
    """Return two convolutions of 3 x 3, and the larger half of what they see."""
    for _ in range(2):
        yield Conv2D(filters, 3, padding="same", use_bias=False)
        yield BatchNormalization()
        yield ReLU()
    yield MaxPooling2D()
    yield Dropout(0.25)


model = Sequential(
    [
        Input(x.shape[1:]),
        *block(16),
        *block(32),
        Flatten(),
        Dropout(0.5),
        Dense(10, "softmax"),
    ]
)
rate = schedules.CosineDecay(0.003, epochs * -(-len(x) // batch_size))
model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size, epochs, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy: {accuracy:.1%}")
