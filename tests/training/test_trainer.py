"""fit, evaluate and predict against a slow trainer in plain NumPy, and all that runs around."""

import numpy as np
import pytest
from helpers import SERIES, TARGETS, assert_same_weights, small

from nnlite import Input, Sequential, layers, losses, optimizers, set_random_seed
from nnlite.callbacks import Callback
from nnlite.layers import Activation, Dense

ROWS, FEATURES = len(SERIES), 3
X, Y = SERIES, TARGETS
rng = np.random.default_rng(8)
W = rng.uniform(0.5, 2, ROWS)
LABELS = rng.integers(0, 3, ROWS)


class Reference:
    """A tanh layer and a linear one, trained on the squared error by plain gradient descent."""

    def __init__(self, weights, rate=0.1):
        self.weights, self.rate = [w.copy() for w in weights], rate

    def forward(self, x):
        w1, b1, w2, b2 = self.weights
        hidden = np.tanh(x @ w1 + b1)
        return hidden, hidden @ w2 + b2

    def loss(self, x, y, weight=None):
        each = np.square(self.forward(x)[1] - y).mean(axis=1)
        return (each if weight is None else each * weight).mean()

    def step(self, x, y, weight=None):
        before = self.loss(x, y, weight)
        hidden, output = self.forward(x)
        d2 = 2 * (output - y) / output.size
        d2 = d2 if weight is None else d2 * weight[:, None]
        d1 = d2 @ self.weights[2].T * (1 - hidden**2)
        slopes = [x.T @ d1, d1.sum(axis=0), hidden.T @ d2, d2.sum(axis=0)]
        for weights, slope in zip(self.weights, slopes, strict=True):
            weights -= self.rate * slope
        return before

    def epoch(self, x, y, size, weight=None):
        return self.mean(self.step, x, y, size, weight)

    def evaluate(self, x, y, size, weight=None):
        return self.mean(self.loss, x, y, size, weight)

    def mean(self, function, x, y, size, weight):
        total = 0.0
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            part = None if weight is None else weight[rows]
            total += function(x[rows], y[rows], part) * len(x[rows])
        return total / len(x)


def pair():
    """Return a float64 model and a reference that begin with the same weights."""
    set_random_seed(5)
    model = Sequential(
        [Input((FEATURES,)), *(Dense(n, a, dtype="float64") for n, a in [(5, "tanh"), (2, None)])]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    return model, Reference(model.get_weights())


def assert_near(model, reference):
    for mine, wanted in zip(model.get_weights(), reference.weights, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-13)


# ---- fit against the reference --------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("size", [1, 5, 7, 22, 100])
def test_fit_evaluate_and_predict_are_the_references(size, weight):
    model, reference = pair()
    history = model.fit(
        X, Y, size, epochs=3, verbose=0, shuffle=False, sample_weight=weight
    ).history
    wanted = [reference.epoch(X, Y, size, weight) for _ in range(3)]
    assert list(history) == ["loss"]
    assert history["loss"] == pytest.approx(wanted, rel=1e-12)
    assert_near(model, reference)
    score = model.evaluate(X, Y, size, verbose=0, sample_weight=weight)
    assert score == pytest.approx(reference.evaluate(X, Y, size, weight), rel=1e-12)
    np.testing.assert_allclose(model.predict(X, size), reference.forward(X)[1], atol=1e-13)


def test_the_default_batch_size_is_32():
    x, y = np.tile(X, (3, 1)), np.tile(Y, (3, 1))
    model, reference = pair()
    model.fit(x, y, verbose=0, shuffle=False)
    reference.epoch(x, y, 32)
    assert_near(model, reference)


def test_one_batch_at_a_time_is_the_references():
    model, reference = pair()
    for start in range(0, ROWS, 6):
        x, y, weight = X[start : start + 6], Y[start : start + 6], W[start : start + 6]
        wanted = reference.loss(x, y, weight)
        assert model.test_on_batch(x, y, weight) == pytest.approx(wanted, rel=1e-12)
        assert model.train_on_batch(x, y, weight) == pytest.approx(wanted, rel=1e-12)
        reference.step(x, y, weight)
        assert_near(model, reference)
        wanted = reference.forward(x)[1]
        np.testing.assert_allclose(model.predict_on_batch(x), wanted, atol=1e-13)


def test_shuffling_takes_every_sample_once_and_keeps_rows_together():
    seen = []

    class Spy(layers.Layer):
        def forward(self, x, training=False):
            if training:
                seen.append(x.copy())
            return x

        def backward(self, gradient):
            return gradient

    x = np.arange(ROWS, dtype=float)[:, None]
    model = Sequential([Spy(), Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), "mse")
    history = model.fit(x, x, 5, epochs=3, verbose=0, sample_weight=x[:, 0])
    assert history.history["loss"] == [0.0, 0.0, 0.0]  # y went along with x
    epochs = np.concatenate(seen).reshape(3, ROWS)
    for order in epochs:
        assert sorted(order) == x[:, 0].tolist()
    assert len({tuple(order) for order in [*epochs, x[:, 0]]}) == 4


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"verbose": 1},
        {"verbose": 2},
        {"validation_data": (X, Y)},
        {"validation_data": (X[:3], Y[:3]), "validation_freq": 2, "verbose": 1},
        {"callbacks": [Callback()]},
    ],
    ids=["plain", "bar", "lines", "validation", "bar and validation", "callback"],
)
def test_a_seed_repeats_a_run_bit_for_bit(options, capsys):
    runs = []
    for more in ({}, options):
        model = small(metrics=["mae"], dropout=0.4)
        history = model.fit(X, Y, 5, epochs=4, **{"verbose": 0, **more})
        runs.append((model, history.history["loss"], history.history["mae"]))
    assert runs[0][1:] == runs[1][1:]
    assert_same_weights(runs[0][0], runs[1][0])


def test_another_seed_is_another_run():
    losses_seen = set()
    for seed in (1, 2):
        model = small()
        set_random_seed(seed)
        losses_seen.add(model.fit(X, Y, 5, verbose=0).history["loss"][0])
    assert len(losses_seen) == 2


def test_dropout_acts_in_training_only():
    model = small(dropout=0.5)
    model.fit(X, Y, verbose=0)
    first = model.predict(X)
    np.testing.assert_array_equal(model.predict(X), first)
    hidden = model.layers[0](X)
    np.testing.assert_allclose(model.layers[2](hidden), first, rtol=1e-6)


def test_two_fits_are_one_longer_fit():
    apart, together = small(), small()
    for epochs in (1, 2):
        apart.fit(X, Y, 5, epochs=epochs, verbose=0, shuffle=False)
    together.fit(X, Y, 5, epochs=3, verbose=0, shuffle=False)
    assert_same_weights(apart, together)


def test_epochs_is_the_epoch_to_stop_before():
    model, reference = pair()
    history = model.fit(X, Y, 5, epochs=5, initial_epoch=3, verbose=0, shuffle=False)
    assert history.epoch == [3, 4]
    assert history.history["loss"] == pytest.approx([reference.epoch(X, Y, 5) for _ in range(2)])
    assert model.fit(X, Y, epochs=0, verbose=0).history == {}
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).epoch == []
    assert_near(model, reference)


# ---- validation -----------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
def test_validation_split_sets_the_last_samples_aside(shuffle):
    model, _ = pair()
    history = model.fit(
        X, Y, 5, 2, 0, validation_split=0.25, sample_weight=W, shuffle=shuffle
    ).history
    at = int(ROWS * 0.75)
    other, reference = pair()
    set_random_seed(0)
    explicit = (X[at:], Y[at:], W[at:])
    wanted = other.fit(
        X[:at], Y[:at], 5, 2, 0, sample_weight=W[:at], shuffle=False, validation_data=explicit
    ).history
    if shuffle:
        assert history["loss"] != wanted["loss"]
        return
    assert history == wanted
    for epoch in range(2):
        assert history["loss"][epoch] == pytest.approx(reference.epoch(X[:at], Y[:at], 5, W[:at]))
        score = reference.evaluate(X[at:], Y[at:], 5, W[at:])
        assert history["val_loss"][epoch] == pytest.approx(score)


def test_shuffling_never_mixes_the_validation_samples_in():
    poisoned = Y.copy()
    poisoned[-4:] = 1e6
    model = small()
    history = model.fit(X, poisoned, 4, epochs=3, verbose=0, validation_split=4 / 22)
    assert min(history.history["val_loss"]) > 1e11
    assert max(history.history["loss"]) < 10
    clean = small()
    clean.fit(X[:-4], Y[:-4], 4, epochs=3, verbose=0)
    assert_same_weights(model, clean)


def test_validation_is_evaluate_after_each_epoch():
    scores = []

    class Score(Callback):
        def on_epoch_end(self, epoch, logs=None):
            scores.append(self.model.evaluate(X[:9], Y[:9], 4, verbose=0, return_dict=True))

    model = small(metrics=["mae"])
    history = model.fit(
        X, Y, 5, 3, 0, Score(), validation_data=[X[:9], Y[:9]], validation_batch_size=4
    ).history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    assert history["val_loss"] == [score["loss"] for score in scores]
    assert history["val_mae"] == [score["mae"] for score in scores]


@pytest.mark.parametrize(
    ("frequency", "epochs"),
    [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (6, []), ([1, 4], [0, 3]), ((2, 9), [1])],
)
def test_validation_freq_counts_epochs_from_1(frequency, epochs):
    evaluated = []

    class Note(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if "val_loss" in logs:
                evaluated.append(epoch)

    history = small().fit(
        X, Y, epochs=5, verbose=0, validation_data=(X, Y), validation_freq=frequency,
        callbacks=Note(),
    )  # fmt: skip
    assert evaluated == epochs
    assert len(history.history.get("val_loss", [])) == len(epochs)


def test_validation_steps_takes_the_first_batches_every_time():
    model = small()
    model.compile(optimizers.SGD(0.0), "mse")
    history = model.fit(X, Y, 5, 3, 0, validation_data=(X, Y), validation_steps=2)
    wanted = model.evaluate(X[:10], Y[:10], 5, verbose=0)
    assert history.history["val_loss"] == [pytest.approx(wanted, rel=1e-6)] * 3
    assert model.evaluate(X, Y, 5, verbose=0, steps=2) == pytest.approx(wanted, rel=1e-6)


# ---- steps ----------------------------------------------------------------------------------


def test_steps_per_epoch_goes_on_where_the_last_epoch_stopped():
    model, reference = pair()
    history = model.fit(X[:20], Y[:20], 5, 3, 0, shuffle=False, steps_per_epoch=2)
    wanted = [reference.epoch(X[at : at + 10], Y[at : at + 10], 5) for at in (0, 10, 0)]
    assert history.history["loss"] == pytest.approx(wanted)
    assert_near(model, reference)


def test_too_many_steps_warn_and_end_the_epoch_early():
    model, reference = pair()
    with pytest.warns(UserWarning, match=r"ended after 4 of .*6 steps") as caught:
        history = model.fit(X[:20], Y[:20], 5, 2, 0, shuffle=False, steps_per_epoch=6)
    assert len(caught) == 2
    assert history.history["loss"] == pytest.approx(
        [reference.epoch(X[:20], Y[:20], 5) for _ in range(2)]
    )


def test_too_many_steps_of_an_evaluation_or_prediction_warn():
    model = small()
    model.predict(X)
    with pytest.warns(UserWarning, match=r"ended .*\bsteps=9"):
        score = model.evaluate(X, Y, 5, 0, steps=9)
    assert score == model.evaluate(X, Y, 5, 0)
    with pytest.warns(UserWarning, match=r"ended .*validation_steps=9"):
        model.fit(X, Y, 5, 1, 0, validation_data=(X, Y), validation_steps=9)
    with pytest.warns(UserWarning, match=r"ended .*\bsteps=9"):
        output = model.predict(X, 5, 0, steps=9)
    assert output.shape == (ROWS, 2)


def test_predict_in_steps_takes_the_first_batches():
    model = small()
    whole = model.predict(X)
    np.testing.assert_allclose(model.predict(X, 4, steps=2), whole[:8], rtol=1e-6)
    x = np.tile(X, (5, 1))
    np.testing.assert_allclose(model.predict(x, 32, steps=1), model.predict(x)[:32], rtol=1e-6)


@pytest.mark.parametrize("size", [None, 1, 3, 22, 1000])
def test_predict_is_the_same_in_batches_of_any_size(size):
    model = small()
    whole = model.predict_on_batch(X)
    np.testing.assert_allclose(model.predict(X, size), whole, rtol=1e-5, atol=1e-7)
    x = np.tile(X, (100, 1))
    np.testing.assert_allclose(model.predict(x, size)[-ROWS:], whole, rtol=1e-5, atol=1e-7)


# ---- weights of samples ---------------------------------------------------------------------


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("way", ["fit", "train_on_batch"])
def test_class_weight_is_the_sample_weight_of_each_class(way, one_hot):
    y = np.eye(3)[LABELS] if one_hot else LABELS
    class_weight = {0: 2.0, 2: 0.25}
    weight = np.select([LABELS == 0, LABELS == 2], [2.0, 0.25], 1.0)
    models = []
    for more in ({"class_weight": class_weight}, {"sample_weight": weight}):
        set_random_seed(1)
        model = Sequential([Dense(3, "softmax")])
        model.compile("sgd", weighted_metrics=["accuracy"])
        verbose = {"verbose": 0} if way == "fit" else {}
        models.append((model, getattr(model, way)(X, y, **more, **verbose)))
    assert_same_weights(models[0][0], models[1][0])
    results = [getattr(result, "history", result) for _, result in models]
    assert results[0] == results[1]


def test_class_weight_of_binary_labels():
    y = (LABELS == 1).astype(float)
    models = []
    for more in ({"class_weight": {1: 3}}, {"sample_weight": 1 + 2 * y}):
        set_random_seed(1)
        model = Sequential([Dense(1, "sigmoid")])
        model.fit(X, y, verbose=0, **more)
        models.append(model)
    assert_same_weights(*models)


def test_a_weight_of_zero_leaves_a_sample_out():
    weight = np.where(np.arange(ROWS) < 10, 1.0, 0.0)
    model, reference = pair()
    poisoned = np.where(weight[:, None] > 0, Y, 1e6)
    model.fit(X, poisoned, 100, 2, 0, sample_weight=weight)
    for _ in range(2):
        reference.step(X, Y, weight)
    assert_near(model, reference)


# ---- metrics --------------------------------------------------------------------------------


def test_metrics_are_those_of_the_training_batches():
    model, reference = pair()
    model.compile(optimizers.SGD(0.1), "mse", metrics=["mae"], weighted_metrics=["mse"])
    history = model.fit(X, Y, 5, 2, 0, shuffle=False, sample_weight=W).history
    assert list(history) == ["loss", "mae", "mse"]
    for epoch in range(2):
        errors = []
        for start in range(0, ROWS, 5):
            rows = slice(start, start + 5)
            errors.append(reference.forward(X[rows])[1] - Y[rows])
            reference.step(X[rows], Y[rows], W[rows])
        errors = np.concatenate(errors)
        assert history["mae"][epoch] == pytest.approx(np.abs(errors).mean())
        mse = (np.square(errors).mean(axis=1) * W).sum() / W.sum()
        assert history["mse"][epoch] == pytest.approx(mse)


def test_results_are_a_number_a_list_or_a_dict():
    plain, watched = small(), small(metrics=["mae", "mse"])
    for way in ("train_on_batch", "test_on_batch", "evaluate"):
        more = {"verbose": 0} if way == "evaluate" else {}
        assert type(getattr(plain, way)(X, Y, **more)) is float
        assert list(getattr(plain, way)(X, Y, return_dict=True, **more)) == ["loss"]
        listed = getattr(watched, way)(X, Y, **more)
        assert [type(value) for value in listed] == [float] * 3
        named = getattr(watched, way)(X, Y, return_dict=True, **more)
        assert list(named) == ["loss", "mae", "mse"]


def test_penalties_are_part_of_the_loss_and_its_gradient():
    def model_with(**penalty):
        set_random_seed(0)
        model = Sequential([Input((FEATURES,)), Dense(2, dtype="float64", **penalty)])
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    model, plain = model_with(kernel_regularizer="l2"), model_with()
    kernel = model.get_weights()[0]
    penalty = 0.01 * np.square(kernel).sum()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(
        plain.evaluate(X, Y, verbose=0) + penalty
    )
    loss = plain.train_on_batch(X, Y)
    assert model.train_on_batch(X, Y) == pytest.approx(loss + penalty)
    np.testing.assert_allclose(
        model.get_weights()[0], plain.get_weights()[0] - 0.1 * 0.02 * kernel, atol=1e-14
    )


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softmax"])
def test_a_penalty_on_the_output_is_the_same_in_training_and_evaluation(activation, nested):
    layer = Dense(3, activation, activity_regularizer="l2", dtype="float64")
    model = Sequential([Input((FEATURES,)), Sequential([layer]) if nested else layer])
    model.compile(optimizers.SGD(1e-6))
    y = np.eye(3)[LABELS]
    before = model.get_weights()
    loss = model.train_on_batch(X, y)
    moved = [(old - new) / 1e-6 for old, new in zip(before, model.get_weights(), strict=True)]
    model.set_weights(before)
    assert model.test_on_batch(X, y) == pytest.approx(loss, rel=1e-12)
    output = model.predict(X)
    alone = Sequential([Input((FEATURES,)), Dense(3, activation, dtype="float64")])
    alone.compile("sgd")
    alone.set_weights(before)
    penalty = 0.01 * np.square(output).sum() / ROWS
    assert loss == pytest.approx(alone.test_on_batch(X, y) + penalty)
    shift = np.zeros_like(before[0])
    shift[1, 2] = 1e-5
    slope = [0.0, 0.0]
    for side, sign in enumerate((1, -1)):
        model.set_weights([before[0] + sign * shift, before[1]])
        slope[side] = model.test_on_batch(X, y)
    assert moved[0][1, 2] == pytest.approx((slope[0] - slope[1]) / 2e-5, rel=1e-4)


def test_the_penalty_of_a_frozen_layer_does_not_count():
    model = Sequential([Dense(2, kernel_regularizer="l2", dtype="float64")])
    model.compile("sgd", "mse")
    model.build((None, FEATURES))
    with_penalty = model.test_on_batch(X, Y)
    model.layers[0].trainable = False
    error = np.square(model.predict(X) - Y).mean()
    assert model.test_on_batch(X, Y) == pytest.approx(error)
    assert model.train_on_batch(X, Y) == pytest.approx(error)
    assert with_penalty > error


def test_a_constraint_holds_after_every_step():
    model = Sequential([Dense(4, kernel_constraint="non_neg"), Dense(2)])
    model.fit(X, Y, 2, verbose=0)
    assert model.get_weights()[0].min() >= 0
    assert model.get_weights()[2].min() < 0


# ---- without compile ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "y", "loss"),
    [
        (lambda: [Dense(1, "sigmoid")], LABELS == 1, losses.BinaryCrossEntropy),
        (lambda: [Dense(1), layers.Sigmoid()], LABELS == 1, losses.BinaryCrossEntropy),
        (lambda: [Dense(1), Activation("sigmoid")], LABELS == 1, losses.BinaryCrossEntropy),
        (lambda: [Sequential([Dense(1, "sigmoid")])], LABELS == 1, losses.BinaryCrossEntropy),
        (lambda: [Dense(3, "softmax")], np.eye(3)[LABELS], losses.CategoricalCrossEntropy),
        (lambda: [Dense(3, "softmax")], LABELS, losses.SparseCategoricalCrossEntropy),
        (lambda: [Dense(3, "softmax")], LABELS[:, None], losses.SparseCategoricalCrossEntropy),
        (lambda: [Dense(2)], Y, losses.MeanSquaredError),
        (lambda: [Dense(2, "tanh")], Y, losses.MeanSquaredError),
    ],
)
def test_without_compile_the_last_layer_says_the_loss(last, y, loss):
    models = []
    for compiled in (False, True):
        set_random_seed(2)
        model = Sequential([Dense(4, "relu"), *last()])
        if compiled:
            model.compile(optimizers.SGD(0.01), loss())
        first = model.evaluate(X, y, verbose=0)
        history = model.fit(X, y, epochs=20, verbose=0).history["loss"]
        models.append((model, first, history))
    (model, first, history), (explicit, *numbers) = models
    assert [first, history] == numbers
    assert_same_weights(model, explicit)
    assert model.evaluate(X, y, verbose=0) < first
    assert type(model.optimizer) is optimizers.SGD


def test_the_joined_loss_is_the_one_by_parts():
    y = LABELS
    values = []
    for activation in ("softmax", lambda: None):
        set_random_seed(4)
        by_parts = callable(activation)
        model = Sequential([Input((FEATURES,)), Dense(3, None if by_parts else activation)])
        loss = losses.SparseCategoricalCrossEntropy(from_logits=by_parts)
        model.compile("sgd", loss)
        model.fit(X, y, epochs=2, verbose=0)
        values.append(model)
    assert_same_weights(*values)


def test_saturated_outputs_still_learn():
    model = Sequential([Input((1,)), Dense(1, "sigmoid", kernel_initializer="ones")])
    model.compile(optimizers.SGD(1.0))
    loss = model.train_on_batch([[1000.0]], [[0.0]])
    assert loss == pytest.approx(1000.0)
    assert model.get_weights()[0][0, 0] == pytest.approx(-999.0)


def test_a_new_last_layer_brings_its_own_loss():
    model = Sequential([Dense(4, "tanh"), Dense(1, "sigmoid")])
    model.fit(X, LABELS == 1, verbose=0)
    model.pop()
    model.add(Dense(2))
    model.layers[1].set_weights([np.zeros((4, 2)), np.ones(2)])
    history = model.fit(X, Y, 100, verbose=0)
    assert history.history["loss"][0] == pytest.approx(np.square(1 - Y).mean(), rel=1e-5)
    fresh = Sequential([Dense(4, "tanh"), Dense(1, "sigmoid")])
    fresh.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    fresh.fit(X, LABELS == 1, verbose=0)
    fresh.pop()
    fresh.add(Dense(1, bias_initializer="ones", kernel_initializer="zeros"))
    # From the output 1, not from a logit of 1: targets 0 cost -log(1e-7), targets 1 nothing.
    loss, accuracy = fresh.evaluate(X, LABELS == 1, verbose=0)
    assert loss == pytest.approx(-np.log(1e-7) * (LABELS != 1).mean(), rel=0.02)
    assert accuracy == pytest.approx((LABELS == 1).mean())


def test_logs_of_a_batch_are_the_means_so_far():
    seen = []

    class Note(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

        def on_test_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    model, reference = pair()
    model.fit(X, Y, 8, 1, 0, Note(), shuffle=False)
    each = [reference.step(X[at : at + 8], Y[at : at + 8]) for at in (0, 8, 16)]
    wanted = [each[0], (each[0] + each[1]) / 2, (8 * each[0] + 8 * each[1] + 6 * each[2]) / 22]
    assert seen == pytest.approx(wanted)
    seen.clear()
    model.evaluate(X, Y, 8, 0, callbacks=Note())
    wanted = [reference.loss(X[:8], Y[:8]), reference.loss(X[:16], Y[:16]), reference.loss(X, Y)]
    assert seen == pytest.approx(wanted)
