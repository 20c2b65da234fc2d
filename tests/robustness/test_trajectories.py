"""Training runs of 50 steps that must go where they went when they were recorded, to 1e-9.

They guard a change of how nnlite computes against a change of what it computes. Each run is a tiny
net in float64: its final weights, its history, what `evaluate` returns and its first predictions
lie in ``tests/fixtures/trajectories.json``. Initial values, dropout and shuffling are seeded.

A change that is meant to move a run is recorded by ``python tests/robustness/test_trajectories.py
--record``. Runs that are new or have moved are written; those that agree keep their numbers.
"""

import json
import re
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnlite import (
    Model,
    Regularizer,
    Sequential,
    callbacks,
    config,
    layers,
    losses,
    metrics,
    optimizers,
    set_random_seed,
    utils,
)
from nnlite.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from nnlite.data import HDF5
from nnlite.layers import Activation, Dense, Dropout, Input, Layer
from nnlite.models import load_model
from nnlite.optimizers import SGD, Adam, schedules
from nnlite.regularizers import L1, L1L2, L2, OrthogonalRegularizer

RECORD = Path(__file__).parents[1] / "fixtures" / "trajectories.json"
SIGNIFICANT_DIGITS = 12  # of a recorded number
RTOL, ATOL = 1e-9, 1e-12
EPOCHS, BATCH = 10, 10  # 5 steps an epoch, the last of 8 samples

GENERATOR = np.random.default_rng(11)
X = GENERATOR.standard_normal((48, 3))
REAL = np.sin(X[:, :2]) + 0.1 * GENERATOR.standard_normal((48, 2))
POSITIVE = np.exp(REAL) + 0.1
LABELS = GENERATOR.integers(0, 3, 48)
ONE_HOT = np.eye(3)[LABELS]
BITS = (X[:, :2] > 0.1).astype(float)
SIGNS = 2 * BITS - 1
WEIGHT = GENERATOR.uniform(0.5, 2.0, 48)
HELD = GENERATOR.standard_normal((14, 3)), GENERATOR.standard_normal((14, 2))
HELD_LABELS = GENERATOR.integers(0, 3, 14)


# ---- how a run is made --------------------------------------------------------------------------


def compiled(body, optimizer=None, loss="mse", cls=Sequential, **options):
    model = cls([Input((3,)), *body])
    model.compile(SGD(0.1) if optimizer is None else optimizer, loss, **options)
    return model


def fitted(model, y=REAL, x=X, data=None, **options):
    """Train a model; return it with what it is evaluated on and its history."""
    options = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0, **options}
    given = (x, y) if data is None else (data,)
    return model, y, model.fit(*given, **options).history


def small(*args, **options):
    return compiled([Dense(4, "tanh"), Dense(2)], *args, **options)


def optimized(make, **options):
    return fitted(small(make()), **options)


def scored(activation, y, loss, rate=0.05):
    """Train a net that ends in ``activation`` on ``loss``."""
    units = 3 if y is LABELS else y.shape[1]
    return fitted(compiled([Dense(4, "tanh"), Dense(units, activation)], SGD(rate), loss), y)


def layered(*middle, y=REAL, last=None, optimizer=None):
    """Train a net with a smooth layer before ``middle``."""
    body = [Dense(4, "tanh"), *middle, last or Dense(2)]
    return fitted(compiled(body, optimizer or Adam(0.02)), y)


def interleaved(*activations):
    """Train a net with a `Dense` layer before each of ``activations``."""
    return layered(*[part for layer in activations for part in (Dense(4), layer)])


# ---- what a user defines ------------------------------------------------------------------------


class Gate(Layer):
    """y = x sigmoid(x w + b)."""

    def build(self, input_shape):
        self.w = self.add_weight("w", (input_shape[-1],), "glorot_uniform")
        self.b = self.add_weight("b", (1,), "zeros", regularizer="l2")
        self.seen = self.add_weight("seen", (1,), "zeros", trainable=False)

    def forward(self, x, training=False):
        gate = 1 / (1 + np.exp(-(x @ self.w.value + self.b.value)[:, None]))
        if training:
            self.cache = x, gate
            self.seen.value[...] += len(x)
        return x * gate

    def backward(self, gradient):
        x, gate = self.cache
        slope = (gradient * x).sum(axis=1) * (gate * (1 - gate))[:, 0]
        self.w.gradient[...] = slope @ x
        self.b.gradient[...] = slope.sum()
        return gradient * gate + slope[:, None] * self.w.value


class Residual(Layer):
    """y = x + inner(x), with a layer within."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def sublayers(self):
        return [self.inner]

    def build(self, input_shape):
        self.inner.ensure_built(input_shape)

    def forward(self, x, training=False):
        return x + self.inner(x, training=training)

    def backward(self, gradient):
        return gradient + self.inner.backward(gradient)


class Words(Layer):
    """Whole numbers from 0 to 8."""

    def forward(self, x, training=False):
        return np.clip(np.round(2 * x + 4), 0, 8)

    def backward(self, gradient):
        return np.zeros_like(gradient)


class Doubled(Dense):
    """A layer of nnlite's with both passes changed: last, it makes logits no more."""

    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, gradient):
        return super().backward(2 * gradient)


class Quartic(losses.Loss):
    def call(self, y_true, y_pred):
        return ((y_pred - y_true) ** 4).mean(axis=-1)

    def derivative(self, y_true, y_pred):
        return 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]


class Positives(losses.BinaryCrossEntropy):
    """Counts positives threefold."""

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) * (1 + 2 * y_true[:, 0])

    def derivative(self, y_true, y_pred):
        return super().derivative(y_true, y_pred) * (1 + 2 * y_true[:, :1])


class LogCosh(Regularizer):
    def __call__(self, x):
        return 0.02 * float(np.log(np.cosh(x)).sum())

    def gradient(self, x):
        return 0.02 * np.tanh(x)


class Halved(layers.ActivationLayer):
    """tanh(x) / 2, by its output."""

    def apply(self, x, out):
        np.tanh(x, out=out)
        return np.divide(out, 2, out=out)

    def chain(self, gradient, x, y, out):
        return np.multiply(gradient, 0.5 - 2 * y * y, out=out)


class Smoothed(optimizers.Optimizer):
    """A rule on all weights at once, with a vector of its own."""

    slots = ("mean",)

    def rule(self, w, g, mean, *, scratch):
        mean *= 0.8
        mean += g
        np.tanh(mean, out=scratch)
        scratch *= self.rate
        w -= scratch


class Heavy(optimizers.Optimizer):
    """Keras's `update_step`, a weight at a time."""

    def build(self, variables):
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, 0.5 * m - learning_rate * gradient)
        self.assign_add(variable, m)


class LargestError(metrics.Metric):
    def __init__(self, name="largest_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(max(float(self.largest), float(abs(y_true - y_pred).max())))

    def result(self):
        return float(self.largest)


class Adversarial(Sequential):
    """Trains on inputs moved along the gradient of the loss."""

    def train_step(self, data):
        x, y, sample_weight = utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        slope = self.backward(self.compute_loss_gradient(x, y, y_pred, sample_weight))
        x = x + 0.5 * np.tanh(slope)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self.backward(self.compute_loss_gradient(x, y, y_pred, sample_weight))
        self.update_weights()
        return {"loss": loss, **self.compute_metrics(x, y, y_pred, sample_weight)}


class Shrunk(Sequential):
    """A loss of the model's own: half of the squared length of the output is added."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        own = (y_pred**2).sum() / (2 * len(y_pred))
        return super().compute_loss(x, y, y_pred, sample_weight, training) + own

    def compute_loss_gradient(self, x=None, y=None, y_pred=None, sample_weight=None):
        return super().compute_loss_gradient(x, y, y_pred, sample_weight) + y_pred / len(y_pred)


# ---- runs that need more than one expression ----------------------------------------------------


def freezing():
    model = small(Adam(0.02))
    model.layers[0].trainable = False
    first = fitted(model, epochs=4)[2]
    model.layers[0].trainable = True
    model.layers[1].trainable = False
    second = fitted(model, epochs=3)[2]
    model.trainable = True
    third = fitted(model, epochs=3)[2]
    return model, REAL, {"loss": first["loss"] + second["loss"] + third["loss"]}


class Stop(Exception):  # noqa: N818  what a power failure is to a run
    pass


def stopping_and_resuming():
    def stop(batch, logs):
        if model.optimizer.iterations == 23:
            raise Stop

    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            set_random_seed(3 if number == 0 else 99)  # the backup knows the first
            body = [Dense(4, "tanh"), layers.BatchNormalization(), Dropout(0.2), Dense(2)]
            model = compiled(body, Adam(0.02, use_ema=True), metrics=["mae"])
            watching = [callbacks.BackupAndRestore(folder, save_freq=4)]
            if number == 0:
                failing = callbacks.LambdaCallback(on_train_batch_end=stop)
                with pytest.raises(Stop):
                    fitted(model, callbacks=[*watching, failing])
        return fitted(model, callbacks=[*watching, callbacks.LambdaCallback()])


def through_a_file(suffix):
    model = compiled([Dense(4, "tanh"), layers.BatchNormalization(), Dense(2)], Adam(0.02))
    first = fitted(model, epochs=5)[2]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / f"model{suffix}")
        model = load_model(Path(folder) / f"model{suffix}")
    second = fitted(model, epochs=5)[2]
    return model, REAL, {"loss": first["loss"] + second["loss"]}


def by_hand():
    """Single batches, growing and shrinking, with and without weights."""
    model = small(Adam(0.02), metrics=["mae"])
    history = {"loss": [], "mae": []}
    for step in range(50):
        rows = slice(step % 7, step % 7 + 1 + 5 * step % 32)
        weight = WEIGHT[rows] if step % 2 else None
        model.reset_metrics()
        values = model.train_on_batch(X[rows], REAL[rows], weight, return_dict=True)
        for name, value in values.items():
            history[name].append(value)
    return model, REAL, history


def from_a_file_of_data():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.h5"
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = X, REAL
        return fitted(small(), data=HDF5(path))


def from_batches():
    batches = [(X[i : i + 9], REAL[i : i + 9], WEIGHT[i : i + 9]) for i in range(0, 45, 9)]
    return fitted(small(), data=batches, batch_size=None)


def from_generator():
    def draw():
        generator = np.random.default_rng(5)
        while True:
            rows = generator.integers(0, 48, 1 + generator.integers(0, 12))
            yield X[rows], REAL[rows]

    return fitted(small(), data=draw(), batch_size=None, steps_per_epoch=5)


def tied_callbacks():
    watching = [
        callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.01),
        callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
    ]
    return fitted(small(SGD(0.3)), epochs=EPOCHS, validation_data=HELD, callbacks=watching)


def normalized_inputs():
    known = layers.Normalization()
    known.adapt(3 * X + 1)
    return fitted(compiled([known, layers.Rescaling(0.5, 0.1), Dense(4, "tanh"), Dense(2)]))


def merged():
    x = Input((3,))
    a, b = Dense(4, "tanh")(x), Dense(4, "tanh")(x)
    means = layers.Average()([a, b, Dense(1)(x)])
    y = layers.Concatenate()(
        [
            *(merge([a, b]) for merge in (layers.add, layers.subtract, layers.maximum)),
            layers.Multiply()([a, means]), layers.Minimum()([b, means]),
            layers.Dot(axes=1, normalize=True)([a, b]),
        ]
    )  # fmt: skip
    model = Model(x, Dense(2)(y))
    model.compile(Adam(0.02), "mse")
    return fitted(model)


def pooled(*body):
    """Train a net that ends in the means and the largest entries of channels."""
    x = y = Input((3,))
    for layer in body:
        y = layer(y)
    pooling = [f"Global{kind}Pooling{len(y.shape) - 2}D" for kind in ("Average", "Max")]
    means_and_peaks = [getattr(layers, name)()(y) for name in pooling]
    model = Model(x, Dense(2)(layers.Concatenate()(means_and_peaks)))
    model.compile(Adam(0.02), "mse")
    return fitted(model)


def attending():
    x = Input((3,))
    steps = layers.Masking()(layers.Reshape((3, 2))(Dense(6, "tanh")(x)))
    y = layers.MultiHeadAttention(2, 3, dropout=0.2, seed=1)(steps, steps, use_causal_mask=True)
    y = layers.EinsumDense("abc,cd->abd", (3, 4), "tanh", "d")(layers.add([steps, y]))
    y = layers.EinsumDense("abc,bd->adc", (2, 4), bias_axes="c")(y)
    means = [
        layers.Attention(True)([y, Dense(4, "tanh")(y)]),
        layers.Attention(True, "concat", dropout=0.2, seed=2)([y, Dense(4, "tanh")(y)]),
        layers.AdditiveAttention()([y, Dense(4, "tanh")(y)]),
    ]
    squared = layers.Lambda(lambda x: x**2, lambda x, y, dy: 2 * x * dy)(layers.add(means))
    model = Model(x, Dense(2)(layers.Flatten()(squared)))
    model.compile(Adam(0.02), "mse")
    return fitted(model)


def of_tables():
    x = Input((3,))
    bins = layers.Discretization([-0.5, 0.0, 0.5])(x)
    texts = layers.StringLookup(vocabulary=["b", "c"], oov_token="a b", invert=True)(bins)
    columns = [
        layers.IntegerLookup(vocabulary=[2, 0], output_mode="multi_hot")(bins),
        layers.CategoryEncoding(4, "count")(bins),
        layers.Hashing(5, output_mode="multi_hot")(texts),
        layers.StringLookup(vocabulary=["b"], output_mode="count")(texts),
        layers.TextVectorization(split=None, output_mode="count", vocabulary=["a b"])(texts),
    ]
    model = Model(x, Dense(2)(Dense(4, "tanh")(layers.Concatenate()(columns))))
    model.compile(Adam(0.02), "mse")
    return fitted(model)


def nested():
    leaf = Sequential([Dense(3, "tanh"), layers.BatchNormalization()], name="leaf")
    middle = Sequential([leaf, Dense(4, "softplus", activity_regularizer="l2"), Dropout(0.2)])
    body = [Dense(4, "tanh"), middle, Sequential([Dense(3), Activation("softmax")])]
    return fitted(compiled(body, Adam(0.02), "categorical_crossentropy"), ONE_HOT)


def nested_and_frozen():
    middle = Sequential([Dense(3, "tanh"), layers.BatchNormalization()])
    middle.trainable = False
    return fitted(compiled([Dense(4, "tanh"), middle, Dense(2)], Adam(0.02)))


def many_metrics():
    body = [Dense(4, "tanh"), Dense(3, "softmax")]
    watched = ["accuracy", metrics.AUC(num_thresholds=20), metrics.F1Score(), "mse"]
    weighted = ["accuracy", metrics.CategoricalCrossentropy(name="ce"), metrics.Precision()]
    model = compiled(
        body, None, "categorical_crossentropy", metrics=watched, weighted_metrics=weighted
    )
    held = HELD[0], np.eye(3)[HELD_LABELS], np.linspace(0.5, 2, 14)
    return fitted(model, ONE_HOT, sample_weight=WEIGHT, validation_data=held, validation_freq=2)


# ---- the runs -----------------------------------------------------------------------------------

#: A run of each rule.
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: optimizers.Adam(0.02, amsgrad=True),
    "AdamW": lambda: optimizers.AdamW(0.02, weight_decay=0.1),
    "Adamax": lambda: optimizers.Adamax(0.02),
    "Nadam": lambda: optimizers.Nadam(0.02),
    "RMSprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adagrad": lambda: optimizers.Adagrad(0.1),
    "Adadelta": lambda: optimizers.Adadelta(1.0),
    "Lion": lambda: optimizers.Lion(0.005),
    "plain SGD": lambda: "sgd",
    "plain RMSprop": lambda: optimizers.RMSprop(0.01),
    "SGD with momentum": lambda: optimizers.SGD(0.05, momentum=0.7, weight_decay=0.01),
    "clipnorm": lambda: Adam(0.02, clipnorm=0.05),
    "clipvalue": lambda: SGD(0.2, clipvalue=0.02),
    "global_clipnorm": lambda: SGD(0.2, momentum=0.5, global_clipnorm=0.1),
    "accumulation": lambda: Adam(0.05, gradient_accumulation_steps=3, clipnorm=0.5),
    "EMA": lambda: SGD(0.1, use_ema=True, ema_momentum=0.9),
    "EMA that overwrites": lambda: Adam(0.05, use_ema=True, ema_overwrite_frequency=7),
    "everything": lambda: Adam(
        schedules.CosineDecay(0.05, 40),
        weight_decay=0.05,
        global_clipnorm=0.2,
        use_ema=True,
        ema_momentum=0.8,
        ema_overwrite_frequency=4,
        gradient_accumulation_steps=2,
    ),
    "a rate by a function": lambda: SGD(lambda: 0.07),
    "ExponentialDecay": lambda: SGD(schedules.ExponentialDecay(0.2, 10, 0.5), momentum=0.5),
    "InverseTimeDecay": lambda: Adam(schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True)),
    "CosineDecay": lambda: SGD(
        schedules.CosineDecay(0.02, 30, alpha=0.1, warmup_target=0.2, warmup_steps=10)
    ),
    "CosineDecayRestarts": lambda: SGD(schedules.CosineDecayRestarts(0.2, 12, m_mul=0.8)),
    "PiecewiseConstantDecay": lambda: SGD(
        schedules.PiecewiseConstantDecay([20, 35], [0.2, 0.1, 0.05])
    ),
    "PolynomialDecay": lambda: SGD(schedules.PolynomialDecay(0.2, 15, 0.01, power=2, cycle=True)),
    "a rule of a user's": lambda: Smoothed(0.02),
    "update_step of a user's": lambda: Heavy(0.05, clipnorm=1.0, weight_decay=0.01),
}

#: The last activation, the targets and the loss of a run of each loss, and its rate.
LOSSES = {
    "BinaryCrossEntropy": ("sigmoid", BITS, losses.BinaryCrossEntropy(label_smoothing=0.1)),
    "BinaryFocalCrossEntropy": ("sigmoid", BITS, losses.BinaryFocalCrossEntropy(True)),
    "CategoricalCrossEntropy": ("softmax", ONE_HOT, losses.CategoricalCrossEntropy()),
    "CategoricalFocalCrossEntropy": ("softmax", ONE_HOT, losses.CategoricalFocalCrossEntropy()),
    "CategoricalGeneralizedCrossEntropy": (
        "softmax",
        LABELS,
        losses.CategoricalGeneralizedCrossEntropy(),
    ),
    "CategoricalHinge": (None, ONE_HOT, losses.CategoricalHinge()),
    "Circle": (layers.UnitNormalization, LABELS, losses.Circle(gamma=4.0)),
    "CosineSimilarity": (None, REAL, losses.CosineSimilarity()),
    "Dice": ("sigmoid", BITS, losses.Dice(axis=(1,))),
    "Hinge": ("tanh", SIGNS, losses.Hinge()),
    "Huber": (None, REAL, losses.Huber(0.5)),
    "KLDivergence": ("softmax", ONE_HOT * 0.7 + 0.1, losses.KLDivergence()),
    "LogCosh": (None, REAL, losses.LogCosh(reduction="mean_with_sample_weight")),
    "MeanAbsoluteError": (None, REAL, losses.MeanAbsoluteError()),
    "MeanAbsolutePercentageError": (None, POSITIVE, losses.MeanAbsolutePercentageError(), 5e-4),
    "MeanSquaredError": (None, REAL, losses.MeanSquaredError(reduction="sum")),
    "MeanSquaredLogarithmicError": ("softplus", POSITIVE, losses.MeanSquaredLogarithmicError()),
    "Poisson": ("exponential", POSITIVE, losses.Poisson()),
    "SparseCategoricalCrossEntropy": (
        "softmax",
        LABELS,
        losses.SparseCategoricalCrossEntropy(ignore_class=1),
    ),
    "SquaredHinge": ("tanh", SIGNS, losses.SquaredHinge()),
    "Tversky": ("sigmoid", BITS, losses.Tversky(0.3, 0.7)),
    "binary logits": (None, BITS, losses.BinaryCrossEntropy(from_logits=True)),
    "categorical logits": (
        None,
        ONE_HOT,
        losses.CategoricalCrossEntropy(from_logits=True, label_smoothing=0.1),
    ),
    "sparse logits": (None, LABELS, losses.SparseCategoricalCrossEntropy(from_logits=True)),
    "focal logits": (None, ONE_HOT, losses.CategoricalFocalCrossEntropy(from_logits=True)),
    "mean squares of a sigmoid": ("sigmoid", BITS, "mse"),
    "a loss of a user's": (None, REAL, Quartic()),
    "a subclass of cross-entropy": ("sigmoid", BITS, Positives()),
}

RUNS = {
    **{f"optimizer: {name}": partial(optimized, make) for name, make in OPTIMIZERS.items()},
    **{f"loss: {name}": partial(scored, *case) for name, case in LOSSES.items()},
    # -- layers
    "layers: smooth": lambda: interleaved(
        layers.CELU(0.8), layers.ELU(0.7), layers.GELU(), layers.SELU(), layers.Mish()
    ),
    "layers: smooth too": lambda: interleaved(
        layers.SiLU(), layers.Softplus(), layers.Softsign(), layers.Squareplus(), layers.Tanh()
    ),
    "layers: of two sorts": lambda: interleaved(
        layers.LogSigmoid(), layers.Sigmoid(), layers.TanhShrink(), layers.GELU(approximate=True),
        layers.Identity(), layers.Exponential(),
    ),
    "layers: bent": lambda: interleaved(
        layers.ReLU(), layers.LeakyReLU(0.2), layers.PReLU("ones"), layers.HardSigmoid(),
        layers.HardSiLU(), layers.HardTanh(),
    ),
    "layers: sparse": lambda: interleaved(
        layers.SparsePlus(), layers.SparseSigmoid(), layers.Sparsemax(), layers.SoftShrink(0.05),
        layers.HardShrink(0.01), layers.Threshold(-0.5, 0.1),
    ),
    "layers: over an axis": lambda: interleaved(
        layers.Softmax(), layers.LogSoftmax(), layers.GLU()
    ),
    "layers: activations in place": lambda: layered(
        Activation("tanh"), Activation("sigmoid"), Dense(4, "relu"), layers.Tanh(), layers.Sigmoid()
    ),
    "layers: BatchNormalization": lambda: layered(
        Dense(4, use_bias=False), layers.BatchNormalization(momentum=0.8), Activation("tanh"),
        layers.BatchNormalization(center=False, scale=False),
    ),
    "layers: LayerNormalization": lambda: layered(layers.LayerNormalization(), Dense(4, "tanh")),
    "layers: other normalizations": lambda: layered(
        layers.RMSNormalization(), Dense(4, "tanh"), layers.UnitNormalization()
    ),
    "layers: normalized inputs": normalized_inputs,
    "layers: noise": lambda: layered(
        Dropout(0.3), Dense(4, "tanh"), layers.GaussianNoise(0.1), layers.GaussianDropout(0.2),
        layers.AlphaDropout(0.1), Dense(4, "tanh"), Dropout(0.2, seed=5),
    ),
    "layers: shapes": lambda: layered(
        layers.RepeatVector(2), layers.SpatialDropout1D(0.2), layers.Permute((2, 1)),
        Dense(3, "tanh"), layers.LayerNormalization(axis=[1, 2]), layers.Reshape((2, 3, 2)),
        layers.SpatialDropout2D(0.2), layers.BatchNormalization(axis=1),
        layers.Reshape((2, 1, 3, 2)), layers.SpatialDropout3D(0.2),
        layers.PReLU("ones", shared_axes=[1, 2, 3]), layers.Flatten(),
    ),
    "layers: over images": lambda: layered(
        Dense(16, "tanh"), layers.Reshape((4, 4, 1)), layers.Conv2D(4, 3, padding="same"),
        layers.MaxPooling2D(), layers.SeparableConv2D(3, 2, padding="same", activation="tanh"),
        layers.Conv2DTranspose(2, 2, strides=2), layers.DepthwiseConv2D(2, activation="tanh"),
        layers.GlobalAveragePooling2D(),
    ),
    "layers: sizes and groups": lambda: layered(
        Dense(16, "tanh"), layers.Reshape((4, 4, 1)), layers.UpSampling2D(2),
        layers.ZeroPadding2D(1), layers.Cropping2D(1), layers.Resizing(6, 6),
        layers.CenterCrop(4, 4),
        layers.EinsumDense("abcd,de->abce", (None, None, 4), bias_axes="e"),
        layers.GroupNormalization(2), layers.AveragePooling2D(2), layers.GlobalMaxPooling2D(),
    ),
    "layers: over sequences": lambda: pooled(
        Dense(12, "tanh"), layers.Reshape((6, 2)), layers.Conv1D(4, 2, padding="causal"),
        layers.ZeroPadding1D((1, 2)), layers.MaxPooling1D(2, 1), layers.DepthwiseConv1D(2),
        layers.UpSampling1D(2), layers.SeparableConv1D(4, 3, strides=2, activation="tanh"),
        layers.Cropping1D((1, 0)), layers.Conv1DTranspose(4, 2, strides=2),
        layers.GroupNormalization(2), layers.AveragePooling1D(2),
    ),
    "layers: images of other sizes": lambda: pooled(
        Dense(24, "tanh"), layers.Reshape((3, 4, 2)), layers.GroupNormalization(-1, axis=1),
        layers.Resizing(5, 3, pad_to_aspect_ratio=True, fill_value=0.5), layers.Conv2D(3, 2),
        layers.UpSampling2D(2, interpolation="bilinear"), layers.CenterCrop(5, 3),
        layers.ZeroPadding2D(1), layers.Cropping2D(((0, 1), (1, 0))), layers.AveragePooling2D(2),
    ),
    "layers: over volumes": lambda: pooled(
        Dense(16, "tanh"), layers.Reshape((2, 2, 2, 2)), layers.UpSampling3D((1, 2, 1)),
        layers.ZeroPadding3D((0, 1, 1)), layers.Conv3D(3, 2, activation="tanh"),
        layers.Conv3DTranspose(2, 2, strides=2), layers.MaxPooling3D((1, 2, 2)),
        layers.Cropping3D((0, (1, 0), 0)), layers.AveragePooling3D((2, 1, 1)),
    ),
    "layers: attention": attending,
    "layers: of words": lambda: fitted(
        compiled(
            [
                Words(), layers.Reshape((3, 1)), layers.Masking(5.0), layers.Flatten(),
                layers.Embedding(9, 4), layers.Flatten(), Dense(2),
            ],
            Adam(0.02),
        )
    ),
    "layers: merging": merged,
    "layers: of tables": of_tables,
    "layers: recurrent": lambda: layered(
        layers.Reshape((2, 2)), layers.TimeDistributed(Dense(3, "tanh")),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True, dropout=0.2)),
        layers.RNN([layers.GRUCell(3, recurrent_dropout=0.2), layers.LSTMCell(2)],
                   return_sequences=True),
        layers.GRU(3, reset_after=False, return_sequences=True),
        layers.SimpleRNN(4, go_backwards=True),
    ),
    "layers: an output of three axes": lambda: layered(
        layers.Reshape((2, 2)), y=REAL[:, :, None], last=Dense(1, "tanh")
    ),
    "layers: initial values": lambda: layered(
        Dense(4, "tanh", kernel_initializer="orthogonal", bias_initializer="random_normal"),
        Dense(4, "tanh", kernel_initializer="he_normal", bias_initializer="ones"),
        Dense(4, "tanh", kernel_initializer="lecun_uniform", bias_initializer="random_uniform"),
    ),
    "layers: of a user's": lambda: layered(Gate(), Residual(Dense(4, "tanh")), Dense(4, Halved)),
    "layers: a user's alone": lambda: fitted(compiled([Gate(), Doubled(2)], Adam(0.02))),
    "layers: a user's before a cross-entropy": lambda: fitted(
        compiled([Doubled(4, "tanh"), Doubled(2, "sigmoid")], SGD(0.02), "binary_crossentropy"),
        BITS,
    ),
    # -- penalties and constraints
    "penalties: on weights": lambda: layered(
        Dense(4, "tanh", kernel_regularizer=L1(0.002), bias_regularizer=L2(0.02)),
        Dense(4, "tanh", kernel_regularizer=L1L2(0.001, 0.01), bias_regularizer="l1"),
        Dense(4, "tanh", kernel_regularizer=OrthogonalRegularizer(0.01, mode="columns")),
        Dense(4, "tanh", kernel_regularizer=LogCosh()),
        layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l2"),
    ),
    "penalties: on outputs": lambda: layered(
        Dense(4, "tanh", activity_regularizer=L2(0.05)), layers.ActivityRegularization(0.01, 0.02),
        Activation("tanh", activity_regularizer=LogCosh()),
        last=Dense(2, activity_regularizer="l2"),
    ),
    "penalties: on logits": lambda: fitted(
        compiled(
            [Dense(4, "tanh"), Dense(3, "softmax", activity_regularizer=L2(0.1))],
            None, "categorical_crossentropy",
        ),
        ONE_HOT,
    ),
    "constraints": lambda: layered(
        Dense(4, "tanh", kernel_constraint=MaxNorm(0.8), bias_constraint=NonNeg()),
        Dense(4, "tanh", kernel_constraint=MinMaxNorm(0.3, 0.9, rate=0.7)),
        Dense(4, "tanh", kernel_constraint=UnitNorm(axis=1)),
        Dense(4, "tanh", bias_constraint=np.tanh),
    ),
    # -- the ways of a run
    "run: sample weights": lambda: fitted(
        small(weighted_metrics=["mae"]), sample_weight=WEIGHT
    ),
    "run: class weights": lambda: fitted(
        compiled([Dense(3, "softmax")], None, "sparse_categorical_crossentropy"),
        LABELS, class_weight={0: 0.5, 2: 3.0},
    ),
    "run: metrics": many_metrics,
    "run: a metric of a user's": lambda: fitted(
        small(metrics=[LargestError(), "cosine_similarity"])
    ),
    "run: validation": lambda: fitted(
        small(metrics=["mae"]), validation_data=HELD, validation_batch_size=4
    ),
    "run: a split": lambda: fitted(small(), validation_split=0.25, epochs=10, shuffle=False),
    "run: the loss of the last layer": lambda: fitted(
        compiled([Dense(2, "sigmoid")], None, None, metrics=["accuracy"]), BITS
    ),
    "run: never compiled": lambda: fitted(Sequential([Dense(4, "tanh"), Dense(2)])),
    "run: several steps per execution": lambda: fitted(small(steps_per_execution=2)),
    "run: nested": nested,
    "run: nested and frozen": nested_and_frozen,
    "run: freezing and thawing": freezing,
    "run: stopped and resumed": stopping_and_resuming,
    "run: through .keras": lambda: through_a_file(".keras"),
    "run: through .h5": lambda: through_a_file(".h5"),
    "run: by train_on_batch": by_hand,
    "run: HDF5": from_a_file_of_data,
    "run: batches": from_batches,
    "run: a generator": from_generator,
    "run: a falling rate": tied_callbacks,
    "run: a scheduler": lambda: optimized(
        lambda: SGD(0.2),
        callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)],
    ),
    "run: validation by averages": lambda: optimized(
        lambda: SGD(0.1, use_ema=True), validation_data=HELD,
        callbacks=[callbacks.SwapEMAWeights(swap_on_epoch=True)],
    ),
    "run: train_step of a user's": lambda: fitted(small(cls=Adversarial, metrics=["mae"])),
    "run: compute_loss of a user's": lambda: fitted(
        compiled([Dense(4, "tanh", kernel_regularizer="l2"), Dense(2)], cls=Shrunk)
    ),
}  # fmt: skip


def ended(name, dtype="float64"):
    """Make a run; return the model, its targets and its history, with ``dtype`` throughout."""
    before = config.floatx()
    config.set_floatx(dtype)
    try:
        set_random_seed(3)
        return RUNS[name]()
    finally:
        config.set_floatx(before)


def flat(values):
    """Return the numbers of arrays, numbers and lists of them as vectors."""
    for value in values:
        yield from flat(value) if isinstance(value, list) else [np.ravel(value)]


@cache
def outcome(name):
    """Return what is compared of a run, vectors by name, and the classes that it met."""
    model, y, history = ended(name)
    found = {
        "weights": model.get_weights(),
        **{f"history: {key}": values for key, values in history.items()},
        "evaluate": [model.evaluate(X, y, batch_size=20, verbose=0)],
        "predictions": [model.predict(X[:4], verbose=0)],
    }
    classes = {type(layer) for layer in model.all_layers()}
    classes |= {type(model.optimizer), type(model.loss)}
    return {key: np.concatenate(list(flat(values))) for key, values in found.items()}, classes


def moved(found, recorded):
    """Return what of a run is not as it is recorded, with the largest differences."""
    if list(found) != list(recorded):
        return [f"{list(recorded)} has become {list(found)}"]
    wrong = []
    for key, values in found.items():
        want = np.array(recorded[key])
        if values.shape != want.shape:
            wrong.append(f"{key}: {want.size} numbers have become {values.size}")
        elif not np.allclose(values, want, rtol=RTOL, atol=ATOL):
            worst = np.argmax(abs(values - want))
            wrong.append(f"{key}[{worst}]: {want[worst]} has become {values[worst]}")
    return wrong


RECORDED = json.loads(RECORD.read_text()) if RECORD.exists() else {}


PAST_A_MASK = pytest.mark.filterwarnings(
    "ignore:Layer '(einsum_dense|flatten)' does not pass masks on"
)


@PAST_A_MASK
@pytest.mark.parametrize("name", RUNS)
def test_a_run_ends_where_it_was_recorded(name):
    assert moved(outcome(name)[0], RECORDED[name]) == []


@PAST_A_MASK
def test_every_public_layer_loss_and_optimizer_has_a_run():
    met = set().union(*(outcome(name)[1] for name in RUNS))
    bases = {Layer, layers.ActivationLayer, layers.Input, layers.InputLayer}
    bases |= {losses.Loss, optimizers.Optimizer}
    public = {getattr(room, name) for room in (layers, losses, optimizers) for name in room.__all__}
    missing = {c for c in public if isinstance(c, type)} - met - bases
    # Those of one, two and three axes are one code; attention is compared with Keras step by step.
    alike = {re.sub(r"[123]D", "", c.__name__) for c in met}
    alike |= {"AdditiveAttention", "Attention", "MultiHeadAttention", "Lambda"}
    assert sorted({re.sub(r"[123]D", "", c.__name__) for c in missing} - alike) == []
    assert list(RECORDED) == list(RUNS)


def record():
    kept = {}
    for name in RUNS:
        found, old = outcome(name)[0], RECORDED.get(name, {})
        if not moved(found, old):
            kept[name] = old
            continue
        print("recorded:", name)
        form = f"%.{SIGNIFICANT_DIGITS}g"
        kept[name] = {key: [float(form % v) for v in values] for key, values in found.items()}
    runs = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in run.items())
        + "\n}"
        for name, run in kept.items()
    )
    RECORD.write_text("{\n" + ",\n".join(runs) + "\n}\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--record"]:
        raise SystemExit(__doc__)
    record()
