"""Functional models with masks in files between Keras and nnlite, both ways."""

import keras
import numpy as np
import pytest
from samples import part

import nnlite
from nnlite import models

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 3, (6, 5)).astype("int32")
OTHERS = RNG.integers(0, 3, (6, 4)).astype("int32")
SERIES = (RNG.normal(size=(6, 5, 3)) * RNG.integers(0, 2, (6, 5, 1))).astype("float32")


def encoder_decoder(k, cell="LSTM", bidirectional=False, name="x"):
    layers = k.layers
    a = k.Input((None,), dtype="int32", name="a")
    b = k.Input((None,), dtype="int32", name="b")
    x = layers.Embedding(3, 2, mask_zero=True, name="of_a")(a)
    _, *states = getattr(layers, cell)(3, return_state=True, name="encoder")(x)
    y = layers.Embedding(3, 2, mask_zero=True, name="of_b")(b)
    decoder = getattr(layers, cell)(3, return_sequences=True, name="decoder")
    if bidirectional:
        decoder = layers.Bidirectional(decoder, name="both")
        states = states * 2
    y = decoder(y, initial_state=states)
    y = layers.TimeDistributed(layers.Dense(3, activation="softmax"), name="each")(y)
    return k.Model([a, b], y)


def attending(k, name="attending"):
    layers = k.layers
    a = k.Input((5,), dtype="int32", name="a")
    x = layers.Embedding(3, 4, mask_zero=True, name="embedding")(a)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(4), name="each")(x)
    y = layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    y = layers.LayerNormalization(name="norm")(layers.Add(name="sum")([x, y]))
    x = layers.Concatenate(name="join")([x, y])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return k.Model(a, layers.Dense(2, name="last")(x), name=name)


def merging(k, last=None):
    """Two masks, merged in every way."""
    layers = k.layers
    a, b = k.Input((5, 3), name="a"), k.Input((5,), dtype="int32", name="b")
    x = layers.Masking(0.0, name="masking")(a)
    y = layers.Embedding(3, 3, mask_zero=True, name="embedding")(b)
    z = layers.Multiply(name="product")([x, y])
    after = layers.Concatenate(axis=1, name="after")([x, y])
    z = layers.Concatenate(axis=1, name="longer")([layers.Maximum(name="max")([z, y, x]), after])
    z = layers.SimpleRNN(3, return_sequences=True, name="first")(z)
    return k.Model([a, b], (last or layers.LSTM(2, name="second"))(z))


def nested(k):
    a = k.Input((5,), dtype="int32", name="ids")
    return k.Model(a, k.layers.Dense(1, name="end")(attending(k, "inner")(a)))


def shared(k):
    """A layer that is called on masked sequences twice."""
    layers = k.layers
    a, b = (k.Input((size,), dtype="int32", name=name) for size, name in ((5, "a"), (4, "b")))
    embedding = layers.Embedding(3, 2, mask_zero=True, name="embedding")
    lstm = layers.LSTM(2, name="lstm")
    return k.Model([a, b], layers.Subtract(name="difference")([lstm(embedding(x)) for x in (a, b)]))


def normalized(k):
    """Masks go on behind every layer that keeps the steps."""
    layers = k.layers
    a = k.Input((5,), dtype="int32", name="a")
    x = layers.Embedding(3, 2, mask_zero=True, name="embedding")(a)
    x = layers.BatchNormalization(trainable=False, name="batch")(x)
    x = layers.Dense(3, activation="tanh", name="dense")(layers.Dropout(0.0, name="drop")(x))
    x = layers.LayerNormalization(name="norm")(layers.LeakyReLU(name="leaky")(x))
    return k.Model(a, layers.GRU(2, name="gru")(layers.Activation("elu", name="elu")(x)))


MODELS = {
    "normalized": (normalized, IDS),
    "lstm": (encoder_decoder, [IDS, OTHERS]),
    "gru": (lambda k: encoder_decoder(k, "GRU"), [IDS, OTHERS]),
    "bidirectional": (lambda k: encoder_decoder(k, "SimpleRNN", True), [IDS, OTHERS]),
    "attending": (attending, IDS),
    "merging": (merging, [SERIES, IDS]),
    "nested": (nested, IDS),
    "shared": (shared, [IDS, OTHERS]),
}


def answer(model, x):
    """Return what a model of Keras predicts, without compiling it, which takes seconds."""
    return np.asarray(model(x, training=False))


def shaken(model):
    rng = np.random.default_rng(1)
    model.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) for w in model.get_weights()])
    return model


#: JAX compiles each for seconds: the old format and training are tried in part.
CASES = [*((name, "keras") for name in MODELS), *part([(name, "h5") for name in MODELS])]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_masked_models_go_both_ways(tmp_path, name, kind):
    make, x = MODELS[name]
    theirs = shaken(make(keras))
    want = answer(theirs, x)
    theirs.save(tmp_path / f"theirs.{kind}")
    ours = models.load_model(tmp_path / f"theirs.{kind}")
    assert not any("equal" in layer.name for layer in ours.layers)
    np.testing.assert_allclose(ours.predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)
    ours.save(tmp_path / f"ours.{kind}")
    again = keras.saving.load_model(tmp_path / f"ours.{kind}")
    np.testing.assert_allclose(answer(again, x), want, rtol=1e-5, atol=1e-6)
    made = make(nnlite)
    made.set_weights(ours.get_weights())
    np.testing.assert_allclose(made.predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)
    if name not in part([*MODELS]):
        return
    y = np.random.default_rng(2).normal(size=want.shape)
    losses = []
    for model in (theirs, ours, again):
        model.compile("sgd", "mse")
        losses.append(model.train_on_batch(x, y))
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    for model in (ours, again):
        for got, wanted in zip(model.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def masked_by(make):
    """Return a model of Keras whose LSTM is called with a mask that ``make`` makes."""
    a = keras.Input((5,), dtype="int32", name="a")
    embedding = keras.layers.Embedding(3, 2, mask_zero=True, name="embedding")
    x = embedding(a)
    return keras.Model(a, make(a, x, embedding))


def test_a_mask_given_by_hand_that_is_the_own_one_is_read(tmp_path):
    lstm = keras.layers.LSTM(2, name="lstm")
    model = masked_by(lambda a, x, layer: lstm(x, mask=layer.compute_mask(a)))
    model.save(tmp_path / "m.keras")
    want = model.predict(IDS, verbose=0)
    got = models.load_model(tmp_path / "m.keras").predict(IDS, verbose=0)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda a, x, lstm: lstm(x, mask=keras.ops.not_equal(a, 2)),
        lambda a, x, lstm: lstm(
            x, mask=keras.ops.logical_or(keras.ops.not_equal(a, 0), keras.ops.not_equal(a, 2))
        ),
        lambda a, x, lstm: lstm(keras.layers.Dense(2)(a * 1.0)[:, None] + x, mask=a),
    ],
)
@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_another_mask_is_refused_by_name(tmp_path, make, kind):
    lstm = keras.layers.LSTM(2, name="lstm")
    masked_by(lambda a, x, _: make(a, x, lstm)).save(tmp_path / f"m.{kind}")
    with pytest.raises(ValueError, match="lstm"):
        models.load_model(tmp_path / f"m.{kind}")


def test_a_mask_beside_states_is_refused(tmp_path):
    """Keras 3 takes all steps beside states, unless a call says otherwise."""
    gru = keras.layers.GRU(2, name="gru")
    masked_by(
        lambda a, x, layer: gru(
            x, initial_state=keras.layers.LSTM(2)(x), mask=layer.compute_mask(a)
        )
    ).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="'gru' is called with a mask= of its own"):
        models.load_model(tmp_path / "m.keras")
