"""Models of sequences with masks against Keras: outputs, losses, weights and moving averages."""

import keras
import numpy as np
import pytest

import nnlite

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(2).normal(size=(4, 3, 2)).astype("float32")
X[0, 2] = X[1, 1:] = X[3] = 0  # the last sequence has no steps at all
WORDS = np.array([[[1, 2, 0], [3, 0, 0]], [[1, 1, 1], [2, 3, 0]]])


def flat(k, x):
    x = k.layers.Masking(name="mask")(x)
    x = k.layers.BatchNormalization(momentum=0.5, name="normal")(x)
    return k.layers.Dense(2, name="last")(x)


def read_further(k, x):
    """Masked steps have a part in what comes after: their gradients too."""
    x = k.layers.Masking(name="mask")(x)
    x = k.layers.BatchNormalization(momentum=0.5, name="normal")(x)
    return k.layers.Dense(1, name="last")(k.layers.Flatten(name="flat")(x))


def along_steps(k, x):
    x = k.layers.Masking(name="mask")(x)
    return k.layers.BatchNormalization(1, momentum=0.5, name="normal")(x)


def pooled(k, x):
    return k.layers.GlobalAveragePooling1D(name="mean")(flat(k, x))


def weighed(k, x):
    x = k.layers.Masking(name="mask")(x)
    return k.layers.LayerNormalization(name="normal")(x)


def model_of(k, make, x, words=False):
    keras.utils.set_random_seed(3)
    inputs = k.Input(x.shape[1:], dtype="int32" if words else None)
    model = k.Model(inputs, make(k, inputs))
    model.compile(k.optimizers.SGD(0.1), "mse", weighted_metrics=["mae"])
    return model


@pytest.mark.parametrize("make", [flat, read_further, along_steps, pooled, weighed])
@pytest.mark.filterwarnings("ignore:Layer 'flat' does not pass masks on")
@pytest.mark.filterwarnings("ignore:Layer 'flat' .*does not support mask")
def test_masked_models_train_alike(make):
    x = X[:3] if make is pooled else X  # the mean of nothing is another one
    ours, theirs = (model_of(k, make, x) for k in (nnlite, keras))
    ours.set_weights([np.array(weight) for weight in theirs.get_weights()])
    y = np.random.default_rng(5).normal(size=(len(x), *theirs.output_shape[1:]))
    for _ in range(2):
        losses = [model.train_on_batch(x, y, return_dict=True) for model in (ours, theirs)]
        assert losses[0]["loss"] == pytest.approx(float(losses[1]["loss"]), rel=1e-4)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def within(layer):
    def make(k, x):
        x = k.layers.Embedding(5, 2, mask_zero=True, name="words")(x)
        return k.layers.TimeDistributed(layer(k), name="each")(x)

    return make


@pytest.mark.parametrize(
    "layer",
    [
        lambda k: k.layers.LSTM(2),
        lambda k: k.layers.Bidirectional(k.layers.GRU(2)),
        lambda k: k.layers.GlobalAveragePooling1D(),
    ],
)
def test_masks_of_sentences_reach_the_layer_at_every_step(layer):
    ours, theirs = (model_of(k, within(layer), WORDS, words=True) for k in (nnlite, keras))
    ours.set_weights([np.array(weight) for weight in theirs.get_weights()])
    np.testing.assert_allclose(ours.predict(WORDS), theirs.predict(WORDS, verbose=0), rtol=1e-5)
