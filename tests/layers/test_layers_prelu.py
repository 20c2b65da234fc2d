"""PReLU: a slope below 0 for each feature, or one for many."""

import numpy as np
import pytest

from nnlite import Input, Sequential
from nnlite.layers import Dense, PReLU

X = np.array([[-1.0, 2.0, -3.0], [4.0, -5.0, 6.0]])


def test_each_feature_has_its_slope():
    layer = PReLU(dtype="float64")
    np.testing.assert_array_equal(layer(X), np.maximum(X, 0))  # alpha begins with 0
    layer.set_weights([[0.5, -1.0, 0.1]])
    wanted = [[-0.5, 2, -0.3], [4, 5, 6]]
    for training in (False, True):
        np.testing.assert_allclose(layer(X, training), wanted)
    gradient = np.array([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    np.testing.assert_allclose(layer.backward(gradient), [[0.5, 10, 10], [2, -20, 200]])
    np.testing.assert_allclose(layer.alpha.gradient, [-1, -100, -300])


def test_at_0_the_slope_is_alpha():
    layer = PReLU()
    layer(np.zeros((1, 2)))
    layer.set_weights([[0.5, 0.25]])
    layer(np.zeros((1, 2)), training=True)
    np.testing.assert_array_equal(layer.backward(np.array([[2.0, 4.0]], "float32")), [[1, 1]])


def test_a_shared_axis_has_one_slope():
    layer = PReLU(shared_axes=1, dtype="float64")
    x = X.reshape(1, 2, 3)
    layer(x)
    assert layer.alpha.shape == (1, 3)
    assert layer.shared_axes == [1]
    layer.forward(x, training=True)
    layer.backward(np.ones_like(x))
    np.testing.assert_array_equal(layer.alpha.gradient, [[-1, -5, -3]])
    layer = PReLU(shared_axes=[1, 2])
    layer.ensure_built((None, None, None, 3))
    assert layer.alpha.shape == (1, 1, 3)


def test_it_learns_the_slopes_of_a_line():
    x = np.linspace(-1, 1, 64)[:, None]
    for layers in ([PReLU()], [Dense(1, activation=PReLU(), kernel_initializer="ones")]):
        model = Sequential([Input((1,)), *layers])
        model.compile("sgd", "mse")
        model.optimizer.learning_rate = 0.5
        history = model.fit(x, np.where(x > 0, x, 0.3 * x), epochs=40, verbose=0).history
        assert history["loss"][-1] < 0.01 * history["loss"][0]
    assert [weight.name for weight in model.weights] == ["kernel", "bias", "alpha"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PReLU(shared_axes=0)(X), ValueError, r"from 1 to 1. Received: shared_axes=\[0\]"),
        (lambda: PReLU(shared_axes=[2])(X), ValueError, r"from 1 to 1.*\[2\]"),
        (lambda: PReLU(shared_axes=[1.5]), TypeError, "axis must be an integer.*1.5"),
        (lambda: PReLU(alpha_initializer="zeross"), ValueError, "mean 'zeros'"),
        (lambda: PReLU(alpha_constraint="x"), ValueError, "Unknown constraint"),
        (lambda: PReLU().ensure_built((None, None)), ValueError, "cannot make weight 'alpha'"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
