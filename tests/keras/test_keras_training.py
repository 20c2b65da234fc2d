"""Ten epochs from equal weights give equal weights: whole models, trained in both."""

import keras
import numpy as np
import pytest

import nnlite

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 5)).astype(np.float32)
SCORES = X @ GENERATOR.standard_normal((5, 3)).astype(np.float32)
TARGETS = {
    "regression": (SCORES / 4, "mse"),
    "binary": ((SCORES[:, :1] > 0).astype(np.float32), "binary_crossentropy"),
    "classes": (SCORES.argmax(axis=1), "sparse_categorical_crossentropy"),
    "one-hot": (np.eye(3, dtype=np.float32)[SCORES.argmax(axis=1)], "categorical_crossentropy"),
}
LAST = {"regression": (3, None), "binary": (1, "sigmoid")}

NETS = {
    "plain": lambda k: [k.layers.Dense(8, "tanh")],
    "deep": lambda k: [k.layers.Dense(8, "gelu"), k.layers.Dense(6, "selu"), k.layers.ELU()],
    "normalized": lambda k: [
        k.layers.Dense(8, use_bias=False),
        k.layers.BatchNormalization(momentum=0.8),
        k.layers.Activation("silu"),
        k.layers.LayerNormalization(),
    ],
    "parametric": lambda k: [
        k.layers.Dense(8, kernel_regularizer="l2"),
        k.layers.PReLU(),
        k.layers.RMSNormalization(),
    ],
    "penalized": lambda k: [
        # Biases off 0, where JAX takes 1 for the slope of |x|, and nnlite 0.
        k.layers.Dense(
            8,
            "softplus",
            kernel_constraint="max_norm",
            bias_regularizer="l1",
            bias_initializer="ones",
        ),
        k.layers.ActivityRegularization(l2=0.01),
    ],
    "reshaped": lambda k: [
        k.layers.Reshape((5, 1)),
        k.layers.Dense(4, "mish"),
        k.layers.Permute((2, 1)),
        k.layers.Flatten(),
    ],
    "nested": lambda k: [
        k.Sequential([k.layers.Dense(6, "relu"), k.layers.UnitNormalization()]),
        k.layers.Rescaling(2.0, 0.5),
    ],
}

OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda k: k.optimizers.Adam(0.01, clipnorm=0.5),
    "adamw": lambda k: k.optimizers.AdamW(
        k.optimizers.schedules.CosineDecay(0.02, 12, warmup_target=0.03, warmup_steps=3)
    ),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.005, centered=True),
    "nadam": lambda k: k.optimizers.Nadam(0.01, use_ema=True),
    "lion": lambda k: k.optimizers.Lion(0.002),
}


def net(k, layers, last, optimizer, loss):
    units, activation = last
    head = [k.layers.Dense(units, activation=activation)]
    model = k.Sequential([k.layers.Input((5,)), *NETS[layers](k), *head])
    model.compile(OPTIMIZERS[optimizer](k), loss)
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("layers", "task"), [*zip(NETS, [*TARGETS, *TARGETS])])  # noqa: B905
def test_ten_epochs_give_equal_weights_and_losses(layers, task, optimizer):
    y, loss = TARGETS[task]
    last = LAST.get(task, (3, "softmax"))
    theirs, ours = (net(k, layers, last, optimizer, loss) for k in (keras, nnlite))
    ours.set_weights(theirs.get_weights())
    options = {"epochs": 10, "batch_size": len(X), "shuffle": False, "verbose": 0}
    expected, found = theirs.fit(X, y, **options), ours.fit(X, y, **options)
    assert found.history["loss"] == pytest.approx(expected.history["loss"], rel=2e-5, abs=2e-6)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=1e-5, atol=1e-5)
