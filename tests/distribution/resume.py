"""A run that is backed up: ``resume.py results.npz folder frequency [fail] [without dropout]``."""

import sys

import numpy as np

import nnlite
from nnlite import Input, Sequential, callbacks, distribution, layers

distribution.set_distribution(distribution.DataParallel(timeout=20))
path, folder, frequency, *options = sys.argv[1:]
nnlite.config.set_floatx("float64")
nnlite.set_random_seed(1)
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((50, 8)), rng.integers(0, 3, 50)


class Fails(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if "fail" in options and self.model.optimizer.iterations == 18:
            raise RuntimeError("The power fails.")


rate = 0.0 if "without dropout" in options else 0.3
model = Sequential(
    [
        Input((8,)),
        layers.Dense(16, "relu"),
        layers.BatchNormalization(synchronized=rate == 0),
        layers.Dropout(rate),
        layers.Dense(3, "softmax"),
    ]
)
model.compile("adam", "crossentropy", metrics=["accuracy"])
backup = callbacks.BackupAndRestore(folder, int(frequency) if frequency.isdigit() else frequency)
history = model.fit(
    X, Y, batch_size=9, epochs=5, verbose=0, callbacks=[Fails(), backup], validation_split=0.1
)
if distribution.distribution().process_id == 0:
    weights = {f"weight {at}": weight for at, weight in enumerate(model.get_weights())}
    np.savez(path, **weights, **{name: history.history[name] for name in history.history})
