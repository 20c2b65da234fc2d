"""What users write is used as it stands, or refused by a message that names it.

Each situation was reported of nnlite or of another library; the right value stands beside it.
"""

import numpy as np
import pytest

import nnlite
from nnlite import Input, Model, Sequential, gradcheck, losses, regularizers
from nnlite.gradcheck import check_layer, check_loss, check_model
from nnlite.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    GaussianNoise,
    Identity,
    Layer,
    ReLU,
)

X = np.random.default_rng(1).standard_normal((24, 3)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def trained(*layers, loss="mse", cls=Sequential, y=Y, **options):
    """Return a model after an epoch of three batches, from the same first weights each time."""
    model = cls([*layers])
    model.compile(nnlite.optimizers.SGD(0.1), loss)
    model.build((None, X.shape[1]))
    begin_anew(model)
    model.fit(X, y, 8, verbose=0, shuffle=False, **options)
    return model


def begin_anew(model):
    generator = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(0.5 * generator.standard_normal(weight.shape))


def assert_same(model, other, rtol=1e-5):
    assert model.get_weights()
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol, 1e-6)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol, 1e-6)


# ---- losses -----------------------------------------------------------------------------------

LABELS = (Y[:, 0] > 0).astype(int)
CROSS_ENTROPIES = [
    (losses.BinaryCrossEntropy, "sigmoid", 1, Y),
    (losses.BinaryFocalCrossEntropy, "sigmoid", 1, Y),
    (losses.CategoricalCrossEntropy, "softmax", 2, np.eye(2)[LABELS]),
    (losses.CategoricalFocalCrossEntropy, "softmax", 2, np.eye(2)[LABELS]),
    (losses.SparseCategoricalCrossEntropy, "softmax", 2, LABELS),
]


@pytest.mark.parametrize(("cls", "last", "units", "y"), CROSS_ENTROPIES)
def test_a_cross_entropy_with_call_and_derivative_of_its_own_is_used(cls, last, units, y):
    class Threefold(cls):
        def call(self, y_true, y_pred):
            return 3 * super().call(y_true, y_pred)

        def derivative(self, y_true, y_pred):
            return 3 * super().derivative(y_true, y_pred)

    model = trained(Dense(units, last), loss=Threefold(), y=y)
    weighted = trained(Dense(units, last), loss=cls(), y=y, sample_weight=np.full(24, 3.0))
    assert_same(model, weighted, 1e-4)
    once = model.loss.gradient(y, model.predict(X))
    np.testing.assert_allclose(once, 3 * cls().gradient(y, model.predict(X)), rtol=1e-5)
    loss = model.evaluate(X, y, verbose=0)
    assert loss == pytest.approx(3 * cls()(y, model.predict(X)), rel=1e-5)
    check_loss(Threefold(), y, model.predict(X))
    check_model(model, X, y)


def test_positives_weigh_ten_times():
    class Weighted(losses.BinaryCrossEntropy):
        def call(self, y_true, y_pred):
            return -(10 * y_true * np.log(y_pred) + (1 - y_true) * np.log(1 - y_pred))[..., 0]

        def derivative(self, y_true, y_pred):
            return (1 - y_true) / (1 - y_pred) - 10 * y_true / y_pred

    y = np.array([[1.0], [0.0]])
    model = Sequential([Dense(1, "sigmoid", kernel_initializer="zeros")])
    model.compile("sgd", Weighted())
    # At p = 1/2 the mean of 10 log 2 and log 2.
    assert model.train_on_batch(np.ones((2, 1)), y) == pytest.approx(5.5 * np.log(2), rel=1e-6)
    check_model(model, np.array([[1.0], [2.0]]), y)


def test_a_derivative_alone_is_used_as_it_stands():
    class Twice(losses.MeanSquaredError):
        def derivative(self, y_true, y_pred):
            return 2 * super().derivative(y_true, y_pred)

    model = trained(Dense(2, "tanh"), Dense(1), loss=Twice())
    assert_same(model, trained(Dense(2, "tanh"), Dense(1), sample_weight=np.full(24, 2.0)))
    with pytest.raises(gradcheck.GradientError, match="loss 'twice'"):
        check_loss(Twice(), Y, 1 - Y)


def test_a_derivative_that_a_loss_keeps_is_not_written_to():
    class Kept(losses.MeanAbsoluteError):
        ones = np.ones((2, 1), "float32")

        def derivative(self, y_true, y_pred):
            return self.ones

    y, p = np.zeros((2, 1), "float32"), np.ones((2, 1), "float32")
    for _ in range(2):  # the mean of two samples: a half of each derivative, every time
        np.testing.assert_array_equal(Kept().gradient(y, p), [[0.5], [0.5]])
    np.testing.assert_array_equal(Kept.ones, 1)


def test_both_in_one_method_are_used():
    class Twice(losses.MeanSquaredError):
        def call_and_derivative(self, y_true, y_pred):
            values, derivative = super().call_and_derivative(y_true, y_pred)
            return 2 * values, 2 * derivative

    check_loss(Twice(), Y, 1.5 - Y)
    assert Twice()([[0.0]], [[3.0]]) == 18.0
    assert_same(trained(Dense(1), loss=Twice()), trained(Dense(1), sample_weight=np.full(24, 2.0)))


def test_where_one_class_defines_all_three_training_shares_the_work():
    calls = []

    class Shared(losses.Loss):
        def call(self, y_true, y_pred):
            return np.square(y_pred - y_true).mean(axis=-1)

        def derivative(self, y_true, y_pred):
            return 2 * (y_pred - y_true) / y_pred.shape[-1]

        def call_and_derivative(self, y_true, y_pred):
            calls.append(len(y_pred))
            return self.call(y_true, y_pred), self.derivative(y_true, y_pred)

    assert_same(trained(Dense(1), loss=Shared()), trained(Dense(1)))
    assert calls == [8, 8, 8]


def test_a_function_without_its_derivative_is_refused():
    for base in (losses.MeanSquaredError, losses.Huber, losses.BinaryCrossEntropy):
        message = f"Mine overrides call and inherits derivative from .*{'.*'.join('old gradient')}"
        with pytest.raises(TypeError, match=message[:50]):
            type("Mine", (base,), {"call": lambda self, y_true, y_pred: y_pred.sum(-1)})
    for base in (regularizers.L1, regularizers.L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(TypeError, match="Mine overrides __call__ and inherits gradient from"):
            type("Mine", (base,), {"__call__": lambda self, x: 1.0})
    with pytest.raises(TypeError, match="Mine overrides forward and inherits backward from Dense"):
        type("Mine", (Dense,), {"forward": lambda self, x, training=False: x})
    with pytest.raises(TypeError, match="Mine overrides apply and inherits chain from ReLU"):
        type("Mine", (ReLU,), {"apply": lambda self, x, out: x})
    with pytest.raises(TypeError, match=r"compute_loss.*compute_loss_gradient"):
        type("Mine", (Sequential,), {"compute_loss": lambda self, **data: 1.0})


def test_a_module_of_any_name_is_a_user_s():
    for module in ("network", "nnlite_extras", "__main__"):
        with pytest.raises(TypeError, match="Mine overrides call"):
            type("Mine", (Dense,), {"__module__": module, "call": lambda self, x: x})


def test_a_value_alone_is_enough_where_nothing_has_a_derivative():
    class Largest(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_true - y_pred).max(axis=-1)

    assert Largest()([[0.0, 0.0]], [[1.0, -3.0]]) == 3.0
    with pytest.raises(NotImplementedError, match="does not define derivative"):
        trained(Dense(1), loss=Largest())


def returning(**methods):
    """Return a loss whose methods return what is given."""
    functions = {name: lambda self, y, p, f=f: f(y, p) for name, f in methods.items()}
    return type("Mine", (losses.Loss,), functions)()


def square(y, p):
    return ((p - y) ** 2).mean(axis=-1)


def slope(y, p):
    return 2 * (p - y) / p.shape[-1]


@pytest.mark.parametrize(
    ("call", "derivative", "error", "message"),
    [
        (lambda y, p: None, slope, TypeError, "call of loss 'mine' must return an array of floats"),
        (lambda y, p: y > p, slope, TypeError, "call of loss 'mine'.*array of type bool"),
        (
            lambda y, p: square(y, p).mean(),
            slope,
            ValueError,
            r"shape \(8,\).*Received: shape \(\)",
        ),
        (lambda y, p: (p - y) ** 2, slope, ValueError, r"shape \(8,\).*Received: shape \(8, 2\)"),
        (square, lambda y, p: None, TypeError, "derivative of loss 'mine'.*Received: None"),
        (
            square,
            lambda y, p: slope(y, p)[0],
            ValueError,
            r"derivative.*\(8, 2\).*Received.*\(2,\)",
        ),
        (square, lambda y, p: np.sign(y).astype(int), TypeError, "derivative of.*type int64"),
        (square, lambda y, p: np.multiply(p, 2, out=p), ValueError, "derivative.* writes into"),
        (lambda y, p: square(np.add(y, 1, out=y), p), slope, ValueError, "call .* writes into"),
    ],
)
@pytest.mark.parametrize("weight", [None, np.arange(24.0)], ids=["even", "weighted"])
def test_what_a_loss_returns_is_checked(call, derivative, error, message, weight):
    loss = returning(call=call, derivative=derivative)
    with pytest.raises(error, match=message):
        trained(Dense(2), loss=loss, y=np.hstack([Y, Y]), sample_weight=weight)


def test_a_loss_in_double_precision_trains_as_one_in_single():
    exact = returning(
        call=lambda y, p: square(y.astype(float), p),
        derivative=lambda y, p: slope(y.astype(float), p),
    )
    assert_same(trained(Dense(1), loss=exact), trained(Dense(1)))


def test_a_loss_of_the_whole_batch_takes_weights_as_their_sum():
    class Norm(losses.Loss):
        axis = None

        def call(self, y_true, y_pred):
            return np.square(y_pred - y_true).mean()

        def derivative(self, y_true, y_pred):
            return 2 * (y_pred - y_true) / y_pred.size

    assert_same(trained(Dense(1), loss=Norm()), trained(Dense(1)))


# ---- layers -----------------------------------------------------------------------------------


class Plain(Dense):
    """A Dense with both passes of its own, as the guide documents them."""

    def forward(self, x, training=False):
        return super().forward(x, training)

    def backward(self, gradient):
        return super().backward(gradient)


class PlainActivation(Activation):
    def forward(self, x, training=False):
        return super().forward(x, training)

    def backward(self, gradient):
        return super().backward(gradient)


class PlainModel(Sequential):
    def forward(self, x, training=False):
        return super().forward(x, training)

    def backward(self, gradient):
        return super().backward(gradient)


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_layers_of_ones_own_work_first_in_the_middle_and_last(loss):
    def model(dense, activation, chain, cls=Sequential):
        inner = chain([dense(3, "relu"), dense(3)])
        return trained(
            dense(4, "tanh"), inner, activation("elu"), dense(1, "sigmoid"), loss=loss, cls=cls
        )

    usual = model(Dense, Activation, Sequential)
    assert_same(model(Plain, PlainActivation, PlainModel), usual)
    assert_same(model(Plain, PlainActivation, PlainModel, PlainModel), usual)
    assert_same(
        trained(Plain(1), PlainActivation("sigmoid"), loss=loss),
        trained(Dense(1), Activation("sigmoid"), loss=loss),
    )


def test_a_skip_around_a_whole_model():
    class Skip(Sequential):
        def forward(self, x, training=False):
            return x + super().forward(x, training)

        def backward(self, gradient):
            return gradient + super().backward(gradient)

    check_layer(Skip([Dense(4, "tanh"), Dense(3)]), X)
    check_model(Sequential([Skip([Dense(4, "tanh"), Dense(3)]), Dense(1)]), X, Y)
    whole = Skip([Dense(4, "tanh"), Dense(3)])
    check_model(whole, X, 2 * X)
    whole.fit(X, 2 * X, epochs=3, verbose=0)
    inner = whole.layers[1](whole.layers[0](X))
    np.testing.assert_allclose(whole.predict(X), X + inner, rtol=1e-6)


def test_a_gradient_reversed_on_purpose_is_used():
    class Reversal(Identity):
        def backward(self, gradient):
            return -gradient

    def after(cls, steps):
        model = trained(Dense(2), cls(), Dense(1), epochs=steps, steps_per_epoch=1)
        return model.get_weights()[0]

    first = after(Identity, 0)
    # In the first step the moves are each other's opposite.
    np.testing.assert_allclose(
        after(Identity, 1) - first, first - after(Reversal, 1), rtol=1e-3, atol=1e-7
    )


@pytest.mark.parametrize(
    "cls", [Dense, Dropout, Activation, ReLU, GaussianNoise, BatchNormalization]
)
def test_keras_s_hook_of_a_layer_is_refused_with_what_to_define(cls):
    with pytest.raises(TypeError, match=r"Mine overrides call.*forward\(self, x, training=False\)"):
        type("Mine", (cls,), {"call": lambda self, x: x})


def test_a_refused_dropout_tells_how_monte_carlo_dropout_is_done():
    for method in ("call", "forward"):
        with pytest.raises(TypeError, match=r"Monte-Carlo dropout.*model\(x, training=True\)"):
            type("Mine", (Dropout,), {method: lambda self, x, training=True: x})
    model = Sequential([Dense(200, kernel_initializer="ones"), Dropout(0.5)])
    once, again = model(np.ones((1, 1)), training=True), model(np.ones((1, 1)), training=True)
    assert (once != again).any()
    assert set(once.ravel()) == {0.0, 2.0}
    np.testing.assert_array_equal(model.predict(np.ones((1, 1))), np.ones((1, 200)))


def test_forward_has_to_take_whether_it_trains():
    with pytest.raises(
        TypeError, match=r"must take \(self, x, training=False\). Received: forward\(self, x\)"
    ):
        type("Mine", (Layer,), {"forward": lambda self, x: x})


class Scale(Layer):
    """y = x s, with what a test wants otherwise."""

    def build(self, input_shape):
        self.scale = self.add_weight("scale", input_shape[1:], "ones")

    def forward(self, x, training=False):
        self.cache = (x,)
        return x * self.scale.value

    def backward(self, gradient):
        (x,) = self.cache
        self.write(np.sum(x * gradient, axis=0))
        return gradient * self.scale.value

    def write(self, total):
        self.scale.gradient[...] = total


def scaled(**methods):
    return type("Mine", (Scale,), methods)()


WRONG = {
    "forward of layer 'mine' must return an array of floats. Received: None": (
        TypeError,
        {"forward": lambda self, x, training=False: None, "backward": Scale.backward},
    ),
    "forward of layer 'mine' must return an array of floats. Received: an object of type list": (
        TypeError,
        {"forward": lambda self, x, training=False: x.tolist(), "backward": Scale.backward},
    ),
    "forward of layer 'mine' must return an array of floats. Received: an array of type bool": (
        TypeError,
        {"forward": lambda self, x, training=False: x > 0, "backward": Scale.backward},
    ),
    "forward of layer 'mine' must return an array of shape (8, 3)": (
        ValueError,
        {
            "forward": lambda self, x, training=False: x.sum(axis=1),
            "backward": Scale.backward,
            "compute_output_shape": lambda self, shape: shape,
        },
    ),
    "as its compute_output_shape says. Received: shape (8, 2)": (
        ValueError,
        {
            "forward": lambda self, x, training=False: x[:, :2],
            "backward": Scale.backward,
            "compute_output_shape": lambda self, shape: shape,
        },
    ),
    "compute_output_shape of layer 'mine' must return a tuple": (
        TypeError,
        {"compute_output_shape": lambda self, shape: None},
    ),
    "forward of layer 'mine' writes into": (
        ValueError,
        {
            "forward": lambda self, x, training=False: np.multiply(x, 2, out=x),
            "backward": Scale.backward,
        },
    ),
    "backward of layer 'mine' must return an array of floats. Received: None": (
        TypeError,
        {"backward": lambda self, gradient: self.write(1.0)},
    ),
    "backward of layer 'mine' must return an array of shape (8, 3). Received: shape (3,)": (
        ValueError,
        {"backward": lambda self, g: Scale.backward(self, g).sum(axis=0)},
    ),
    "backward of layer 'mine' writes into": (
        ValueError,
        {"backward": lambda self, g: np.multiply(g, 2, out=g)},
    ),
    "backward of layer 'mine' must write the whole gradient of weight 'scale'": (
        ValueError,
        {"write": lambda self, total: None},
    ),
    "must write the whole gradient of weight 'scale', of shape (3,)": (
        ValueError,
        {"write": lambda self, total: np.copyto(self.scale.gradient[:2], total[:2])},
    ),
    "at every call: scale.gradient[...] = ..., and not +=": (
        ValueError,
        {"write": lambda self, total: np.add(self.scale.gradient, total, out=self.scale.gradient)},
    ),
}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("message", WRONG)
def test_what_a_layer_returns_is_checked_and_blamed_on_it(message, place):
    error, methods = WRONG[message]
    before, after = {"first": (0, 1), "middle": (1, 1), "last": (1, 0)}[place]
    layers = [
        *(Dense(3) for _ in range(before)),
        scaled(**methods),
        *(Dense(3) for _ in range(after)),
    ]
    with pytest.raises(error) as raised:
        trained(*layers, y=X)
    assert message in str(raised.value)


def test_predict_checks_too_and_hands_out_what_cannot_be_written():
    writes = scaled(
        forward=lambda self, x, training=False: np.multiply(x, 2, out=x), backward=Scale.backward
    )
    given = X.copy()
    for call in (Sequential([writes]).predict, Sequential([writes]), writes):
        with pytest.raises(ValueError, match="forward of layer 'mine' writes into"):
            call(given)
    np.testing.assert_array_equal(given, X)
    nothing = scaled(forward=lambda self, x, training=False: None, backward=Scale.backward)
    with pytest.raises(TypeError, match="forward of layer 'mine'"):
        Sequential([nothing]).predict(X)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_double_precision_from_a_layer_becomes_the_model_s(place):
    class Half(Layer):
        def forward(self, x, training=False):
            return np.where(x > 0, 0.5, 0.25) * x.astype(float)

        def backward(self, gradient):
            return gradient.astype(float)

    layers = [Dense(3), Dense(3)]
    layers.insert(place, Half())
    model = trained(*layers, y=X)
    assert model.predict(X).dtype == model(X).dtype == model.layers[place](X).dtype == "float32"
    assert {weight.dtype.name for weight in model.get_weights()} == {"float32"}


def test_a_weight_cannot_be_replaced_by_an_array():
    layer = Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel
    with pytest.raises(
        AttributeError, match=r"'kernel' of layer 'dense' is a weight.*kernel.assign"
    ):
        layer.kernel = np.zeros((3, 2))
    assert layer.kernel is kernel


def test_build_by_hand_makes_the_weights_once(tmp_path):
    layer = Dense(2, activation="relu")
    layer.build((None, 3))
    assert layer.built
    assert len(layer.weights) == 2
    with pytest.raises(ValueError, match=r"'dense' is already built, for .*\(None, 3\)"):
        layer.build((None, 3))
    model = Sequential([layer, Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = nnlite.models.load_model(tmp_path / "model.keras")
    assert_same(again, model)


def test_an_activation_can_be_assigned():
    model = trained(Dense(4, "relu"), Activation("relu"), Dense(1))
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].activation = "tanh"
    model.layers[1].activation = nnlite.activations.linear
    hidden = np.tanh(X @ kernel + bias)
    np.testing.assert_allclose(model.predict(X), model.layers[2](hidden), rtol=1e-5)
    check_model(model, X, Y)
    with pytest.raises(ValueError, match="Unknown activation: 'rellu'"):
        model.layers[0].activation = "rellu"
    with pytest.raises(TypeError, match="activation must be a name"):
        model.layers[1].activation = 5
    assert repr(model.layers[0]) == "Dense(units=4, activation=Tanh())"


def test_a_penalty_of_ones_own_is_used_and_checked():
    class Twice(regularizers.L2):
        def __call__(self, x):
            return np.float64(2 * super().__call__(x))

        def gradient(self, x):
            return 2 * super().gradient(x).astype(float)

    def model(penalty, activity):
        return trained(
            Dense(3, kernel_regularizer=penalty, activity_regularizer=activity), Dense(1)
        )

    twice = model(Twice(0.1), Twice(0.05))
    assert_same(twice, model(regularizers.L2(0.2), regularizers.L2(0.1)))
    check_model(twice, X, Y)
    for method, value, message in [
        ("__call__", None, "__call__ of regularizer Mine must return an array of floats"),
        ("__call__", np.ones(2), "__call__ of regularizer Mine"),
        ("gradient", 0.5, "gradient of regularizer Mine must return an array of shape"),
        ("gradient", None, "gradient of regularizer Mine"),
    ]:
        parts = {"__call__": lambda self, x: 1.0, "gradient": lambda self, x: 0 * x}
        parts[method] = lambda self, x, value=value: value
        mine = type("Mine", (regularizers.Regularizer,), parts)()
        with pytest.raises((TypeError, ValueError), match=message):
            model(mine, None)


# ---- models -----------------------------------------------------------------------------------


class Steps(Sequential):
    """Every step of its own, written of the documented pieces."""

    def train_step(self, data):
        x, y, sample_weight = nnlite.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self.backward(self.compute_loss_gradient(x, y, y_pred, sample_weight))
        self.update_weights()
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data):
        x, y, sample_weight = nnlite.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        results = self.compute_metrics(x, y, y_pred, sample_weight)
        return {"loss": loss, **results}

    def predict_step(self, data):
        x, _, _ = nnlite.utils.unpack_x_y_sample_weight(data)
        return self(x)


class Through(Sequential):
    """Every step of its own, by what nnlite does."""

    def train_step(self, data):
        return super().train_step(data)

    def test_step(self, data):
        return super().test_step(data)

    def predict_step(self, data):
        return super().predict_step(data)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred, sample_weight)


def penalized():
    return [
        Dense(4, "tanh", kernel_regularizer="l2", activity_regularizer="l2"),
        BatchNormalization(),
        Dense(1, "sigmoid", kernel_constraint="max_norm"),
    ]


@pytest.mark.parametrize("cls", [Steps, Through])
@pytest.mark.parametrize("weight", [None, np.arange(24.0)], ids=["even", "weighted"])
def test_steps_of_ones_own_train_as_nnlite_s_do(cls, weight):
    def run(cls):
        nnlite.set_random_seed(5)
        model = cls(penalized())
        model.compile("adam", "bce", metrics=["mae"])
        history = model.fit(X, Y, 8, 2, 0, validation_data=(X, Y), sample_weight=weight).history
        return model, history, model.evaluate(X, Y, 24, verbose=0, return_dict=True)

    (mine, history, scores), (usual, expected, wanted) = run(cls), run(Sequential)
    assert_same(mine, usual)
    assert list(history) == list(expected)
    for name in expected:
        np.testing.assert_allclose(
            history[name], expected[name], rtol=2e-2 if "val" in name else 1e-5
        )
    assert scores == pytest.approx(wanted, rel=1e-5)
    on_batch = mine.train_on_batch(X, Y, return_dict=True)
    assert on_batch == pytest.approx(usual.train_on_batch(X, Y, return_dict=True), rel=1e-4)


def test_keras_s_recipe_with_trackers_of_ones_own():
    class Custom(Sequential):
        def __init__(self, layers):
            super().__init__(layers)
            self.loss_tracker = nnlite.metrics.Mean(name="loss")
            self.mae_metric = nnlite.metrics.MeanAbsoluteError(name="mae")

        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            self.backward(2 * (y_pred - y) / y.size)
            self.update_weights()
            self.loss_tracker.update_state(np.square(y_pred - y))
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self):
            return [self.loss_tracker, self.mae_metric]

    model, usual = Custom([Dense(1)]), Sequential([Dense(1)])
    for one in (model, usual):
        one.build((None, 3))
        begin_anew(one)
    model.compile("sgd")
    history = model.fit(X, Y, 8, epochs=3, verbose=0, shuffle=False).history
    usual.compile("sgd", "mse", metrics=["mae"])
    expected = usual.fit(X, Y, 8, epochs=3, verbose=0, shuffle=False).history
    # Both trackers begin anew with each epoch, since `metrics` lists them.
    assert list(history) == ["loss", "mae"]
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-5)
    assert_same(model, usual)


def test_a_run_goes_on_with_trackers_of_ones_own(tmp_path):
    class Tracked(Sequential):
        def __init__(self, layers):
            super().__init__(layers)
            self.tracker = nnlite.metrics.Mean(name="error")

        def train_step(self, data):
            x, y = data
            super().train_step(data)
            self.tracker.update_state(np.abs(self(x) - y))
            return {"error": self.tracker.result()}

    def run(*callbacks):
        model = Tracked([Dense(1)])
        model.build((None, 3))
        begin_anew(model)
        model.compile("sgd", "mse")
        backup = nnlite.callbacks.BackupAndRestore(tmp_path, save_freq=1)
        return model.fit(
            X, Y, 8, 2, 0, shuffle=False, callbacks=[*callbacks, *[backup] * bool(callbacks)]
        )

    def fail(batch, logs):
        if batch == 1:
            raise SystemExit

    whole = run().history
    with pytest.raises(SystemExit):
        run(nnlite.callbacks.LambdaCallback(on_train_batch_begin=fail))
    assert run(nnlite.callbacks.LambdaCallback()).history == whole


def test_a_step_without_targets():
    class Autoencoder(Sequential):
        def train_step(self, data):
            (x,) = data
            y_pred = self(x, training=True)
            self.backward(2 * (y_pred - x) / x.size)
            self.update_weights()
            return {"loss": np.square(y_pred - x).mean()}

    mine, usual = Autoencoder([Dense(2), Dense(3)]), Sequential([Dense(2), Dense(3)])
    for model in (mine, usual):
        model.build((None, 3))
        begin_anew(model)
    mine.compile("sgd")
    mine.fit(X, batch_size=8, epochs=2, verbose=0, shuffle=False)
    usual.compile("sgd", "mse")
    usual.fit(X, X, 8, 2, 0, shuffle=False)
    assert_same(mine, usual)


@pytest.mark.parametrize("returned", [None, 3.0, {"loss": None}, {1: 2.0}, {"loss": "low"}])
def test_what_a_step_returns_is_checked(returned):
    for method in ("train_step", "test_step"):
        cls = type("Mine", (Sequential,), {method: lambda self, data: returned})
        model = cls([Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(
            TypeError, match=f"{method} of model 'mine' must return a dict of numbers"
        ):
            model.fit(X, Y, verbose=0, validation_data=(X, Y))
    cls = type("Mine", (Sequential,), {"predict_step": lambda self, data: None})
    with pytest.raises(TypeError, match="predict_step of model 'mine'"):
        cls([Dense(1)]).predict(X)


def test_hooks_that_are_never_called_are_refused():
    for method, instead in [
        ("call", "forward"),
        ("make_train_function", "train_step"),
        ("__call__", "forward"),
        ("weights", "add_weight"),
    ]:
        with pytest.raises(TypeError, match=f"Mine overrides {method}, .*{instead}"):
            type("Mine", (Sequential,), {method: lambda self, *given: None})


def test_optimizer_and_loss_can_be_assigned():
    model = trained(Dense(1))
    model.optimizer = "adam"
    model.loss = "mae"
    assert isinstance(model.optimizer, nnlite.optimizers.Adam)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(
        np.abs(model.predict(X) - Y).mean(), rel=1e-5
    )
    model.fit(X, Y, 8, verbose=0)
    assert model.optimizer.iterations == 3
    with pytest.raises(ValueError, match="Unknown optimizer: 'addam'"):
        model.optimizer = "addam"
    with pytest.raises(ValueError, match="Unknown loss: 'msee'"):
        model.loss = "msee"

    class Meddling(nnlite.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.loss = "mse"

    with pytest.raises(RuntimeError, match="loss has to wait for the end of the current fit"):
        model.fit(X, Y, verbose=0, callbacks=Meddling())


class Applied(Sequential):
    """A step as in Keras on PyTorch."""

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred)
        self.backward(self.compute_loss_gradient(x, y, y_pred))
        weights = self.trainable_weights
        self.optimizer.apply([weight.gradient for weight in weights], weights)
        return {"loss": loss}


def test_a_step_that_applies_gradients_by_itself_moves_the_averages_too():
    layers = lambda: [Dense(4, "tanh"), BatchNormalization(), Dense(1)]  # noqa: E731
    assert_same(trained(*layers(), cls=Applied), trained(*layers()))


def test_a_step_that_leaves_out_the_penalties_is_refused():
    with pytest.raises(RuntimeError, match=r"penalties on weights. Call update_weights\(\)"):
        trained(Dense(1, kernel_regularizer="l2"), cls=Applied)


def test_one_hook_stands_for_several_steps():
    class Watch(nnlite.callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_begin(self, batch, logs=None):
            self.seen.append(f"begin {batch}")

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(f"end {batch}")

        on_test_batch_begin, on_test_batch_end = on_train_batch_begin, on_train_batch_end

    model, watch = Sequential([Dense(1)]), Watch()
    model.compile("sgd", "mse", steps_per_execution=2)
    model.fit(X, Y, batch_size=5, verbose=0, callbacks=watch)  # five batches
    groups = ["begin 0", "end 1", "begin 2", "end 3", "begin 4", "end 4"]
    assert watch.seen == groups
    model.evaluate(X, Y, batch_size=5, verbose=0, callbacks=watch)
    assert watch.seen == 2 * groups


# ---- a step is whole --------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Sequential, Steps, Through])
def test_a_refused_step_leaves_averages_and_counts_as_they_were(cls):
    class Counting(Layer):
        def build(self, input_shape):
            self.count = self.add_weight("count", (1,), "zeros", trainable=False)

        def forward(self, x, training=False):
            if training:
                self.count.value += 1
            return x * 1.0

        def backward(self, gradient):
            return gradient

    model = cls([BatchNormalization(), Counting(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, 8, verbose=0)
    before = model.get_weights()
    assert before[4] == [3.0]
    with pytest.raises(FloatingPointError, match="weights are those before this step"):
        model.fit(X, np.full_like(Y, 1e30), 24, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(X, Y, 8, verbose=0)
    assert model.get_weights()[4] == [6.0]


def test_finding_out_the_shape_leaves_what_forward_has_kept():
    """The shape is found by a forward pass on zeros, also of a layer of several inputs."""

    class Times(Layer):
        takes_several = True

        def forward(self, x, training=False):
            self.cache = tuple(x)
            return x[0] * x[1]

        def backward(self, gradient):
            a, b = self.cache
            return [gradient * b, gradient * a]

    x = Input((2,), dtype="float64")
    parts = [Dense(3, dtype="float64")(x) for _ in range(2)]
    model = Model(x, Times(dtype="float64")(parts))
    check_model(model, np.ones((4, 2)), np.zeros((4, 3)))
