"""Train on handwritten digits: python distributed.py, or mpiexec -n 4 python distributed.py."""

import nnlite
from nnlite import Sequential
from nnlite.distribution import DataParallel, list_devices, set_distribution
from nnlite.layers import BatchNormalization, Dense

if len(list_devices()) > 1:  # with one process there is nothing to share, and no need of MPI
    set_distribution(DataParallel())

nnlite.set_random_seed(1)
(x, y), (x_test, y_test) = nnlite.datasets.digits.load_data()  # 8 x 8 pixels from 0 to 16

model = Sequential(
    [
        Dense(64, use_bias=False),
        BatchNormalization(synchronized=True),
        Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16, y, epochs=3, batch_size=64, verbose=2)  # 64 rows of all processes together

loss, accuracy = model.evaluate(x_test / 16, y_test, verbose=0)  # in every process
nnlite.utils.progress.say(f"test accuracy: {accuracy:.3f}")  # printed by process 0 alone
