"""Every activation beside Keras's: values, derivatives, names and configurations."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import nnlite
from nnlite import activations, layers

# For each function, what makes its arguments, of numbers that are exact in both types.
NO_ARGUMENTS = {}
CASES = {
    "celu": lambda g: {"alpha": g.choice([0.25, 1.0, 2.5])},
    "elu": lambda g: {"alpha": g.choice([0.0, 0.5, 2.5])},
    "exponential": NO_ARGUMENTS,
    "gelu": lambda g: {"approximate": bool(g.integers(2))},
    "glu": lambda g: {"axis": int(g.choice([-1, 0, 1]))},
    "hard_shrink": lambda g: {"threshold": g.choice([0.25, 1.0])},
    "hard_sigmoid": NO_ARGUMENTS,
    "hard_silu": NO_ARGUMENTS,
    "hard_swish": NO_ARGUMENTS,
    "hard_tanh": NO_ARGUMENTS,
    "leaky_relu": lambda g: {"negative_slope": g.choice([0.0, 0.25, 1.5])},
    "linear": NO_ARGUMENTS,
    "log_sigmoid": NO_ARGUMENTS,
    "log_softmax": lambda g: {"axis": int(g.choice([-1, 0, 1]))},
    "mish": NO_ARGUMENTS,
    "relu": lambda g: {
        "negative_slope": g.choice([0.0, 0.25, 1.5]),
        "max_value": g.choice([None, 0.0, 1.5, 6.0]),
        "threshold": g.choice([0.0, 0.25, 2.0]),
    },
    "relu6": NO_ARGUMENTS,
    "selu": NO_ARGUMENTS,
    "sigmoid": NO_ARGUMENTS,
    "silu": NO_ARGUMENTS,
    "soft_shrink": lambda g: {"threshold": g.choice([0.25, 1.0])},
    "softmax": lambda g: {"axis": int(g.choice([-1, 0, 1]))},
    "softplus": NO_ARGUMENTS,
    "softsign": NO_ARGUMENTS,
    "sparse_plus": NO_ARGUMENTS,
    "sparse_sigmoid": NO_ARGUMENTS,
    "sparsemax": lambda g: {"axis": int(g.choice([-1, 0, 1]))},
    "squareplus": lambda g: {"b": g.choice([0.25, 4.0])},
    "swish": NO_ARGUMENTS,
    "tanh": NO_ARGUMENTS,
    "tanh_shrink": NO_ARGUMENTS,
    "threshold": lambda g: {
        "threshold": g.choice([-0.5, 0.0, 1.0]),
        "default_value": g.choice([-2.0, 3.0]),
    },
}
EVERY_FUNCTION = pytest.mark.parametrize("name", CASES)
EITHER_TYPE = pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-10)])


def arguments(name, generator):
    make = CASES[name]
    return make(generator) if make else {}


def ours(name, x, R, **arguments):
    """Return the function's value, and the derivative of sum(R value), by the layer of it."""
    function = getattr(activations, name)
    y = function(x, **arguments)
    bound = inspect.signature(function).bind(x, **arguments)
    layer = layers.activations.get(function, str(x.dtype)) if not arguments else None
    if layer is None:
        make = layers.activations.registry.lookup(name)
        bound.arguments.pop("x")
        layer = make(dtype=str(x.dtype), **bound.arguments)
    np.testing.assert_array_equal(layer.forward(x, training=True), y)
    return y, layer.backward(R)


def keras_at(name, x, R, **arguments):
    """Return the same of Keras, computed in float64."""
    function = jnp.tanh if name == "tanh" else getattr(keras.activations, name)  # its tanh: float32

    def scalar(x):
        y = function(x, **arguments)
        return jnp.sum(R.astype("float64") * y), y

    gradient, y = jax.grad(scalar, has_aux=True)(jnp.asarray(x, "float64"))
    return np.asarray(y), np.asarray(gradient)


def a_gradient(generator, name, shape, arguments):
    if name == "glu":
        shape = list(shape)
        shape[arguments.get("axis", -1)] //= 2
    return generator.standard_normal(shape)


def test_every_function_is_covered_and_there_is_none_that_keras_has_not():
    assert sorted([*CASES, "deserialize", "get", "serialize"]) == sorted(activations.__all__)
    public = [name for name in dir(keras.activations) if not name.startswith("_")]
    assert sorted(activations.__all__) == sorted(public)


@EVERY_FUNCTION
def test_signatures_are_keras_s(name):
    def parameters(module):
        found = inspect.signature(getattr(module, name)).parameters.values()
        return [(one.name, one.default) for one in found]

    assert parameters(activations) == parameters(keras.activations)


@EITHER_TYPE
@EVERY_FUNCTION
def test_values_and_derivatives_are_keras_s(name, dtype, rtol):
    generator = np.random.default_rng(len(name))
    for scale in (0.01, 1, 1, 3, 10, 30):
        given = arguments(name, generator)
        x = (scale * generator.standard_normal((4, 6))).astype(dtype)
        if name == "sparsemax":  # Keras's adds up all sums, not the last: right for one unit alone
            x = 2 * generator.permutation(24).reshape(4, 6).astype(dtype)
        R = a_gradient(generator, name, x.shape, given).astype(dtype)
        for mine, theirs in zip(
            ours(name, x, R, **given), keras_at(name, x, R, **given), strict=True
        ):
            assert mine.dtype == dtype
            size = np.abs(theirs).max(initial=np.abs(x).max() if name != "exponential" else 1)
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * size)


# Where slopes meet: multiples of 1/4, among them every kink of the functions as they are.
KINKS = np.arange(-32, 33) / 4
SMOOTH_BY_AXIS = {"glu", "log_softmax", "softmax", "sparsemax"}


@pytest.mark.parametrize("name", sorted(set(CASES) - SMOOTH_BY_AXIS))
def test_derivatives_at_kinks_are_keras_s(name):
    given = {"threshold": 0.5, "default_value": 2.0} if name == "threshold" else {}
    R = np.full_like(KINKS, 3.0)
    for mine, theirs in zip(
        ours(name, KINKS, R, **given), keras_at(name, KINKS, R, **given), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "x", "mine", "theirs"),
    [
        ({"negative_slope": 0.2}, 0.0, 1, 1),
        ({"threshold": 0.5}, 0.5, 0, 0),
        ({"max_value": 6.0}, 6.0, 0, 0),
        # Keras's clip halves the derivative at every other maximum, ...
        ({"max_value": 5.0}, 5.0, 0, 0.5),
        # ... and where a slope comes with a threshold or maximum, it has none on the threshold.
        ({"negative_slope": 0.2, "threshold": 0.5}, 0.5, 1, 0),
        ({"negative_slope": 0.2, "max_value": 5.0}, 0.0, 1, 0),
    ],
)
def test_at_the_kinks_of_relu_the_derivative_is(given, x, mine, theirs):
    x, R = np.array([x]), np.ones(1)
    assert ours("relu", x, R, **given)[1] == mine
    assert keras_at("relu", x, R, **given)[1] == theirs


@EITHER_TYPE
@pytest.mark.parametrize("name", sorted(set(CASES) - SMOOTH_BY_AXIS))
def test_values_and_derivatives_are_keras_s_far_out_too(name, dtype, rtol):
    given = {"threshold": 0.5, "default_value": 2.0} if name == "threshold" else {}
    largest = np.finfo(dtype).max
    x = np.array([10.0**k for k in range(-38, 39)] + [largest], dtype)
    x = np.concatenate([-x, x])
    for options in [given, {"approximate": True}] if name == "gelu" else [given]:
        with np.errstate(all="raise", under="ignore"):
            mine = ours(name, x, np.ones_like(x), **options)
        theirs = keras_at(name, x, np.ones_like(x), **options)
        for one, other in zip(mine, theirs, strict=True):
            assert np.isfinite(one).all()
            known = np.isfinite(other) & (np.abs(other) < largest)  # not all of Keras's are finite
            if name == "squareplus":
                known &= x > -1e3  # below, Keras's cancels to 0
            np.testing.assert_allclose(one[known], other[known], rtol=rtol, atol=rtol)


# ---- as data ------------------------------------------------------------------------------------


@EVERY_FUNCTION
def test_names_stand_for_keras_s_functions(name):
    function, theirs = getattr(activations, name), getattr(keras.activations, name)
    assert activations.serialize(function) == keras.activations.serialize(theirs)
    assert activations.get(name) is activations.deserialize(name) is function
    assert keras.activations.get(name) is theirs
    assert activations.get(function) is function
    assert activations.get(None).__name__ == keras.activations.get(None).__name__


@pytest.mark.parametrize("name", sorted(set(CASES) - {"threshold"}))
@pytest.mark.parametrize("cls", ["Dense", "Activation"])
def test_layers_have_keras_s_configuration_for_it(cls, name):
    units = {"units": 4} if cls == "Dense" else {}
    theirs = getattr(keras.layers, cls)(**units, activation=name, name="a")
    mine = getattr(layers, cls)(**units, activation=getattr(activations, name), name="a")
    assert mine.get_config()["activation"] == theirs.get_config()["activation"]
    assert repr(type(mine).from_config(theirs.get_config())) == repr(mine)
    again = type(theirs).from_config(mine.get_config())
    assert again.get_config()["activation"] == theirs.get_config()["activation"]


LAYERS = {
    "ELU": [{}, {"alpha": 0.5}],
    "Identity": [{}],
    "LeakyReLU": [{}, {"negative_slope": 0.1}],
    "ReLU": [{}, {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5}],
    "Softmax": [{}, {"axis": 1}, {"axis": [1, 2]}],
}


@pytest.mark.parametrize(
    ("name", "given"), [(name, one) for name in LAYERS for one in LAYERS[name]]
)
def test_the_layers_that_keras_has_are_keras_s(name, given):
    given = {**given, "name": "a", "dtype": "float64"}
    mine, theirs = getattr(layers, name)(**given), getattr(keras.layers, name)(**given)
    assert mine.get_config() == theirs.get_config()
    assert repr(type(mine).from_config(theirs.get_config())) == repr(mine)
    assert type(theirs).from_config(mine.get_config()).get_config() == theirs.get_config()
    data = layers.serialize(mine)
    assert data == keras.layers.serialize(theirs)
    assert repr(layers.deserialize(data)) == repr(mine)
    x = np.random.default_rng(1).standard_normal((3, 2, 4))
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-10, atol=1e-12)


def test_a_dense_layer_with_each_activation_object_of_keras_is_read():
    for name in LAYERS:
        theirs = keras.layers.Dense(4, activation=getattr(keras.layers, name)(name="a"))
        mine = layers.Dense.from_config(theirs.get_config())
        assert type(mine.activation).__name__ == name
        x = np.random.default_rng(1).standard_normal((3, 2)).astype("float32")
        expected = theirs(x)
        mine.ensure_built((None, 2))
        mine.set_weights([np.asarray(weight.value) for weight in theirs.weights])
        np.testing.assert_allclose(mine(x), expected, rtol=1e-5, atol=1e-6)


def test_glu_halves_the_output_where_keras_forgets_to():
    mine = nnlite.Sequential([layers.Input((3,)), layers.Dense(4, "glu"), layers.Dense(2)])
    assert mine.layers[0].compute_output_shape((None, 3)) == (None, 2)
    assert mine.layers[1].kernel.shape == (2, 2)
    assert keras.layers.Activation("glu").compute_output_shape((None, 4)) == (None, 4)
