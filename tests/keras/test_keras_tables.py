"""Layers for tables against Keras's, as far as those run without TensorFlow.

That is CategoryEncoding and Discretization, whose `adapt` needs TensorFlow, but not its parts, and
of the others what their signatures say. What the others compute is in
tests/layers/test_layers_tables.py, by the values of Keras's documentation and unit tests.
"""

import inspect

import keras
import numpy as np
import pytest

from nnlite import layers

NAMES = [
    "CategoryEncoding",
    "Discretization",
    "Hashing",
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
]


GIVEN = {
    "CategoryEncoding": {"num_tokens": 2},
    "Discretization": {"num_bins": 2},
    "Hashing": {"num_bins": 2},
}


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_are_those_of_keras(name):
    made = getattr(layers, name)(**GIVEN.get(name, {}))
    mine = made._parameters()
    parameters = inspect.signature(getattr(keras.layers, name).__init__).parameters
    wanted = {key: one.default for key, one in parameters.items() if key != "self"}
    both = mine.keys() & wanted.keys()
    assert {key: mine[key] for key in both} == {key: wanted[key] for key in both}
    fixed = {"kwargs", "sparse", "ragged", "encoding", "vocabulary_dtype", "dtype", "name"}
    assert (wanted.keys() - both) <= fixed
    assert wanted.keys() - made.get_config().keys() <= {"kwargs", "sparse"}


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)])
def test_category_encoding(mode, shape):
    x = np.random.default_rng(0).integers(0, 4, shape)
    ours, theirs = (room.CategoryEncoding(4, mode, name="it") for room in (layers, keras.layers))
    mine, wanted = ours(x), np.asarray(theirs(x))
    assert mine.dtype == wanted.dtype
    np.testing.assert_array_equal(mine, wanted)
    assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape) == wanted.shape
    assert ours.get_config() == keras.saving.serialize_keras_object(theirs)["config"]


def test_count_weights():
    x, weights = np.array([[0, 1, 1], [3, 3, 0]]), np.array([[0.5, 2.0, 1.0], [1.0, 4.0, 8.0]])
    ours, theirs = (room.CategoryEncoding(4, "count") for room in (layers, keras.layers))
    np.testing.assert_array_equal(ours(x, count_weights=weights), theirs(x, count_weights=weights))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)])
def test_discretization(mode, shape):
    x = np.random.default_rng(0).normal(size=shape).round(1)
    ours, theirs = (
        room.Discretization([-0.5, 0.0, 0.5], output_mode=mode, name="it")
        for room in (layers, keras.layers)
    )
    mine, wanted = ours(x), np.asarray(theirs(x))
    assert mine.dtype == wanted.dtype
    np.testing.assert_array_equal(mine, wanted)
    assert {**ours.get_config(), "dtype": "float32"} == {**theirs.get_config(), "trainable": True}
    assert layers.deserialize(keras.saving.serialize_keras_object(theirs)).depth() == 4


@pytest.mark.parametrize("seed", range(4))
def test_boundaries_are_those_of_keras(seed):
    generator = np.random.default_rng(seed)
    bins, epsilon = int(generator.integers(2, 9)), [0.01, 0.05, 0.1][seed % 3]
    ours, theirs = (
        room.Discretization(num_bins=bins, epsilon=epsilon) for room in (layers, keras.layers)
    )
    for size in (3, 500, 77, 1000):
        batch = generator.normal(size=size).astype("float32")
        ours.update_state(batch)
        theirs.update_state(batch)
    ours.finalize_state()
    theirs.finalize_state()
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
