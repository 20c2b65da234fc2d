"""What a user makes of callbacks: overrides, logs, stops and what is watched; used or refused."""

import inspect
import operator

import numpy as np
import pytest
from helpers import SERIES, TARGETS, Play, small

from nnlite import Model, Sequential, callbacks, metrics, optimizers
from nnlite.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers import Dense

X, Y = SERIES, TARGETS


# ---- what is watched is told before the first epoch --------------------------------------------


class Epochs(Callback):
    """Counts the epochs that began, and so leaves the names in the logs as they are."""

    begun = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.begun += 1


@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
@pytest.mark.parametrize("others", [[], [Epochs()]])
def test_a_quantity_that_will_not_be_in_the_logs_is_told_before_the_first_epoch(cls, others):
    message = f"{cls.__name__} watches 'val_mae', which is not in the logs: loss, mae"
    begun = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("an epoch began"))
    model = small(metrics=["mae"])
    with pytest.raises(UserWarning, match=message):  # a warning is an error in these tests
        model.fit(X, Y, verbose=0, callbacks=[cls("val_mae"), begun, *others])


def test_a_direction_that_is_not_known_is_told_before_the_first_epoch():
    counted = Epochs()
    adds = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(acuracy=1.0))
    with pytest.raises(ValueError, match="cannot tell whether 'acuracy' should become larger"):
        small().fit(X, Y, verbose=0, callbacks=[counted, adds, EarlyStopping("acuracy")])
    assert counted.begun == 0


@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_the_direction_of_a_metric_that_follows_from_the_data_is_known_before(name):
    model = Sequential([Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[name])
    stop = EarlyStopping(name, patience=9)
    model.fit(X, (X[:, :1] > 0).astype(float), verbose=0, callbacks=stop)
    assert stop.monitor_op(2, 1)


@pytest.mark.parametrize("monitor", ["learning_rate", "val_loss_1", "val_mae", "weighted_mae"])
def test_names_that_will_be_in_the_logs_are_not_warned_of(monitor):
    model = Sequential([Dense(2)])
    error = metrics.MeanSquaredError(name="loss_1")
    model.compile("sgd", "mse", metrics=["mae", error], weighted_metrics=["mae"])
    rates = LearningRateScheduler(lambda epoch: 0.1)
    watching = [rates, EarlyStopping(monitor, mode="min"), ReduceLROnPlateau(monitor, mode="min")]
    model.fit(X, Y, verbose=0, callbacks=watching, validation_data=(X, Y))


# ---- what a subclass overrides is used ---------------------------------------------------------


def test_a_monitor_value_of_ones_own_is_used():
    """The sum of the two losses, as a subclass of Keras's EarlyStopping would have it."""
    sums = []

    class Both(EarlyStopping):
        def get_monitor_value(self, logs):
            sums.append(logs["loss"] + logs["val_loss"])
            return sums[-1]

    stop = Both(monitor="both", mode="min", patience=9)
    history = small().fit(X, Y, epochs=3, verbose=0, callbacks=stop, validation_data=(X, Y)).history
    expected = np.add(history["loss"], history["val_loss"])
    np.testing.assert_array_equal(sums, expected)
    assert stop.best == expected.min()


@pytest.mark.parametrize("cls", [ReduceLROnPlateau, ModelCheckpoint])
def test_every_watching_callback_uses_a_monitor_value_of_ones_own(cls, tmp_path):
    class Falling(cls):
        def get_monitor_value(self, logs):
            return [3.0, None, 5.0][self.model.fit_loop.epoch]

    arguments = {"monitor": "mine", "mode": "max"}
    if cls is ModelCheckpoint:
        arguments |= {"filepath": tmp_path / "{epoch}.keras", "save_best_only": True}
    watch = Falling(**arguments)
    small().fit(X, Y, epochs=3, verbose=0, callbacks=watch)
    assert watch.best == 5.0


def test_a_comparison_of_ones_own_is_used():
    class Closest(EarlyStopping):
        def __init__(self):
            super().__init__("val_loss", min_delta=0.1, patience=1)
            self.monitor_op = np.less

    stop = Closest()
    small().fit(X, Y, epochs=4, verbose=0, callbacks=[Play([2.0, 1.0, 0.95, 0.0]), stop])
    assert (stop.best, stop.stopped_epoch) == (1.0, 2)


def test_no_hook_is_called_while_a_callback_is_made():
    for cls in (EarlyStopping, ReduceLROnPlateau):

        class Late(cls):
            def __init__(self):
                super().__init__("loss", mode="min")
                self.begun = []

            def on_train_begin(self, logs=None):
                super().on_train_begin(logs)
                self.begun.append(self.model)

        late, model = Late(), small()
        model.fit(X, Y, verbose=0, callbacks=late)
        assert late.begun == [model]


SHIPPED = {
    "BackupAndRestore": lambda cls, folder: cls(folder, save_freq=99),
    "CSVLogger": lambda cls, folder: cls(folder / "log.csv"),
    "EarlyStopping": lambda cls, folder: cls(patience=9),
    "LearningRateScheduler": lambda cls, folder: cls(lambda epoch: 0.1),
    "ModelCheckpoint": lambda cls, folder: cls(folder / "a.keras", save_freq=99),
    "TensorBoard": lambda cls, folder: cls(folder),
}


def shipped():
    for name in callbacks.__all__:
        for method in dir(getattr(callbacks, name)):
            if not method.startswith("_") and callable(getattr(getattr(callbacks, name), method)):
                yield name, method


@pytest.mark.parametrize(("name", "method"), list(shipped()))
def test_each_public_method_of_each_callback_is_used_when_overridden(name, method, tmp_path):
    called = []

    def override(self, *arguments, **keywords):
        called.append(method)
        return getattr(super(cls, self), method)(*arguments, **keywords)

    cls = type("Mine", (getattr(callbacks, name),), {method: override})
    callback = SHIPPED.get(name, lambda cls, folder: cls())(cls, tmp_path)
    model = small()
    model.compile(optimizers.SGD(0.1, use_ema=True), "mse")
    model.fit(X, Y, 22, 1, 0, callback, validation_data=(X, Y))
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    model.predict(X, callbacks=[callback])
    if (name, method) == ("ModelCheckpoint", "get_monitor_value"):
        assert called == []  # it watches nothing unless save_best_only
    elif method in ("plot", "to_frame"):
        assert called == []  # a user calls it
    else:
        assert called


@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_batch_hooks_of_a_checkpoint_are_used_beside_its_own(frequency, tmp_path):
    calls = []

    class Mine(ModelCheckpoint):
        def on_batch_end(self, batch, logs=None):
            calls.append(batch)

        def on_epoch_begin(self, epoch, logs=None):
            calls.append("epoch")  # without super, which notes the epoch

    save = Mine(tmp_path / "{epoch}.keras", save_freq=frequency)
    small().fit(X, Y, 11, 2, 0, save)
    assert calls == ["epoch", 0, 1, "epoch", 0, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]


def test_hooks_given_while_a_run_begins_are_called():
    calls = []

    class Late(Callback):
        def on_train_begin(self, logs=None):
            self.on_epoch_end = lambda epoch, logs: calls.append(epoch)

    small().fit(X, Y, epochs=2, verbose=0, callbacks=Late())
    assert calls == [0, 1]


# ---- the run that callbacks are told of ---------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "params"),
    [
        (lambda m, c: m.fit(X, Y, 5, 2, 0, c), {"verbose": 0, "epochs": 2, "steps": 5}),
        (lambda m, c: m.evaluate(X, Y, 5, 0, callbacks=c), {"verbose": 0, "epochs": 1, "steps": 5}),
        (lambda m, c: m.predict(X, 5, 2, callbacks=c), {"verbose": 2, "epochs": 1, "steps": 5}),
    ],
)
def test_the_model_and_the_whole_of_the_parameters_are_told_at_once(run, params):
    """In Keras's order: first the model to each callback, then the parameters."""
    calls = []

    class Told(Callback):
        def set_model(self, model):
            super().set_model(model)
            calls.append(model)

        def set_params(self, params):
            assert self.model is model
            calls.append(dict(params))

    model = small()
    run(model, [Told(), Told()])
    assert calls == [model, model, params, params]


def test_lists_of_callbacks_are_taken_within_the_list():
    calls = []

    def note(name):
        return LambdaCallback(on_train_begin=lambda logs: calls.append(name))

    small().fit(X, Y, verbose=0, callbacks=[note("a"), [note("b"), (note("c"),)]])
    assert calls == ["a", "b", "c"]
    with pytest.raises(TypeError, match=r"callbacks must be Callback objects.*Received: 'abc'"):
        small().fit(X, Y, verbose=0, callbacks="abc")


def test_a_history_of_ones_own_is_the_one_returned():
    """As in Keras: its epochs begin anew with a second run, and its values go on."""
    own, model = History(), small()
    assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[own]) is own
    assert model.history is own
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[own])
    assert own.epoch == [0]
    assert len(own.history["loss"]) == 3


# ---- ending evaluate and predict -----------------------------------------------------------------


def test_a_callback_ends_an_evaluation_after_the_batch():
    stop = LambdaCallback(
        on_test_batch_end=lambda batch, logs: setattr(model, "stop_evaluating", batch == 1)
    )
    model = small()
    expected = model.evaluate(X[:10], Y[:10], 5, 0)
    assert model.evaluate(X, Y, 5, 0, callbacks=stop) == pytest.approx(expected, rel=1e-6)
    assert model.stop_evaluating
    whole = model.evaluate(X, Y, 5, 0)
    assert not model.stop_evaluating
    assert whole != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("batches", [False, True])
def test_a_callback_ends_predictions_after_the_batch(batches):
    stop = LambdaCallback(
        on_predict_batch_end=lambda batch, logs: setattr(model, "stop_predicting", batch == 1)
    )
    model = small()
    whole = model.predict(X, 5)
    given, size = ((X[i : i + 5] for i in range(0, 20, 5)), None) if batches else (X, 5)
    np.testing.assert_array_equal(model.predict(given, size, callbacks=stop), whole[:10])
    assert model.stop_predicting
    # Without callbacks of its own, a prediction is nobody's to end.
    assert model.predict(X, 5).shape == whole.shape


# ---- what callbacks put in the logs, and raise ---------------------------------------------------


def test_logs_may_hold_anything(tmp_path, capsys):
    odd = {"none": None, "text": "a,b", "some": np.arange(3.0), "flag": True, "list": [1, None]}
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(odd))
    log = CSVLogger(tmp_path / "log.csv")
    for verbose in (1, 2):
        history = small().fit(X, Y, epochs=2, verbose=verbose, callbacks=[add, log])
        shown = capsys.readouterr().out
        assert "none: None - text: a,b - some: [0. 1. 2.] - flag: 1.0000 - list: [1, None]" in shown
    assert history.history["none"] == [None, None]
    assert repr(history).endswith("flag=1.0000, list=[1, None]>")
    line = (tmp_path / "log.csv").read_text().splitlines()[1].split(",loss")[0]
    assert line.startswith('0,True,"""[1, None]"""')


def test_the_history_keeps_an_array_as_it_was():
    class Weights(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["kernel"] = self.model.layers[0].kernel.value

    first, second = small().fit(X, Y, epochs=2, verbose=0, callbacks=Weights()).history["kernel"]
    assert (first != second).any()


def test_a_name_in_the_logs_that_is_no_string_is_refused_by_the_callback_that_put_it():
    class Numbered(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs[epoch] = 1.0

    with pytest.raises(TypeError, match="on_epoch_end of Numbered put the name 0 in the logs"):
        small().fit(X, Y, verbose=0, callbacks=Numbered())


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_test_batch_end"])
def test_what_a_callback_raises_comes_out_as_it_is(hook):
    def explode(*arguments):
        raise FloatingPointError("mine")

    with pytest.raises(FloatingPointError, match="mine") as raised:
        small().fit(
            X, Y, verbose=0, callbacks=LambdaCallback(**{hook: explode}), validation_data=(X, Y)
        )
    assert raised.traceback[-1].name == "explode"
    assert raised.value.__cause__ is None


def test_a_direction_that_a_user_has_set_stays():
    x = np.ones((4, 2))
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse")
    stop = callbacks.EarlyStopping(monitor="loss")
    stop.monitor_op = operator.gt
    model.fit(x, x[:, 0], verbose=0, callbacks=stop)
    assert stop.monitor_op is operator.gt


def test_type_checks_of_callbacks_know_the_model():
    """A method or property of `Model` that is missing here is an error of mypy in a callback."""
    assert inspect.get_annotations(Callback)["model"] == "AbstractModel"
    known = {*dir(AbstractModel), *vars(Dense(1))}
    for cls in AbstractModel.__mro__:
        known |= inspect.get_annotations(cls).keys()
    public = {name for name in dir(Model) if not name.startswith("_")}
    assert public - known == {
        *("add_to", "call", "functional_class", "lists_own", "seed"),
        *("compute_loss", "compute_loss_gradient", "compute_metrics", "update_weights"),
    }  # these are for subclasses of Model
