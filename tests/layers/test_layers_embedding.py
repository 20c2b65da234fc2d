"""Embedding and Masking: values, gradients, masks, configurations and refusals."""

import tracemalloc

import numpy as np
import pytest

from nnlite import Sequential, layers
from nnlite.gradcheck import check_layer
from nnlite.layers import Dense, Embedding, Flatten, Masking
from nnlite.layers.layer import registry
from nnlite.models import load_model

TABLE = np.arange(12.0).reshape(4, 3)
WORDS = np.array([[3, 0, 3], [1, 3, 0]])


def embedding(**kwargs):
    return Embedding(4, 3, weights=TABLE, **kwargs)


# ---- Embedding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]
)
def test_each_index_gives_its_row(dtype):
    y = embedding()(WORDS.astype(dtype))
    np.testing.assert_array_equal(y, TABLE[WORDS])
    assert y.dtype == np.float32


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3, 2)])
def test_the_output_has_one_axis_more(shape):
    x = np.ones(shape, int)
    layer = Embedding(4, 3)
    assert layer(x).shape == layer.compute_output_shape(shape) == (*shape, 3)
    assert layer(np.ones((5, 7), int)).shape == (5, 7, 3)  # built once, for inputs of any shape


def test_booleans_are_0_and_1():
    np.testing.assert_array_equal(embedding()(np.array([[True, False]])), TABLE[[[1, 0]]])


def test_gradients_of_equal_indices_are_summed_and_those_of_absent_ones_are_0():
    layer = embedding(dtype="float64")
    layer.forward(WORDS, training=True)
    layer.embeddings.gradient.fill(np.nan)
    d = np.random.default_rng(2).standard_normal((2, 3, 3))
    assert not layer.backward(d).any()  # whole numbers have no slope
    expected = [d[0, 1] + d[1, 2], d[1, 0], np.zeros(3), d[0, 0] + d[0, 2] + d[1, 1]]
    np.testing.assert_allclose(layer.embeddings.gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_adding_at_each_index(seed):
    generator = np.random.default_rng(seed)
    layer = Embedding(50, 4, dtype="float64")
    x = generator.integers(0, [50, 3, 1][seed], (20, 7))
    layer(x)
    d = generator.standard_normal((20, 7, 4))
    layer.forward(x, training=True)
    layer.backward(d)
    expected = np.zeros((50, 4))
    np.add.at(expected, x, d)
    np.testing.assert_allclose(layer.embeddings.gradient, expected, rtol=1e-12, atol=1e-12)


def test_gradients_are_slopes():
    check_layer(Embedding(5, 3), np.array([[4, 0, 4], [1, 2, 2]]))


def test_a_frozen_layer_leaves_the_gradient_alone():
    layer = embedding(trainable=False)
    layer.forward(WORDS, training=True)
    layer.embeddings.gradient.fill(7)
    layer.backward(np.ones((2, 3, 3)))
    assert (layer.embeddings.gradient == 7).all()


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("index", [-1, 4, 2**31, -(2**40)])
def test_an_index_out_of_range_is_named(index, dtype):
    x = np.array([[0, index]], dtype)
    for layer in (embedding(), Embedding(4, 3, name="embedding")):
        with pytest.raises(
            ValueError, match=rf"indices from 0 to 3 \(input_dim=4\). Received: {index}"
        ):
            layer(x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0.0, 1.5]], "takes whole numbers. Received: 1.5"),
        ([[0.0, np.nan]], "indices from 0 to 3"),
        ([[0.0, np.inf]], "indices from 0 to 3"),
    ],
)
def test_numbers_that_are_no_indices_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        embedding()(np.array(x))
    with pytest.raises(ValueError, match=message):
        embedding().forward(np.array(x))


def test_large_indices_never_go_through_floats():
    layer = Embedding(2**24 + 3, 1, "zeros")
    x = np.array([[2**24 + 1]])
    layer(x)
    layer.embeddings.value[2**24 + 1] = 5
    assert layer(x).item() == layer(x.astype(float)).item() == 5
    with pytest.raises(ValueError, match="cannot tell large indices apart in float32"):
        layer(x.astype("float32"))


def test_weights_are_what_the_embeddings_begin_as():
    layer = Embedding(4, 3, weights=[TABLE])
    np.testing.assert_array_equal(layer.get_weights()[0], TABLE)
    model = Sequential([layer, Flatten(), Dense(1)])
    model.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights()[0], TABLE)
    with pytest.raises(ValueError, match="shape"):
        Embedding(4, 3, weights=TABLE.T)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"input_dim": 0}, ValueError, "input_dim must be at least 1. Received: input_dim=0"),
        ({"output_dim": -2}, ValueError, "output_dim must be at least 1"),
        ({"input_dim": 2.0}, TypeError, "input_dim must be an integer"),
        ({"mask_zero": "yes"}, TypeError, "mask_zero must be True or False"),
        ({"lora_rank": 2}, TypeError, "unexpected argument 'lora_rank'"),
        ({"quantization_config": {}}, ValueError, "supports quantization_config=None only"),
        ({"embeddings_initializer": "nothing"}, ValueError, "nothing"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Embedding(**{"input_dim": 4, "output_dim": 3, **arguments})


def test_input_length_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="input_length is ignored"):
        Embedding(4, 3, input_length=7)


def test_its_configuration_is_complete():
    layer = Embedding(4, 3, "ones", "l2", "non_neg", mask_zero=True, weights=TABLE)
    again = registry.deserialize(layer.serialized())
    assert again.get_config() == layer.get_config()
    assert "weights" not in layer.get_config()
    assert repr(again).startswith("Embedding(input_dim=4, output_dim=3, ")
    np.testing.assert_array_equal(Embedding(4, 3, "ones")(WORDS), np.ones((2, 3, 3)))


def test_the_mask_of_an_embedding_is_where_the_index_is_not_0():
    np.testing.assert_array_equal(embedding(mask_zero=True).compute_mask(WORDS), WORDS != 0)
    assert embedding().compute_mask(WORDS) is None
    assert embedding(mask_zero=True).supports_masking
    assert not embedding().supports_masking


def test_a_model_learns_the_sentiment_of_words():
    generator = np.random.default_rng(1)
    x = generator.integers(0, 20, (64, 5))
    y = (x < 6).sum(axis=1, keepdims=True) > 1
    model = Sequential([Embedding(20, 4), Flatten(), Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    model.optimizer.learning_rate = 0.05
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.3 < losses[0]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files_keep_embeddings_and_masking(tmp_path, suffix):
    model = Sequential([embedding(mask_zero=True), Masking(2.0), Dense(1)])
    model.build((None, 3))
    model.save(tmp_path / f"model{suffix}")
    again = load_model(tmp_path / f"model{suffix}")
    assert [layer.get_config() for layer in again.layers] == [
        layer.get_config() for layer in model.layers
    ]
    np.testing.assert_array_equal(again.predict(WORDS), model.predict(WORDS))


def test_a_step_allocates_little_beside_its_tables():
    layer = Embedding(1000, 64)
    x = np.random.default_rng(0).integers(0, 1000, (8, 4))
    layer(x)
    layer.forward(x, training=True)
    d = np.ones((8, 4, 64), "float32")
    layer.backward(d)
    tracemalloc.start()
    layer.backward(d)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * d.nbytes  # the table's gradient alone is 31 times as large


# ---- Masking ------------------------------------------------------------------------------------

STEPS = np.array([[[1.0, -1.0], [-1.0, -1.0], [0.0, 0.0]]])


@pytest.mark.parametrize(
    ("value", "kept"), [(-1.0, [[True, False, True]]), (0.0, [[True, True, False]])]
)
def test_steps_that_are_all_the_value_do_not_count(value, kept):
    layer = Masking(value)
    np.testing.assert_array_equal(layer.compute_mask(STEPS), kept)
    np.testing.assert_array_equal(layer(STEPS), np.where(np.array(kept)[..., None], STEPS, 0))
    assert not np.signbit(layer(STEPS)[~np.array(kept)]).any()
    assert layer.compute_output_shape((None, 3, 2)) == (None, 3, 2)


def test_masked_steps_have_no_gradient():
    layer = Masking(-1.0)
    layer.forward(STEPS, training=True)
    d = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    np.testing.assert_array_equal(layer.backward(d), [[[1, 2], [0, 0], [5, 6]]])
    check_layer(Masking(), input_shape=(4, 3))


def test_masking_by_a_value_that_float32_rounds():
    x = np.full((1, 1, 2), 0.1)
    np.testing.assert_array_equal(Masking(0.1)(x), np.zeros((1, 1, 2)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Masking("0"), TypeError, "mask_value must be a number"),
        (lambda: Masking(np.nan), ValueError, "mask_value must be a finite number"),
        (lambda: Masking()(np.ones(3)), ValueError, "expects an input of shape"),
    ],
)
def test_wrong_uses_of_masking_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_configuration_of_masking_is_complete():
    layer = Masking(-9)
    again = registry.deserialize(layer.serialized())
    assert again.get_config() == layer.get_config()
    assert again.mask_value == -9
    assert layers.Masking is Masking
