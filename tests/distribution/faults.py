"""A run in which process 1 has the accident that the argument names, in its third epoch."""

import os
import signal
import sys
import time

import h5py
import numpy as np

import nnlite
from nnlite import Input, Sequential, callbacks, distribution, layers

what = sys.argv[1]
rank = 0
if what != "apart":
    distribution.set_distribution(distribution.DataParallel(timeout=3))
    rank = distribution.distribution().process_id

nnlite.set_random_seed(1)
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((64, 8)).astype("float32"), rng.integers(0, 3, 64)


class Data:
    """Four batches an epoch; the first is looked at once more."""

    taken = 0

    def __len__(self):
        return 4

    def __getitem__(self, number):
        self.taken += 1
        if self.taken == 11 and rank == 1 and what in ACCIDENTS:
            ACCIDENTS[what]()
        part = slice(number * 16, number * 16 + 16)
        if what == "other data" and self.taken > 10:
            return X[part] + rank, Y[part]
        return X[part], Y[part]


def fail():
    raise RuntimeError("the disk is broken")


def poison(value):
    model.layers[0].kernel.value[0, 0] = value


ACCIDENTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "error": fail,
    "nan": lambda: poison(np.nan),
    "diverge": lambda: poison(5),
    "late": lambda: time.sleep(30),
    "exit": lambda: sys.exit(3),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
}


class Told(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(f"a callback at epoch {epoch}", flush=True)
        if what == "callback" and epoch == 2:
            raise OSError("the disk is full")


model = Sequential([Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.2), layers.Dense(3)])
model.compile("adam", nnlite.losses.SparseCategoricalCrossEntropy(from_logits=True))
epochs = {"short": 2, "apart": 1, "none": 100_000, "epochs": 6 + rank}.get(what, 6)
data = Data()
if what == "files":  # each process has one of its own
    data = nnlite.data.HDF5(f"{sys.argv[2]}/{rank}.h5")
    with h5py.File(data.path, "w") as file:
        file["x"], file["y"] = X + rank, Y
model.fit(data, epochs=epochs, verbose=2, callbacks=[Told()])
