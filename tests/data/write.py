"""Write the files beside this one anew, by the Keras that is installed: ``python write.py``."""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent


def main():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(2.0, 3.0, (16, 5)).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 16)]

    normalization = layers.Normalization()
    normalization.adapt(x)
    inner = keras.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(4, use_bias=False, name="a"),
            layers.BatchNormalization(name="b"),
        ],
        name="inner",
    )
    sequential = keras.Sequential(
        [
            layers.Input((5,)),
            normalization,
            layers.Dense(6, activation=layers.LeakyReLU(0.1), kernel_regularizer="l2"),
            inner,
            layers.PReLU(),
            layers.Dropout(0.0),
            layers.Dense(3, activation="softmax"),
        ]
    )
    entry = keras.Input((5,))
    hidden = layers.Dense(4, activation="tanh")(entry)
    functional = keras.Model(entry, layers.Dense(3)(layers.BatchNormalization()(hidden)))

    schedule = keras.optimizers.schedules.CosineDecay(0.05, 20)
    sequential.compile(
        keras.optimizers.Adam(schedule, amsgrad=True, clipnorm=1.0),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", keras.metrics.AUC(num_thresholds=20)],
    )
    functional.compile(keras.optimizers.RMSprop(0.01, momentum=0.5), "huber", metrics=["mae"])

    expected = {"x": x, "y": y}
    for name, model in {"sequential": sequential, "functional": functional}.items():
        for _ in range(3):
            model.train_on_batch(x, y)
        model.save(FOLDER / f"{name}.keras")
        model.save(FOLDER / f"{name}.h5")
        model.save_weights(FOLDER / f"{name}.weights.h5")
        expected[f"{name}_predictions"] = model.predict(x, verbose=0)
        for _ in range(5):
            model.train_on_batch(x, y)
        expected[f"{name}_after_5_steps"] = model.predict(x, verbose=0)
    np.savez(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
