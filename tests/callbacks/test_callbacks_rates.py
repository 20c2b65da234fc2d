"""Callbacks that change the learning rate, the weights, or end the training."""

import re

import numpy as np
import pytest
from helpers import SERIES, TARGETS, Play, assert_same_weights, small

from nnlite import Sequential, losses, metrics, optimizers
from nnlite.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TerminateOnNaN,
)
from nnlite.layers import Dense
from nnlite.optimizers import schedules

X, Y = SERIES, TARGETS


# ---- which way is better ----------------------------------------------------------------------


def watched(monitor, model_metrics, values=(3.0, 2.0, 2.5, 9.0)):
    """Return how many epochs it takes EarlyStopping, which watches made-up values."""
    model = Sequential([Dense(2, "sigmoid")])
    model.compile("sgd", "mse", metrics=model_metrics)
    callbacks = [Play(values, monitor), EarlyStopping(monitor)]
    history = model.fit(X, np.abs(Y) > 0.5, epochs=len(values), verbose=0, callbacks=callbacks)
    return len(history.epoch)


@pytest.mark.parametrize(
    ("monitor", "metric", "epochs"),
    [
        ("val_loss", [], 3),
        ("loss", [], 3),
        ("accuracy", ["accuracy"], 2),
        ("val_acc", ["acc"], 2),
        ("mae", ["mae"], 3),
        ("val_area", [metrics.AUC(name="area")], 2),
        ("huber_loss", [losses.Huber()], 3),
        ("mean_squared_error", [losses.mean_squared_error], 3),
        ("r2_score", [metrics.R2Score()], 2),
    ],
)
def test_the_loss_and_metrics_know_which_way_is_better(monitor, metric, epochs):
    assert watched(monitor, metric) == epochs


def largest(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=-1)


@pytest.mark.parametrize(
    ("monitor", "metric"),
    [("val_accuracy", []), ("largest", [largest]), ("mean", [metrics.FalsePositives(name="mean")])],
)
def test_a_direction_that_is_not_known_must_be_told(monitor, metric):
    message = (
        f"EarlyStopping cannot tell whether '{monitor}'.*Pass mode='max' or mode='min'.*have: loss"
    )
    with pytest.raises(ValueError, match=message):
        watched(monitor, metric)


def test_a_metric_of_ones_own_may_say_its_direction():
    class Score(metrics.MeanMetricWrapper):
        direction = "up"

    assert watched("score", [Score(largest, name="score")]) == 2


@pytest.mark.parametrize("callback", [EarlyStopping, ReduceLROnPlateau])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mode": "least"}, ValueError, "mode must be 'auto', 'min' or 'max'"),
        ({"monitor": ["loss"]}, TypeError, "monitor must be a name"),
        ({"patience": -1}, ValueError, "patience must be at least 0"),
        ({"patience": 1.5}, TypeError, "patience must be an integer"),
        ({"min_delta": "0"}, TypeError, "min_delta must be a number"),
    ],
)
def test_wrong_arguments_are_refused(callback, arguments, error, message):
    with pytest.raises(error, match=message):
        callback(**arguments)


def test_a_missing_value_is_warned_of_once_a_run():
    reduce = ReduceLROnPlateau()
    for _ in range(2):
        with pytest.warns(UserWarning, match="'val_loss', which is not in the logs: loss") as seen:
            small().fit(X, Y, epochs=3, verbose=0, callbacks=reduce)
        assert len(seen) == 1


# ---- ReduceLROnPlateau ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "values", "rates"),
    [
        ({"patience": 1}, [3, 3, 3, 3], [1, 1, 0.1, 0.01]),
        ({"patience": 2, "factor": 0.5}, [3, 3, 3, 2, 2, 2, 2], [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 0, "factor": 0.5}, [3, 3, 2, 2], [1, 1, 0.5, 0.5]),
        (
            {"patience": 1, "factor": 0.5, "cooldown": 2},
            [3, 3, 3, 3, 3, 3],
            [1, 1, 0.5, 0.5, 0.25, 0.25],
        ),
        ({"patience": 1, "min_lr": 0.05}, [3, 3, 3, 3, 3], [1, 1, 0.1, 0.05, 0.05]),
        ({"patience": 1, "min_lr": 2}, [3, 3, 3], [1, 1, 1]),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.4], [1, 1, 0.1]),
        ({"patience": 1}, [3, 3 - 5e-5, 3 - 2e-4, 3 - 2e-4], [1, 1, 0.1, 0.1]),
        ({"patience": 1, "mode": "max"}, [1, 2, 2, 2], [1, 1, 1, 0.1]),
        ({"patience": 1, "factor": 0}, [3, 3, 3, 3], [1, 1, 0, 0]),
        ({"patience": 1}, [np.array([3.0]), np.array([3.0]), 3], [1, 1, 0.1]),
    ],
)
def test_the_rate_is_reduced_when_patience_ends(arguments, values, rates):
    model = small()
    model.compile(optimizers.SGD(1.0), "mse")
    reduce = ReduceLROnPlateau(**arguments)
    history = model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Play(values), reduce])
    np.testing.assert_allclose(history.history["learning_rate"], rates, rtol=1e-12)


def test_a_rate_is_reduced_after_nan_as_after_no_improvement():
    """Keras takes the first NaN for the best, and would reduce the rate here for ever."""
    model = small()
    model.compile(optimizers.SGD(1.0), "mse")
    values = [np.nan, np.nan, 3, 2, np.nan]
    given = [Play(values), ReduceLROnPlateau(patience=1)]
    with pytest.warns(UserWarning, match="ReduceLROnPlateau watches 'val_loss', which is nan"):
        rates = model.fit(X, Y, epochs=5, verbose=0, callbacks=given).history["learning_rate"]
    np.testing.assert_allclose(rates, [1, 0.1, 0.01, 0.01, 0.01], rtol=1e-12)


def test_a_reduction_is_told_when_asked(capsys):
    reduce = ReduceLROnPlateau(patience=1, verbose=1)
    small().fit(X, Y, epochs=3, verbose=0, callbacks=[Play([1, 1, 0.5]), reduce])
    assert capsys.readouterr().out == "Epoch 2: the learning rate is reduced to 0.01.\n"
    at_its_least = ReduceLROnPlateau(patience=1, verbose=1, min_lr=0.1)
    small().fit(X, Y, epochs=3, verbose=0, callbacks=[Play([1, 1, 1]), at_its_least])
    assert capsys.readouterr().out == ""


def test_every_run_begins_to_watch_anew():
    reduce = ReduceLROnPlateau(patience=2)
    model = small()
    for _ in range(2):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[Play([1, 1]), reduce])
    assert model.optimizer.learning_rate == 0.1


@pytest.mark.parametrize("factor", [1, 1.5])
def test_a_factor_reduces(factor):
    with pytest.raises(ValueError, match=f"factor must be less than 1. Received: factor={factor}"):
        ReduceLROnPlateau(factor=factor)


# ---- LearningRateScheduler --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch, rate: rate / 2, [0.05, 0.025, 0.0125]),
        (lambda epoch: 1.0 / (1 + epoch), [1, 1 / 2, 1 / 3]),
        (lambda epoch, rate=5.0: np.float32(rate), [0.1, 0.1, 0.1]),
        (schedules.ExponentialDecay(0.5, 1, 0.1), [0.5, 0.05, 0.005]),
        (min, [0, 0.0, 0.0]),
        (lambda epoch: epoch, [0, 1, 2]),
    ],
)
def test_a_schedule_sets_the_rate_of_every_epoch(schedule, rates):
    model = small()
    callback = LearningRateScheduler(schedule)
    seen = []
    note = LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(model.optimizer.learning_rate)
    )
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback, note])
    np.testing.assert_allclose(history.history["learning_rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(seen, rates, rtol=1e-6)


def test_an_error_within_a_schedule_is_not_taken_for_another_number_of_arguments():
    def schedule(epoch, rate):
        return rate + "1"

    with pytest.raises(TypeError, match=r"unsupported operand|concatenate"):
        small().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(schedule))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "schedule must return the learning rate, a number. Received: None for epoch 0"),
        ("0.1", "schedule must return"),
        (True, "schedule must return"),
        (np.nan, "learning_rate must be a finite number"),
        (-1.0, "learning_rate must be a finite number"),
    ],
)
def test_a_schedule_must_return_a_rate(returned, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch, _: returned))


def test_a_schedule_is_a_function_and_speaks_when_asked(capsys):
    with pytest.raises(TypeError, match=r"schedule must be a function\. Received: schedule=0\.1"):
        LearningRateScheduler(0.1)
    callback = LearningRateScheduler(lambda epoch: 0.25, verbose=1)
    small().fit(X, Y, verbose=0, callbacks=callback)
    assert capsys.readouterr().out == "Epoch 1: the learning rate is set to 0.25.\n"


@pytest.mark.parametrize(
    "callback",
    [LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau("loss", patience=0, min_delta=9)],
    ids=["LearningRateScheduler", "ReduceLROnPlateau"],
)
def test_two_schedules_do_not_get_in_each_others_way(callback):
    model = small()
    model.compile(optimizers.SGD(schedules.CosineDecay(0.1, 10)), "mse")
    with pytest.raises(TypeError, match="learning rate of this SGD is a schedule"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=callback)


# ---- LambdaCallback ---------------------------------------------------------------------------


def test_functions_become_hooks_and_only_those_are_called():
    calls = []
    callback = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: calls.append(("epoch", epoch)),
        on_train_end=lambda logs: calls.append(("end", *logs)),
        on_test_batch_end=lambda batch, logs: calls.append(("test", batch, *logs)),
        on_train_batch_end=None,
    )
    small().fit(X, Y, 22, 2, 0, callback, validation_data=(X, Y), validation_freq=2)
    expected = [("epoch", 0), ("epoch", 1), ("test", 0, "loss"), ("end", "loss", "val_loss")]
    assert calls == expected


def test_a_name_that_is_no_hook_is_refused():
    with pytest.raises(TypeError, match=r"'on_epoch_ned' is not a callback method\..*begin"):
        LambdaCallback(on_epoch_ned=print)
    with pytest.raises(TypeError, match=r"on_epoch_end must be a function\. Received: 3"):
        LambdaCallback(on_epoch_end=3)
    with pytest.raises(TypeError, match=r"'epoch_end' is not a callback method"):
        LambdaCallback(epoch_end=print)
    assert LambdaCallback(notes=[1]).notes == [1]  # as in Keras


def test_the_old_name_of_a_batch_hook_gives_way_to_the_new_one():
    calls = []
    both = LambdaCallback(
        on_train_batch_end=lambda batch, logs: calls.append("new"),
        on_batch_end=lambda batch, logs: calls.append("old"),
    )
    small().fit(X, Y, 22, verbose=0, callbacks=both)
    assert calls == ["new"]
    both.on_batch_end = lambda batch, logs: calls.append("old")
    Callback.on_train_batch_end(both, 0, {})
    Callback.on_train_batch_begin(both, 0, {})
    assert calls == ["new", "old"]


# ---- TerminateOnNaN ---------------------------------------------------------------------------


def diverging():
    """Return a model whose loss overflows in the third epoch of one batch."""
    model = Sequential([Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(1e12), "mse")
    return model


def test_training_ends_when_the_loss_is_not_finite(capsys):
    ended = []
    callbacks = [TerminateOnNaN(), LambdaCallback(on_train_end=ended.append)]
    with np.errstate(all="ignore"):
        history = diverging().fit(X, Y[:, :1], epochs=50, verbose=0, callbacks=callbacks)
    assert len(history.epoch) == 3
    assert not np.isfinite(history.history["loss"][-1])
    assert np.isfinite(history.history["loss"][:-1]).all()
    shown = capsys.readouterr().out
    assert re.fullmatch(r"Batch 0: the loss is (inf|nan)\. Training ends\.\n", shown)
    assert len(ended) == 1


def test_a_loss_that_is_not_finite_is_an_error_when_asked():
    ended = []
    callbacks = [TerminateOnNaN(raise_error=True), LambdaCallback(on_train_end=ended.append)]
    with (
        np.errstate(all="ignore"),
        pytest.raises(RuntimeError, match=r"loss is \w+ after batch"),
    ):
        diverging().fit(X, Y[:, :1], epochs=50, verbose=0, callbacks=callbacks)
    assert ended == []


@pytest.mark.parametrize("loss", [None, "low", [1.0, 2.0]])
def test_what_another_callback_makes_of_the_loss_ends_nothing(loss):
    change = LambdaCallback(on_train_batch_end=lambda batch, logs: logs.update(loss=loss))
    assert len(small().fit(X, Y, verbose=0, callbacks=[change, TerminateOnNaN()]).epoch) == 1


def test_a_finite_loss_changes_nothing():
    assert len(small().fit(X, Y, epochs=3, verbose=0, callbacks=TerminateOnNaN()).epoch) == 3


# ---- SwapEMAWeights ---------------------------------------------------------------------------


def averaging(**arguments):
    model = small()
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, **arguments), "mse")
    return model


class Note(Callback):
    """Copies the last bias whenever it is asked to."""

    def __init__(self):
        self.seen = {}

    def note(self, name):
        self.seen.setdefault(name, []).append(self.model.get_weights()[-1])

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch begin")

    def on_train_batch_end(self, batch, logs=None):
        self.note("learned")

    def on_test_batch_end(self, batch, logs=None):
        self.note("tested")

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch end")


def averages(learned):
    """Return the running averages of the weights after each batch: the first is the weights."""
    found = [learned[0]]
    for value in learned[1:]:
        found.append(0.5 * found[-1] + 0.5 * value)
    return found


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_evaluation_sees_the_averages_and_training_does_not(swap_on_epoch):
    model, note = averaging(), Note()
    callbacks = [SwapEMAWeights(swap_on_epoch), note]
    model.fit(X, Y, 22, 3, 0, callbacks, validation_data=(X, Y), shuffle=False)
    seen = note.seen
    expected = averages(seen["learned"])
    np.testing.assert_allclose(seen["tested"], expected, rtol=1e-6)
    at_end = expected if swap_on_epoch else seen["learned"]
    np.testing.assert_allclose(seen["epoch end"], at_end, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[-1], expected[-1], rtol=1e-6)
    plain = Note()
    other = averaging()
    other.fit(X, Y, 22, 3, 0, plain, shuffle=False)
    np.testing.assert_array_equal(plain.seen["learned"], seen["learned"])
    assert_same_weights(model, other)
    # The note follows the swap in the list, so that it sees weights already put back.
    np.testing.assert_array_equal(seen["epoch begin"][1:], seen["learned"][:-1])


def test_a_run_that_stops_early_ends_with_the_averages_too():
    model, note = averaging(), Note()
    callbacks = [SwapEMAWeights(swap_on_epoch=True), note, EarlyStopping(mode="min")]
    model.fit(X, Y, 22, 9, 0, [Play([1, 2, 3]), *callbacks], shuffle=False)
    assert len(note.seen["learned"]) == 2
    np.testing.assert_allclose(model.get_weights()[-1], averages(note.seen["learned"])[-1])


def test_weights_come_back_after_predictions_and_evaluations():
    model = averaging()
    model.fit(X, Y, epochs=2, verbose=0)
    average = model.predict(X)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    moved = model.get_weights()
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X, 8, callbacks=[SwapEMAWeights()]), average)
        for mine, wanted in zip(model.get_weights(), moved, strict=True):
            np.testing.assert_array_equal(mine, wanted)
    error = model.evaluate(X, Y, verbose=0, callbacks=SwapEMAWeights())
    np.testing.assert_allclose(error, np.mean((average - Y) ** 2), rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[-1], moved[-1])


class Bomb(Callback):
    def on_test_batch_end(self, batch, logs=None):
        raise KeyError("boom")


def test_weights_come_back_with_the_next_evaluation_after_one_that_failed():
    model, swap = averaging(), SwapEMAWeights()
    model.fit(X, Y, epochs=2, verbose=0)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    moved = model.get_weights()
    with pytest.raises(KeyError, match="boom"):
        model.evaluate(X, Y, verbose=0, callbacks=[swap, Bomb()])
    model.evaluate(X, Y, verbose=0, callbacks=swap)
    for mine, wanted in zip(model.get_weights(), moved, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_weights_of_a_run_that_failed_stay_out_of_the_next():
    model, swap = averaging(), SwapEMAWeights()
    with pytest.raises(KeyError, match="boom"):
        model.fit(X, Y, 11, 3, 0, [swap, Bomb()], validation_data=(X, Y))
    twin = averaging()
    with pytest.raises(KeyError, match="boom"):
        twin.fit(X, Y, 11, 3, 0, Bomb(), validation_data=(X, Y))
    for each in (model, twin):
        each.fit(X, Y, 22, 2, 0, [swap] if each is model else None, shuffle=False)
    assert_same_weights(model, twin)


def test_an_optimizer_without_averages_is_refused_before_training():
    model = small()
    model.build((None, 3))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"SwapEMAWeights needs an optimizer.*Received: SGD"):
        model.fit(X, Y, verbose=0, callbacks=SwapEMAWeights())
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="SwapEMAWeights needs an optimizer"):
        model.predict(X, callbacks=SwapEMAWeights())
