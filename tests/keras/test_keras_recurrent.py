"""Recurrent layers, cells and wrappers against Keras's: values, steps, configurations, files."""

import jax
import keras
import numpy as np
import pytest

import nnlite
from nnlite import layers, models

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
COUNT = np.ones((4, 5), bool)
COUNT[0, 3:] = COUNT[1, :2] = COUNT[2, 2] = False
X[~COUNT] = 0
Y = RNG.normal(size=(4, 2)).astype("float32")

#: What makes a layer of a library's layers, for sequences or not.
MAKERS = {
    "SimpleRNN": lambda k, **o: k.SimpleRNN(2, **o),
    "SimpleRNN softmax": lambda k, **o: k.SimpleRNN(2, "softmax", use_bias=False, **o),
    "LSTM": lambda k, **o: k.LSTM(2, **o),
    "LSTM others": lambda k, **o: k.LSTM(
        2,
        "linear",
        recurrent_activation="hard_sigmoid",
        unit_forget_bias=False,
        kernel_regularizer="l2",
        recurrent_regularizer="l1",
        bias_constraint="non_neg",
        **o,
    ),
    "GRU activity": lambda k, **o: k.GRU(2, activity_regularizer="l2", **o),
    "GRU": lambda k, **o: k.GRU(2, **o),
    "GRU of 2014": lambda k, **o: k.GRU(2, "elu", reset_after=False, **o),
    "GRU without a bias": lambda k, **o: k.GRU(2, use_bias=False, **o),
    "RNN": lambda k, **o: k.RNN(k.GRUCell(2, activation="relu"), **o),
    "stacked": lambda k, **o: k.RNN([k.LSTMCell(3), k.GRUCell(4), k.SimpleRNNCell(2)], **o),
    "StackedRNNCells": lambda k, **o: k.RNN(k.StackedRNNCells([k.GRUCell(3), k.LSTMCell(2)]), **o),
}
WRAPPED = {
    **{
        f"Bidirectional {mode}": lambda k, mode=mode, **o: k.Bidirectional(
            k.LSTM(1 if mode == "concat" else 2, **o), merge_mode=mode
        )
        for mode in ("concat", "sum", "mul", "ave")
    },
    "Bidirectional of two": lambda k, **o: k.Bidirectional(
        k.GRU(1, **o), backward_layer=k.SimpleRNN(1, activation="relu", go_backwards=True, **o)
    ),
}


def chain(k, kind):
    make = {**MAKERS, **WRAPPED}[kind]
    stack = [k.layers.Input((5, 3)), k.layers.Masking(), make(k.layers, return_sequences=True)]
    return k.Sequential([*stack, k.layers.SimpleRNN(2)])


def close(ours, theirs, rtol=2e-5):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=2e-6)


def in_turn(kinds):
    """Return each kind with two of four ways to use it, which take turns."""
    ways = [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "go_backwards": True},
        {"return_sequences": True, "zero_output_for_mask": True},
    ]
    return [(kind, ways[(at + more) % 4]) for at, kind in enumerate(kinds) for more in (0, 1)]


@pytest.mark.parametrize(("kind", "options"), in_turn([*MAKERS, *WRAPPED]))
def test_values_and_gradients(kind, options):
    if kind in WRAPPED and "go_backwards" in options:
        options = {}
    ours, theirs = ({**MAKERS, **WRAPPED}[kind](k, **options) for k in (layers, keras.layers))
    theirs.build((4, 5, 3))
    ours.build((None, 5, 3))
    weights = [RNG.normal(0, 0.6, w.shape).astype("float32") for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    fixed = [variable.value for variable in theirs.non_trainable_variables]

    def run(trainable, x):
        return theirs.stateless_call(trainable, fixed, x, mask=COUNT, training=True)[0]

    y, pullback = jax.vjp(run, [jax.numpy.asarray(weight) for weight in weights], X)
    close([ours(X, training=True, mask=COUNT)], [y])
    R = RNG.normal(size=y.shape).astype("float32")
    of_weights, of_x = pullback(R)
    close([ours.backward(R)], [of_x])
    close([weight.gradient for weight in ours.trainable_weights], of_weights)


@pytest.mark.parametrize("kind", ["LSTM others", "GRU activity", "Bidirectional concat"])
def test_steps_with_penalties_and_constraints(kind):
    ours, theirs = (chain(k, kind) for k in (nnlite, keras))
    rng = np.random.default_rng(1)
    theirs.set_weights([rng.normal(0, 0.6, w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    for model in (ours, theirs):
        model.compile("sgd", "mse")
    losses = [[m.train_on_batch(X, Y) for _ in range(2)] for m in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    close(ours.get_weights(), theirs.get_weights())


def states_model(k, kind):
    """A decoder's layer, which begins with the last states of an encoder's, both put out."""
    make = {"LSTM": k.layers.LSTM, "GRU": k.layers.GRU}.get(kind)
    x, y = k.Input((5, 3), name="x"), k.Input((None, 3), name="y")
    if make:
        _, *states = make(2, return_state=True, name="encoder")(x)
        output, *last = make(2, return_state=True, name="decoder")(y, initial_state=states)
    else:
        both = k.layers.Bidirectional(k.layers.LSTM(2, return_state=True), name="encoder")
        _, *states = both(x)
        decoder = k.layers.Bidirectional(
            k.layers.LSTM(2, return_state=True, return_sequences=True), name="decoder"
        )
        output, *last = decoder(y, initial_state=states)
        output = k.layers.TimeDistributed(k.layers.Dense(2, name="dense"), name="every")(output)
    return k.Model([x, y], [output, *last], name="seq2seq")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "Bidirectional"])
def test_states_go_from_one_layer_to_another(kind, tmp_path):
    ours, theirs = states_model(nnlite, kind), states_model(keras, kind)
    ours.set_weights(theirs.get_weights())
    inputs = [X, X[:, 1:4]]
    wanted = theirs.predict(inputs, verbose=0)
    close(ours.predict(inputs, verbose=0), wanted)
    theirs.save(tmp_path / "theirs.keras")
    close(models.load_model(tmp_path / "theirs.keras").predict(inputs, verbose=0), wanted)
    ours.save(tmp_path / "ours.keras")
    close(keras.saving.load_model(tmp_path / "ours.keras").predict(inputs, verbose=0), wanted)


def test_a_stateful_layer_and_the_merge_mode_none():
    ours, theirs = (
        k.layers.Bidirectional(k.layers.GRU(2, stateful=True), merge_mode=None)
        for k in (nnlite, keras)
    )
    theirs(X)
    theirs.reset_state()
    ours(X)
    ours.reset_state()
    ours.set_weights(theirs.get_weights())
    for _ in range(2):
        close(ours(X, mask=COUNT), theirs(X, mask=COUNT))


def test_a_cell_by_hand():
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        ours, theirs = (getattr(k, name)(2) for k in (layers, keras.layers))
        states = [RNG.normal(size=(4, 2)).astype("float32")] * (2 if name == "LSTMCell" else 1)
        theirs(X[:, 0], states)
        ours(X[:, 0])
        ours.set_weights(theirs.get_weights())
        output, after = theirs(X[:, 0], states)
        close([ours(X[:, 0], states)[0], *ours(X[:, 0], states)[1]], [output, *after])
        assert ours.state_size == theirs.state_size
        assert ours.output_size == theirs.output_size


# ---- configurations -----------------------------------------------------------------------------

MORE = {
    "cell": lambda k: k.LSTMCell(2, dropout=0.2, seed=3, name="it"),
    "cells": lambda k: k.StackedRNNCells([k.GRUCell(2, name="a")], name="it"),
    "every step": lambda k: k.TimeDistributed(k.Dense(2, name="dense"), name="it"),
}


@pytest.mark.parametrize("kind", [*MAKERS, *WRAPPED, *MORE])
def test_configurations_are_equal(kind):
    if kind in MORE:
        ours, theirs = (MORE[kind](k) for k in (layers, keras.layers))
    else:
        make = {**MAKERS, **WRAPPED}[kind]
        ours, theirs = (make(k, return_sequences=True) for k in (layers, keras.layers))
    mine, wanted = ours.serialized(), keras.saving.serialize_keras_object(theirs)
    assert unnamed(mine["config"]) == unnamed(wanted["config"])
    assert mine["module"] == wanted["module"]
    again = keras.saving.deserialize_keras_object(mine)
    assert unnamed(again.get_config()) == unnamed(wanted["config"])
    read = layers.deserialize(wanted).get_config()
    assert unnamed(read) == unnamed(wanted["config"])


def unnamed(config):
    """Return a configuration without names, which count up in each library, shapes, and seeds."""
    if isinstance(config, list):
        return [unnamed(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {
        key: unnamed(value)
        for key, value in config.items()
        if key not in ("build_config", "seed") and (key != "name" or "trainable" not in config)
    }


# ---- files --------------------------------------------------------------------------------------


def deep(k):
    """Every kind of layer that holds others, one after the other."""
    inner = k.Sequential(
        [k.layers.Input((2,)), k.layers.Dense(3, name="wide"), k.layers.BatchNormalization()],
        name="inner",
    )
    cells = k.layers.StackedRNNCells(
        [k.layers.LSTMCell(3, name="low"), k.layers.GRUCell(2, name="high")], name="cells"
    )
    return k.Sequential(
        [
            k.layers.Input((5, 3)),
            k.layers.Bidirectional(k.layers.LSTM(1, return_sequences=True, name="both"), name="bi"),
            k.layers.TimeDistributed(inner, name="every"),
            k.layers.RNN(cells, return_sequences=True, name="stack"),
            k.layers.SpatialDropout1D(0.0, name="drop"),
            k.layers.GRU(2, return_sequences=True, name="gru"),
            k.layers.SimpleRNN(2, name="simple"),
        ],
        name="deep",
    )


def paths(model):
    """Return the paths of all weights outside of nested models, without the model's own name."""
    found = [variable.path.removeprefix("deep/") for variable in model.weights]
    return [path for path in found if path.split("/")[0] in ("bi", "stack", "gru", "simple")]


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_models_go_both_ways_with_their_optimizer(kind, tmp_path):
    theirs = deep(keras)
    theirs.compile("adam", "mse")
    theirs.optimizer.build(theirs.trainable_variables)
    for moments in theirs.optimizer.variables[2:]:
        moments.assign(RNG.uniform(size=moments.shape))
    theirs.save(tmp_path / f"theirs.{kind}")
    ours = models.load_model(tmp_path / f"theirs.{kind}")
    close([ours.predict(X, verbose=0)], [theirs.predict(X, verbose=0)])
    close(ours.get_weights(), theirs.get_weights())
    ours.save(tmp_path / f"ours.{kind}")
    again = keras.saving.load_model(tmp_path / f"ours.{kind}")
    close([again.predict(X, verbose=0)], [theirs.predict(X, verbose=0)])
    assert paths(ours) == paths(theirs)
    if kind == "keras":  # the moments go along
        close(again.optimizer.variables, theirs.optimizer.variables)


def test_weights_go_both_ways(tmp_path):
    theirs, ours = deep(keras), deep(nnlite)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    close([ours.predict(X, verbose=0)], [theirs.predict(X, verbose=0)])
    shaken_to = [weight + 0.1 for weight in ours.get_weights()]
    ours.set_weights(shaken_to)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    close(theirs.get_weights(), shaken_to)
    assert paths(ours) == paths(theirs)
