"""A step that `nnlite.trace` opens is the one that training takes, and leaves everything as it is."""

import copy
import random
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers import snapshot
from seed_numbers import (
    ACTIVATION_BACKWARD,
    COST,
    FORWARD,
    LINEAR_DA,
    LINEAR_DB,
    LINEAR_DW,
    MODEL_DA0,
    MODEL_DB1,
    MODEL_DW1,
    UPDATED_B1,
    UPDATED_B2,
    UPDATED_W1,
    UPDATED_W2,
    M,
    R,
    assert_prints,
    dense,
)

import nnlite
from nnlite import Input, Model, Sequential, set_random_seed, trace
from nnlite.layers import (
    Activation,
    Add,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Layer,
    ReLU,
    Sigmoid,
)
from nnlite.losses import Loss
from nnlite.optimizers import SGD, Adam

X = np.random.default_rng(2).standard_normal((6, 4))
BITS = np.array([[0], [1], [1], [0], [1], [0]])
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 0.0, 3.0])


# ---- the article's numbers ----------------------------------------------------------------------


class Given(Loss):
    """A loss whose derivative by the output is the targets."""

    def call(self, y_true, y_pred):
        return np.sum(y_true * y_pred, axis=-1)

    def derivative(self, y_true, y_pred):
        return y_true.copy()


class Drawn(Layer):
    """Hands on numbers of its own, as the article draws its caches."""

    def __init__(self, numbers):
        super().__init__(dtype="float64")
        self.numbers = numbers

    def forward(self, x, training=False):
        return self.numbers.copy()

    def backward(self, gradient):
        return gradient


class Pushed(Layer):
    """Has the weights and the gradients that it is given."""

    def __init__(self, weights, gradients):
        super().__init__(dtype="float64")
        self.given, self.pushes = weights, gradients

    def build(self, input_shape):
        self.pushed = [
            self.add_weight(f"w{i}", w.shape, lambda shape, dtype=None, w=w: w)
            for i, w in enumerate(self.given)
        ]

    def forward(self, x, training=False):
        return x.copy()

    def backward(self, gradient):
        for variable, push in zip(self.pushed, self.pushes, strict=True):
            variable.gradient[...] = push
        return gradient


def opened(layers, x, dz, rate=0.1):
    model = Sequential([Input(x.shape[1:], dtype="float64"), *layers])
    model.compile(SGD(rate), Given())
    return trace(model, x, dz, check=False)


def test_the_article_s_forward_step_and_cost():
    r = R(1)
    X, W1, b1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1)
    W2, b2 = r.randn(1, 3), r.randn(1, 1)
    step = trace(Sequential([dense(W1, b1, "relu"), dense(W2, b2, "sigmoid")]), X.T, [0, 1])
    assert_prints(step.nodes[1].output.T, FORWARD)
    AL = np.array([[0.8, 0.9, 0.4]])
    model = Sequential([Input((1,), dtype="float64"), Dense(1, "sigmoid", dtype="float64")])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    step = trace(model, np.log(AL / (1 - AL)).T, np.ones((3, 1)))
    assert step.cost == pytest.approx(COST, rel=1e-15)


def test_the_article_s_linear_backward():
    r = R(1)
    dZ, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    step = opened([dense(W, b)], A.T, dZ.T)
    (node,) = step.nodes
    assert_prints(step.input_gradients[0].array.T * M, LINEAR_DA)
    assert_prints(node.gradients["kernel"].T, LINEAR_DW)
    assert_prints(node.gradients["bias"], LINEAR_DB)


@pytest.mark.parametrize(("activation", "dA_prev", "dW", "db"), ACTIVATION_BACKWARD)
def test_the_article_s_activation_backward(activation, dA_prev, dW, db):
    r = R(2)
    dA, A, W, b = r.randn(1, 2), r.randn(3, 2), r.randn(1, 3), r.randn(1, 1)
    Z = r.randn(1, 2)
    step = opened([dense(W, b), Drawn(Z.T), activation(dtype="float64")], A.T, dA.T)
    assert_prints(step.input_gradients[0].array.T * M, dA_prev)
    assert_prints(step.nodes[0].gradients["kernel"].T, dW)
    assert_prints(step.nodes[0].gradients["bias"], db)


def test_the_article_s_backward_step():
    r = R(3)
    AL = r.randn(1, 2)
    A1, W1, b1, Z1 = r.randn(4, 2), r.randn(3, 4), r.randn(3, 1), r.randn(3, 2)
    A2, W2, b2, Z2 = r.randn(3, 2), r.randn(1, 3), r.randn(1, 1), r.randn(1, 2)
    Y = np.array([[1, 0]])
    first = [dense(W1, b1), Drawn(Z1.T), ReLU(dtype="float64"), Drawn(A2.T)]
    second = [dense(W2, b2), Drawn(Z2.T), Sigmoid(dtype="float64")]
    step = opened([*first, *second], A1.T, -(Y / AL - (1 - Y) / (1 - AL)).T)
    assert_prints(step.nodes[0].gradients["kernel"].T, MODEL_DW1)
    assert_prints(step.nodes[0].gradients["bias"], MODEL_DB1)
    assert_prints(step.input_gradients[0].array.T * M, MODEL_DA0)


def test_the_article_s_update():
    r, q = R(2), R(3)
    shapes = [(3, 4), (3, 1), (1, 3), (1, 1)]
    weights, gradients = ([g.randn(*shape) for shape in shapes] for g in (r, q))
    step = opened([Pushed(weights, gradients)], np.ones((2, 1)), np.ones((2, 1)))
    W1, b1, W2, b2 = [line.array for line in step.updates.values()]
    assert_prints(W1, UPDATED_W1)
    assert_prints(b1.ravel(), UPDATED_B1)
    assert_prints(W2, UPDATED_W2)
    assert_prints(b2.ravel(), UPDATED_B2)
    assert [line.article for line in step.updates.values()][0].startswith("w0_1 - 0.1 d")


# ---- the step of fit ----------------------------------------------------------------------------


def plain():
    return Sequential([Input((4,)), Dense(3, "tanh"), Dense(1, "sigmoid")])


def penalized():
    return Sequential(
        [
            Input((4,)),
            Dense(3, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
            Dense(1, "sigmoid", bias_regularizer="l1"),
        ]
    )


def random_and_normal():
    layers = [Dropout(0.3, seed=3), Dense(3), BatchNormalization(), Activation("relu")]
    return Sequential([Input((4,)), *layers, Dropout(0.2), Dense(1)])


def frozen():
    first = Dense(3, "tanh", trainable=False)
    return Sequential([Input((4,)), first, BatchNormalization(trainable=False), Dense(1)])


def shared():
    x = Input((4,))
    layer = Dense(4, "tanh", kernel_regularizer="l2")
    return Model(x, Dense(1)(Add()([layer(x), layer(layer(x))])))


def constrained():
    return Sequential([Input((4,)), Dense(3, "elu", kernel_constraint="unit_norm"), Dense(1)])


class Subclassed(Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = Dense(3, "relu"), Dense(1)

    def call(self, x, training=False):
        return self.second(self.first(x))


MODELS = [plain, penalized, random_and_normal, frozen, shared, constrained, Subclassed]


def assert_step(model, x, y, weight=None):
    """Return the trace of a step, which changes nothing and tells the bits of what training does."""
    before = snapshot(model)
    step = trace(model, x, y, weight)
    assert snapshot(model) == before
    for line in step.lines:
        assert not line.differs, (line.name, line.array, line.beside)
        assert line.beside is not None
    weights = [variable.numpy() for variable in model.trainable_variables]
    cost = model.train_on_batch(x, y, weight, return_dict=True)["loss"]
    assert cost == pytest.approx(step.cost, rel=1e-14)
    for variable, old, line in zip(
        model.trainable_variables, weights, step.updates.values(), strict=True
    ):
        np.testing.assert_array_equal(line.array, variable.value, strict=True)
        np.testing.assert_array_equal(line.beside, variable.value - old)
    return step


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_the_step_is_the_one_that_training_takes(build, weight):
    set_random_seed(1)
    model = build()
    model.compile(SGD(0.5), "binary_crossentropy" if build is plain else "mse", metrics=["mae"])
    model.build((None, 4))
    assert_step(model, X, BITS, weight)


@pytest.mark.parametrize("options", [{"clipnorm": 0.001}, {"momentum": 0.9}, {"use_ema": True}])
def test_the_optimizer_s_step_is_told_as_it_is(options):
    set_random_seed(1)
    model = plain()
    model.compile(SGD(0.5, **options), "mse")
    model.train_on_batch(X, BITS)  # from here on there is momentum
    step = assert_step(model, X, BITS)
    articles = [line.article for line in step.updates.values()]
    if "use_ema" in options:  # an average beside the weights: the step itself is plain descent
        assert articles == ["W1 - 0.5 dW1", "b1 - 0.5 db1", "W2 - 0.5 dW2", "b2 - 0.5 db2"]
    else:
        assert articles == [f"{w} + step of SGD" for w in ("W1", "b1", "W2", "b2")]


@pytest.mark.parametrize("build", MODELS)
def test_gradients_are_those_that_plain_descent_follows(build):
    set_random_seed(1)
    nnlite.config.set_floatx("float64")
    try:
        model = build()
        model.compile(SGD(0.5), "mse" if build is not plain else "binary_crossentropy")
        model.build((None, 4))
    finally:
        nnlite.config.set_floatx("float32")
    step = trace(model, X, BITS)
    updates = iter(step.updates.values())
    seen = set()
    for node in step.nodes:
        for name, gradient in node.gradients.items():
            if (node.name, name) not in seen and build is not constrained:
                np.testing.assert_allclose(next(updates).beside, -0.5 * gradient, atol=1e-14)
            seen.add((node.name, name))
    assert all(np.nanmax(np.abs(line.beside - line.array)) < 1e-6 for line in step.lines)


def two_ends():
    a, b = Input((4,), name="a"), Input((3,), dtype="int32", name="b")
    words = Flatten()(Embedding(5, 2)(b))
    h = Dense(3, "relu", name="h")(a)
    one = Dense(1, "sigmoid", name="one")(Add()([h, Dense(3)(words)]))
    return Model([a, b], {"one": one, "two": Dense(2, name="two")(h)})


def test_several_inputs_and_outputs():
    set_random_seed(1)
    model = two_ends()
    model.compile(Adam(), {"one": "binary_crossentropy", "two": "mse"}, {"one": 1.0, "two": 0.25})
    x = {"a": X, "b": np.arange(18).reshape(6, 3) % 5}
    y = {"one": BITS, "two": X[:, :2]}
    step = assert_step(model, x, y, {"one": WEIGHTS, "two": None})
    assert [line.name for line in step.inputs] == ["a", "b"]
    assert [line.name for line in step.input_gradients] == ["da"]
    values = {line.name: float(line.array) for line in step.cost_lines if not line.array.ndim}
    assert values["cost"] == pytest.approx(values["loss['one']"] + 0.25 * values["loss['two']"])
    assert [line.article for line in step.cost_lines][-1] == "1 L1 + 0.25 L2"
    (h,) = [node for node in step.nodes if node.name == "h"]
    assert list(h.gradients) == ["kernel", "bias"]
    da = h.backward[0]
    assert da.name == "da"
    assert da.formula == "back through add + two.da @ two.kernel.T"  # both read it
    assert [node.number for node in step.nodes] == list(range(1, len(step.nodes) + 1))
