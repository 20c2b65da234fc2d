"""A run that can be killed at any moment and started again; it prints a digest of where it ends.

``python killed_run.py FOLDER KIND SAVE_FREQ`` trains with `BackupAndRestore` in FOLDER.
"""

import hashlib
import sys

import h5py
import numpy as np

import nnlite
from nnlite import Sequential, callbacks, metrics, optimizers
from nnlite.data import HDF5
from nnlite.layers import BatchNormalization, Dense, Dropout, GaussianNoise, Input

GENERATOR = np.random.default_rng(5)
X = GENERATOR.standard_normal((300, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.float32)

DECAY = optimizers.schedules.ExponentialDecay(0.01, 10, 0.97)
OPTIMIZERS = {
    "arrays": lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=7),
    "steps": lambda: optimizers.SGD(DECAY, momentum=0.9),
    "file": lambda: optimizers.Nadam(0.01, gradient_accumulation_steps=3),
    "sequence": lambda: optimizers.RMSprop(0.01, centered=True, momentum=0.5),
}


class Jitter(callbacks.Callback):
    """Draws from NumPy's global state and changes what it keeps: both must go on."""

    def __init__(self):
        self.drawn = []

    def on_epoch_end(self, epoch, logs=None):
        self.drawn.append(float(np.random.rand()))  # noqa: NPY002
        logs["jitter"] = sum(self.drawn)


class Batches:
    def __len__(self):
        return 10

    def __getitem__(self, number):
        return X[number * 30 : number * 30 + 30], Y[number * 30 : number * 30 + 30]


def main(folder, kind, save_freq):
    nnlite.set_random_seed(7)
    model = Sequential(
        [
            Input((6,)),
            Dense(16, activation="relu"),
            BatchNormalization(),
            Dropout(0.2),
            GaussianNoise(0.1),
            Dense(1, activation="sigmoid"),
        ]
    )
    watched = ["accuracy", metrics.AUC(num_thresholds=50)]
    model.compile(OPTIMIZERS[kind](), "binary_crossentropy", metrics=watched)
    backup = callbacks.BackupAndRestore(folder, save_freq, double_checkpoint=kind == "file")
    watching = [
        backup,
        Jitter(),
        callbacks.EarlyStopping("val_loss", patience=15, restore_best_weights=True),
    ]
    if kind != "steps":  # a schedule's rate cannot be assigned
        watching.append(callbacks.ReduceLROnPlateau("loss", patience=2, min_delta=0.05))
    options = {"epochs": 8, "verbose": 0, "callbacks": watching, "validation_data": (X, Y)}
    if kind == "arrays":
        history = model.fit(X, Y, batch_size=32, **options)
    elif kind == "steps":
        history = model.fit(X, Y, batch_size=32, steps_per_epoch=7, **options)
    elif kind == "file":
        with h5py.File(f"{folder}.h5", "w") as file:
            file.create_dataset("x", data=X, chunks=(20, 6))
            file["y"] = Y
        history = model.fit(HDF5(f"{folder}.h5"), batch_size=32, **options)
    else:
        history = model.fit(Batches(), **options)
    digest = hashlib.sha256()
    for array in [*model.get_weights(), *model.optimizer.state.values()]:
        digest.update(array.tobytes())
    digest.update(repr((history.history, history.epoch)).encode())
    print(digest.hexdigest(), flush=True)


if __name__ == "__main__":
    folder, kind, save_freq = sys.argv[1:]
    main(folder, kind, save_freq if save_freq == "epoch" else int(save_freq))
