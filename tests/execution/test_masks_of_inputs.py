"""Layers that name ``mask`` are handed the masks of their inputs, wherever they run."""

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, layers, set_random_seed
from nnlite.execution.inference import infer
from nnlite.execution.plan import Memory, Plan
from nnlite.execution.reference_executor import ReferenceExecutor
from nnlite.layers.layer import Layer

X = np.array([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]]], "float32")
COUNT = X[:, :, 0] != 0


class CountedSum(Layer):
    """The sum of the steps that count, plus that of the second input."""

    __module__ = "nnlite.tests"  # a class of the package: others define forward and backward
    takes_several = True
    supports_masking = True

    def forward_into(self, x, y, mask):
        """Write the sum."""
        y[...] = sum(self.counted(a, m).sum(axis=1) for a, m in zip(x, mask, strict=True))

    def backward_into(self, dy, dx, mask):
        """Write dJ/dy where a step counts."""
        for out, m in zip(dx, mask, strict=True):
            if out is not None:
                out[...] = dy[:, np.newaxis]
                out *= self.counted(np.ones_like(out), m)

    def counted(self, x, mask):
        return x if mask is None else x * mask[:, :, np.newaxis]

    def compute_output_shape(self, input_shape):
        """Return (batch, features)."""
        return (input_shape[0][0], input_shape[0][2])

    def compute_mask(self, inputs, previous_mask=None):
        """Return None: there are no steps any more."""


def counted_model():
    inputs = Input((3, 1))
    dense = layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    masked = dense(layers.Masking()(inputs))
    return Model(inputs, CountedSum()([masked, inputs]))


EXPECTED = np.array([[5.0 + 3.0], [4.0 + 3.0]])  # (x + 1) where x != 0, then all of x


def test_inference_hands_over_masks_and_none():
    model = counted_model()
    np.testing.assert_array_equal(model.predict(X, verbose=0), EXPECTED)
    np.testing.assert_array_equal(infer(model.graph(False), [X])[0], EXPECTED)


def test_the_plan_and_the_reference_hand_over_the_masks_of_each_batch():
    model = counted_model()
    graph, learning = model.graph(True), model.learning_variables()
    plan = Plan(graph, learning, [X], Memory())
    plan.forward([np.ones_like(X)])
    for executor in (plan, ReferenceExecutor(graph, learning)):
        np.testing.assert_array_equal(executor.forward([X])[0], EXPECTED)
        executor.backward([np.ones((2, 1), "float32")])
        kernel, bias = (variable.gradient for variable in learning)
        assert kernel.item() == X.sum()
        assert bias.item() == COUNT.sum()


def test_by_hand_a_mask_is_an_argument():
    layer = CountedSum()
    shown = layer([X + 1, X], mask=[COUNT, None])
    np.testing.assert_array_equal(shown, EXPECTED)
    np.testing.assert_array_equal(layer([X, X]), 2 * X.sum(axis=1))
    layer([X, X], training=True, mask=[COUNT, None])
    first, second = layer.backward(np.ones((2, 1), "float32"))
    np.testing.assert_array_equal(first[:, :, 0], COUNT)
    assert second.all()


@pytest.mark.parametrize("mask", [COUNT, [COUNT], [COUNT, COUNT[:, :2]], [COUNT, COUNT[:1]]])
def test_masks_that_do_not_fit_are_refused(mask):
    with pytest.raises(ValueError, match=r"^mask must hold a truth value for each step of each"):
        CountedSum()([X, X], mask=mask)


def test_a_layer_that_does_not_look_at_masks_takes_none():
    with pytest.raises(TypeError, match=r"^Layer 'dense' does not take a mask"):
        layers.Dense(1, name="dense")(X, mask=COUNT)


def test_masks_go_on_behind_moving_averages():
    """Outside of training a BatchNormalization is run as something else."""
    x = Input((3, 2), name="x")
    y = layers.BatchNormalization()(layers.Masking()(x))
    model = Model(x, layers.GlobalAveragePooling1D()(y))
    data = np.array([[[1.0, 2.0], [0.0, 0.0], [3.0, 6.0]]], "float32")
    mean = np.array([[2.0, 4.0]]) / np.sqrt(1.001)  # of two steps, with a variance of 1
    np.testing.assert_allclose(model.predict(data, verbose=0), mean, rtol=1e-6)


def test_a_model_that_is_built_by_fit_has_the_masks_of_one_that_begins_with_an_input():
    def trained(*start):
        set_random_seed(1)
        model = Sequential([*start, layers.Masking(), layers.GRU(2), layers.Dense(1)])
        model.fit(X, np.ones(2), epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    for own, other in zip(trained(), trained(Input((3, 1))), strict=True):
        np.testing.assert_array_equal(own, other)
