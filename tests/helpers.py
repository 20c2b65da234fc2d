"""What several test files share: small data and models, refusals, and equal weights."""

import re

import numpy as np
import pytest

from nnlite import Sequential, optimizers, set_random_seed
from nnlite.callbacks import Callback
from nnlite.layers import Dense, Dropout
from nnlite.utils.validation import ArgumentError

SAMPLES, FEATURES, CLASSES = 6, 4, 3
X = np.random.default_rng(1).standard_normal((SAMPLES, FEATURES)).astype("float32")
LABELS = np.array([0, 1, 2, 2, 1, 0])
ONE_HOT = np.eye(CLASSES, dtype="float32")[LABELS]
BITS = (LABELS[:, None] == 1).astype("float32")

# The last layer, the loss, and targets that fit them.
TASKS = {
    "mse": (lambda: Dense(1), "mse", X[:, :1]),
    "binary": (lambda: Dense(1, "sigmoid"), "binary_crossentropy", BITS),
    "categorical": (lambda: Dense(CLASSES, "softmax"), "categorical_crossentropy", ONE_HOT),
    "sparse": (lambda: Dense(CLASSES, "softmax"), "sparse_categorical_crossentropy", LABELS),
}


def a_model(task="mse", state="trained"):
    """Return a model of a task: its shape unknown, or built, or trained with an optimizer state."""
    last, loss, y = TASKS[task]
    model = Sequential([Dense(5, activation="tanh"), last()])
    model.compile(optimizers.Adam(0.01, clipnorm=1.0), loss, metrics=["accuracy"])
    if state != "unbuilt":
        model.build((None, FEATURES))
    if state == "trained":
        model.fit(X, y, epochs=2, verbose=0)
    return model


def snapshot(model):
    """Return all that a refusal must leave as it is, to the last bit."""
    optimizer = model.optimizer
    return (
        model.built,
        [layer.built for layer in model.layers],
        [weight.tobytes() for weight in model.get_weights()] if model.built else [],
        optimizer.iterations,
        {name: vector.tobytes() for name, vector in optimizer.state.items()},
        optimizer.get_config(),
        model.loss,
    )


def refuses(call, error, message, model, task="mse"):
    """Check the error and its message, that nothing has changed, and that training goes on."""
    before = snapshot(model)
    with pytest.raises(error) as raised:
        call()
    assert type(raised.value) in (error, ArgumentError)
    assert re.search(message, str(raised.value)), str(raised.value)
    assert snapshot(model) == before
    history = model.fit(X, TASKS[task][2], verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert snapshot(model)[2] != before[2]


# ---- for the tests of training ---------------------------------------------------------------

SERIES = np.random.default_rng(7).standard_normal((22, 3))
TARGETS = np.sin(SERIES[:, :2])


def small(metrics=None, dropout=0.0):
    """Return a small compiled model of seeded weights."""
    set_random_seed(3)
    model = Sequential([Dense(4, "tanh"), Dropout(dropout), Dense(2)])
    model.compile(optimizers.SGD(0.1), "mse", metrics=metrics)
    return model


def assert_same_weights(model, other):
    for mine, wanted in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, wanted)


class Play(Callback):
    """Puts given values in the logs, and counts the epochs in the last bias."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        *weights, bias = self.model.get_weights()
        self.model.set_weights([*weights, np.full_like(bias, epoch)])
