"""Callbacks: hooks in Keras's order, EarlyStopping, and the History."""

import re
import sys

import numpy as np
import pytest
from helpers import SERIES, TARGETS, Play, assert_same_weights, small

from nnlite import Sequential, callbacks, metrics
from nnlite.callbacks import Callback, EarlyStopping, History, ReduceLROnPlateau
from nnlite.layers import Dense

X, Y = SERIES, TARGETS


# ---- callbacks ------------------------------------------------------------------------------


HOOKS = [name for name in dir(Callback) if name.startswith("on_")]


class Recorder(Callback):
    """LoadReport every hook, its epoch or batch, and the names in its logs."""

    def __init__(self):
        self.calls = []


def _recording(name):
    def hook(self, *arguments):
        *place, logs = arguments
        self.calls.append((name.removeprefix("on_"), *place, *logs))

    return hook


for _name in HOOKS:
    if _name not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, _name, _recording(_name))


def test_hooks_are_called_in_the_order_of_keras():
    """The list is what Keras 3.15 calls in the same run."""
    recorder = Recorder()
    model = small()
    model.fit(X[:8], Y[:8], 4, 2, 0, recorder, validation_data=(X[:4], Y[:4]), validation_freq=2)
    training = [
        ("train_batch_begin", 0),
        ("train_batch_end", 0, "loss"),
        ("train_batch_begin", 1),
        ("train_batch_end", 1, "loss"),
    ]
    assert recorder.calls == [
        ("train_begin",),
        ("epoch_begin", 0),
        *training,
        ("epoch_end", 0, "loss"),
        ("epoch_begin", 1),
        *training,
        ("test_begin",),
        ("test_batch_begin", 0),
        ("test_batch_end", 0, "loss"),
        ("test_end", "loss"),
        ("epoch_end", 1, "loss", "val_loss"),
        ("train_end", "loss", "val_loss"),
    ]
    assert recorder.params["epochs"] == 2
    assert recorder.params["steps"] == 2
    assert recorder.params["verbose"] == 0
    assert recorder.model is model
    recorder.calls.clear()
    model.evaluate(X[:8], Y[:8], 4, 0, callbacks=[recorder])
    model.predict(X[:8], 4, 0, callbacks=[recorder])
    assert recorder.calls == [
        ("test_begin",),
        ("test_batch_begin", 0),
        ("test_batch_end", 0, "loss"),
        ("test_batch_begin", 1),
        ("test_batch_end", 1, "loss"),
        ("test_end", "loss"),
        ("predict_begin",),
        ("predict_batch_begin", 0),
        ("predict_batch_end", 0, "outputs"),
        ("predict_batch_begin", 1),
        ("predict_batch_end", 1, "outputs"),
        ("predict_end",),
    ]


def test_outputs_are_handed_to_the_predict_hook():
    parts = []

    class Note(Callback):
        def on_predict_batch_end(self, batch, logs=None):
            parts.append(logs["outputs"])

    model = small()
    output = model.predict(X, 5, callbacks=Note())
    np.testing.assert_array_equal(np.concatenate(parts), output)


def test_history_records_what_a_callback_adds_to_the_logs():
    class Rate(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["rate"] = self.model.optimizer.learning_rate

    assert small().fit(X, Y, epochs=2, verbose=0, callbacks=Rate()).history["rate"] == [0.1, 0.1]


def test_old_names_and_instance_hooks_are_called():
    calls = []

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            calls.append(("batch", batch, *logs))

    made = Callback()
    made.on_epoch_end = lambda epoch, logs: calls.append(("epoch", epoch, *logs))
    small().fit(X, Y, 11, verbose=0, callbacks=[Old(), made])
    assert calls == [("batch", 0, "loss"), ("batch", 1, "loss"), ("epoch", 0, "loss")]


@pytest.mark.parametrize(
    ("hook", "batches", "epochs"),
    [("on_train_batch_end", 2, 1), ("on_epoch_end", 5, 1), ("on_train_begin", 1, 1)],
)
def test_stop_training_ends_after_the_batch_or_the_epoch(hook, batches, epochs):
    class Stop(Recorder):
        pass

    def stop(self, *arguments):
        if hook != "on_train_batch_end" or arguments[0] == 1:
            self.model.stop_training = True

    setattr(Stop, hook, stop)
    recorder = Stop()
    model = small()
    history = model.fit(X, Y, 5, epochs=4, verbose=0, callbacks=recorder)
    assert len(history.epoch) == epochs
    begun = [call for call in recorder.calls if call[0] == "train_batch_begin"]
    assert len(begun) == batches
    assert recorder.calls[-1][0] == "train_end"
    assert model.stop_training
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


@pytest.mark.parametrize("hook", [name for name in HOOKS if "predict" not in name])
def test_a_callback_that_raises_leaves_the_model_usable(hook, capsys):
    class Bomb(Callback):
        pass

    def explode(self, *arguments):
        raise KeyError("boom")

    setattr(Bomb, hook, explode)
    model = small(metrics=["mae"])
    with pytest.raises(KeyError, match="boom"):
        model.fit(X, Y, 5, 2, 1, Bomb(), validation_data=(X, Y))
    model.predict(X)
    weights = model.get_weights()
    fresh = small(metrics=["mae"])
    fresh.build((None, 3))
    fresh.set_weights(weights)
    results = [m.fit(X, Y, 5, 2, 0, shuffle=False).history for m in (model, fresh)]
    assert results[0] == results[1]
    assert_same_weights(model, fresh)


def test_a_callback_may_freeze_a_layer_in_the_middle_of_training():
    class Freeze(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.layers[0].trainable = False
                self.before = self.model.get_weights()

    freeze = Freeze()
    model = small()
    model.fit(X, Y, 5, 3, 0, freeze)
    after = model.get_weights()
    np.testing.assert_array_equal(after[0], freeze.before[0])
    np.testing.assert_array_equal(after[1], freeze.before[1])
    assert (after[2] != freeze.before[2]).any()


def test_a_callback_may_use_the_model():
    class Curious(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.predict(X)
            self.model.get_weights()[0][:] = 9.0

        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X, Y, verbose=0)

    model = small()
    history = model.fit(X, Y, 5, 2, 0, Curious()).history
    plain = small()
    assert history == plain.fit(X, Y, 5, 2, 0).history
    assert_same_weights(model, plain)


# ---- EarlyStopping --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "values", "epochs", "kept"),
    [
        # epochs run, and the epoch whose weights are there at the end
        ({}, [3, 2, 2, 1], 3, 2),
        ({"patience": 1}, [3, 2, 2, 2, 1], 3, 2),
        ({"patience": 2}, [3, 2, 2, 2, 1], 4, 3),
        ({"patience": 2}, [3, 2, 4, 1, 4, 4, 0], 6, 5),
        ({"patience": 2, "restore_best_weights": True}, [3, 2, 4, 1, 4, 4, 0], 6, 3),
        ({"patience": 9, "restore_best_weights": True}, [3, 2, 4, 1, 4], 5, 3),
        ({"min_delta": 0.5, "patience": 1}, [3, 2.6, 2.4, 2.0, 0], 2, 1),
        ({"min_delta": -0.5, "patience": 1}, [3, 2.4, 2.0, 0], 3, 2),
        ({"baseline": 1.0, "patience": 2}, [3, 2.5, 2.4, 2.3, 0.5], 5, 4),
        ({"baseline": 1.0, "patience": 2}, [3, 2.5, 2.5, 0.5], 3, 2),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 5, 4),
        ({"start_from_epoch": 2, "restore_best_weights": True}, [0, 0, 4, 3, 9], 5, 3),
        ({"mode": "max"}, [1, 2, 3, 2, 9], 4, 3),
        ({"mode": "min"}, [1, 2, 3], 2, 1),
        ({"monitor": "val_accuracy", "mode": "max"}, [0.1, 0.5, 0.4, 0.9], 3, 2),
        ({"monitor": "auc", "mode": "max", "patience": 2}, [0.1, 0.5, 0.4, 0.9], 4, 3),
    ],
)
def test_early_stopping_stops_where_keras_does(arguments, values, epochs, kept):
    model = small()
    play = Play(values, arguments.get("monitor", "val_loss"))
    stop = EarlyStopping(**arguments)
    history = model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[play, stop])
    assert len(history.epoch) == epochs
    np.testing.assert_array_equal(model.get_weights()[-1], [kept, kept])


@pytest.mark.parametrize(
    ("arguments", "values", "epochs", "kept"),
    [
        # Keras takes a NaN that comes first for the best, and nothing is better than NaN.
        ({"patience": 1}, [np.nan, 2.0, 1.0, 1.5, 1.5], 4, 3),
        ({"patience": 2, "restore_best_weights": True}, [np.nan, 3.0, 2.0, 4.0, 5.0, 1], 5, 2),
        ({"patience": 1, "mode": "max"}, [1.0, np.nan, 2.0], 2, 1),
        ({"patience": 1, "restore_best_weights": True}, [np.nan, np.nan, 1.0], 2, 1),
    ],
)
def test_nan_is_never_the_best(arguments, values, epochs, kept):
    model, stop = small(), EarlyStopping(**arguments)
    with pytest.warns(UserWarning, match="EarlyStopping watches 'val_loss', which is nan") as seen:
        history = model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Play(values), stop])
    assert len(seen) == 1
    assert len(history.epoch) == epochs
    np.testing.assert_array_equal(model.get_weights()[-1], [kept, kept])


def test_an_array_of_one_number_is_watched_as_that_number():
    values = [np.array([3.0]), np.array(2.0), [2.5], np.float32(1.0)]
    stop = EarlyStopping(patience=1)
    small().fit(X, Y, epochs=4, verbose=0, callbacks=[Play(values), stop])
    assert (stop.best, stop.best_epoch, stop.stopped_epoch) == (2.0, 1, 2)


def test_the_f1_score_of_one_class_is_watched():
    """With average=None it is an array of one number, which Keras makes a float in the logs."""
    model = Sequential([Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[metrics.F1Score(None, threshold=0.5)])
    y = (X[:, :1] > 0).astype(float)
    watching = [EarlyStopping("val_f1_score", patience=9), ReduceLROnPlateau("f1_score")]
    history = model.fit(X, y, epochs=2, verbose=0, validation_data=(X, y), callbacks=watching)
    assert type(history.history["val_f1_score"][0]) is float
    assert watching[0].best == max(history.history["val_f1_score"])
    assert watching[1].best == max(history.history["f1_score"])


@pytest.mark.parametrize("value", ["0.5", [1.0, 2.0], {"a": 1.0}])
def test_what_is_not_one_number_cannot_be_watched(value):
    message = r"EarlyStopping needs one number to compare\. Received: 'val_loss'"
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, verbose=0, callbacks=[Play([value]), EarlyStopping()])


@pytest.mark.parametrize(
    ("baseline", "error"), [("0.5", TypeError), (np.nan, ValueError), ([0.5], TypeError)]
)
def test_a_baseline_is_a_number(baseline, error):
    with pytest.raises(error, match="baseline must be a"):
        EarlyStopping(baseline=baseline)
    assert EarlyStopping(baseline=-np.inf).baseline == -np.inf


def test_early_stopping_speaks_when_asked(capsys):
    stop = EarlyStopping(verbose=1, restore_best_weights=True)
    small().fit(X, Y, epochs=9, verbose=0, callbacks=[Play([2, 3, 1]), stop])
    shown = capsys.readouterr().out
    assert "Epoch 2: early stopping" in shown
    assert "epoch 1" in shown
    assert stop.stopped_epoch == 1


def test_early_stopping_warns_when_it_has_nothing_to_watch():
    with pytest.warns(UserWarning, match=r"'val_loss'.*not in the logs: loss"):
        history = small().fit(X, Y, epochs=2, verbose=0, callbacks=EarlyStopping())
    assert len(history.epoch) == 2


def test_early_stopping_begins_anew_with_every_fit():
    stop = EarlyStopping(monitor="val_loss", patience=1)
    model = small()
    for _ in range(2):
        run = model.fit(X, Y, epochs=5, verbose=0, callbacks=[Play([1, 2, 3, 4, 5]), stop])
        assert len(run.epoch) == 2


# ---- History --------------------------------------------------------------------------------


def test_the_history_is_returned_and_kept():
    model = small(metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0)
    assert isinstance(history, History)
    assert model.history is history
    assert history.model is model
    assert history.epoch == [0, 1]
    assert repr(history).startswith("<History of 2 epochs: loss=")
    first = {name: list(values) for name, values in history.history.items()}
    assert model.fit(X, Y, verbose=0) is not history
    assert history.history == first


def test_plot_draws_training_beside_validation():
    history = small(metrics=["mae"]).fit(X, Y, 5, 4, 0, validation_data=(X, Y))
    figure = history.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "mae"]
    for axis, name in zip(figure.axes, ("loss", "mae"), strict=True):
        training, validation = axis.get_lines()
        np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_array_equal(training.get_ydata(), history.history[name])
        np.testing.assert_array_equal(validation.get_ydata(), history.history[f"val_{name}"])
        labels = [text.get_text() for text in axis.get_legend().get_texts()]
        assert labels == ["training", "validation"]
        assert axis.get_xlabel() == "epoch"


def test_plot_places_rare_validations_at_their_epochs():
    history = small().fit(X, Y, 5, 6, 0, validation_data=(X, Y), validation_freq=3)
    _, validation = history.plot().axes[0].get_lines()
    np.testing.assert_array_equal(validation.get_xdata(), [3, 6])


def test_plot_takes_axes_and_says_what_is_missing(tmp_path):
    from matplotlib.figure import Figure

    history = small(metrics=["mae"]).fit(X, Y, epochs=2, verbose=0)
    figure = Figure()
    assert history.plot(figure.subplots(1, 2)) is figure
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000
    with pytest.raises(ValueError, match=r"plot needs 2 axes\. Received: 1"):
        history.plot(Figure().subplots())
    with pytest.raises(ValueError, match="no epoch to draw"):
        small().fit(X, Y, epochs=0, verbose=0).plot()


def test_plot_says_what_to_install(monkeypatch):
    history = small().fit(X, Y, verbose=0)
    monkeypatch.setitem(sys.modules, "matplotlib.ticker", None)
    with pytest.raises(ImportError, match=r"nnlite\[plot\]"):
        history.plot()


@pytest.mark.parametrize("epochs", [1, 2])
def test_pyplot_shows_the_figure_with_whole_epochs(epochs, monkeypatch):
    from matplotlib import pyplot

    figure = small().fit(X, Y, epochs=epochs, verbose=0).plot()
    try:
        assert pyplot.fignum_exists(figure.number)
        figure.draw_without_rendering()
        ticks = figure.axes[0].get_xticks()
        np.testing.assert_array_equal(ticks, np.rint(ticks))
        with pytest.raises(NotImplementedError):  # which tells IPython to show it as any figure
            figure._ipython_display_()
        assert pyplot.fignum_exists(figure.number)
        monkeypatch.setattr(pyplot, "get_backend", lambda: "inline")
        with pytest.raises(NotImplementedError):
            figure._ipython_display_()
        assert not pyplot.fignum_exists(figure.number)  # a notebook would show it once more
    finally:
        pyplot.close(figure)


class FakePandas:
    """What `to_frame` calls of pandas, which need not be there."""

    @staticmethod
    def Index(values, name):
        return name, values

    @staticmethod
    def DataFrame(columns, index):
        assert {len(column) for column in columns.values()} == {len(index[1])}
        return columns, index


def test_a_frame_has_a_row_for_each_epoch_of_all_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", FakePandas)
    history, model = History(), small()
    for _ in range(2):
        model.fit(X, Y, 5, 3, 0, history, validation_data=(X, Y), validation_freq=2)
    columns, index = history.to_frame()
    assert index == ("epoch", [0, 1, 2, 0, 1, 2])
    assert columns["loss"] == history.history["loss"]
    nan, (first, second) = np.nan, history.history["val_loss"]
    np.testing.assert_array_equal(columns["val_loss"], [nan, first, nan, nan, second, nan])
    history.history["mine"] = [7]
    assert history.to_frame()[0]["mine"][0] == 7


def test_a_frame_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        small().fit(X, Y, verbose=0).to_frame()


def test_a_real_frame():
    pytest.importorskip("pandas", exc_type=ImportError)
    history = small().fit(X, Y, 5, 3, 0, validation_data=(X, Y), validation_freq=2)
    frame = history.to_frame()
    assert list(frame.index) == [0, 1, 2]
    assert frame["val_loss"].isna().tolist() == [True, False, True]
    assert frame["loss"].tolist() == history.history["loss"]


def test_notebooks_show_a_chart_for_each_quantity():
    history = small(metrics=["mae"]).fit(X, Y, 5, 4, 0, validation_data=(X, Y))
    history.history["a<b"] = [1.0, np.nan, np.inf, 2.0]
    history.history["names"] = ["one", "two"]
    shown = history._repr_html_()
    assert re.findall(r'font-weight="600">([^<]*)<', shown) == ["loss", "mae", "a&lt;b"]
    assert f"validation: {history.history['val_mae'][-1]:.4f}" in shown
    assert "nan" not in re.sub("<title>.*?</title>", "", shown.partition("<svg")[2].lower())
    assert "<svg" not in History()._repr_html_()


def test_names_are_public():
    assert set(callbacks.__all__) >= {"Callback", "EarlyStopping", "History"}


@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
def test_a_metric_with_a_value_for_each_class_cannot_be_watched(cls):
    model = Sequential([Dense(2, activation="softmax")])
    per_class = metrics.F1Score(average=None)
    model.compile("sgd", "categorical_crossentropy", metrics=[per_class])
    watch = cls("f1_score", mode="max")
    with pytest.raises(ValueError, match=r"needs one number.*'f1_score' with 2 values.*macro"):
        model.fit(np.ones((4, 3)), np.eye(2)[[0, 1, 0, 1]], verbose=0, callbacks=[watch])
