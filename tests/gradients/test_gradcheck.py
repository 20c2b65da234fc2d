import copy
import re

import numpy as np
import pytest

from nnlite import Sequential
from nnlite.gradcheck import GradientError, check_layer, check_loss, check_model
from nnlite.layers import Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from nnlite.losses import BinaryCrossEntropy, Huber, MeanAbsoluteError, MeanSquaredError

X = np.random.default_rng(2).standard_normal((4, 3))


def spoilt(cls, spoil):
    """Return a subclass whose backward lets ``spoil(layer, gradient)`` at its result."""

    class Spoilt(cls):
        def backward(self, gradient, **options):
            return spoil(self, super().backward(gradient, **options))

    return Spoilt


def on(weight, change):
    def spoil(layer, gradient):
        g = getattr(layer, weight).gradient
        g[...] = change(g)
        return gradient

    return spoil


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (spoilt(Sigmoid, lambda layer, g: -g)(), "input of layer 'spoilt', entry [0, 0]: backward"),
        (spoilt(Tanh, lambda layer, g: g * 2)(), "input of layer 'spoilt', entry [0, 0]: backward"),
        (spoilt(Dense, lambda layer, g: g * 1.0001)(3), "input of layer 'spoilt', entry [0, 0]:"),
        (spoilt(Dense, on("kernel", lambda g: g[::-1].copy()))(3), "weight 'kernel' of layer"),
        (
            spoilt(Dense, on("bias", lambda g: g / 4))(3),
            "weight 'bias' of layer 'spoilt', entry [0]",
        ),
        (spoilt(Dense, on("bias", lambda g: 0))(3), "weight 'bias' of layer 'spoilt', entry [0]"),
    ],
)
def test_a_wrong_sign_factor_or_order_is_found_and_named(layer, message):
    with pytest.raises(GradientError) as raised:
        check_layer(layer, X)
    assert str(raised.value).startswith(message)


class Scale(Layer):
    """x times a weight for each feature, whose backward can be replaced."""

    def build(self, input_shape):
        self.scale = self.add_weight("scale", input_shape[1:], "ones")

    def forward(self, x, training=False):
        self.cache = (x,)
        return x * self.scale.value

    def backward(self, gradient):
        (x,) = self.cache
        self.learn(gradient * x)
        return gradient * self.scale.value

    def learn(self, terms):
        self.scale.gradient[...] = terms.sum(axis=0)


def faulty(**methods):
    return type("Faulty", (Scale,), methods)()


def writes_into_gradient(self, gradient):
    gradient *= 2
    return Scale.backward(self, gradient / 2) * 1


def writes_into_x(self, x, training=False):
    y = Scale.forward(self, x, training)
    x *= 2
    return y


def draws(self, x, training=False):
    return Scale.forward(self, x, training) + np.random.default_rng().random()


def adds(self, terms):
    self.scale.gradient += terms.sum(axis=0)


FAULTS = {
    "weight 'scale' of layer 'faulty', entry [0]: backward gives nan. A weight's gradient must be "
    "written whole": {"learn": adds},
    "weight 'scale' of layer 'faulty', entry [0]: backward gives nan": {
        "learn": lambda self, terms: None
    },
    "weight 'scale' of layer 'faulty', entry [0]: backward gives ": {
        "learn": lambda self, terms: self.scale.gradient.fill(1.0)
    },
    "input of layer 'faulty': its gradient has shape (4, 3). Received: None": {
        "backward": lambda self, gradient: self.learn(gradient * self.cache[0])
    },
    "input of layer 'faulty': its gradient has shape (4, 3). Received: shape (3,)": {
        "backward": lambda self, gradient: Scale.backward(self, gradient).sum(axis=0)
    },
    "input of layer 'faulty', entry [0, 0]: backward gives inf": {
        "backward": lambda self, gradient: Scale.backward(self, gradient) + np.inf
    },
    "layer 'faulty' writes into the gradient that it is given": {"backward": writes_into_gradient},
    "layer 'faulty' writes into the x that it is given": {
        "forward": writes_into_x,
        "backward": Scale.backward,
    },
    "input of layer 'faulty': forward gives another output when called again": {
        "forward": draws,
        "backward": Scale.backward,
    },
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_broken_contract_is_named(message):
    check_layer(Scale(), X)
    with pytest.raises(GradientError) as raised:
        check_layer(faulty(**FAULTS[message]), X)
    assert str(raised.value).startswith(message)


def test_a_gradient_that_changes_from_step_to_step_is_named():
    class Restless(Scale):
        steps = 0

        def backward(self, gradient):
            self.steps += 1
            return super().backward(gradient) * self.steps

    with pytest.raises(GradientError, match="when the step is repeated"):
        check_layer(Restless(), X)


def test_the_message_holds_both_numbers():
    class Double(Layer):
        def forward(self, x, training=False):
            return x.copy()

        def backward(self, gradient):
            return gradient * 2

    with pytest.raises(GradientError) as raised:
        check_layer(Double(), [[1.0]])
    numbers = re.fullmatch(r".* gives (\S+), finite differences give (\S+)", str(raised.value))
    analytic, numeric = map(float, numbers.groups())
    assert analytic == pytest.approx(2 * numeric, rel=1e-4)


def test_an_overflow_is_an_error():
    class Exp(Layer):
        def forward(self, x, training=False):
            return np.exp(x)

    with pytest.raises(FloatingPointError):
        check_layer(Exp(), [[1e4]])


def test_a_layer_is_checked_up_to_the_edge_of_its_domain():
    class Root(Layer):
        def forward(self, x, training=False):
            self.cache = (np.sqrt(x),)
            return self.cache[0].copy()

        def backward(self, gradient):
            return gradient / (2 * self.cache[0])

    check_layer(Root(), [[5e-5, 1.0, 1e-3]])
    with pytest.raises(GradientError):
        check_layer(spoilt(Root, lambda layer, g: 1.01 * g)(), [[5e-5, 1.0, 1e-3]])


KINKED = [0.0, 1e-30, -1e-30, 5e-8, 9.9e-8, 1e-5, -1e-5, 0.5, 1.0, 1 + 1e-6, 2.0, -1.0]


@pytest.mark.parametrize(
    "layer",
    [ReLU(), ReLU(1.0, 0.1, 0.5), ReLU(threshold=0.5), LeakyReLU(), LeakyReLU(2.0)],
    ids=repr,
)
def test_kinks_and_jumps_are_stepped_around(layer):
    check_layer(layer, [KINKED])


@pytest.mark.parametrize("factor", [-1.0, 0.5, 1.01, 2.0])
def test_beside_a_kink_a_wrong_slope_is_still_found(factor):
    wrong = spoilt(ReLU, lambda layer, g: factor * g)()
    for x in (1e-5, 1e-3, 0.1, 1.0, 100.0):
        with pytest.raises(GradientError):
            check_layer(wrong, [[x, 0.0]])


@pytest.mark.parametrize("slope", [-0.1, 1.1, np.pi])
def test_at_a_kink_only_slopes_between_those_of_its_sides_pass(slope):
    class At(ReLU):
        def chain(self, gradient, x, y, out):
            return np.multiply(gradient, np.where(x == 0, slope, x > 0), out=out)

    with pytest.raises(GradientError, match=r"entry \[0, 0\]"):
        check_layer(At(), [[0.0, 1.0]])


def test_losses_are_checked_at_their_kinks():
    y = np.zeros((1, 5))
    check_loss(MeanAbsoluteError(), y, [[0.0, 1e-30, 1.0, -1.0, 1e-9]])
    check_loss(Huber(), y, [[0.0, 1.0, -1.0, 1 + 1e-9, 3.0]])
    check_loss(BinaryCrossEntropy(), y, [[0.0, 1.0, 1e-7, 1 - 1e-7, 1e-30]])


def test_a_small_gradient_beside_a_large_one_is_checked():
    class Weighted(Layer):
        factors = np.array([1.0, 1e-5])

        def forward(self, x, training=False):
            return x * self.factors

        def backward(self, gradient):
            return gradient * self.factors * [1, 1.01]

    with pytest.raises(GradientError, match=r"entry \[0, 1\]"):
        check_layer(Weighted(), [[1.0, 2.0]])


class Counting(Dense):
    calls = 0

    def forward(self, x, training=False):
        type(self).calls += 1
        return super().forward(x, training)

    def backward(self, gradient):
        return super().backward(gradient)


@pytest.mark.parametrize("activation", [None, "tanh", "softmax"])
def test_a_wide_layer_takes_few_steps_also_to_find_one_wrong_entry(activation):
    Counting.calls = 0
    check_layer(Counting(300, activation), input_shape=(400,))
    assert Counting.calls < 40

    class OneWrong(Counting):
        calls = 0

        def backward(self, gradient):
            gradient = super().backward(gradient)
            self.kernel.gradient[123, 45] *= 1.5
            return gradient

    with pytest.raises(
        GradientError, match=r"weight 'kernel' of layer 'one_wrong', entry \[123, 45\]"
    ):
        check_layer(OneWrong(300, activation), input_shape=(400,))
    assert OneWrong.calls < 200


def test_a_wide_layer_at_many_kinks_passes():
    x = np.random.default_rng(0).choice([0.0, 0.5, 1.0], (5, 60))
    check_layer(ReLU(), x)
    check_layer(ReLU(max_value=1.0), x)


def state(layer):
    parts = [vars(part) for part in layer.all_layers()]
    return [
        {k: v for k, v in part.items() if isinstance(v, (str, int, np.ndarray))} for part in parts
    ]


@pytest.mark.parametrize("built", [True, False])
def test_what_is_handed_in_stays_as_it_is(built):
    model = Sequential([Dense(4, "sigmoid"), Dropout(0.5, seed=1), Dense(3, "softmax")])
    if built:
        model.build((None, 3))
        for weight in model.weights:
            weight.gradient.fill(7)
    dropout = model.layers[1]
    before = copy.deepcopy([state(model), dropout.generator.bit_generator.state])
    weights = model.get_weights() if built else None
    x, y = X.astype("float32"), np.array([0, 1, 2, 0])
    given = x.copy(), y.copy()
    check_layer(model, x)
    check_model(model, x, y)
    assert model.built is built
    assert model.dtype == "float32"
    np.testing.assert_equal([state(model), dropout.generator.bit_generator.state], before)
    np.testing.assert_array_equal(x, given[0], strict=True)
    np.testing.assert_array_equal(y, given[1], strict=True)
    if weights:
        for weight, kept in zip(model.weights, weights, strict=True):
            np.testing.assert_array_equal(weight.value, kept, strict=True)
            assert (weight.gradient == 7).all()


def test_a_loss_stays_as_it_is():
    loss = MeanSquaredError(dtype="float32")
    y, p = X.astype("float32"), 2 * X
    check_loss(loss, y, p, [1.0, 2.0, 0.0, 1.0])
    assert loss.dtype == "float32"
    np.testing.assert_array_equal(y, X.astype("float32"), strict=True)
    np.testing.assert_array_equal(p, 2 * X)


def test_a_loss_that_writes_into_its_targets_is_named():
    class Spoils(MeanSquaredError):  # noqa: N818  an error of the other kind
        def call(self, y_true, y_pred):
            values = super().call(y_true, y_pred)
            y_true *= 2
            return values

        def derivative(self, y_true, y_pred):
            return super().derivative(y_true, y_pred)

    with pytest.raises(ValueError, match="call of loss 'spoils' writes into an argument"):
        check_loss(Spoils(), X.copy(), 2 * X)


def test_a_model_s_wrong_layer_is_named():
    wrong = spoilt(Dense, on("bias", lambda g: 2 * g))
    model = Sequential([Dense(3, "tanh"), Sequential([wrong(3, name="second")]), Dense(1)])
    with pytest.raises(GradientError, match=r"weight 'bias' of layer 'second', entry \[0\]"):
        check_model(model, X, X[:, :1])


def test_a_nested_model_is_checked_with_its_penalties():
    model = Sequential([Dense(3, "tanh", activity_regularizer="l2"), Dense(2)])
    check_layer(model, X)


def test_without_x_the_shape_must_be_known():
    check_layer(Dense(2, input_shape=(3,)))
    check_layer(Dense(2), input_shape=(5, 3))
    with pytest.raises(ValueError, match="input shape of layer 'dense' is unknown"):
        check_layer(Dense(2))
