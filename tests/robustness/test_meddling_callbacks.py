"""What a callback does to a model in training counts, or is refused; and if it fails, no harm."""

import copy

import numpy as np
import pytest

from nnlite import Sequential, optimizers, set_random_seed
from nnlite.callbacks import Callback, LambdaCallback, TerminateOnNaN
from nnlite.layers import Dense, Input, Sigmoid

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((24, 3))
Y = (X[:, :1] > 0).astype(float)


def net(last=None, metrics=("mae",), optimizer="adam"):
    set_random_seed(1)
    options = {"dtype": "float64"}
    model = Sequential([Input((3,), **options), Dense(4, "tanh", **options), Dense(1, **options)])
    if last is not None:
        model.add(last(**options))
    model.compile(optimizer, "mse", metrics=list(metrics))
    return model


def weights(model):
    return [weight.tobytes() for weight in model.get_weights()]


def after_batch(number, act):
    """Return a callback that acts once, after the batch of that number."""
    return LambdaCallback(on_train_batch_end=lambda batch, logs: act() if batch == number else 0)


def stepped(model, steps):
    for start in range(0, 4 * steps, 4):
        model.train_on_batch(X[start : start + 4], Y[start : start + 4])
    return weights(model)


FIT = {"batch_size": 4, "verbose": 0, "shuffle": False}


def test_compile_waits_for_the_end_of_a_fit():
    model = net()
    optimizer = model.optimizer
    with pytest.raises(
        RuntimeError, match=r"compile\(\) has to wait for the end of the current fit"
    ):
        model.fit(X, Y, callbacks=after_batch(2, lambda: model.compile("sgd", "mae")), **FIT)
    assert model.optimizer is optimizer
    assert weights(model) == stepped(net(), 3)
    model.compile("sgd", "mae")
    model.fit(X, Y, **FIT)


@pytest.mark.parametrize("metrics", [(), ("mae",)])
@pytest.mark.parametrize("act", ["pop", "pop all", "add"])
def test_a_layer_too_few_or_many_ends_the_fit_before_the_next_step(act, metrics):
    model, messages = net(metrics=metrics), "expects y of the output's shape|is empty"
    acts = {
        "pop": model.pop,
        "pop all": lambda: [model.pop() for _ in model.layers],
        "add": lambda: model.add(Dense(5, dtype="float64")),
    }
    before = model.layers
    with pytest.raises(ValueError, match=messages):
        model.fit(X, Y, callbacks=after_batch(2, acts[act]), **FIT)
    found = [array.tobytes() for layer in before for array in layer.get_weights()]
    assert found == stepped(net(metrics=metrics), 3)


def test_a_layer_that_fits_takes_part_from_the_next_step_on():
    model, other = net(), net()
    model.fit(X, Y, callbacks=after_batch(2, lambda: model.add(Sigmoid(dtype="float64"))), **FIT)
    stepped(other, 3)
    other.add(Sigmoid(dtype="float64"))
    for start in range(12, 24, 4):
        other.train_on_batch(X[start : start + 4], Y[start : start + 4])
    assert weights(model) == weights(other)


def test_validation_is_of_the_model_as_it_is_by_then():
    model = net(Sigmoid)
    model.compile("sgd", "binary_crossentropy")  # joined with the sigmoid, until it goes
    history = model.fit(
        X, Y, callbacks=after_batch(5, model.pop), validation_data=(X, Y), **FIT
    ).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-12)


@pytest.mark.parametrize("way", ["evaluate", "test_on_batch"])
def test_an_evaluation_by_a_callback_leaves_the_run_s_metrics_alone(way):
    def look(batch, logs):
        getattr(model, way)(X[:5], 1 - Y[:5])

    model, other = net(), net()
    watched = model.fit(X, Y, epochs=2, callbacks=LambdaCallback(on_train_batch_end=look), **FIT)
    assert watched.history == other.fit(X, Y, epochs=2, **FIT).history
    assert weights(model) == weights(other)


def test_a_fit_within_a_fit_leaves_the_outer_one_as_it_is():
    model = net()

    def inner():
        model.stop_training = True
        held = model.history
        assert model.fit(X, Y, **FIT) is not held
        assert model.history is held
        assert model.stop_training

    history = model.fit(X, Y, epochs=3, callbacks=[after_batch(1, inner), TerminateOnNaN()], **FIT)
    assert model.history is history
    assert len(history.history["loss"]) == 1
    other = net()
    losses = [stepped(other, 2), other.fit(X, Y, **FIT)]
    assert weights(model) == weights(other)
    assert losses


def test_targets_of_another_form_within_a_fit_change_nothing_about_it():
    labels = (X[:, 0] > 0).astype(int)
    one_hot = np.eye(2)[labels]

    def classifier():
        set_random_seed(2)
        return Sequential([Input((3,)), Dense(2, "softmax")])

    model, other = classifier(), classifier()
    look = after_batch(1, lambda: model.evaluate(X, labels, verbose=0))
    watched = model.fit(X, one_hot, callbacks=look, **FIT).history
    assert watched == other.fit(X, one_hot, **FIT).history
    assert weights(model) == weights(other)


def test_an_optimizer_that_is_assigned_begins_anew():
    model, other = net(), net()
    for each in (model, other):
        each.fit(X, Y, **FIT)
        if each is model:
            model.optimizer = optimizers.SGD(0.1)
        else:
            other.compile(optimizers.SGD(0.1), "mse")
        each.fit(X, Y, **FIT)
        each.train_on_batch(X, Y)
    assert weights(model) == weights(other)
    assert model.optimizer.iterations == 7


# ---- errors -------------------------------------------------------------------------------------

# Each hook of a fit of two epochs of six batches, and how many steps were taken when it fails.
FAILING = {
    "on_train_begin": 0,
    "on_epoch_begin": 6,
    "on_train_batch_begin": 6,
    "on_train_batch_end": 7,
    "on_test_begin": 6,
    "on_test_batch_begin": 6,
    "on_test_batch_end": 6,
    "on_test_end": 6,
    "on_epoch_end": 6,
    "on_train_end": 12,
}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, MemoryError, StopIteration])
@pytest.mark.parametrize("hook", FAILING)
def test_a_callback_that_fails_leaves_the_steps_before_it(hook, error):
    model, other, failing = net(), net(), Callback()

    def fail(*place_and_logs):
        if model.optimizer.iterations >= FAILING[hook]:
            raise error("mine")

    setattr(failing, hook, fail)
    options = {"epochs": 2, "validation_data": (X, Y), **FIT}
    with pytest.raises(error, match="mine"):
        model.fit(X, Y, callbacks=failing, **options)
    assert model.fit_loop is None
    for _ in range(FAILING[hook] // 6):
        stepped(other, 6)
    assert weights(model) == stepped(other, FAILING[hook] % 6)
    copied = copy.deepcopy(model)
    histories = [each.fit(X, Y, **options).history for each in (model, other, copied)]
    assert histories[0] == histories[1] == histories[2]
    assert weights(model) == weights(other) == weights(copied)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("way", ["fit", "evaluate", "predict"])
def test_a_generator_that_fails_leaves_the_model_as_it_was_before(way, error):
    def failing():
        yield X[:4], Y[:4]
        yield X[4:8], Y[4:8]
        raise error("mine")

    model, other = net(), net()
    with pytest.raises(error, match="mine"):
        getattr(model, way)(failing(), verbose=0)
    assert weights(model) == stepped(other, 2 if way == "fit" else 0)
    assert model.evaluate(X, Y, verbose=0) == other.evaluate(X, Y, verbose=0)
