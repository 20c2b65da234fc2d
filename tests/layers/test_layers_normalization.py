"""Normalization of each sample, plainly transcribed; and Keras's options that are only off here."""

import math

import numpy as np
import pytest

from nnlite import Input, Sequential
from nnlite.layers import (
    BatchNormalization,
    Dense,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

X = np.random.default_rng(3).normal(2.0, 3.0, (6, 2, 4, 3))
AXES = [(-1, (3,)), (1, (1,)), ([2, 3], (2, 3)), ([3, 1], (1, 3)), ([-3, -2, -1], (1, 2, 3))]
EVERY_AXIS = pytest.mark.parametrize(("axis", "axes"), AXES)


@EVERY_AXIS
def test_layer_normalization_gives_each_sample_mean_0_and_variance_1(axis, axes):
    layer = LayerNormalization(axis, epsilon=1e-2, dtype="float64")
    mean, variance = X.mean(axes, keepdims=True), X.var(axes, keepdims=True)
    wanted = (X - mean) / np.sqrt(variance + 1e-2)
    for training in (False, True):
        np.testing.assert_allclose(layer(X, training), wanted, rtol=1e-10, atol=1e-12)
    sizes = tuple(X.shape[axis] for axis in axes)
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("gamma", sizes),
        ("beta", sizes),
    ]
    gamma, beta = np.random.default_rng(1).standard_normal((2, *sizes))
    layer.set_weights([gamma, beta])
    spread = [X.shape[axis] if axis in axes else 1 for axis in range(4)]
    np.testing.assert_allclose(
        layer(X), gamma.reshape(spread) * wanted + beta.reshape(spread), rtol=1e-10, atol=1e-12
    )


@EVERY_AXIS
def test_rms_normalization_divides_by_the_root_mean_square(axis, axes):
    layer = RMSNormalization(axis, epsilon=1e-2, dtype="float64")
    wanted = X / np.sqrt((X**2).mean(axes, keepdims=True) + 1e-2)
    np.testing.assert_allclose(layer(X), wanted, rtol=1e-12)
    scale = np.random.default_rng(1).standard_normal(layer.scale.shape)
    layer.set_weights([scale])
    assert layer.weights[0].name == "scale"
    spread = [X.shape[axis] if axis in axes else 1 for axis in range(4)]
    np.testing.assert_allclose(layer(X, True), scale.reshape(spread) * wanted, rtol=1e-12)


@EVERY_AXIS
def test_unit_normalization_divides_by_the_norm(axis, axes):
    y = UnitNormalization(axis, dtype="float64")(X)
    np.testing.assert_allclose(y * np.sqrt((X**2).sum(axes, keepdims=True)), X, rtol=1e-12)
    np.testing.assert_allclose((y**2).sum(axes), 1, rtol=1e-12)


def test_near_zero_unit_normalization_divides_by_1e_minus_12():
    layer = UnitNormalization(dtype="float64")
    x = np.array([[0.0, 0.0], [3e-13, 4e-13], [3e-11, 4e-11]])
    y = layer(x, training=True)
    np.testing.assert_allclose(y, [[0, 0], [0.3, 0.4], [0.6, 0.8]], rtol=1e-12)
    gradient = layer.backward(np.array([[1.0, 2.0], [1.0, 2.0], [0.6, 0.8]]))
    np.testing.assert_allclose(gradient[:2], [[1e12, 2e12]] * 2, rtol=1e-12)
    np.testing.assert_allclose(gradient[2], 0, atol=1e-3)  # along x the unit vector stays


def test_gamma_and_beta_can_be_left_out_and_frozen():
    layer = LayerNormalization(center=False, scale=False)
    layer.ensure_built((None, 4))
    assert layer.weights == []
    assert layer.gamma is layer.beta is None
    model = Sequential([Input((4,)), LayerNormalization(trainable=False), Dense(1)])
    frozen = model.get_weights()[:2]
    model.fit(X[:, 0, :, 0], X[:, 0, 0, 0], verbose=0)
    for one, other in zip(model.get_weights()[:2], frozen, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [weight.name for weight in model.trainable_weights] == ["kernel", "bias"]


@pytest.mark.parametrize("cls", [LayerNormalization, RMSNormalization, BatchNormalization])
def test_as_the_first_layer_it_learns_without_an_input_gradient(cls):
    x, y = X[:, 0, :, 0], X[:, 0, 0, 0]
    trained = []
    for first in ([cls()], [cls(), Dense(4, kernel_initializer="identity")][::-1]):
        model = Sequential([Input((4,)), *first, Dense(1, kernel_initializer="ones")])
        for layer in model.layers:
            layer.trainable = isinstance(layer, cls)
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=3, verbose=0)
        trained.append([weight.numpy() for weight in model.trainable_weights])
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_an_axis_in_a_list_is_that_axis():
    assert BatchNormalization(axis=[1]).get_config()["axis"] == 1
    layer = BatchNormalization(axis=(-1,), renorm=False, synchronized=False)
    assert layer.axis == -1


def test_rms_scaling_divides_by_the_deviation_and_subtracts_nothing():
    # The variance of 0, 2, 4 is 8 / 3; there is no beta, and always a gamma.
    layer = LayerNormalization(rms_scaling=True, scale=False, epsilon=1e-12, dtype="float64")
    y = layer([[0.0, 2.0, 4.0]])
    np.testing.assert_allclose(y, [[0, 2 * math.sqrt(3 / 8), 4 * math.sqrt(3 / 8)]])
    assert [weight.name for weight in layer.weights] == ["gamma"]
    assert layer.beta is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LayerNormalization(1.5), TypeError, "axis must be an integer.*axis=1.5"),
        (lambda: LayerNormalization([1, "a"]), TypeError, "axis must be an integer.*axis='a'"),
        (lambda: LayerNormalization(epsilon=0), ValueError, "epsilon must be positive.*epsilon=0"),
        (lambda: LayerNormalization(0)(X), ValueError, "along axis=0, which are not all different"),
        (lambda: LayerNormalization(4)(X), ValueError, r"axis=4.*\(None, 2, 4, 3\)"),
        (lambda: LayerNormalization([1, -3])(X), ValueError, r"axis=\[1, -3\]"),
        (lambda: LayerNormalization([])(X), ValueError, r"axis=\[\]"),
        (lambda: LayerNormalization(beta_initializer="zeross"), ValueError, "mean 'zeros'"),
        (lambda: RMSNormalization(epsilon=-1), ValueError, "epsilon must be a finite number"),
        (lambda: RMSNormalization([1, 1])(X), ValueError, r"axis=\[1, 1\]"),
        (lambda: UnitNormalization(None), TypeError, "axis must be an integer.*axis=None"),
        (lambda: UnitNormalization(-4)(X), ValueError, "axis=-4"),
        (lambda: BatchNormalization([1, 2]), TypeError, r"axis must be an integer.*\[1, 2\]"),
        (lambda: BatchNormalization(renorm=True), ValueError, "renorm=False only.*renorm=True"),
        (lambda: Dense(2, quantization_config="int8"), ValueError, "quantization_config=None"),
        (lambda: Dense(2, lora_rank=4), TypeError, "unexpected argument 'lora_rank'"),
        (lambda: Input((2,), sparse=True), ValueError, "sparse=False only. Received: sparse=True"),
        (lambda: Input((2,), dtype="complex64"), ValueError, "dtype must be .*'complex64'"),
        (lambda: Input(batch_size=3, batch_shape=(3, 2)), ValueError, "Input takes either shape="),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_batch_normalization_along_any_axis_is_that_along_the_last(axis):
    x = np.random.default_rng(4).normal(size=(3, 2, 4, 5))
    layer, last = (
        BatchNormalization(axis=axis, dtype="float64"),
        BatchNormalization(dtype="float64"),
    )
    moved = np.moveaxis(x, axis, -1)
    for training in (True, False):
        expected = np.moveaxis(last(moved, training=training), -1, axis)
        np.testing.assert_allclose(layer(x, training=training), expected, rtol=1e-12)


COUNT = np.array([[True, True, False], [True, False, False]])


def test_masked_steps_have_no_part_in_the_moments_of_batch_normalization():
    x = np.random.default_rng(4).normal(size=(2, 3, 4))
    layer = BatchNormalization(momentum=0.0, epsilon=1e-2, dtype="float64")
    y = layer(x, training=True, mask=COUNT)
    mean, variance = x[COUNT].mean(axis=0), x[COUNT].var(axis=0)
    np.testing.assert_allclose(layer.moving_mean.value, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.value, variance, rtol=1e-12)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-2), rtol=1e-12)
    np.testing.assert_array_equal(layer(x, mask=COUNT), layer(x))


def test_a_mask_of_batch_normalization_is_of_the_first_axes():
    x = np.random.default_rng(4).normal(size=(2, 3, 2, 4))
    layer = BatchNormalization(momentum=0.0, dtype="float64")
    layer(x, training=True, mask=COUNT)
    np.testing.assert_allclose(layer.moving_mean.value, x[COUNT].mean(axis=(0, 1)), rtol=1e-12)
    of_steps = BatchNormalization(1, momentum=0.0, dtype="float64")
    y = of_steps(x, training=True, mask=COUNT)
    means = [x[0, 0].sum() + x[1, 0].sum(), x[0, 1].sum(), 0]
    np.testing.assert_allclose(of_steps.moving_mean.value, means / np.array([16, 8, 1]), rtol=1e-12)
    np.testing.assert_allclose(y[:, 2], x[:, 2] / np.sqrt(1e-3), rtol=1e-12)


@pytest.mark.parametrize("axis", [-1, 1])
def test_the_gradient_goes_through_the_moments_of_the_steps_that_count(axis):
    generator = np.random.default_rng(4)
    x, R = generator.normal(size=(2, 2, 3, 4))
    layer = BatchNormalization(axis, dtype="float64", gamma_initializer="random_normal")
    layer(x)
    arrays = layer.run_into(x, COUNT)
    slopes = layer.run_back(R, arrays)
    for at in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[at] += 1e-6
        below[at] -= 1e-6
        rise = layer.run_into(above, COUNT)["y"] - layer.run_into(below, COUNT)["y"]
        assert slopes[at] == pytest.approx((rise * R).sum() / 2e-6, rel=1e-6, abs=1e-8)
