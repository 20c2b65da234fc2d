"""Recurrent layers, cells and wrappers: values by a plain loop, gradients, states, refusals."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest

from nnlite import Input, Model, Sequential, gradcheck, layers, models, saving
from nnlite.layers import (
    GRU,
    LSTM,
    RNN,
    ActivationLayer,
    BatchNormalization,
    Bidirectional,
    Dense,
    Dropout,
    GRUCell,
    LSTMCell,
    Masking,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((3, 5, 2))
Y = GENERATOR.standard_normal((3, 2))
COUNT = np.ones((3, 5), bool)
COUNT[0, 3:] = COUNT[1, :2] = COUNT[2, 2] = False
MASKED = X * COUNT[:, :, None]


# ---- values -------------------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def simple_step(x, states, W, U, b):
    (h,) = states
    return [np.tanh(x @ W + h @ U + b)]


def lstm_step(x, states, W, U, b):
    h, c = states
    i, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru_step(x, states, W, U, b):
    (h,) = states
    of_x, of_h = np.split(x @ W + b[0], 3, -1), np.split(h @ U + b[1], 3, -1)
    z, r = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
    return [z * h + (1 - z) * np.tanh(of_x[2] + r * of_h[2])]


def gru_step_of_2014(x, states, W, U, b):
    (h,) = states
    (xz, xr, xn), (Uz, Ur, Un) = np.split(x @ W + b, 3, -1), np.split(U, 3, -1)
    z, r = sigmoid(xz + h @ Uz), sigmoid(xr + h @ Ur)
    return [z * h + (1 - z) * np.tanh(xn + (r * h) @ Un)]


KINDS = {
    "SimpleRNN": (SimpleRNN, {}, simple_step, 1),
    "LSTM": (LSTM, {}, lstm_step, 2),
    "GRU": (GRU, {}, gru_step, 1),
    "GRU of 2014": (GRU, {"reset_after": False}, gru_step_of_2014, 1),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def looped(step, states, x, weights, mask=None, backwards=False):
    """Return the outputs of all steps in the order they are taken, and the last states."""
    mask = np.ones(x.shape[:2], bool) if mask is None else mask
    order = range(x.shape[1])[::-1] if backwards else range(x.shape[1])
    outputs = []
    for t in order:
        after = step(x[:, t], states, *weights)
        states = [np.where(mask[:, t, None], new, old) for new, old in zip(after, states)]  # noqa: B905
        outputs.append(states[0])
    return np.stack(outputs, axis=1), states


def made(kind, units=4, **options):
    """Return a layer of float64 with weights drawn, its step, and 0 as its states."""
    cls, own, step, count = KINDS[kind]
    layer = cls(units, dtype="float64", **own, **options)
    layer.build((None, None, 2))
    layer.set_weights([GENERATOR.normal(0, 0.7, weight.shape) for weight in layer.weights])
    return layer, step, [np.zeros((3, units))] * count


@EVERY_KIND
@pytest.mark.parametrize("mask", [None, COUNT], ids=["whole", "masked"])
@pytest.mark.parametrize("backwards", [False, True])
def test_values_are_those_of_a_loop(kind, mask, backwards):
    layer, step, states = made(
        kind, return_sequences=True, return_state=True, go_backwards=backwards
    )
    expected, last = looped(step, states, X, layer.get_weights(), mask, backwards)
    output, *after = layer(X, mask=mask)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    np.testing.assert_allclose(after, last, rtol=1e-12)
    one = type(layer).from_config(layer.get_config() | {"return_sequences": False})
    one.build((None, 5, 2))
    one.set_weights(layer.get_weights())
    np.testing.assert_allclose(one(X, mask=mask)[0], expected[:, -1], rtol=1e-12)


@EVERY_KIND
def test_a_call_begins_with_the_states_that_it_is_given(kind):
    layer, step, states = made(kind)
    states = [GENERATOR.standard_normal((3, 4)) for _ in states]
    expected, _ = looped(step, states, X, layer.get_weights())
    np.testing.assert_allclose(layer(X, initial_state=states), expected[:, -1], rtol=1e-12)
    np.testing.assert_allclose(layer([X, *states]), expected[:, -1], rtol=1e-12)
    tensors = [Input((5, 2)), *(Input((4,)) for _ in states)]
    model = Model(tensors, layer(tensors[0], initial_state=tensors[1:]))
    np.testing.assert_allclose(model.predict([X, *states]), expected[:, -1], rtol=1e-5)


def test_without_a_bias_and_with_other_activations():
    layer = LSTM(3, "relu", "hard_sigmoid", use_bias=False, dtype="float64", return_sequences=True)
    output = layer(X)
    W, U = layer.get_weights()
    h = c = np.zeros((3, 3))
    for t in range(5):
        i, f, g, o = np.split(X[:, t] @ W + h @ U, 4, axis=-1)
        i, f, o = (np.clip(z / 6 + 0.5, 0, 1) for z in (i, f, o))
        c = f * c + i * np.maximum(g, 0)
        h = o * np.maximum(c, 0)
        np.testing.assert_allclose(output[:, t], h, rtol=1e-12)


def test_the_bias_of_the_forget_gate_begins_with_1():
    for layer, ones in ((LSTM(2), [0, 0, 1, 1, 0, 0, 0, 0]), (LSTM(2, unit_forget_bias=False), 0)):
        layer.build((None, 3, 2))
        np.testing.assert_array_equal(layer.cell.bias.numpy(), np.resize(ones, 8))


@pytest.mark.parametrize("zero", [False, True])
def test_the_output_of_a_step_that_is_left_out(zero):
    layer, _, _ = made("GRU", return_sequences=True, zero_output_for_mask=zero)
    output = layer(X, mask=COUNT)
    assert output[~COUNT].any() != zero
    np.testing.assert_array_equal(output[0, 4], 0 if zero else output[0, 2])
    assert output[COUNT].all()


def test_stacked_cells_are_layers_on_top_of_each_other():
    stack = RNN([LSTMCell(3), GRUCell(2)], return_state=True, return_sequences=True)
    below, above = LSTM(3, return_sequences=True), GRU(2, return_sequences=True)
    output, *states = stack(X, mask=COUNT)
    for layer, x, cell in ((below, X, stack.cell.cells[0]), (above, below(X), stack.cell.cells[1])):
        layer(x)
        layer.set_weights(cell.get_weights())
    between = below(X, mask=COUNT)
    np.testing.assert_allclose(output, above(between, mask=COUNT), rtol=1e-6)
    assert [state.shape for state in states] == [(3, 3), (3, 3), (3, 2)]
    np.testing.assert_allclose(states[0], between[:, -1], rtol=1e-6)
    np.testing.assert_array_equal(states[2], output[:, -1])


@EVERY_KIND
def test_a_cell_by_hand_takes_one_step(kind):
    layer, step, states = made(kind)
    output, after = layer.cell(X[:, 0], [state + 0.5 for state in states])
    expected = step(X[:, 0], [state + 0.5 for state in states], *layer.get_weights())
    np.testing.assert_allclose(after, expected, rtol=1e-12)
    np.testing.assert_array_equal(output, after[0])
    np.testing.assert_allclose(
        layer.cell(X[:, 0])[0], step(X[:, 0], states, *layer.get_weights())[0]
    )


def test_float64_and_integers():
    assert LSTM(2, dtype="float64")(X).dtype == np.float64
    assert LSTM(2)(X).dtype == np.float32
    assert GRU(2)(np.ones((2, 3, 1), int)).dtype == np.float32


# ---- states that stay ---------------------------------------------------------------------------


@EVERY_KIND
def test_a_stateful_layer_goes_on_where_the_last_batch_ended(kind):
    layer, step, states = made(kind, stateful=True)
    model = Sequential([Input((5, 2)), layer])
    first, second = (layer(X), model.predict(X, verbose=0))
    expected, last = looped(step, states, X, layer.get_weights())
    np.testing.assert_allclose(first, expected[:, -1], rtol=1e-12)
    again, _ = looped(step, last, X, layer.get_weights())
    np.testing.assert_allclose(second, again[:, -1], rtol=1e-5)
    layer.reset_state()
    np.testing.assert_allclose(layer(X), first, rtol=1e-12)


def test_training_keeps_states_and_a_refused_step_does_not():
    layer, expected = SimpleRNN(2, None, stateful=True), SimpleRNN(2, None, return_state=True)
    expected(X)
    model = Sequential([Input((5, 2)), layer])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=3, shuffle=False, verbose=0)
    before = layer.states[0].copy()
    expected.set_weights(model.get_weights())
    with pytest.raises(FloatingPointError):
        model.train_on_batch(X * 1e25, Y)
    np.testing.assert_array_equal(layer.states[0], before)
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(layer.states[0], expected(X, initial_state=before)[1], rtol=1e-5)


def test_a_batch_of_another_size_is_refused_and_changes_nothing():
    layer = GRU(2, stateful=True)
    layer(X)
    before = layer.states[0].copy()
    with pytest.raises(
        ValueError, match=r"states belong to a batch of 3 sequences\. .* batch of 2\."
    ):
        layer(X[:2])
    np.testing.assert_array_equal(layer.states[0], before)
    layer.reset_states()
    assert layer(X[:2]).shape == (2, 2)
    both = Bidirectional(GRU(2, stateful=True))
    first = both(X)
    assert (both(X) != first).any()
    both.reset_state()
    np.testing.assert_array_equal(both(X), first)


# ---- dropout ------------------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize("which", ["dropout", "recurrent_dropout"])
def test_dropout_draws_in_training_only_and_repeats_by_seed(kind, which):
    cls, own, _, _ = KINDS[kind]
    one, two, other = (cls(8, **own, **{which: 0.5}, seed=seed) for seed in (1, 1, 2))
    plain = cls(8, **own)
    for layer in (one, two, other, plain):
        layer(X)
        layer.set_weights(one.get_weights())
    np.testing.assert_array_equal(one(X), plain(X))
    drawn = one(X, training=True)
    np.testing.assert_array_equal(drawn, two(X, training=True))
    assert (drawn != other(X, training=True)).any()
    assert (drawn != one(X, training=True)).any()
    assert (drawn != plain(X)).any()


def test_what_is_dropped_is_the_same_in_all_steps_and_scaled():
    layer = SimpleRNN(
        40, "linear", dropout=0.25, seed=3, return_sequences=True, kernel_initializer="identity",
        recurrent_initializer="zeros",
    )  # fmt: skip
    y = layer(np.ones((50, 3, 40)), training=True)
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_array_equal(y[:, 0], y[:, 2])
    assert abs((y == 0).mean() - 0.25) < 0.03


# ---- wrappers -----------------------------------------------------------------------------------

MERGES = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: [a, b],
}


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", MERGES)
def test_both_directions_are_merged(mode, sequences):
    layer = Bidirectional(LSTM(2, return_sequences=sequences, return_state=True), mode)
    both = layer(X, mask=COUNT)
    a, *first = layer.forward_layer(X, mask=COUNT)
    b, *second = layer.backward_layer(X, mask=COUNT)
    b = b[:, ::-1] if sequences else b
    merged = MERGES[mode](a, b)
    expected = [*(merged if mode is None else [merged]), *first, *second]
    for one, other in zip(both, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    if sequences:
        assert not a[~COUNT].any()  # the output of a step that is left out is 0
    told = layer.compute_output_shape((None, None, 2))
    assert [shape[-1] for shape in told] == [array.shape[-1] for array in both]
    assert len(layer.compute_mask(X, COUNT)) == len(both)


def test_both_directions_begin_with_their_halves_of_the_states():
    layer = Bidirectional(LSTM(2))
    states = [GENERATOR.standard_normal((3, 2)) for _ in range(4)]
    ahead = layer.forward_layer(X, initial_state=states[:2])
    behind = layer.backward_layer(X, initial_state=states[2:])
    found = layer(X, initial_state=states)
    np.testing.assert_allclose(found, np.concatenate([ahead, behind], 1), rtol=1e-6)
    tensors = [Input((5, 2)), *(Input((2,)) for _ in states)]
    model = Model(tensors, layer(tensors[0], initial_state=tensors[1:]))
    np.testing.assert_allclose(model.predict([X, *states], verbose=0), found, rtol=1e-5)


def test_a_layer_for_the_way_back_and_weights_to_begin_with():
    layer = Bidirectional(GRU(2), backward_layer=SimpleRNN(2, "relu", go_backwards=True))
    y = layer(X)
    assert type(layer.backward_layer) is SimpleRNN
    other = Bidirectional.from_config(layer.get_config())
    other(X)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(other(X), y)
    begun = Bidirectional(LSTM(2))
    begun(X)
    np.testing.assert_array_equal(Bidirectional(LSTM(2), weights=begun.get_weights())(X), begun(X))
    with pytest.raises(ValueError, match=r"has 6 weights .* Received: 1 arrays"):
        Bidirectional(LSTM(2), weights=begun.get_weights()[:1])(X)


@pytest.mark.parametrize("step", [Dense(3, "tanh"), Sequential([Dense(3), Dense(2, "softmax")])])
def test_a_layer_at_every_step(step):
    y = TimeDistributed(step)(X)
    for t in range(5):
        np.testing.assert_allclose(y[:, t], step(X[:, t].astype("float32")), rtol=1e-6)


def test_the_moments_at_every_step_are_those_of_all():
    layer = TimeDistributed(BatchNormalization(momentum=0.0))
    layer(X, training=True)
    np.testing.assert_allclose(layer.layer.moving_mean.numpy(), X.mean((0, 1)), rtol=1e-5)
    mask = np.arange(5) < np.arange(1, len(X) + 1)[:, None]
    layer(X, training=True, mask=mask)
    np.testing.assert_allclose(layer.layer.moving_mean.numpy(), X[mask].mean(0), rtol=1e-5)
    dropped = TimeDistributed(Dropout(0.5, seed=1))(np.ones((4, 50, 6)), training=True)
    assert {*np.unique(dropped)} == {0, 2}
    assert (dropped[:, 0] != dropped[:, 1]).any()


# ---- gradients ----------------------------------------------------------------------------------

SLOPES = [
    (SimpleRNN, {}),
    (SimpleRNN, {"activation": "softmax"}),
    (LSTM, {}),
    (LSTM, {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}),
    (GRU, {}),
    (GRU, {"reset_after": False, "activation": "elu", "use_bias": False}),
]


@pytest.mark.parametrize(("cls", "options"), SLOPES)
def test_the_gradient_through_time(cls, options):
    plain = Sequential([Input((5, 2)), cls(2, **options)])
    gradcheck.check_model(plain, X, Y)
    inner = cls(2, return_sequences=True, **options)
    last = cls(2, go_backwards=True, **options)
    gradcheck.check_model(Sequential([Input((5, 2)), Masking(), inner, last]), MASKED, Y)


def test_the_gradient_of_states():
    x, h, c = Input((5, 2)), Input((2,)), Input((2,))
    output, last_h, last_c = LSTM(2, return_state=True)(x, initial_state=[h, c])
    data = [X, Y * 0.5, GENERATOR.standard_normal((3, 2))]
    gradcheck.check_model(Model([x, h, c], [output + last_h * last_c]), data, Y)


def test_the_gradient_of_stacked_cells_and_steps():
    cells = [LSTMCell(3), GRUCell(2, reset_after=False), SimpleRNNCell(2)]
    stack = [Input((5, 2)), TimeDistributed(Dense(3, "tanh")), RNN(cells)]
    gradcheck.check_model(Sequential(stack), X, Y)


@pytest.mark.parametrize("cls", [LSTM, GRU])
@pytest.mark.parametrize("reset_after", [True, False])
def test_the_gradient_with_dropout(cls, reset_after):
    own = {"reset_after": reset_after} if cls is GRU else {}
    layer = cls(2, dropout=0.3, recurrent_dropout=0.4, seed=1, **own)
    gradcheck.check_model(Sequential([Input((5, 2)), layer]), X, Y)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_the_gradient_of_both_directions(mode):
    x = Input((5, 2))
    masked = Masking()(x)
    y = Bidirectional(LSTM(1, return_sequences=True), mode)(masked)
    if mode is None:
        y = layers.Multiply()(y)
    model = Model(x, Bidirectional(GRU(1))(y))
    gradcheck.check_model(model, MASKED, Y)


def test_the_gradient_of_shared_layers():
    both = Bidirectional(LSTM(1), "mul")
    every = TimeDistributed(Dense(2, "tanh"))
    x, other = Input((5, 2)), Input((5, 2))
    model = Model([x, other], both(every(x)) + 2 * both(every(other)))
    gradcheck.check_model(model, [X, MASKED], Y[:, :1])


def test_a_mask_of_further_axes_is_that_of_the_layer_at_every_step():
    words = np.random.default_rng(1).integers(0, 3, (2, 4, 3))
    x, mask = np.eye(3)[words], words > 0
    layer, inner = TimeDistributed(LSTM(2)), Sequential([LSTM(2)])
    y = layer(x, mask=mask)
    for t in range(4):
        np.testing.assert_allclose(y[:, t], layer.layer(x[:, t], mask=mask[:, t]), rtol=1e-5)
    with pytest.raises(ValueError, match=r"of shape \(2, 4, 3\) to a model. Make the mask inside"):
        TimeDistributed(inner)(x, mask=mask)


# ---- in models ----------------------------------------------------------------------------------


def a_model():
    inner = Sequential([Dense(3, "tanh"), BatchNormalization(), Dropout(0.2, seed=1)])
    stack = [
        Input((None, 2)), Masking(), TimeDistributed(inner), layers.SpatialDropout1D(0.2),
        Bidirectional(LSTM(2, return_sequences=True, unroll=True)), RNN([GRUCell(2)]), Dense(2),
    ]  # fmt: skip
    model = Sequential(stack)
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def test_a_model_is_copied_pickled_and_cloned():
    model = a_model()
    expected = model.predict(X, verbose=0)
    clone = models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone):
        np.testing.assert_array_equal(other.predict(X, verbose=0), expected)
    assert model.predict(X[:, :3], verbose=0).shape == (3, 2)  # as many steps as there are


def test_threads_predict_at_once():
    model = a_model()
    batches = [GENERATOR.standard_normal((4, 6, 2)) for _ in range(4)]
    expected = [model.predict(x, verbose=0) for x in batches]
    found = [None] * 4

    def predict(at):
        for _ in range(5):
            found[at] = model.predict(batches[at], verbose=0)

    threads = [threading.Thread(target=predict, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(2),
        lambda: GRU(2, reset_after=False),
        lambda: RNN([LSTMCell(2), SimpleRNNCell(2)]),
        lambda: Bidirectional(LSTM(1)),
        lambda: TimeDistributed(BatchNormalization()),
    ],
)
def test_a_frozen_layer_stays(make):
    layer = make()
    model = Sequential([Input((5, 2)), Dense(2), layer, layers.Flatten(), Dense(2)])
    layer.trainable = False
    model.compile("adam", "mse")
    before, first = layer.get_weights(), model.layers[0].get_weights()
    model.fit(X, Y, verbose=0)
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.layers[0].get_weights()[0] != first[0]).any()
    assert len(model.trainable_weights) == 4


def test_a_mask_ends_with_the_steps():
    x = Input((5, 2))
    steps = LSTM(2, return_sequences=True)
    assert steps.compute_mask(X, COUNT) is COUNT
    assert LSTM(2).compute_mask(X, COUNT) is None
    assert LSTM(2, return_state=True).compute_mask(X, COUNT) == [None, None, None]
    model = Model(x, [steps(Masking()(x)), LSTM(2)(Masking()(x))])
    model.compile("sgd", "mse")
    target = np.zeros((3, 5, 2)), np.zeros((3, 2))
    of_steps, of_last = model.predict(MASKED, verbose=0)
    expected = (of_steps[COUNT] ** 2).mean() + (of_last**2).mean()
    assert model.evaluate(MASKED, list(target), verbose=0)[0] == pytest.approx(expected, rel=1e-5)


class Half(ActivationLayer):
    """g(z) = tanh(z) / 2."""

    def apply(self, x, out):
        return np.divide(np.tanh(x, out=out), 2, out=out)

    def chain(self, gradient, x, y, out):
        return np.multiply(gradient, (1 - 4 * y**2) / 2, out=out)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
def test_batches_of_several_sizes_do_not_disturb_each_other(cls):
    """They share memory within a model; a copy of the model has its own."""
    model = Sequential([Input((5, 2)), cls(2)])
    model.compile("sgd", "mse")
    for rows in (3, 2, 3, 1, 3):
        fresh = Sequential([Input((5, 2)), cls(2)])
        fresh.compile("sgd", "mse")
        fresh.set_weights(model.get_weights())
        for one in (model, fresh):
            one.train_on_batch(X[:rows], Y[:rows])
        for got, expected in zip(model.get_weights(), fresh.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_an_activation_and_a_subclass_of_a_users():
    class Mine(LSTM):
        pass

    layer = Mine(2, activation=Half(), recurrent_activation=Half())
    with saving.custom_object_scope({"Half": Half}):
        assert Mine.from_config(layer.get_config()).units == 2
    gradcheck.check_model(Sequential([Input((5, 2)), layer]), X, Y)
    twice = SimpleRNN(1, Half(), kernel_initializer="ones", recurrent_initializer="zeros")
    np.testing.assert_allclose(twice(X)[:, 0], np.tanh(X[:, 4].sum(-1)) / 2, rtol=1e-5)


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LSTM(0), ValueError, "units must be at least 1. Received: units=0"),
        (lambda: GRU("4"), TypeError, "units must be an integer"),
        (lambda: GRU(2, dropout=1.0), ValueError, r"dropout must lie in \[0, 1\)"),
        (lambda: GRU(2, recurrent_dropout=-1), ValueError, "recurrent_dropout must lie in"),
        (lambda: LSTM(2, activation=Dense(2)), ValueError, "activation of a recurrent layer must"),
        (lambda: LSTM(2, recurrent_activation="glu"), ValueError, "recurrent_activation of a rec"),
        (lambda: LSTM(2, time_major=True), ValueError, "Received: time_major=True"),
        (lambda: SimpleRNN(2, use_cudnn=True), TypeError, "unexpected argument 'use_cudnn'"),
        (lambda: RNN(object()), ValueError, "cell must be a SimpleRNNCell, an LSTMCell, a GRUCell"),
        (lambda: RNN([]), ValueError, r"cells must be a list of cells. Received: cells=\[\]"),
        (lambda: StackedRNNCells(LSTMCell(2)), ValueError, "cells must be a list of cells"),
        (lambda: LSTM(2)(np.ones((2, 3))), ValueError, r"shape \(batch, steps, features\)"),
        (lambda: LSTMCell(2)(np.ones((2, 3, 4))), ValueError, r"shape \(batch, features\)"),
        (lambda: LSTMCell(2)(Input((3,))), TypeError, r"In a model, use RNN\(cell\)"),
        (lambda: LSTM(2)(X, initial_state=[Y]), ValueError, r"shapes \[\(3, 2\), \(3, 2\)\]"),
        (lambda: GRU(2)(X, initial_state=[Y[:2]]), ValueError, r"Received: \[\(2, 2\)\]"),
        (lambda: GRU(3)(Input((5, 2)), initial_state=Input((2,))), ValueError, "initial_state of"),
        (lambda: LSTM(2)(X, mask=COUNT[:, :3]), ValueError, "mask must hold a truth value"),
        (lambda: TimeDistributed("dense"), ValueError, "layer must be a layer. Received: layer='d"),
        (lambda: TimeDistributed(Dense(2))(Y), ValueError, r"shape \(batch, steps, ...\)"),
        (lambda: Bidirectional(Dense(2)), ValueError, "layer must be a recurrent layer"),
        (lambda: Bidirectional(LSTM(2), "max"), ValueError, "merge_mode must be one of 'concat'"),
        (lambda: Bidirectional(LSTM(2, go_backwards=True)), ValueError, "different go_backwards"),
        (
            lambda: Bidirectional(
                LSTM(2), backward_layer=LSTM(2, return_sequences=True, go_backwards=True)
            ),
            ValueError,
            "must have the same return_sequences. Received: False and True",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_changes_no_result_is_accepted():
    for options in ({"implementation": 1}, {"use_cudnn": "auto"}, {"time_major": False}):
        assert LSTM(2, **options)(X).shape == (3, 2)
    assert GRUCell(2, implementation=2)(Y)[0].shape == (3, 2)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
def test_shapes_of_unknown_steps(cls):
    for sequences, state in itertools.product([False, True], repeat=2):
        layer = cls(3, return_sequences=sequences, return_state=state)
        told = layer.compute_output_shape((None, None, 2))
        output = told[0] if state else told
        assert output == ((None, None, 3) if sequences else (None, 3))
        assert not state or told[1:] == [(None, 3)] * (2 if cls is LSTM else 1)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(layers.LSTMCell, [3 * 3 * 3]), (layers.GRUCell, [(1 - 3) * 3])],
)
def test_gates_may_be_linear(cell, expected):
    arguments = {"activation": "linear", "recurrent_activation": "linear", "use_bias": False}
    made = cell(1, kernel_initializer="ones", dtype="float64", **arguments)
    layer = layers.RNN(made, dtype="float64")
    assert layer(np.full((1, 1, 1), 3.0)).tolist() == [expected]
    gradcheck.check_layer(layer, np.linspace(-1, 1, 6).reshape(2, 3, 1))


def test_dropout_of_a_cell_can_be_changed_between_steps():
    model = Sequential([Input((3, 2)), layers.GRU(4, seed=1)])
    model.compile("sgd", "mse")
    x, y = np.ones((2, 3, 2)), np.ones((2, 4))
    model.train_on_batch(x, y)
    cell = model.layers[0].cell
    cell.dropout = 0.9
    bias, kernel = cell.bias.numpy(), cell.kernel.numpy()
    model.train_on_batch(x, y)
    assert (cell.bias.numpy() != bias).any()
    assert (cell.kernel.numpy() == kernel).any()  # the rows of dropped inputs
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\). Received: dropout=2"):
        cell.dropout = 2
