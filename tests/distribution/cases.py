"""Runs whose results are the same on every number of processes, to rounding.

``mpiexec -n 2 python cases.py results.npz`` writes what process 0 has of each; further arguments
name families, all of them by default. All is in float64,
so that rounding is far from any error; losses on several processes are sums of float64 too.
"""

import os
import sys
import tempfile
from unittest import mock

import numpy as np

import nnlite
from nnlite import (
    Input,
    Model,
    Sequential,
    callbacks,
    distribution,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from nnlite.data import HDF5, blocks
from nnlite.distribution.processes import current

RNG = np.random.default_rng(5)
X = RNG.standard_normal((43, 6))
LABELS = RNG.integers(0, 3, 43)
ONE_HOT = np.eye(3)[LABELS]
BITS = (LABELS[:, None] == 1).astype(float)
WEIGHTS = RNG.uniform(0.2, 2, 43)
NUMBERS = X[:, :2] ** 2


def net(last=None, *more):
    nnlite.set_random_seed(7)
    return Sequential([Input((6,)), layers.Dense(8, "tanh"), *more, last or layers.Dense(2)])


def results(model, *fit, **options):
    """Train, evaluate and predict; return the weights and all numbers that were reported."""
    options = {"batch_size": 10, "epochs": 2, "verbose": 0, **options}
    history = model.fit(*fit, **options)
    found = [np.ravel(np.asarray(values, float)) for values in history.history.values()]
    return [*(weight.ravel() for weight in model.get_weights()), *found]


def optimizer_cases():
    for name in sorted(optimizers.registry):
        cls = type(optimizers.get(name))
        yield cls.__name__, lambda cls=cls: optimizer_run(cls(0.01))
    for options in (
        {"clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"global_clipnorm": 0.1},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "ema_momentum": 0.8},
        {"use_ema": True, "ema_overwrite_frequency": 3},
        {"weight_decay": 0.1},
    ):
        yield str(options), lambda o=options: optimizer_run(optimizers.Adam(0.01, **o))
    rate = optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    yield "a schedule", lambda: optimizer_run(optimizers.SGD(rate, momentum=0.9))


def optimizer_run(optimizer):
    model = net()
    model.compile(optimizer, "mse")
    return results(model, X, NUMBERS)


def loss_cases():
    for name in sorted(losses.registry):
        cls = type(losses.get(name))
        for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
            yield f"{cls.__name__} {reduction}", lambda c=cls, r=reduction: loss_run(c, r)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=1)
    yield "ignore_class", lambda: run_with(layers.Dense(3, "softmax"), ignoring, LABELS)
    whole = losses.Dice(axis=(0, 1))
    yield "Dice over the batch", lambda: run_with(layers.Dense(3, "softmax"), whole, ONE_HOT)


def loss_run(cls, reduction):
    loss = cls(reduction=reduction)
    weight = None if loss.axis is None else WEIGHTS
    if cls.__name__ == "CTC":
        steps = Sequential([layers.Dense(12), layers.Reshape((4, 3))])
        return run_with(steps, loss, np.stack([LABELS % 2 + 1, (LABELS > 1) + 1], 1))
    y = LABELS if loss.takes_indices else ONE_HOT
    return run_with(layers.Dense(3, "softmax"), loss, y, sample_weight=weight)


def run_with(last, loss, y, weighted=(), plain=(), **options):
    model = net(last)
    model.compile(optimizers.SGD(0.1), loss, metrics=plain, weighted_metrics=weighted)
    return results(model, X, y, **options)


ARGUMENTS = {
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "IoU": {"num_classes": 3, "target_class_ids": [0, 1]},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
LEFT_OUT = {"Mean", "Sum", "MeanMetricWrapper", "Metric"}  # not of targets and predictions


class LargestError(metrics.Metric):
    """A metric whose states cannot be added."""

    def __init__(self, name="largest_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_weight(name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(max(self.largest, np.abs(y_true - y_pred).max()))

    def result(self):
        return float(self.largest)


def metric_cases():
    yield "a user's", lambda: metric_run(LargestError, {})
    classes = {type(nnlite.metrics.get(n)) for n in metrics.registry if n not in named()}
    for name in sorted(one.__name__ for one in classes | set(map(metric_class, ARGUMENTS))):
        if name not in LEFT_OUT:
            yield name, lambda n=name: metric_run(metric_class(n), ARGUMENTS.get(n, {}))


def metric_class(name):
    return getattr(metrics, name)


def named():
    """Return the names whose metric cannot be made without arguments."""
    return {name for name in metrics.registry if not makes(name)}


def makes(name):
    try:
        return metrics.get(name) is not None
    except TypeError:
        return False


def metric_run(cls, options):
    sparse = "Sparse" in cls.__name__ or cls.__name__ in ("MeanIoU", "IoU")
    binary = cls.__name__ in ("BinaryIoU",)
    last, loss, y = layers.Dense(3, "softmax"), "categorical_crossentropy", ONE_HOT
    if sparse:
        loss, y = "sparse_categorical_crossentropy", LABELS
    if cls.__name__ in ("MeanIoU", "IoU"):
        options = {**options, "sparse_y_pred": False}
    if binary:
        last, loss, y = layers.Dense(1, "sigmoid"), "binary_crossentropy", BITS
    return run_with(
        last,
        loss,
        y,
        weighted=[cls(**options)],
        plain=[cls(**options)],
        sample_weight=WEIGHTS,
        validation_data=(X[:7], y[:7]),
    )


def data_cases():
    yield "weights", lambda: data_run(X, NUMBERS, sample_weight=WEIGHTS)
    yield "batches of 1", lambda: data_run(X[:5], NUMBERS[:5], batch_size=1)
    yield "batches of 3", lambda: data_run(X[:8], NUMBERS[:8], batch_size=3)
    yield "one batch", lambda: data_run(X, NUMBERS, batch_size=100)
    yield "no shuffling", lambda: data_run(X, NUMBERS, shuffle=False)
    yield "steps of an epoch", lambda: data_run(X, NUMBERS, steps_per_epoch=3, epochs=3)
    yield "validation", lambda: data_run(X, NUMBERS, validation_split=0.3)
    yield (
        "classes weighted",
        lambda: run_with(
            layers.Dense(3, "softmax"),
            "crossentropy",
            LABELS,
            class_weight={0: 1.0, 1: 3.0, 2: 0.5},
        ),
    )
    yield (
        "a list of batches",
        lambda: data_run(
            [(X[at : at + 9], NUMBERS[at : at + 9]) for at in range(0, 43, 9)], batch_size=None
        ),
    )
    yield (
        "a generator",
        lambda: data_run(
            ((X[at : at + 9], NUMBERS[at : at + 9]) for at in range(0, 36, 9)),
            batch_size=None,
            epochs=1,
        ),
    )
    yield "HDF5", lambda: hdf5_run({})
    yield "HDF5 in chunks", lambda: hdf5_run({"chunks": (3, 6), "compression": "gzip"})
    yield "HDF5 in order", lambda: hdf5_run({}, shuffle=False)


def data_run(*fit, **options):
    model = net()
    model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
    return results(model, *fit, **options)


def hdf5_run(stored, **options):
    """Train and evaluate on blocks of a few rows, which each process reads its share of."""
    import h5py

    rows = []

    class Counting(blocks.BlockBatches):
        def fill(self, columns, parts, *to):
            rows.extend(stop - start for start, stop in parts)
            return super().fill(columns, parts, *to)

    least = mock.patch.multiple(blocks, _BLOCK=256, _WINDOW=1024, BlockBatches=Counting)
    with tempfile.TemporaryDirectory() as folder, least:
        path = f"{folder}/data.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=X, **stored)
            file["y"] = NUMBERS
        found = data_run(HDF5(path), validation_split=0.2, **options)
        model = net()
        model.compile("adam", "mse")
        found += [np.ravel(model.evaluate(HDF5(path), verbose=0))]
        found += [model.predict(HDF5(path), batch_size=3, verbose=0).ravel()]
    read = np.array([float(sum(rows))])
    if (group := current()).size > 1:
        assert 0 < read[0] < 6 * 43, "each process reads a part"
        group.sum(read, "count the rows that were read")
    return [*found, read]


def model_cases():
    yield (
        "penalties",
        lambda: model_run(
            layers.Dense(
                4,
                kernel_regularizer="l2",
                activity_regularizer=regularizers.L1(0.1),
                bias_constraint="non_neg",
            )
        ),
    )
    yield (
        "synchronized batch normalization",
        lambda: model_run(layers.BatchNormalization(synchronized=True)),
    )
    yield "several outputs", outputs_run
    yield "masked steps", masked_run
    yield (
        "synchronized normalization of masked steps",
        lambda: masked_run(layers.BatchNormalization(synchronized=True)),
    )
    yield "convolution", convolution_run
    yield "own train_step", lambda: own_run(ByHand)
    yield "train_step around nnlite's", lambda: own_run(Around)
    yield "one batch at a time", by_batches_run
    yield "evaluate and predict", inference_run


def model_run(layer):
    model = net(None, layer)
    model.compile(optimizers.SGD(0.1), "mse")
    # batches of 11, 11, 11 and 1: not a row for each process
    return results(model, X, NUMBERS, batch_size=11, validation_split=0.2)


def outputs_run():
    nnlite.set_random_seed(3)
    x = Input((6,))
    h = layers.Dense(5, "relu")(x)
    model = Model(x, [layers.Dense(2, name="a")(h), layers.Dense(3, "softmax", name="b")(h)])
    model.compile(
        "adam",
        ["mse", "sparse_categorical_crossentropy"],
        loss_weights=[0.3, 1.0],
        metrics=[["mae"], ["accuracy"]],
    )
    return results(model, X, [NUMBERS, LABELS], sample_weight=[WEIGHTS, WEIGHTS])


def masked_run(*more):
    nnlite.set_random_seed(3)
    steps = np.random.default_rng(2).integers(0, 5, (20, 7))
    steps[:, 0] = 1
    model = Sequential(
        [
            Input((7,), dtype="int32"),
            layers.Embedding(5, 4, mask_zero=True),
            layers.LSTM(3, return_sequences=True),
            *more,
            layers.Dense(5, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return results(model, steps, steps[:, ::-1], batch_size=9)


def convolution_run():
    nnlite.set_random_seed(3)
    images = X[:, :4].repeat(9, 1).reshape(43, 6, 6, 1)
    model = Sequential(
        [
            Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return results(model, images, LABELS)


class ByHand(Sequential):
    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred)
        self.backward(self.compute_loss_gradient(x, y, y_pred))
        self.update_weights()
        return {"loss": loss}


class Around(Sequential):
    def train_step(self, data):
        return super().train_step(data)


def own_run(cls):
    nnlite.set_random_seed(3)
    model = cls([Input((6,)), layers.Dense(4, "tanh"), layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    return results(model, X, NUMBERS)


def by_batches_run():
    model = net()
    model.compile("adam", "mse", metrics=["mae"])
    found = [model.train_on_batch(X[at : at + 7], NUMBERS[at : at + 7]) for at in range(0, 43, 7)]
    return [np.ravel(found), *map(np.ravel, model.get_weights())]


def inference_run():
    model = net(layers.Dense(3, "softmax"))
    model.compile("adam", "crossentropy", metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)
    scores = model.evaluate(X, LABELS, batch_size=9, verbose=0)
    return [np.ravel(scores), *(model.predict(X, batch_size=n, verbose=0).ravel() for n in (4, 9))]


def callback_cases():
    yield (
        "early stopping",
        lambda: callback_run(
            callbacks.EarlyStopping("loss", min_delta=0.05, restore_best_weights=True)
        ),
    )
    yield (
        "learning rate",
        lambda: callback_run(
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            callbacks.ReduceLROnPlateau("loss", min_delta=1, patience=1),
        ),
    )
    yield (
        "averaged weights",
        lambda: callback_run(
            callbacks.SwapEMAWeights(), optimizer=optimizers.Adam(0.01, use_ema=True)
        ),
    )
    yield "a user's", lambda: callback_run(Meddler())


class Meddler(callbacks.Callback):
    """Changes weights and what learns, adds to the logs and stops: in process 0 alone."""

    def on_epoch_end(self, epoch, logs=None):
        logs["sum"] = float(self.model.predict(X, batch_size=9, verbose=0).sum())
        self.model.layers[0].trainable = epoch > 0
        self.model.layers[1].kernel.value *= 0.9
        self.model.stop_training = epoch == 2


def callback_run(*given, optimizer=None):
    model = net()
    model.compile(optimizer or optimizers.Adam(0.01), "mse")
    return results(model, X, NUMBERS, epochs=5, callbacks=list(given), validation_split=0.2)


FAMILIES = {
    "optimizers": optimizer_cases,
    "losses": loss_cases,
    "metrics": metric_cases,
    "data": data_cases,
    "models": model_cases,
    "callbacks": callback_cases,
}


def main(path, *families):
    nnlite.config.set_floatx("float64")
    found = {}
    for family in families or FAMILIES:
        for name, run in FAMILIES[family]():
            nnlite.set_random_seed(7)  # so that a case is the same without those before it
            try:
                parts = run()
            except Exception as error:
                error.add_note(f"in {family}/{name}")
                raise
            found[f"{family}/{name}"] = np.concatenate([np.zeros(1), *map(np.ravel, parts)])
    if distribution.distribution() is None or distribution.distribution().process_id == 0:
        np.savez(path, **{name.replace("/", "|"): values for name, values in found.items()})


if __name__ == "__main__":
    if int(os.environ.get("PMI_SIZE", 1)) > 1:
        distribution.set_distribution(distribution.DataParallel(timeout=60))
    main(*sys.argv[1:])
