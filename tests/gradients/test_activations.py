import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite.backend.numerics import normal_cdf
from nnlite.gradcheck import check_layer
from nnlite.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Activation,
    Dense,
    Exponential,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    Sparsemax,
    SparsePlus,
    SparseSigmoid,
    Squareplus,
    Tanh,
    TanhShrink,
    Threshold,
    activations,
)

from .strategies import DTYPES, NAMES, build, generators, inputs, kinds, sample_shapes, sizes

EVERY_NAME = pytest.mark.parametrize("name", NAMES)


def named(name, **kwargs):
    return activations.registry.lookup(name)(**kwargs)


@EVERY_NAME
@given(sizes, sample_shapes, generators, kinds)
@settings(max_examples=examples(25))
def test_the_derivative_is_the_slope(name, samples, shape, generator, kind):
    layer = named(name)
    check_layer(layer, inputs(layer, generator, (samples, *shape), kind))


def bell(z):
    return (1 + math.erf(z / math.sqrt(2))) / 2


def logistic(z):
    return 1 / (1 + math.exp(-z))


FORMULAS = [
    (CELU(2.0), lambda z: z if z > 0 else 2 * (math.exp(z / 2) - 1)),
    (ELU(0.5), lambda z: z if z > 0 else 0.5 * (math.exp(z) - 1)),
    (Exponential(), math.exp),
    (GELU(), lambda z: z * bell(z)),
    (
        GELU(approximate=True),
        lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    ),
    (HardShrink(), lambda z: z if abs(z) > 0.5 else 0),
    (HardSiLU(), lambda z: z * min(max(z + 3, 0), 6) / 6),
    (HardSigmoid(), lambda z: min(max(z + 3, 0), 6) / 6),
    (HardSigmoid(2.5), lambda z: min(max(0.2 * z + 0.5, 0), 1)),
    (HardTanh(), lambda z: min(max(z, -1), 1)),
    (Identity(), lambda z: z),
    (LogSigmoid(), lambda z: math.log(logistic(z))),
    (LogSoftmax(axis=0), lambda z: z - math.log(sum(map(math.exp, Z)))),
    (Mish(), lambda z: z * math.tanh(math.log(1 + math.exp(z)))),
    (ReLU(), lambda z: (z + abs(z)) / 2),
    (ReLU(2.0, 0.1, 0.5), lambda z: 0.1 * (z - 0.5) if z < 0.5 else min(z, 2.0)),
    (ReLU(threshold=1.0), lambda z: z if z > 1 else 0),
    (activations.registry.lookup("relu6")(), lambda z: min(max(z, 0), 6)),
    (LeakyReLU(0.3), lambda z: z if z > 0 else 0.3 * z),
    (
        SELU(),
        lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
    ),
    (SiLU(), lambda z: z * logistic(z)),
    (Sigmoid(), logistic),
    (SoftShrink(0.25), lambda z: math.copysign(max(abs(z) - 0.25, 0), z)),
    (Softmax(axis=0), lambda z: math.exp(z) / sum(map(math.exp, Z))),
    (Softplus(), lambda z: math.log(1 + math.exp(z))),
    (Softsign(), lambda z: z / (1 + abs(z))),
    (SparsePlus(), lambda z: 0 if z < -1 else z if z > 1 else (z + 1) ** 2 / 4),
    (SparseSigmoid(), lambda z: min(max(z + 1, 0), 2) / 2),
    (Sparsemax(axis=0), lambda z: float(z == max(Z))),
    (Squareplus(0.5), lambda z: (z + math.sqrt(z * z + 0.5)) / 2),
    (Tanh(), lambda z: (math.exp(2 * z) - 1) / (math.exp(2 * z) + 1)),
    (TanhShrink(), lambda z: z - math.tanh(z)),
    (Threshold(-0.5, 7.0), lambda z: z if z > -0.5 else 7.0),
]
Z = [-2.0, -0.5, 0.0, 0.25, 1.0, 3.0, 5.5, 7.0]


@pytest.mark.parametrize(
    ("layer", "formula"), FORMULAS, ids=lambda part: repr(part) if hasattr(part, "name") else ""
)
def test_the_value_is_that_of_the_formula(layer, formula):
    y = layer.forward(np.array(Z))
    np.testing.assert_allclose(y, [formula(z) for z in Z], rtol=1e-14, atol=1e-14)


def test_every_activation_has_its_formula_above():
    classes = {thing for thing in vars(activations).values() if inspect.isclass(thing)}
    public = {cls.__name__ for cls in classes if getattr(cls, "function_name", None)}
    assert public - {type(layer).__name__ for layer, _ in FORMULAS} == {"GLU"}


def test_a_gated_linear_unit_is_one_half_times_the_sigmoid_of_the_other():
    x = np.random.default_rng(1).standard_normal((4, 2, 6))
    for axis in (0, 1, -1):
        u, v = np.split(x, 2, axis)
        np.testing.assert_allclose(
            GLU(axis, dtype="float64").forward(x), u / (1 + np.exp(-v)), rtol=1e-14
        )
        if axis:  # that of the samples has no known size when a layer is built
            check_layer(GLU(axis), x)


@pytest.mark.parametrize(
    "layer", [GELU(approximate=True), ReLU(2.0, 0.1, 0.5), CELU(0.5), ELU(2.0)]
)
def test_the_derivative_is_the_slope_whatever_the_arguments(layer):
    check_layer(layer, np.random.default_rng(2).standard_normal((5, 4)))


@given(generators, sizes, st.sampled_from([0.1, 1.0, 10.0]))
def test_sparsemax_is_the_nearest_distribution(generator, size, scale):
    z = scale * generator.standard_normal((5, size))
    p = Sparsemax().forward(z)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p >= 0).all()
    # Of a nearest point p of a convex set, (z - p) (q - p) <= 0 for each of its corners q.
    towards = (z - p) - ((z - p) * p).sum(axis=1, keepdims=True)
    assert (towards <= 1e-12 * max(1, np.abs(z).max())).all()


def test_sparsemax_of_known_numbers():
    np.testing.assert_allclose(Sparsemax().forward(np.array([[0.1, 1.1, 0.2]])), [[0, 0.95, 0.05]])
    np.testing.assert_allclose(
        Sparsemax(axis=0).forward(np.array([[1e30], [1e30], [0]])), [[0.5], [0.5], [0]]
    )


def double(layer):
    """Return the layer in float64."""
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})


# What the derivative is where two slopes meet (and next to it), as (layer, x, derivative).
KINKS = [
    (ReLU(), 0.0, 0.0),
    (ReLU(6.0), 6.0, 0.0),
    (ReLU(threshold=0.5), 0.5, 0.0),
    (ReLU(negative_slope=0.2), 0.0, 1.0),
    (ReLU(negative_slope=0.2, threshold=0.5), 0.5, 1.0),
    (ReLU(negative_slope=0.2, threshold=0.5), 0.25, 0.2),
    (LeakyReLU(0.2), 0.0, 1.0),
    (ELU(0.5), 0.0, 0.5),
    (SELU(), 0.0, 1.0507009873554805 * 1.6732632423543772),
    (CELU(0.5), 0.0, 1.0),
    (HardSigmoid(), 3.0, 0.0),
    (HardSigmoid(2.5), 2.4, 0.2),
    (HardSigmoid(), -3.0, 0.0),
    (HardSiLU(), 3.0, 1.0),
    (HardSiLU(), -3.0, 0.0),
    (HardTanh(), 1.0, 1.0),
    (HardTanh(), -1.0, 1.0),
    (HardShrink(), 0.5, 0.0),
    (SoftShrink(), -0.5, 0.0),
    (Threshold(0.5, 2.0), 0.5, 0.0),
    (SparsePlus(), 1.0, 1.0),
    (SparseSigmoid(), 1.0, 0.25),
    (SparseSigmoid(), -1.0, 0.25),
    (Squareplus(0), 0.0, 0.0),
]


@pytest.mark.parametrize(("layer", "x", "derivative"), KINKS)
def test_the_derivative_at_a_kink(layer, x, derivative):
    layer = double(layer)
    layer.forward(np.array([[x]]), training=True)
    assert layer.backward(np.array([[3.0]]))[0, 0] == pytest.approx(3 * derivative, rel=1e-15)


# Values where a formula taken at its word overflows, cancels or meets 0 times infinity.
FAR_OUT = [
    (CELU(1e-10), [-1.0, -1e300], [-1e-10, -1e-10]),
    (Exponential(), [-1e5, 1e5], [0.0, math.exp(709.78)]),
    (GELU(), [-1e300, -30.0, 1e300], [0.0, -15 * math.erfc(30 / math.sqrt(2)), 1e300]),
    (GELU(approximate=True), [-1e300, 1e300], [0.0, 1e300]),
    (LogSigmoid(), [-1e300, 50.0], [-1e300, -math.exp(-50)]),
    (Mish(), [-1e300, -50.0, 1e300], [0.0, -50 * math.exp(-50), 1e300]),
    (SELU(), [1.7e308], [1.7e308 * 1.0507009873554805]),
    (SiLU(), [-1e300, -50.0, 1e300], [0.0, -50 * math.exp(-50), 1e300]),
    (Softplus(), [-50.0, 1e300], [math.exp(-50), 1e300]),
    (Squareplus(), [-1e100, -1e10, 1e300], [1e-100, 1e-10, 1e300]),
    (SparsePlus(), [-1e300, 1e300], [0.0, 1e300]),
]


@pytest.mark.parametrize(("layer", "x", "y"), FAR_OUT, ids=lambda part: repr(part)[:20])
def test_values_far_out_are_exact(layer, x, y):
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(double(layer).forward(np.array([x])), [y], rtol=1e-12)


# Slopes where the formula taken at its word would lose them.
FAR_SLOPES = [
    (GELU(), [-1e300, 0.0, 1e300], [0.0, 0.5, 1.0]),
    (GELU(approximate=True), [-1e300, 0.0, 1e300], [0.0, 0.5, 1.0]),
    (Mish(), [-1e300, -50.0, 1e300], [0.0, -49 * math.exp(-50), 1.0]),
    (SiLU(), [-1e300, -50.0, 1e300], [0.0, -49 * math.exp(-50), 1.0]),
    (Softplus(), [-50.0, 1e300], [math.exp(-50), 1.0]),
    (LogSigmoid(), [-1e300, 50.0], [1.0, math.exp(-50)]),
    (Squareplus(), [-1e10, 1e300], [1e-20, 1.0]),
    (Softsign(), [-1e10, 1e300], [1e-20, 0.0]),
]


@pytest.mark.parametrize(("layer", "x", "slope"), FAR_SLOPES, ids=lambda part: repr(part)[:20])
def test_slopes_far_out_are_exact(layer, x, slope):
    layer = double(layer)
    with np.errstate(all="raise", under="ignore"):
        layer.forward(np.array([x]), training=True)
        got = layer.backward(np.ones((1, len(x))))
    np.testing.assert_allclose(got, [slope], rtol=1e-9)


def test_the_normal_distribution_is_exact_in_either_type():
    x = np.concatenate([np.linspace(-9, 9, 3001), -(10.0 ** np.arange(-20, 3)), [-np.inf, np.inf]])
    for dtype, error in [("float32", 2e-7), ("float64", 5e-16)]:
        given = x.astype(dtype)
        exact = np.array([math.erfc(-z / math.sqrt(2)) / 2 for z in given.astype(float)])
        with np.errstate(all="raise", under="ignore"):
            got = normal_cdf(given)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, exact, rtol=0, atol=error)
        likely = exact > 1e-30  # the type's range, and what the exponent's rounding leaves
        rounding = (2 + given[likely] ** 2 / 2) * np.finfo(dtype).eps
        assert (np.abs(got[likely] / exact[likely] - 1) <= 3 * rounding).all()


@EVERY_NAME
@given(sizes, sizes, generators, kinds)
@settings(max_examples=examples(15))
def test_the_derivative_is_the_slope_within_dense(name, samples, units, generator, kind):
    layer = build(Dense(units, activation=name), (3,), generator)
    check_layer(layer, inputs(layer, generator, (samples, 3), kind))


@EVERY_NAME
@given(sizes, sizes, sample_shapes, generators, kinds, DTYPES)
@settings(max_examples=examples(25))
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
