"""Copies, threads, and whose memory is whose: no array of a user's changes by a later call."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from chains import X, Y, assert_same, differ, rng, small

from nnlite import Input, Sequential, optimizers, set_random_seed
from nnlite.layers import (
    Activation,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Softmax,
)

# ---- copies ---------------------------------------------------------------------------------


def trained(dropout=0.3):
    set_random_seed(8)
    model = Sequential([Dense(5, "tanh", kernel_regularizer="l2"), Dropout(dropout), Dense(2)])
    model.compile(optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0), "mse", metrics=["mae"])
    model.fit(X, Y, 5, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_a_copy_continues_to_the_same_bits(way):
    model = trained()
    other = way(model)
    assert_same(other.get_weights(), model.get_weights())
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert other.optimizer is not model.optimizer
    assert other.optimizer.iterations == model.optimizer.iterations == 6
    histories = []
    for each in (model, other):
        set_random_seed(9)
        histories.append(each.fit(X, Y, 5, epochs=3, verbose=0).history)
    assert histories[0] == histories[1]
    assert_same(other.get_weights(), model.get_weights())


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_a_copy_shares_nothing(way):
    model = trained()
    other = way(model)
    weights = model.get_weights()
    state = {slot: vector.copy() for slot, vector in model.optimizer.state.items()}
    other.fit(X, Y, verbose=0)
    other.layers[0].trainable = False
    other.add(Dense(1))
    assert_same(model.get_weights(), weights)
    for slot, vector in model.optimizer.state.items():
        np.testing.assert_array_equal(vector, state[slot])
    assert len(model.layers) == 3
    assert model.layers[0].trainable
    kept = other.get_weights()
    model.fit(X, Y, verbose=0)
    assert_same(other.get_weights(), kept)


def test_unbuilt_and_untrained_models_copy_too():
    for make in (Sequential, lambda: Sequential([Dense(2, "relu")]), small):
        model = make()
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert repr(other) == repr(model)
            assert other.built == model.built


def test_a_pickle_holds_the_weights_once():
    model = Sequential([Input((100,)), Dense(100)])
    model.fit(np.zeros((4, 100)), np.zeros((4, 100)), verbose=0)
    assert len(pickle.dumps(model)) < 10_100 * 4 + 10_000


def test_a_copied_layer_goes_its_own_way():
    model = small()
    layer = copy.deepcopy(model.layers[0])
    weights = layer.get_weights()
    model.fit(X, Y, verbose=0)
    assert_same(layer.get_weights(), weights)


# ---- threads --------------------------------------------------------------------------------


def test_sixteen_threads_predict_what_one_does():
    set_random_seed(1)
    model = Sequential(
        [Dense(32, "relu"), Dropout(0.5), Dense(16), LeakyReLU(), Dense(8, "tanh"), Softmax()]
    )
    batches = [rng.standard_normal((50 + 37 * i, 4)) for i in range(16)]
    model.build((None, 4))
    alone = [model.predict(batch, verbose=0) for batch in batches]
    jobs = [i % 16 for i in range(160)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda i: model.predict(batches[i], 32, verbose=0), jobs))
    for i, output in zip(jobs, together, strict=True):
        np.testing.assert_allclose(output, alone[i], rtol=1e-5, atol=1e-7)


# ---- what a user is handed ------------------------------------------------------------------


LAYERS = [
    lambda: Dense(4),
    lambda: Dense(4, "relu"),
    lambda: Activation("sigmoid"),
    lambda: ReLU(),
    lambda: Softmax(),
    lambda: Activation("linear"),
    lambda: Flatten(),
    lambda: Dropout(0.5),
    lambda: Dropout(0.0),
    lambda: Sequential([Flatten()]),
    lambda: Sequential([Dense(4, "tanh"), Dropout(0.5)]),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("make", LAYERS)
def test_a_layers_output_is_the_users_own(make, training):
    layer, x = make(), X.copy()
    first = layer(x, training=training)
    kept = first.copy()
    assert not np.shares_memory(first, x)
    layer(x + 1, training=training)
    layer(x[:3], training=training)
    np.testing.assert_array_equal(first, kept)
    first[...] = 7
    np.testing.assert_array_equal(x, X)
    if not training:
        np.testing.assert_array_equal(layer(x), kept)


@pytest.mark.parametrize("make", LAYERS)
def test_predictions_are_the_users_own(make):
    x = X.copy()
    model = Sequential([make()])
    model.compile("sgd", "mse")
    outputs = [model.predict(x), model.predict_on_batch(x), model.predict(x, 5)]
    kept = [output.copy() for output in outputs]
    model.predict(x + 1)
    model.fit(x, x, 5, verbose=0)
    model.train_on_batch(x, x)
    assert_same(outputs, kept)
    for output in outputs:
        assert not np.shares_memory(output, x)
        output[...] = 7
    np.testing.assert_array_equal(x, X)


def test_weights_and_history_handed_out_stay_as_they_are():
    model = small()
    weights = model.get_weights()
    variable = model.weights[0].numpy()
    history = model.fit(X, Y, epochs=2, verbose=0)
    values = list(history.history["loss"])
    kept = [weight.copy() for weight in model.get_weights()]
    later = model.get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    assert_same(later, kept)
    assert history.history["loss"] == values
    np.testing.assert_array_equal(variable, weights[0])
    later[0][...] = 9
    assert (model.get_weights()[0] != 9).all()
    given = [np.ones_like(weight) for weight in weights]
    model.set_weights(given)
    model.fit(X, Y, verbose=0)
    assert all((weight == 1).all() for weight in given)


class Scale(Layer):
    """A layer of one's own, without a compute_output_shape."""

    def build(self, input_shape):
        self.scale = self.add_weight("scale", input_shape[1:], "ones")

    def forward(self, x, training=False):
        if training:
            self.cache = (x,)
        return x * self.scale.value

    def backward(self, gradient):
        (x,) = self.cache
        np.sum(gradient * x, axis=0, out=self.scale.gradient)
        return gradient * self.scale.value


def test_a_layer_of_ones_own_takes_its_place():
    model = Sequential([Input((4,)), Dense(3), Scale(), Dense(2)])
    assert model.count_params() == 26
    assert model.output_shape == (None, 2)
    before = model.get_weights()
    history = model.fit(X, Y, 5, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert all(differ(model.get_weights(), before))
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_backward_needs_a_forward_in_training():
    model = small()
    with pytest.raises(RuntimeError, match=r"forward\(x, training=True\)"):
        model.backward(Y)
    model.fit(X, Y, verbose=0)
    with pytest.raises(RuntimeError, match=r"forward\(x, training=True\)"):
        model.layers[0].backward(np.zeros((12, 3), "float32"))
