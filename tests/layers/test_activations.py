"""Activations by name, as functions and as data; what they compute is in gradients/."""

import inspect

import numpy as np
import pytest

from nnlite import Sequential, activations, config, gradcheck, saving
from nnlite.execution import Graph, ReferenceExecutor
from nnlite.layers import (
    GELU,
    GLU,
    Activation,
    ActivationLayer,
    Dense,
    Flatten,
    Input,
    LeakyReLU,
    ReLU,
    Sparsemax,
    Threshold,
    deserialize,
    serialize,
)
from nnlite.layers.activations import function_name, registry
from nnlite.serialization.objects import deserialize_keras_object

FUNCTIONS = sorted(set(activations.__all__) - {"deserialize", "get", "serialize"})
NAMED = sorted(set(FUNCTIONS) - {"threshold"})  # which has no defaults
X = np.random.default_rng(4).standard_normal((3, 4))


class Square(ActivationLayer):
    needs_input = True

    def apply(self, x, out):
        return np.multiply(x, x, out=out)

    def chain(self, gradient, x, y, out):
        np.multiply(gradient, x, out=out)
        return np.add(out, out, out=out)


@pytest.mark.parametrize("name", NAMED)
def test_a_function_computes_as_the_layer_of_its_name(name):
    function = getattr(activations, name)
    for dtype in ("float32", "float64"):
        x = X.astype(dtype)
        y = function(x)
        np.testing.assert_array_equal(y, Activation(name, dtype=dtype)(x))
        assert y.dtype == dtype
    np.testing.assert_array_equal(function(X.tolist()), function(X.astype("float32")))


def test_a_function_takes_what_a_number_can_be_made_of():
    assert activations.relu(np.array([1, -2])).dtype == config.floatx()
    assert activations.relu(-3.0) == 0
    assert activations.leaky_relu(-1.0, 0.5).shape == ()
    np.testing.assert_allclose(activations.softmax([[1.0], [1.0]], axis=0), [[0.5], [0.5]])
    np.testing.assert_allclose(activations.softmax(np.zeros((2, 3, 4)), axis=(1, 2)), 1 / 12)
    np.testing.assert_array_equal(
        activations.glu(np.ones((2, 3)), axis=0), [[0.7310585786300049] * 3]
    )


def test_a_function_leaves_its_input_alone():
    for name in NAMED:
        x = X.copy()
        x.flags.writeable = False
        getattr(activations, name)(x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: activations.relu("a"), TypeError, "x must hold real numbers"),
        (
            lambda: activations.softmax(X, axis=2),
            ValueError,
            r"axis=2, but its input has shape \(3, 4\)",
        ),
        (lambda: activations.softmax(1.0), ValueError, r"axis=-1, but its input has shape \(\)"),
        (
            lambda: activations.softmax(X, axis="a"),
            TypeError,
            "axis must be an integer, or several",
        ),
        (lambda: activations.sparsemax(X, axis=(0, 1)), TypeError, r"axis must be an .*\(0, 1\)"),
        (lambda: activations.glu(X, axis=0), ValueError, "axis 0, which must have an even size"),
        (lambda: activations.glu(X, axis=3), ValueError, "axis 3, which must have an even size"),
        (lambda: GLU(axis=True), TypeError, "axis must be an integer. Received: axis=True"),
        (lambda: GELU(approximate="tanh"), TypeError, "approximate must be True or False"),
        (lambda: activations.celu(X, alpha=0), ValueError, "alpha must be above 0"),
        (lambda: activations.elu(X, alpha=-1), ValueError, "alpha .*Received: -1"),
        (lambda: activations.squareplus(X, b=-1), ValueError, "b must be .*Received: -1"),
        (lambda: activations.hard_shrink(X, -0.1), ValueError, "threshold .*Received: -0.1"),
        (lambda: Dense(3, "glu"), ValueError, r"even size. Received: .*\(None, 3\)"),
        (lambda: Dense(3, "threshold"), TypeError, "'threshold' cannot be made without arguments"),
        (lambda: Dense(3, "gelo"), ValueError, "Unknown activation: 'gelo'. Did you mean 'gelu'"),
        (lambda: Dense(3, lambda x: x), TypeError, "subclass nnlite.layers.ActivationLayer"),
        (lambda: Dense(3, activations.get), TypeError, "subclass nnlite.layers.ActivationLayer"),
        (lambda: Dense(3, 7), TypeError, "activation must be a name .*Received: activation=7"),
        (lambda: Dense(3, ReLU(dtype="float64")), ValueError, "One model has one dtype"),
        (lambda: activations.get(7), TypeError, "or a dict. Received: 7"),
        (lambda: activations.get("GELU"), ValueError, "Unknown activation.*Did you mean 'gelu'"),
        (lambda: activations.serialize(7), TypeError, "activation must be .* Received: 7"),
        (lambda: ActivationLayer()(X), NotImplementedError, r"does not define apply\(x, out\)"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_activation_without_a_derivative_says_what_is_missing():
    half = type(
        "Half", (ActivationLayer,), {"apply": lambda self, x, out: np.multiply(x, 2, out)}
    )()
    half.forward(X, training=True)
    with pytest.raises(NotImplementedError, match="Half does not define chain"):
        half.backward(X)


@pytest.mark.parametrize("name", NAMED)
def test_whatever_says_an_activation_makes_the_same_layer(name):
    function = getattr(activations, name)
    layer = Dense(4, name).activation
    for same in (
        function,
        layer,
        {"class_name": "function", "config": name},
        {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": "function",
        },
        serialize(layer),
    ):
        assert repr(Dense(4, same).activation) == repr(layer)
    own = activations.serialize(function)  # of an alias, Keras's first name
    config = Dense(4, function).get_config()
    assert config["activation"] == function_name(layer) == own
    assert repr(Dense.from_config(config)) == repr(Dense(4, name))


def test_a_class_and_a_configuration_in_another_type():
    assert repr(Dense(2, GELU)) == "Dense(units=2, activation=GELU())"
    data = {"class_name": "LeakyReLU", "config": {"negative_slope": 0.1, "dtype": "float64"}}
    assert repr(Dense(2, data, dtype="float64").activation) == (
        "LeakyReLU(negative_slope=0.1, dtype='float64')"
    )
    with pytest.raises(ValueError, match="One model has one dtype"):
        Dense(2, data)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_get_and_deserialize_give_the_function(name):
    function = getattr(activations, name)
    assert activations.get(name) is activations.deserialize(name) is activations.get(function)
    assert activations.get({"class_name": "function", "config": name}) is function
    data = {"module": "builtins", "class_name": "function", "config": name}
    assert deserialize_keras_object({**data, "registered_name": "function"}) is function
    assert activations.get(activations.serialize(function)) is function
    assert registry.lookup(name)


def test_each_class_knows_the_name_of_its_function():
    for name in NAMED:
        layer = registry.lookup(name)()
        expected = {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
        assert function_name(layer) == expected
        if name != "relu6":
            assert layer.function_name == expected
    for unlike in (
        LeakyReLU(),
        ReLU(5.0),
        ReLU(activity_regularizer="l2"),
        GELU(approximate=True),
        Flatten(),
    ):
        assert function_name(unlike) is None
    assert function_name(Threshold(0.5, 1.0)) is function_name(Square()) is None
    assert function_name(ReLU(name="mine", trainable=False, dtype="float64")) == "relu"


def test_other_activations_are_written_with_their_arguments():
    layer = Dense(4, Threshold(0.5, -1.0))
    config = layer.get_config()["activation"]
    assert (config["class_name"], config["config"]["default_value"]) == ("Threshold", -1.0)
    assert repr(Dense.from_config(layer.get_config())) == repr(layer)
    assert repr(deserialize(serialize(Sparsemax(axis=1)))) == "Sparsemax(axis=1)"
    assert activations.serialize(ReLU(2.0))["config"]["max_value"] == 2.0
    assert repr(activations.deserialize(activations.serialize(ReLU(2.0)))) == "ReLU(max_value=2.0)"


def test_an_activation_of_ones_own_is_a_layer_like_any_other():
    gradcheck.check_layer(Square(), X)
    for make in (Square, Square(), Activation(Square)):
        model = Sequential([Input((4,)), Dense(3, make), Dense(1)])
        gradcheck.check_model(model, X, X[:, :1])
    with saving.custom_object_scope({"Square": Square}):
        assert repr(Dense(2, "Square").activation) == "Square()"
        config = Dense(2, Square).get_config()
        assert repr(Dense.from_config(config)) == "Dense(units=2, activation=Square())"


def test_an_activation_of_ones_own_may_return_an_array_of_its_own():
    class Cube(Square):
        def apply(self, x, out):
            return np.float64(x) ** 3

        def chain(self, gradient, x, y, out):
            return (3 * np.float64(x) ** 2) * gradient

    model = Sequential([Input((4,)), Dense(3, Cube), Dense(1)])
    gradcheck.check_model(model, X, X[:, :1])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert model.predict(X).dtype == Cube()(X).dtype == "float32"


@pytest.mark.parametrize(
    ("method", "returned", "error", "message"),
    [
        ("apply", None, TypeError, "what Bad.apply returned is missing"),
        ("apply", "text", TypeError, "what Bad.apply returned must hold real numbers"),
        ("apply", np.ones(3), ValueError, r"Bad.apply must return .*Received: shape \(3,\)"),
        ("chain", None, TypeError, "what Bad.chain returned is missing"),
        ("chain", 1.0, ValueError, r"Bad.chain must return .*Received: shape \(\)"),
        ("chain", np.ones((6, 3), complex), TypeError, "what Bad.chain returned must hold real"),
    ],
)
def test_what_an_activation_of_ones_own_returns_is_refused_by_its_name(
    method, returned, error, message
):
    methods = {"apply": Square.apply, "chain": Square.chain}
    Bad = type("Bad", (Square,), methods | {method: lambda *args: returned})
    model = Sequential([Dense(3, Bad), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=message):
        model.fit(X, X[:, :1], verbose=0)


@pytest.mark.parametrize("function", [lambda x: x, np.tanh, abs, Square().apply, max])
def test_a_function_without_a_derivative_is_refused_with_what_to_do(function):
    for make in (Dense, lambda *arguments, activation: Activation(activation)):
        with pytest.raises(ValueError, match=r"needs its derivative: subclass .*ActivationLayer"):
            make(2, activation=function)


def test_a_gated_linear_unit_halves_the_output():
    model = Sequential([Input((4,)), Dense(6, "glu"), Dense(2)])
    assert Dense(6, "glu").compute_output_shape((None, 4)) == (None, 3)
    assert Activation("glu").compute_output_shape((None, 2, 6)) == (None, 2, 3)
    assert model.layers[1].kernel.shape == (3, 2)
    gradcheck.check_model(model, X, X[:, :2])
    deep = Sequential([Input((3, 4)), Activation("glu"), Dense(2, GLU())])
    assert deep.output_shape == (None, 3, 1)
    gradcheck.check_model(deep, X[:, None, :] * np.ones((3, 3, 1)), np.ones((3, 3, 1)))


def test_functions_of_keras_s_arguments_have_its_defaults():
    assert inspect.signature(activations.leaky_relu).parameters["negative_slope"].default == 0.2
    assert activations.leaky_relu(-1.0) == Activation("leaky_relu")(np.array([[-1.0]]))[0, 0]
    assert LeakyReLU(alpha=0.5).negative_slope == 0.5


def test_a_gradient_of_a_users_own_replaces_that_of_relu():
    class Leaking(ReLU):
        def chain(self, gradient, x, y, out):
            return np.add(super().chain(gradient, x, y, out), 0.1 * gradient, out=out)

    layer, x = Leaking(), np.array([[-1.0, 2.0]])
    layer(x, training=True)
    np.testing.assert_allclose(layer.backward(np.ones((1, 2))), [[0.1, 1.1]])
    graph = Graph(training=True)
    graph.finish([graph.add(layer, graph.add_input("float32"))])
    executor = ReferenceExecutor(graph)
    executor.forward([x])
    np.testing.assert_allclose(executor.backward([np.ones((1, 2))]), [[[0.1, 1.1]]])
