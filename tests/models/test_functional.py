"""Functional models and subclasses: what they are made of, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

import nnlite
from nnlite import Input, Layer, Model, Sequential, layers
from nnlite.layers import Dense

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def branched():
    a, b = Input((4,), name="a"), Input((2,), name="b")
    h = Dense(3, "tanh", name="left")(a)
    y = Dense(1, name="end")(layers.Concatenate(name="both")([h, Dense(3, name="right")(b)]))
    return Model([a, b], y)


def test_the_output_is_that_of_the_layers_by_hand():
    model = branched()
    left, right, end = (model.get_layer(name) for name in ("left", "right", "end"))
    b = X[:, :2]
    expected = end(np.concatenate([left(X), right(b)], axis=-1))
    np.testing.assert_allclose(model([X, b]), expected, rtol=1e-6)
    np.testing.assert_allclose(model({"a": X, "b": b}), expected, rtol=1e-6)


def test_names_and_layers_are_those_of_keras():
    model = branched()
    assert model.name == "functional"
    assert [layer.name for layer in model.layers] == ["a", "b", "left", "right", "both", "end"]
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["end"]
    assert model.input_shape == [(None, 4), (None, 2)]
    assert model.output_shape == (None, 1)
    assert [tensor.shape for tensor in model.inputs] == [(None, 4), (None, 2)]
    assert model.output is model.outputs[0] is model.get_layer("end").output
    assert [t.name for t in model.get_layer("both").input] == ["left", "right"]
    assert isinstance(model, nnlite.models.Functional)
    assert repr(model) == "<Functional name=functional, built=True>"


def test_layers_are_listed_from_the_farthest_from_the_outputs_to_the_nearest():
    x = Input((4,), name="x")
    late = Dense(3, name="late")(x)
    early = Dense(3, name="second")(Dense(3, name="first")(x))
    model = Model(x, layers.Add(name="sum")([late, early]))
    assert [layer.name for layer in model.layers] == ["x", "first", "late", "second", "sum"]


def test_layers_without_a_name_are_numbered_in_the_order_of_the_model():
    x = Input((4,))
    model = Model(x, Dense(2)(Dense(3)(x)))
    assert [layer.name for layer in model.layers] == ["input_layer", "dense", "dense_1"]
    assert [weight.path for weight in model.weights][:2] == ["dense/kernel", "dense/bias"]


def test_a_model_of_inner_tensors_shares_the_layers():
    model = Sequential([Input((4,)), Dense(3, "tanh"), Dense(1)])
    half = Model(model.input, model.layers[0].output)
    np.testing.assert_array_equal(half.predict(X), model.layers[0](X))
    before = half.predict(X)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert (half.predict(X) != before).any()
    rest = Model(model.layers[0].output, model.output)
    np.testing.assert_allclose(rest(half(X)), model(X), rtol=1e-6)


def test_a_model_is_a_layer_and_can_be_called_twice():
    encoder = Sequential([Input((4,)), Dense(3, "tanh")], name="encoder")
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], Dense(1)(encoder(a) * encoder(b)))
    assert len(model.weights) == 4
    assert model.count_params() == 4 * 3 + 3 + 3 + 1
    np.testing.assert_allclose(
        model([X, 2 * X]), model.layers[-1](encoder(X) * encoder(2 * X)), rtol=1e-6
    )


def test_calls_in_another_mode():
    x = Input((4,))
    always = Model(x, layers.Dropout(0.5, seed=1)(x, training=True))
    assert (always.predict(X) == 0).any()
    never = Model(x, Dense(1)(layers.Dropout(0.5)(x, training=False)))
    np.testing.assert_allclose(never(X, training=True), never(X), rtol=1e-6)


def test_a_frozen_base_runs_as_outside_of_training():
    base = Sequential([Input((4,)), Dense(3), layers.BatchNormalization()])
    base.trainable = False
    x = Input((4,))
    model = Model(x, Dense(1)(base(x, training=False)))
    before = base.get_weights()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_training_some_layers_cannot_go_back():
    class Shift(Layer):
        def forward(self, x, training=False):
            return x + 1

        def backward(self, gradient):
            return gradient

    x = Input((4,))
    model = Model(x, Dense(1)(Shift(name="shift")(Dense(2)(x), training=False)))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="'shift' is called with training=False"):
        model.fit(X, X[:, :1], verbose=0)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_computes_and_trains_alike_and_shares_nothing(way):
    x = Input((4,))
    model = Model(x, Dense(1)(layers.Dropout(0.2, seed=3)(Dense(3)(x)) + 1))
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    twin = way(model)
    for one in (model, twin):
        one.fit(X, X[:, :1], verbose=0, shuffle=False)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert not np.shares_memory(twin.weights[0].value, model.weights[0].value)
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]


def test_long_chains_are_copied():
    model = Sequential([Input((2,)), *(Dense(2) for _ in range(600))])
    assert len(pickle.loads(pickle.dumps(copy.deepcopy(model))).layers) == 600


def test_the_summary_tells_what_is_connected(capsys):
    branched().summary()
    shown = capsys.readouterr().out
    assert "Connected to" in shown
    assert "| both (Concatenate) | (None, 6)    |       0 | left[0][0], right[0][0] |" in shown
    Sequential([Input((4,)), Dense(1)]).summary()
    assert "Connected to" not in capsys.readouterr().out


# ---- what is refused ----------------------------------------------------------------------------


def test_inputs_that_are_missing_or_no_tensors_are_refused():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    y = layers.Add()([a, b])
    with pytest.raises(ValueError, match="depend on input 'b', which is not among inputs: a"):
        Model(a, y)
    with pytest.raises(ValueError, match="An input is given twice"):
        Model([a, a, b], y)
    with pytest.raises((TypeError, ValueError), match=r"takes tensors, .* Received: 3"):
        Model(a, 3)
    with pytest.raises((TypeError, ValueError), match="as inputs"):
        Model(X, y)


def test_two_layers_of_one_name_are_refused():
    x = Input((4,))
    with pytest.raises(ValueError, match="Two layers of the model are named 'same'"):
        Model(x, Dense(1, name="same")(Dense(2, name="same")(x)))


def test_two_float_types_are_refused():
    x = Input((4,))
    with pytest.raises(ValueError, match="has layers of float32 and float64"):
        Model(x, Dense(1, dtype="float64")(Dense(2)(x)))


def test_shapes_that_do_not_fit_are_refused_where_they_meet():
    dense = Dense(2, name="two")
    dense(Input((4,)))
    with pytest.raises(ValueError, match="'two' is built for an input of shape"):
        dense(Input((3,)))


def test_tensors_have_no_numbers():
    x = Input((4,))
    for use in (np.exp, np.asarray, bool, len, list, float, lambda t: t == 3):
        with pytest.raises(TypeError, match=r"KerasTensor|float"):
            use(x)


# ---- subclasses ---------------------------------------------------------------------------------


class Residual(Model):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Dense(units, "relu"), Dense(units)]
        self.drop = layers.Dropout(0.5, seed=1)

    def call(self, x, training=False):
        y = self.blocks[1](self.blocks[0](x))
        return x + self.drop(y) if training else x + y


def test_a_subclass_is_what_its_call_says():
    model = Residual()
    first, second = model.blocks
    np.testing.assert_allclose(model(X), X + second(first(X)), rtol=1e-6)
    assert model.layers == [first, second, model.drop]
    assert [weight.path for weight in model.weights][::2] == ["dense/kernel", "dense_1/kernel"]
    assert not np.allclose(model(X, training=True), model(X))


def test_a_subclass_learns():
    nnlite.set_random_seed(1)
    model = Residual()
    model.compile(nnlite.optimizers.Adam(0.05), "mse")
    history = model.fit(X, 2 * X, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.4 * history[0]  # dropout makes it noisy
    assert model.evaluate(X, 2 * X, verbose=0) < history[0]


def test_a_subclass_is_a_layer():
    x = Input((4,))
    model = Model(x, Dense(1)(Residual()(x)))
    assert model(X).shape == (6, 1)
    assert Sequential([Residual(), Dense(2)]).predict(X).shape == (6, 2)


def test_a_subclass_of_several_inputs_and_outputs():
    class Pair(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2)

        def call(self, inputs):
            a, b = inputs["a"], inputs["b"]
            return {"sum": self.dense(a + b), "product": self.dense(a * b)}

    model = Pair()
    made = model({"a": X, "b": 2 * X})
    np.testing.assert_allclose(made["sum"], model.dense(3 * X), rtol=1e-6)
    np.testing.assert_allclose(made["product"], model.dense(2 * X * X), rtol=1e-5)


def test_layers_may_be_appended_and_made_in_build():
    class Appended(Model):
        def __init__(self):
            super().__init__()
            self.blocks = []
            for _ in range(2):
                self.blocks.append(Dense(4))

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Appended()
    np.testing.assert_allclose(model(X), model.blocks[1](model.blocks[0](X)), rtol=1e-6)
    for calls_super in (False, True):

        class Built(Model):
            def build(self, input_shape):
                self.dense = Dense(input_shape[-1] // 2)
                if calls_super:  # noqa: B023
                    super().build(input_shape)

            def call(self, x):
                return self.dense(x)

        model = Built()
        assert model.predict(X).shape == (6, 2)
        assert len(model.weights) == 2


def test_another_layer_in_an_attribute_is_used():
    model = Residual()
    first = model.predict(X)
    model.blocks[1] = Dense(4, kernel_initializer="zeros")  # in a list that is there already
    np.testing.assert_array_equal(model.predict(X), X)
    assert len(model.layers) == 3
    model.drop = layers.GaussianNoise(0.0)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense", "GaussianNoise"]
    np.testing.assert_array_equal(model(X, training=True), X)
    model.compile("sgd", "mse")
    model.fit(X, 2 * X, verbose=0)
    assert (model.predict(X) != X).any()
    assert (model.predict(X) != first).any()


def test_what_cannot_be_traced_is_refused():
    def model_of(call):
        model = type("Mine", (Model,), {"call": call})()
        model.dense = Dense(4)
        return model

    for call, message in [
        (lambda self, x: np.exp(x), "call of model 'mine' is run on tensors"),
        (lambda self, x: x if x else None, "call of model 'mine' is run on tensors"),
        (lambda self, x: self.dense(x - x.mean()), "call of model 'mine' is run on tensors"),
        (lambda self, x: 3.0, "must return tensors"),
        (lambda self, x: Dense(2)(x), "makes layer 'dense' itself"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            model_of(call).predict(X)


def test_a_model_without_layers_says_what_to_do():
    with pytest.raises((NotImplementedError, ValueError), match=r"define call|is empty"):
        Model().predict(X)


def test_sequential_and_functional_models_refuse_a_call():
    for base in (Sequential, nnlite.models.Functional):
        with pytest.raises(TypeError, match="Mine overrides call"):
            type("Mine", (base,), {"call": lambda self, x: x})
