"""Merging layers, Embedding and Masking against Keras's: output, gradients, shapes, masks."""

import re

import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common import dtypes

from nnlite import layers
from nnlite.layers.preprocessing.encoding import Encoder


@pytest.fixture(autouse=True)
def _double_is_double(monkeypatch):
    """Keras on JAX computes roots and more of float64 in float32, unless told not to."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")


SHAPES = {
    "two vectors": [(5, 4), (5, 4)],
    "two of three axes": [(5, 3, 4), (5, 3, 4)],
    "sizes of 1": [(5, 1, 4), (5, 3, 1)],
    "missing axes": [(5, 3, 4), (5, 4)],
    "three": [(5, 4), (5, 4), (5, 1)],
    "one": [(5, 4)],
}
#: What differs: arguments and shapes that the layer takes.
CASES = [
    *(
        (name, {}, key)
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for key in SHAPES
    ),
    *(("Subtract", {}, key) for key in list(SHAPES)[:4]),
    *(("Concatenate", {"axis": axis}, "two of three axes") for axis in (-1, 1, 2, -2)),
    ("Concatenate", {}, "one"),
    ("Concatenate", {"axis": 1}, [(5, 2, 3), (5, 4, 3), (5, 1, 3)]),
    ("Dot", {"axes": 1}, "two vectors"),
    ("Dot", {"axes": -1}, "two of three axes"),
    ("Dot", {"axes": (1, 2)}, [(5, 3, 2), (5, 4, 3)]),
    ("Dot", {"axes": [-1, 1]}, [(5, 3), (5, 3, 4)]),
    ("Dot", {"axes": (2, 1)}, [(5, 4, 3), (5, 3)]),
    ("Dot", {"axes": (1, 3)}, [(5, 3, 2, 6), (5, 4, 2, 3)]),
]
CASES += [(name, {**arguments, "normalize": True}, s) for name, arguments, s in CASES[-6:]]
EVERY_CASE = pytest.mark.parametrize(("name", "arguments", "shapes"), CASES)


def pair(name, arguments):
    options = {"name": "it", "dtype": "float64"}
    return (getattr(room, name)(**arguments, **options) for room in (layers, keras.layers))


def drawn(shapes):
    generator = np.random.default_rng(6)
    shapes = SHAPES[shapes] if isinstance(shapes, str) else shapes
    return [generator.standard_normal(shape) for shape in shapes]


@EVERY_CASE
def test_output_and_gradients(name, arguments, shapes):
    ours, theirs = pair(name, arguments)
    inputs = drawn(shapes)
    y, pullback = jax.vjp(lambda *x: theirs(list(x)), *inputs)
    np.testing.assert_allclose(ours.forward(inputs, training=True), y, rtol=1e-12, atol=1e-14)
    R = np.random.default_rng(1).standard_normal(y.shape)
    for one, other in zip(ours.backward(R), pullback(jax.numpy.asarray(R)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@EVERY_CASE
def test_told_shapes_and_configuration(name, arguments, shapes):
    ours, theirs = pair(name, arguments)
    inputs = drawn(shapes)
    whole = [x.shape for x in inputs]
    partial = [(None, *shape[1:]) for shape in whole]
    for told in (whole, partial):
        assert ours.compute_output_shape(told) == theirs.compute_output_shape(told)
    assert theirs([keras.KerasTensor(shape) for shape in partial]).shape == (
        ours.compute_output_shape(partial)
    )
    mine, wanted = ours.serialized(), keras.saving.serialize_keras_object(theirs)
    assert mine["config"] == wanted["config"]
    assert mine["module"] == wanted["module"] == "keras.layers"
    back = keras.saving.deserialize_keras_object(mine)
    np.testing.assert_allclose(back(inputs), ours(inputs), rtol=1e-12)
    again = layers.deserialize(wanted)
    np.testing.assert_array_equal(again(inputs), ours(inputs))


@pytest.mark.parametrize("name", ["Add", "Maximum", "Minimum", "Multiply"])
def test_unknown_sizes(name):
    ours, theirs = pair(name, {})
    for shapes in [
        [(None, None, 3), (None, 4, 1)],
        [(None, 4, 3), (7, 3)],
        [(7, None), (None, 1)],
        [(None, 1), (None, 1)],
    ]:
        assert ours.compute_output_shape(shapes) == theirs.compute_output_shape(shapes)


@pytest.mark.parametrize(
    ("name", "arguments", "shapes"),
    [
        ("Add", {}, [(5, 3), (5, 4)]),
        ("Add", {}, [(1, 3), (5, 3)]),
        ("Subtract", {}, [(5, 3)]),
        ("Subtract", {}, [(5, 3)] * 3),
        ("Concatenate", {}, [(5, 3, 2), (5, 1, 2)]),
        ("Concatenate", {}, [(5, 3), (5, 1, 3)]),
        ("Dot", {"axes": 1}, [(5, 3), (5, 4)]),
        ("Dot", {"axes": 1}, [(5, 3)] * 3),
        ("Dot", {"axes": 0}, [(5, 3), (5, 3)]),
    ],
)
def test_what_keras_refuses_is_refused_by_the_same_error(name, arguments, shapes):
    for room in (layers, keras.layers):
        with pytest.raises(ValueError, match=r"."):
            getattr(room, name)(**arguments)([np.ones(shape) for shape in shapes])


FIRST = np.array([[True, False, False, True]])
SECOND = np.array([[True, True, False, False]])


@pytest.mark.parametrize("masks", [[FIRST, SECOND], [FIRST, None], [None, None], None])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {}) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
        ("Concatenate", {"axis": 1}),
        ("Concatenate", {"axis": -1}),
        ("Dot", {"axes": 1}),
    ],
)
def test_masks(name, arguments, masks):
    ours, theirs = pair(name, arguments)
    assert ours.supports_masking is theirs.supports_masking is True
    inputs = [np.ones((1, 4, 3)), np.zeros((1, 4, 3))]
    mine, wanted = ours.compute_mask(inputs, masks), theirs.compute_mask(inputs, masks)
    assert (mine is None) == (wanted is None)
    if mine is not None:
        np.testing.assert_array_equal(mine, wanted)


# ---- Embedding and Masking ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 9), (2, 3, 4)])
def test_embedding(shape, dtype):
    arguments = {"embeddings_regularizer": "l2", "mask_zero": True, "name": "it", "dtype": dtype}
    ours, theirs = layers.Embedding(7, 3, **arguments), keras.layers.Embedding(7, 3, **arguments)
    generator = np.random.default_rng(3)
    x = generator.integers(0, 7, shape)
    theirs.build(shape)
    ours.ensure_built((None, *shape[1:]))
    theirs.set_weights(ours.get_weights())
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    y, pullback = jax.vjp(
        lambda table: theirs.stateless_call([table], [], x)[0], theirs.weights[0].value
    )
    np.testing.assert_array_equal(ours.forward(x, training=True), y)
    R = generator.standard_normal(y.shape).astype(dtype)
    ours.backward(R)
    np.testing.assert_allclose(ours.weights[0].gradient, pullback(R)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.compute_mask(x), theirs.compute_mask(x))
    assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
    assert ours.supports_masking == theirs.supports_masking
    mine, wanted = ours.serialized(), keras.saving.serialize_keras_object(theirs)
    assert mine["config"] == wanted["config"]
    back = keras.saving.deserialize_keras_object(mine)
    assert back.get_config() == theirs.get_config()
    assert layers.deserialize(wanted).get_config() == ours.get_config()


def test_the_initial_embeddings_are_of_the_same_range():
    ours, theirs = layers.Embedding(200, 30), keras.layers.Embedding(200, 30)
    ours(np.zeros((1, 1), int))
    theirs.build()
    for table in (ours.weights[0].value, np.asarray(theirs.weights[0].value)):
        np.testing.assert_allclose([table.min(), table.max()], [-0.05, 0.05], atol=1e-3)


@pytest.mark.parametrize("value", [0.0, -1.0, 0.1])
def test_masking(value):
    options = {"name": "it", "dtype": "float64"}
    ours = layers.Masking(value, **options)
    theirs = keras.layers.Masking(value, **options)
    generator = np.random.default_rng(3)
    x = generator.choice([0.0, -1.0, 0.1], (6, 5, 2))
    y, pullback = jax.vjp(theirs, x)
    np.testing.assert_array_equal(ours.forward(x, training=True), y)
    R = generator.standard_normal(x.shape)
    np.testing.assert_array_equal(ours.backward(R), pullback(jax.numpy.asarray(R))[0])
    np.testing.assert_array_equal(ours.compute_mask(x), theirs.compute_mask(x))
    assert ours.supports_masking is theirs.supports_masking is True
    mine, wanted = ours.serialized(), keras.saving.serialize_keras_object(theirs)
    assert mine["config"] == wanted["config"]
    assert layers.deserialize(wanted).get_config() == ours.get_config()


# ---- masks of the other layers ------------------------------------------------------------------

ARGUMENTS = {
    "Activation": ("relu",),
    "Dense": (2,),
    "Dot": (1,),
    "Embedding": (2, 2),
    **dict.fromkeys(("GRU", "GRUCell", "LSTM", "LSTMCell", "SimpleRNN", "SimpleRNNCell"), (2,)),
    "Permute": ((1,),),
    "RepeatVector": (2,),
    "Rescaling": (1.0,),
    "Reshape": ((2,),),
    "CenterCrop": (2, 2),
    "EinsumDense": ("ab,bc->ac", 2),
    "Lambda": (abs,),
    "MultiHeadAttention": (2, 2),
    "Resizing": (2, 2),
}
#: How the names of convolutions and poolings begin, and what such a layer is given.
BEGIN = {"Conv": (2, 2), "Separable": (2, 2), "Depthwise": (2,), "Max": (2,), "A": (2,)}
#: What layers are given that hold others.
HELD = {
    "Bidirectional": lambda room: room.LSTM(2),
    "RNN": lambda room: room.LSTMCell(2),
    "StackedRNNCells": lambda room: [room.LSTMCell(2)],
    "TimeDistributed": lambda room: room.Dense(2),
}


SHARED = {name for name in layers.__all__ if name[0].isupper() and hasattr(keras.layers, name)}


# They need TensorFlow in Keras: test_keras_tables.
OF_TABLES = {name for name in SHARED - {"Input"} if issubclass(getattr(layers, name), Encoder)}


@pytest.mark.parametrize("name", sorted(SHARED - {"Input", "InputLayer", "Layer"} - OF_TABLES))
def test_masks_pass_the_layers_that_they_pass_in_keras(name):
    noisy = "Dropout" in name or name == "GaussianNoise"
    arguments = (0.1,) if noisy else ARGUMENTS.get(name, ())
    if re.search(r"[123]D", name) and not name.startswith("Spatial"):
        arguments = next((own for start, own in BEGIN.items() if name.startswith(start)), ())
    ours, theirs = (
        getattr(room, name)(*([HELD[name](room)] if name in HELD else arguments))
        for room in (layers, keras.layers)
    )
    assert getattr(ours, "supports_masking", False) == theirs.supports_masking
