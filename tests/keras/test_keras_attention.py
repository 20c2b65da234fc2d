"""Attention against Keras's: outputs, gradients, masks, configurations and files."""

import inspect

import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes

import nnlite
from nnlite import layers, saving

GENERATOR = np.random.default_rng(0)
QUERY, VALUE, KEY = (GENERATOR.normal(size=shape) for shape in [(3, 4, 6), (3, 5, 2), (3, 5, 6)])
OF_QUERY = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 1]], bool)
OF_VALUE = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0]], bool)


pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


@pytest.fixture(autouse=True)
def _double_is_double(monkeypatch):
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")


CASES = {
    "dot": ("Attention", {}),
    "scaled": ("Attention", {"use_scale": True}),
    "concat": ("Attention", {"score_mode": "concat"}),
    "scaled concat": ("Attention", {"score_mode": "concat", "use_scale": True}),
    "additive": ("AdditiveAttention", {}),
    "additive, no scale": ("AdditiveAttention", {"use_scale": False}),
    "heads": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    "plain heads": (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "use_bias": False, "output_shape": (2, 3)},
    ),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES)


def pair(case):
    """Return a layer of ours and Keras's of the same arguments and weights, and how to call it."""
    name, arguments = CASES[case]
    ours = getattr(layers, name)(**arguments, dtype="float64")
    theirs = getattr(keras.layers, name)(**arguments, dtype="float64")
    if name == "MultiHeadAttention":
        call = lambda layer, x, **options: layer(*x, **options)  # noqa: E731
    else:
        call = lambda layer, x, **options: layer(list(x), **options)  # noqa: E731
    for layer in (ours, theirs):
        call(layer, (QUERY, VALUE, KEY))
    ours.set_weights([GENERATOR.normal(size=weight.shape) for weight in ours.weights])
    theirs.set_weights(ours.get_weights())
    return ours, theirs, call


def masks(case, causal):
    """Return the options of a call by hand that mask the same in both libraries."""
    options = {"use_causal_mask": causal}
    if not case.endswith("heads"):
        return options | {"mask": [OF_QUERY, OF_VALUE]}
    # Keras takes the mask of the query from its tensor alone.
    return options | {"value_mask": OF_VALUE}


@EVERY_CASE
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients(case, causal, masked):
    ours, theirs, call = pair(case)
    paths = [[w.path.split("/")[1:] for w in layer.weights] for layer in (ours, theirs)]
    assert paths[0] == paths[1]
    options = masks(case, causal) if masked else {"use_causal_mask": causal}

    def run(trainable, x):
        state, _ = theirs.stateless_call(
            trainable, [], *(x if case.endswith("heads") else [list(x)]), **options
        )
        return state

    weights = [variable.value for variable in theirs.trainable_variables]
    expected, pullback = jax.vjp(run, weights, (QUERY, VALUE, KEY))
    shown = call(ours, (QUERY, VALUE, KEY), training=True, **options)
    np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-6)
    R = GENERATOR.normal(size=shown.shape)
    of_weights, of_x = pullback(R)
    dx = ours.backward(R)
    dx = dx[0] if isinstance(dx[0], list) else dx
    for one, other in zip(dx, of_x, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for weight, other in zip(ours.trainable_weights, of_weights, strict=True):
        np.testing.assert_allclose(weight.gradient, other, rtol=1e-4, atol=1e-5)
    _, weights = call(ours, (QUERY, VALUE, KEY), return_attention_scores=True, **options)
    _, expected = call(theirs, (QUERY, VALUE, KEY), return_attention_scores=True, **options)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)


@EVERY_CASE
def test_configurations_go_both_ways(case):
    ours, theirs, _ = pair(case)
    along = {"name": "it", "attention_axes": None}  # Keras writes the axes that it has found
    made = type(theirs).from_config(ours.get_config())
    again = type(ours).from_config(theirs.get_config())
    assert made.get_config() | along == theirs.get_config() | along
    assert again.get_config() | along == ours.get_config() | along


def test_the_arguments_of_a_call_are_those_of_keras():
    for name in ("Attention", "AdditiveAttention", "MultiHeadAttention"):
        own = inspect.signature(getattr(layers, name).__call__).parameters
        assert [*own] == [*inspect.signature(getattr(keras.layers, name).call).parameters]


# ---- in models ----------------------------------------------------------------------------------


def transformer(k):
    """Return a block of a transformer on words, 0 standing for no word."""
    L = k.layers
    words = k.Input((5,), dtype="int32")
    x = L.Embedding(7, 6, mask_zero=True)(words)
    attention = L.MultiHeadAttention(2, 3)
    n = L.LayerNormalization()(x)  # Keras takes the mask off what attention has read
    x = L.Add()([x, attention(n, n, use_causal_mask=True)])
    x = L.Add()([x, L.Dense(6)(L.Dense(8, activation="relu")(L.LayerNormalization()(x)))])
    y = L.AdditiveAttention()([x, x])  # Keras does not read an Attention in a .h5
    return k.Model(words, L.Dense(1)(y))


WORDS = np.array([[1, 2, 3, 4, 5], [6, 1, 0, 0, 0], [2, 2, 2, 0, 0], [3, 1, 4, 1, 0]], "int32")
TARGETS = GENERATOR.normal(size=(4, 5, 1)).astype("float32")


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_a_transformer_block_trains_alike_and_is_read_both_ways(kind, tmp_path):
    theirs = transformer(keras)
    theirs.compile("sgd", "mse")
    theirs.save(tmp_path / f"theirs.{kind}")
    ours = saving.load_model(tmp_path / f"theirs.{kind}")
    ours.fit(WORDS, TARGETS, epochs=5, batch_size=4, verbose=0)
    theirs.fit(WORDS, TARGETS, epochs=5, batch_size=4, verbose=0)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    ours.save(tmp_path / f"ours.{kind}")
    read = keras.saving.load_model(tmp_path / f"ours.{kind}")
    expected = ours.predict(WORDS, verbose=0)
    np.testing.assert_allclose(read.predict(WORDS, verbose=0), expected, rtol=1e-4, atol=1e-5)
    again = saving.load_model(tmp_path / f"ours.{kind}")
    np.testing.assert_array_equal(again.predict(WORDS, verbose=0), expected)


def masked_by_a_tensor(k):
    x, mask = k.Input((4, 6)), k.Input((4, 4), dtype="bool")
    layer = k.layers.MultiHeadAttention(2, 3)
    y, weights = layer(x, x, attention_mask=mask, return_attention_scores=True)
    z = k.layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(y)
    return k.Model([x, mask], [z, weights, layer(x, x)])


def test_a_mask_that_is_an_input_is_read_both_ways(tmp_path):
    theirs = masked_by_a_tensor(keras)
    theirs.save(tmp_path / "theirs.keras")
    ours = saving.load_model(tmp_path / "theirs.keras")
    data = [QUERY.astype("float32"), GENERATOR.random((3, 4, 4)) < 0.6]
    data[1][:, :, 0] = True
    expected = theirs.predict(data, verbose=0)
    own = masked_by_a_tensor(nnlite)
    own.set_weights(theirs.get_weights())
    own.save(tmp_path / "ours.keras")
    read = keras.saving.load_model(tmp_path / "ours.keras")
    for model in (ours, own, read):
        for one, other in zip(model.predict(data, verbose=0), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["Attention", "MultiHeadAttention"])
def test_files_with_dropout_are_read_both_ways(name, tmp_path):
    def model(k):
        x = k.Input((4, 6))
        if name == "Attention":
            return k.Model(x, k.layers.Attention(True, dropout=0.5)([x, x]))
        return k.Model(x, k.layers.MultiHeadAttention(2, 3, dropout=0.5)(x, x))

    x = QUERY.astype("float32")
    theirs, ours = model(keras), model(nnlite)
    theirs.save(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    for one, path, load in (
        (theirs, "theirs.keras", saving.load_model),
        (ours, "ours.keras", keras.saving.load_model),
    ):
        read = load(tmp_path / path).predict(x, verbose=0)
        np.testing.assert_allclose(read, one.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
