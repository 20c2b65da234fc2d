"""The same seed gives the same bits, whatever is shown, watched or read along the way.

tests/data/test_data.py has the sources of batches; tests/training/test_trainer.py a first look at
one optimizer.
"""

import copy
import inspect
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from nnlite import Sequential, optimizers, random, set_random_seed
from nnlite.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from nnlite.data import HDF5
from nnlite.layers import (
    ActivityRegularization,
    AlphaDropout,
    BatchNormalization,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    Input,
    LayerNormalization,
    Reshape,
    SpatialDropout1D,
)

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 6))
Y = np.eye(3)[GENERATOR.integers(0, 3, 60)]
VALIDATION = (X[:21] + 1, Y[:21])

EVERY_OPTIMIZER = pytest.mark.parametrize(
    "cls",
    sorted(
        {
            thing
            for name in optimizers.__all__
            if inspect.isclass(thing := getattr(optimizers, name))
            and issubclass(thing, optimizers.Optimizer)
            and thing is not optimizers.Optimizer
        },
        key=lambda cls: cls.__name__,
    ),
)


def net(optimizer, dtype="float32"):
    set_random_seed(3)
    layers = [
        GaussianNoise(0.1, dtype=dtype),
        Dense(8, "tanh", kernel_regularizer="l2", dtype=dtype),
        BatchNormalization(dtype=dtype),
        Dropout(0.3, dtype=dtype),
        ActivityRegularization(0.01, dtype=dtype),
        Dense(8, "selu", kernel_constraint="max_norm", dtype=dtype),
        AlphaDropout(0.2, dtype=dtype),
        Reshape((4, 2), dtype=dtype),
        SpatialDropout1D(0.2, dtype=dtype),
        Reshape((8,), dtype=dtype),
        GaussianDropout(0.2, dtype=dtype),
        LayerNormalization(dtype=dtype),
        Dense(3, "softmax", dtype=dtype),
    ]
    model = Sequential([Input((6,)), *layers])
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def bits(model, history):
    """Return all that is left of a run: what validation and callbacks have added left out."""
    state = [(name, array.tobytes()) for name, array in model.optimizer.state_arrays()]
    log = {name: values for name, values in history.history.items() if name in ("loss", "accuracy")}
    return [w.tobytes() for w in model.get_weights()], state, log, random.new_seed()


def looks(model):
    """Return a callback that looks at everything, and lets it be."""

    def look(*place_and_logs):
        model.predict(X, verbose=0)
        model.predict_on_batch(X[:3])
        model.evaluate(*VALIDATION, verbose=0)
        model.get_config()
        model.layers[1](X)
        copy.deepcopy(model)
        model.optimizer.state_arrays()
        place_and_logs[-1]["more"] = 1.0

    return LambdaCallback(on_epoch_begin=look, on_epoch_end=look, on_train_end=look)


# What must leave a run as it is.
ALONG = {
    "nothing": lambda model, folder: {},
    "a bar": lambda model, folder: {"verbose": 1},
    "lines": lambda model, folder: {"verbose": 2},
    "auto": lambda model, folder: {"verbose": "auto"},
    "validation": lambda model, folder: {"validation_data": VALIDATION},
    "validation at times": lambda model, folder: {
        "validation_data": VALIDATION,
        "validation_freq": 2,
        "validation_batch_size": 4,
        "validation_steps": 3,
        "verbose": 1,
    },
    "callbacks": lambda model, folder: {
        "callbacks": [
            Callback(),
            CSVLogger(folder / "log.csv"),
            ModelCheckpoint(folder / "{epoch}.keras", save_freq=3),
            EarlyStopping("loss", patience=100),
            ReduceLROnPlateau("loss", patience=100),
            LearningRateScheduler(lambda epoch, rate: rate),
        ]
    },
    "a look at everything": lambda model, folder: {"callbacks": looks(model)},
    "all of it": lambda model, folder: {
        "verbose": 1,
        "validation_data": VALIDATION,
        "callbacks": [looks(model), CSVLogger(folder / "log.csv"), Callback()],
    },
}


@EVERY_OPTIMIZER
@pytest.mark.usefixtures("capsys")
def test_a_run_is_the_same_to_the_last_bit_whatever_goes_along(cls, tmp_path):
    runs = {}
    for name, along in ALONG.items():
        model = net(cls(0.01))
        options = {"batch_size": 16, "epochs": 3, "verbose": 0, **along(model, tmp_path)}
        runs[name] = bits(model, model.fit(X, Y, **options))
    assert [name for name in runs if runs[name] != runs["nothing"]] == []


@EVERY_OPTIMIZER
def test_every_way_to_the_same_batches_gives_the_same_bits(cls, tmp_path):
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["x"], file["y"] = X, Y
    batches = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 60, 16)]

    def by_hand(model):
        for _ in range(3):
            for batch in batches:
                model.train_on_batch(*batch)

    def piece_by_piece(model):
        for epoch in range(3):
            model.fit(X, Y, 16, epochs=epoch + 1, initial_epoch=epoch, verbose=0, shuffle=False)

    fit = {"epochs": 3, "verbose": 0, "shuffle": False}
    ways = {
        "arrays": lambda model: model.fit(X, Y, 16, **fit),
        "either float type": lambda model: model.fit(
            X.astype("float32"), Y.astype("uint8"), 16, **fit
        ),
        "a file": lambda model: model.fit(HDF5(tmp_path / "train.h5"), batch_size=16, **fit),
        "batches": lambda model: model.fit(batches, **fit),
        "a batch at a time": by_hand,
        "an epoch at a time": piece_by_piece,
    }
    found = {}
    for name, way in ways.items():
        model = net(cls(0.01))
        way(model)
        state = [(key, array.tobytes()) for key, array in model.optimizer.state_arrays()]
        found[name] = [w.tobytes() for w in model.get_weights()], state
    assert [name for name in found if found[name] != found["arrays"]] == []


# ---- gradient accumulation --------------------------------------------------------------------


def plain_net(optimizer, dtype):
    """Return a net that takes each sample by itself: no statistics of a batch, nothing random."""
    set_random_seed(3)
    model = Sequential(
        [Input((6,)), Dense(8, "tanh", dtype=dtype), Dense(3, "softmax", dtype=dtype)]
    )
    model.compile(optimizer, "categorical_crossentropy")
    return model


@EVERY_OPTIMIZER
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("parts", [2, 3, 5, 10])
def test_a_split_batch_makes_the_step_of_the_whole(cls, dtype, tolerance, parts):
    options = {"weight_decay": 0.01, "global_clipnorm": 0.5}
    whole = plain_net(cls(0.01, **options), dtype)
    split = plain_net(cls(0.01, **options, gradient_accumulation_steps=parts), dtype)
    weight = np.linspace(0.5, 2, 60)
    fit = {"epochs": 5, "verbose": 0, "shuffle": False, "sample_weight": weight}
    whole.fit(X, Y, 30, **fit)
    split.fit(X, Y, 30 // parts, **fit)
    assert whole.optimizer.iterations == split.optimizer.iterations == 10
    for one, other in zip(whole.get_weights(), split.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance)


# ---- BLAS ---------------------------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np
import nnlite
from nnlite import Sequential
from nnlite.layers import Dense, Input
nnlite.set_random_seed(1)
x = np.random.default_rng(0).standard_normal((1024, 517))
y = np.tanh(x[:, :10] * 2)
layers = [Dense(n, a, dtype=sys.argv[1]) for n, a in [(517, "relu"), (517, "relu"), (10, None)]]
model = Sequential([Input((517,)), *layers])
model.compile("adam", "mse")
model.fit(x, y, 100, epochs=2, verbose=0)
np.savez(sys.argv[2], *model.get_weights(), model.predict(x))
"""


# Measured: 5e-6 and 8e-15 of the largest weight after 55 steps, fewer here; 0 with a width of 512.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-13)])
def test_runs_are_alike_to_the_bit_in_other_processes_and_nearly_with_other_threads(
    tmp_path, dtype, tolerance
):
    found = []
    for number, threads in enumerate("112"):
        path = tmp_path / f"{number}.npz"
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", SCRIPT, dtype, str(path)]
        subprocess.run(command, env=environment, check=True, timeout=300)
        with np.load(path) as file:
            found.append([file[key] for key in file.files])
    for one, again, other in zip(*found, strict=True):
        np.testing.assert_array_equal(again, one)
        assert np.abs(other - one).max() <= tolerance * np.abs(one).max()
