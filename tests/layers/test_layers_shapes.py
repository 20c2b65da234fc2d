"""Which shapes layers take: bound by their weights only, and of one axis where that is enough."""

import numpy as np
import pytest

from nnlite import Input, Sequential, layers
from nnlite.layers import Activation, Dense, Layer, LayerNormalization, PReLU, Softmax

# Layers without weights, with a shape of one sample and that of the output.
WEIGHTLESS = [
    (layers.ReLU(), (2, 3), (2, 3)),
    (layers.Dropout(0.5), (2, 3), (2, 3)),
    (layers.Dropout(0.5, (None, 1)), (3,), (3,)),
    (layers.GaussianNoise(0.1), (2, 3), (2, 3)),
    (layers.ActivityRegularization(0.1), (2, 3), (2, 3)),
    (layers.Flatten(), (2, 3), (6,)),
    (layers.Reshape((-1, 2)), (6, 2), (6, 2)),
    (layers.Permute((2, 1)), (2, 3), (3, 2)),
    (layers.RepeatVector(2), (3,), (2, 3)),
    (layers.Rescaling(0.5), (2, 3), (2, 3)),
    (layers.Softmax(), (2, 3), (2, 3)),
    (layers.GLU(), (2, 4), (2, 2)),
    (layers.UnitNormalization(), (2, 3), (2, 3)),
    (layers.Identity(), (2, 3), (2, 3)),
    (Activation("tanh"), (2, 3), (2, 3)),
]


@pytest.mark.parametrize(("layer", "shape", "output"), WEIGHTLESS, ids=repr)
def test_a_layer_without_weights_is_built_from_the_start_and_bound_to_no_shape(
    layer, shape, output
):
    assert layer.built
    assert layer.weights == []
    for sizes in (shape, (8, *shape[1:]), shape):
        y = layer(np.ones((3, *sizes)))
        assert y.shape == layer.compute_output_shape((3, *sizes))
    assert y.shape == (3, *output)
    assert layer.built


def test_a_layer_that_overrides_build_is_not_built_from_the_start():
    class Mine(layers.ReLU):
        def build(self, input_shape):
            self.slope = self.add_weight(shape=input_shape[1:])

    assert not Mine().built
    assert not Activation(Mine).built
    layer = Activation(PReLU())
    assert not layer.built
    layer(np.ones((1, 2)))
    assert [weight.shape for weight in layer.weights] == [(2,)]


def test_weights_are_made_in_the_constructor_of_a_layer_without_build():
    class Scale(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.factor = self.add_weight(initializer="ones")
            self.other = self.add_weight(initializer="zeros")

        def forward(self, x, training=False):
            return x * self.factor.value

    assert [weight.name for weight in Scale().weights] == ["variable_0", "variable_1"]
    np.testing.assert_array_equal(Scale()(np.ones((2, 3))), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (layers.ReLU(), [-1.0, 2.0]),
        (layers.Rescaling(2.0), [1.0, 2.0]),
        (layers.Dropout(0.5), [1.0, 2.0]),
        (PReLU("ones"), [-1.0, 2.0]),
        (Softmax(), [0.0, 0.0]),
        (layers.Normalization(None, 1.0, 4.0), [1.0, 3.0]),
    ],
    ids=repr,
)
def test_a_vector_is_a_batch_of_numbers(layer, x):
    expected = {
        "re_lu": [0, 2],
        "rescaling": [2, 4],
        "softmax": [0.5, 0.5],
        "normalization": [0, 1],
    }
    np.testing.assert_array_equal(layer(x), expected.get(layer.name, x))


def test_a_vector_becomes_a_column():
    np.testing.assert_array_equal(layers.Flatten()([1.0, 2.0]), [[1], [2]])
    np.testing.assert_array_equal(layers.Reshape((1,))([1.0, 2.0]), [[1], [2]])
    np.testing.assert_array_equal(layers.Reshape(())([[1.0], [2.0]]), [1, 2])


@pytest.mark.parametrize(
    "layer", [Dense(2), LayerNormalization(), layers.BatchNormalization(), layers.RepeatVector(2)]
)
def test_a_layer_of_features_refuses_a_vector(layer):
    with pytest.raises(ValueError, match=rf"Layer '{layer.name}'.*\(None,\)"):
        layer([1.0, 2.0])


@pytest.mark.parametrize("layer", [Dense(4), LayerNormalization(), layers.RMSNormalization()])
def test_weights_of_the_last_axis_serve_inputs_of_any_other_axes(layer):
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype("float32")
    flat = layer(x.reshape(10, 3))
    np.testing.assert_allclose(layer(x), flat.reshape(5, 2, -1), rtol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(None, 3\). Received: x of shape \(5, 3, 2\)"):
        layer(x.swapaxes(1, 2))


def test_an_activation_with_weights_binds_its_layer():
    layer = Dense(4, PReLU())
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"Received: x of shape \(1, 2, 3\)"):
        layer(np.ones((1, 2, 3)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Reshape((5,)), r"cannot give a sample of shape \(2, 3\)"),
        (layers.Permute((1,)), "permutes 1 axes"),
        (layers.RepeatVector(2), r"expects an input of shape \(batch, features\)"),
        (Softmax(3), r"has axis=3, but its input has shape \(None, 2, 3\)"),
        (layers.Rescaling([1.0, 2.0]), r"scale of shape \(2,\)"),
        (layers.UnitNormalization(3), "axis=3"),
        (Activation("glu"), "must have an even size"),
    ],
    ids=repr,
)
def test_a_shape_that_cannot_be_is_refused_by_hand_and_in_a_model(layer, message):
    with pytest.raises(ValueError, match=message):
        layer(np.ones((4, 2, 3)))
    with pytest.raises(ValueError, match=message):
        Sequential([Input((2, 3)), layer])


def test_a_dense_without_a_bias_says_so():
    layer = Dense(2, use_bias=False)
    layer(np.ones((1, 3)))
    assert layer.bias is None


@pytest.mark.parametrize("value", ["yes", None, 1])
def test_trainable_is_true_or_false(value):
    with pytest.raises(ValueError, match=r"trainable must be True or False. Received: "):
        Dense(2, trainable=value)
