import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlite.gradcheck import check_layer
from nnlite.layers import (
    Activation,
    Dense,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    activations,
)

from .strategies import DTYPES, NAMES, build, generators, inputs, kinds, sample_shapes, sizes

EVERY_NAME = pytest.mark.parametrize("name", NAMES)


def named(name, **kwargs):
    return activations.registry.lookup(name)(**kwargs)


@EVERY_NAME
@given(sizes, sample_shapes, generators, kinds)
@settings(max_examples=25)
def test_the_derivative_is_the_slope(name, samples, shape, generator, kind):
    layer = named(name)
    check_layer(layer, inputs(layer, generator, (samples, *shape), kind))


FORMULAS = [
    (Identity(), lambda z: z),
    (ReLU(), lambda z: (z + abs(z)) / 2),
    (ReLU(2.0, 0.1, 0.5), lambda z: 0.1 * (z - 0.5) if z < 0.5 else min(z, 2.0)),
    (LeakyReLU(0.3), lambda z: z if z > 0 else 0.3 * z),
    (Sigmoid(), lambda z: 1 / (1 + math.exp(-z))),
    (Tanh(), lambda z: (math.exp(2 * z) - 1) / (math.exp(2 * z) + 1)),
    (Softmax(axis=0), lambda z: math.exp(z) / sum(map(math.exp, Z))),
]
Z = [-2.0, -0.5, 0.0, 0.25, 1.0, 3.0]


@pytest.mark.parametrize(
    ("layer", "formula"), FORMULAS, ids=lambda part: repr(part) if hasattr(part, "name") else ""
)
def test_the_value_is_that_of_the_formula(layer, formula):
    y = layer.forward(np.array(Z))
    np.testing.assert_allclose(y, [formula(z) for z in Z], rtol=1e-14, atol=1e-14)


@EVERY_NAME
@given(sizes, sizes, generators, kinds)
@settings(max_examples=15)
def test_the_derivative_is_the_slope_within_dense(name, samples, units, generator, kind):
    layer = build(Dense(units, activation=name), (3,), generator)
    check_layer(layer, inputs(layer, generator, (samples, 3), kind))


@EVERY_NAME
@given(sizes, sizes, sample_shapes, generators, kinds, DTYPES)
@settings(max_examples=25)
def test_dense_with_it_equals_dense_and_it_to_the_last_bit(
    name, samples, units, shape, generator, kind, dtype
):
    one = build(Dense(units, activation=name, dtype=dtype), shape, generator)
    first = Dense(units, dtype=dtype)
    first.ensure_built((None, *shape))
    first.set_weights(one.get_weights())
    x = inputs(one, generator, (samples, *shape), kind).astype(dtype)
    for then in (named(name, dtype=dtype), Activation(name, dtype=dtype)):
        y = one.forward(x, training=True).copy()
        np.testing.assert_array_equal(then.forward(first.forward(x, training=True), True), y)
        np.testing.assert_array_equal(then.forward(first.forward(x)), one.forward(x))
        np.testing.assert_array_equal(one.forward(x), y)
        R = generator.standard_normal(y.shape).astype(dtype)
        np.testing.assert_array_equal(first.backward(then.backward(R)), one.backward(R))
        for left, right in zip(first.weights, one.weights, strict=True):
            np.testing.assert_array_equal(left.gradient, right.gradient)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY_NAME
def test_no_finite_input_overflows(name, dtype):
    largest = np.finfo(dtype).max
    x = np.array([[largest, -largest, 0, 1, 1e30, -1e30, np.finfo(dtype).tiny]], dtype)
    if "max" in name:
        x /= 2  # so that the difference of two is finite too
    layer = named(name, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        y = layer.forward(x, training=True)
        gradient = layer.backward(np.ones_like(y))
    assert np.isfinite(y).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu"])
@given(generators, st.sampled_from([1e10, 1e30, 1e100]))
@settings(max_examples=10)
def test_piecewise_linear_ones_have_their_slope_far_out(name, generator, scale):
    check_layer(named(name), scale * generator.standard_normal((2, 3)))
