"""Every callback beside Keras's: the same run, with random settings, goes the same way.

One model of each kind is compiled in Keras and used again and again, for compiling takes longest.
Its callbacks get made-up numbers beside the real ones, so that runs stop and save at random.
"""

import csv
import functools
import inspect
from pathlib import Path

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src import backend

import nnlite
from nnlite import callbacks

# Keras's variables are arrays of the kind before NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEEDS = range(20)
EPOCHS = 9
RATE = 0.05

# Which way is better must be told of the made-up numbers.
MONITORS = [("loss", "auto"), ("val_loss", "auto"), ("mae", "auto"), ("val_mae", "min")]
PLAYED = [("played", "min"), ("val_played", "max")]


@pytest.fixture(autouse=True)
def _in_double_precision(monkeypatch):
    """Keras's mean on JAX computes in float32 otherwise, of float64 too, and overflows earlier."""
    monkeypatch.setattr(backend.numpy, "mean", jnp.mean)
    keras.config.set_floatx("float64")
    nnlite.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")
    nnlite.config.set_floatx("float32")


def _data():
    g = np.random.default_rng(5)
    x = g.standard_normal((24, 3))
    return x, np.sin(2 * x[:, :1]), g.standard_normal((9, 3)), g.standard_normal((9, 1))


def _compiled(library, averaging):
    """Return a model of ``library``: keras or nnlite."""
    layers = library.layers
    model = library.Sequential([layers.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    optimizer = library.optimizers.SGD(RATE, 0.5, use_ema=averaging, ema_momentum=0.8)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


@functools.cache
def _keras_model(averaging):
    model = _compiled(keras, averaging)
    model.fit(*_data()[:2], verbose=0)
    return model, model.get_weights(), [v.numpy() for v in model.optimizer.variables]


def models(averaging=False):
    """Return a Keras model and one of ours, both as new and with equal weights."""
    theirs, weights, state = _keras_model(averaging)
    theirs.set_weights(weights)
    for variable, value in zip(theirs.optimizer.variables, state, strict=True):
        moving = "average" in variable.path
        fresh = value if moving else np.zeros_like(value)
        variable.assign(RATE if "learning_rate" in variable.path else fresh)
    ours = _compiled(nnlite, averaging)
    ours.set_weights(weights)
    return theirs, ours


def _play(library, seed):
    """Return a callback that adds made-up numbers to the logs."""
    values = np.random.default_rng(seed).integers(0, 8, (2, EPOCHS)) / 4

    class Play(library.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["played"], logs["val_played"] = map(float, values[:, epoch])

    return Play()


def fit(model, library, given, seed, folder, **options):
    """Return the history of a run, and the files that were saved in it, in order."""
    x, y, *held = _data()
    files = []

    def save(path, overwrite):
        assert overwrite
        Path(path).touch()
        files.append(str(Path(path).relative_to(folder)))

    model.save = model.save_weights = save
    options = {"validation_data": tuple(held), "epochs": EPOCHS, **options}
    history = model.fit(
        x, y, 8, verbose=0, shuffle=False, callbacks=[_play(library, seed), *given], **options
    )
    return history, files


def assert_close(mine, theirs, scale=1.0):
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * scale)


def assert_same_run(tmp_path, make, seed, averaging=False, **options):
    """Run both with what ``make(callbacks module, folder)`` returns; return these two."""
    theirs, ours = models(averaging)
    results = []
    for model, library in ((theirs, keras), (ours, nnlite)):
        folder = tmp_path / library.__name__
        folder.mkdir()
        callback = make(library.callbacks, folder)
        results.append((callback, *fit(model, library, [callback], seed, folder, **options)))
    (expected, expected_history, expected_files), (callback, history, files) = results
    assert history.epoch == expected_history.epoch
    assert list(history.history) == list(expected_history.history)
    for name, values in expected_history.history.items():
        assert_close(history.history[name], values)
    assert files == expected_files
    for mine, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, wanted)
    assert_close(ours.optimizer.learning_rate, float(theirs.optimizer.learning_rate))
    return expected, callback


def _pick(g, *values):
    return values[g.integers(len(values))]


def _watching(g):
    monitor, mode = _pick(g, *MONITORS, *PLAYED, *PLAYED, *PLAYED)
    return {"monitor": monitor, "mode": mode}


# ---- each callback's settings ----------------------------------------------------------------


def early_stopping(tmp_path, seed, g):
    arguments = {
        **_watching(g),
        "min_delta": _pick(g, 0, 0.1, -0.3),
        "patience": int(g.integers(0, 4)),
        "baseline": _pick(g, None, None, 0.6),
        "restore_best_weights": _pick(g, True, False),
        "start_from_epoch": int(g.integers(0, 3)),
    }
    expected, callback = assert_same_run(
        tmp_path, lambda module, _: module.EarlyStopping(**arguments), seed
    )
    for name in ("wait", "stopped_epoch", "best_epoch"):
        assert getattr(callback, name) == getattr(expected, name), name
    assert_close(callback.best, expected.best)


def reduce_lr_on_plateau(tmp_path, seed, g):
    arguments = {
        **_watching(g),
        "factor": _pick(g, 0.1, 0.5),
        "patience": int(g.integers(0, 3)),
        "min_delta": _pick(g, 1e-4, 0.1),
        "cooldown": int(g.integers(0, 3)),
        "min_lr": _pick(g, 0.0, 0.004),
    }
    expected, callback = assert_same_run(
        tmp_path, lambda module, _: module.ReduceLROnPlateau(**arguments), seed
    )
    for name in ("wait", "cooldown_counter"):
        assert getattr(callback, name) == getattr(expected, name), name
    assert callback.in_cooldown() == expected.in_cooldown()


def model_checkpoint(tmp_path, seed, g):
    watching, only_weights = _watching(g), _pick(g, True, False)
    name = _pick(g, "{epoch:02d}-{loss:.2f}", "sub/{epoch}/{mae:.1e}", "same")
    frequency = "epoch"
    if g.random() < 0.3:  # Keras cannot watch the best between epochs
        frequency, name = int(g.integers(1, 5)), "{epoch}-{batch:03d}"
    arguments = {
        **watching,
        "save_best_only": frequency == "epoch" and _pick(g, True, False),
        "save_weights_only": only_weights,
        "save_freq": frequency,
        "initial_value_threshold": _pick(g, None, None, 1.0),
    }
    ending = ".weights.h5" if only_weights else _pick(g, ".keras", ".h5")
    expected, callback = assert_same_run(
        tmp_path, lambda m, folder: m.ModelCheckpoint(folder / (name + ending), **arguments), seed
    )
    if expected.best is None:
        assert callback.best is None
    else:
        assert_close(callback.best, expected.best)


def learning_rate_scheduler(tmp_path, seed, g):
    factor = float(g.uniform(0.3, 1))
    schedule = _pick(
        g, lambda epoch, rate: rate * factor, lambda epoch: np.float32(factor / (10 + epoch))
    )
    assert_same_run(tmp_path, lambda module, _: module.LearningRateScheduler(schedule), seed)


def csv_logger(tmp_path, seed, g):
    separator, append = _pick(g, ",", ";"), _pick(g, True, False)
    before, validates = _pick(g, "", "first line\n", None), _pick(g, True, False)

    def make(module, folder):
        if before is not None:
            (folder / "log.csv").write_text(before)
        return module.CSVLogger(folder / "log.csv", separator, append)

    options = {} if validates else {"validation_data": None}
    assert_same_run(tmp_path, make, seed, epochs=2, **options)
    texts = [(tmp_path / name / "log.csv").read_bytes().decode() for name in ("keras", "nnlite")]
    assert texts[0].count("\r\n") == texts[1].count("\r\n")
    assert texts[0][:20] == texts[1][:20]
    theirs, mine = (list(csv.reader(text.splitlines(), delimiter=separator)) for text in texts)
    for row, wanted in zip(mine, theirs, strict=True):
        for cell, other in zip(row, wanted, strict=True):
            if cell != other:
                assert_close(float(cell), float(other))


def lambda_callback(tmp_path, seed, g):
    calls = {"keras.callbacks": [], "nnlite.callbacks": []}
    hooks = [name for name in dir(callbacks.Callback) if name.startswith("on_")]
    chosen = [name for name in hooks if "predict" not in name and g.random() < 0.6]

    def make(module, _):
        def note(name):
            return lambda *place, logs=None: calls[module.__name__].append(
                (name, *[each for each in place if isinstance(each, int)])
            )

        return module.LambdaCallback(**{name: note(name) for name in chosen})

    assert_same_run(tmp_path, make, seed, epochs=2, validation_freq=int(g.integers(1, 3)))
    assert calls["nnlite.callbacks"] == calls["keras.callbacks"]


def terminate_on_nan(tmp_path, seed, g):
    """In some epoch the rate is far too large: both end in that one."""
    last = int(g.integers(0, EPOCHS - 1))
    schedule = {last: 1e250}

    def run(model, library):
        rates = library.callbacks.LearningRateScheduler(lambda epoch: schedule.get(epoch, RATE))
        given = [rates, library.callbacks.TerminateOnNaN()]
        with np.errstate(all="ignore"):
            return fit(model, library, given, seed, tmp_path, validation_data=None)[0]

    theirs, ours = models()
    for history in (run(theirs, keras), run(ours, nnlite)):
        assert history.epoch == list(range(last + 1))
        assert not np.isfinite(history.history["loss"][-1])


def swap_ema_weights(tmp_path, seed, g):
    swaps = _pick(g, True, False)
    frequency, epochs = int(g.integers(1, 3)), int(g.integers(1, EPOCHS))
    assert_same_run(
        tmp_path,
        lambda module, _: module.SwapEMAWeights(swaps),
        seed,
        averaging=True,
        epochs=epochs,
        validation_freq=frequency,
    )


def base_callback(tmp_path, seed, g):
    """The hooks of a subclass, with the logs that they are given."""
    calls = {}

    def make(module, _):
        seen = calls[module.__name__] = []

        class Recorder(module.Callback):
            def on_train_begin(self, logs=None):
                seen.append(("begin", sorted(self.params.items()), logs or {}))

            def on_train_batch_end(self, batch, logs=None):
                seen.append((batch, sorted(logs)))

            def on_test_end(self, logs=None):
                seen.append(("tested", sorted(logs)))

            def on_epoch_end(self, epoch, logs=None):
                seen.append(("epoch", epoch, list(logs)))
                self.model.stop_training = epoch == stop

            def on_train_end(self, logs=None):
                # Here the logs have what callbacks added to the last epoch's; Keras copied them.
                seen.append(("end", [name for name in logs if "played" not in name]))

        return Recorder()

    stop = int(g.integers(0, 5))
    assert_same_run(tmp_path, make, seed)
    assert calls["nnlite.callbacks"] == calls["keras.callbacks"]


def history(tmp_path, seed, g):
    options = {"epochs": int(g.integers(1, 5)), "initial_epoch": int(g.integers(0, 3))}
    options["validation_freq"] = int(g.integers(1, 3))
    expected, given = assert_same_run(tmp_path, lambda m, _: m.History(), seed, **options)
    assert given.epoch == expected.epoch
    assert list(given.history) == list(expected.history)


CASES = {
    "Callback": base_callback,
    "CSVLogger": csv_logger,
    "EarlyStopping": early_stopping,
    "History": history,
    "LambdaCallback": lambda_callback,
    "LearningRateScheduler": learning_rate_scheduler,
    "ModelCheckpoint": model_checkpoint,
    "ReduceLROnPlateau": reduce_lr_on_plateau,
    "SwapEMAWeights": swap_ema_weights,
    "TerminateOnNaN": terminate_on_nan,
}

# Tested where what they write is.
ELSEWHERE = ["BackupAndRestore", "TensorBoard"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Keras overflows where it is to
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_the_same_run_goes_the_same_way(name, seed, tmp_path):
    CASES[name](tmp_path, seed, np.random.default_rng([seed, len(name)]))


def test_every_callback_has_a_case():
    assert set(CASES) == set(callbacks.__all__) - {*ELSEWHERE}


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_a_callback_is_told_of_the_run_and_ends_it_as_in_keras(method):
    def run(model, module):
        calls = []

        class Stop(module.Callback):
            def set_params(self, params):
                super().set_params(params)
                calls.append(dict(params))

            def on_test_batch_end(self, batch, logs=None):
                calls.append((batch, list(logs)))
                self.model.stop_evaluating = batch == 1

            def on_predict_batch_end(self, batch, logs=None):
                calls.append((batch, list(logs)))
                self.model.stop_predicting = batch == 1

        given = _data()[: 2 if method == "evaluate" else 1]
        options = {"batch_size": 5, "verbose": 0, "callbacks": [Stop()]}
        return calls, np.array(getattr(model, method)(*given, **options))

    theirs, ours = models()
    expected_calls, expected = run(theirs, keras.callbacks)
    calls, results = run(ours, callbacks)
    assert calls == expected_calls
    assert_close(results, expected)


def test_a_monitor_value_of_ones_own_stops_where_keras_does(tmp_path):
    def make(module, _):
        class Sum(module.EarlyStopping):
            def get_monitor_value(self, logs):
                return logs["played"] + logs["val_played"]

        return Sum("sum", mode="min", patience=1, restore_best_weights=True)

    for seed in range(3):
        (tmp_path / str(seed)).mkdir()
        expected, callback = assert_same_run(tmp_path / str(seed), make, seed)
        assert callback.best == expected.best


# ---- names -----------------------------------------------------------------------------------

NOT_HERE = {
    "CallbackList": "fit, evaluate and predict make their own",
    "OrbaxCheckpoint": "a file format of JAX's",
    "ProgbarLogger": "fit's verbose draws the bar",
    "RemoteMonitor": "sends to a server; nnlite opens no connections",
}


def test_every_callback_of_keras_is_there_or_has_a_reason_not_to_be():
    theirs = {name for name in dir(keras.callbacks) if not name.startswith("_")}
    assert theirs - set(callbacks.__all__) == set(NOT_HERE)


@pytest.mark.parametrize("name", [*CASES, *ELSEWHERE])
def test_arguments_have_keras_names_order_and_defaults(name):
    mine, theirs = (
        [(p.name, p.default) for p in inspect.signature(cls).parameters.values()]
        for cls in (getattr(callbacks, name), getattr(keras.callbacks, name))
    )
    if getattr(callbacks, name).__init__ is object.__init__:
        with pytest.raises(TypeError, match="takes no arguments"):
            getattr(callbacks, name)(1)
        mine = []
    if name == "ReduceLROnPlateau":
        assert theirs.pop()[0] == "kwargs"  # Keras takes any, and drops them
    assert [pair for pair in mine if pair != ("on_error", "raise")] == theirs  # that is ours


def test_every_hook_of_keras_is_there():
    theirs = [name for name in dir(keras.callbacks.Callback) if not name.startswith("_")]
    assert [name for name in theirs if not hasattr(callbacks.Callback, name)] == []


# ---- which way is better -----------------------------------------------------------------------


METRICS = [
    name
    for name in nnlite.metrics.__all__
    if inspect.isclass(getattr(nnlite.metrics, name))
    and inspect.isclass(getattr(keras.metrics, name, None))
]


@pytest.mark.parametrize("name", METRICS)
def test_metrics_become_better_in_keras_direction(name):
    mine, theirs = (getattr(library.metrics, name) for library in (nnlite, keras))
    needed = {"num_classes": 2, "target_class_ids": [0], "fn": np.subtract}
    arguments = {
        p.name: needed.get(p.name, 0.5)
        for p in inspect.signature(theirs).parameters.values()
        if p.default is p.empty and p.name != "kwargs"
    }
    assert mine(**arguments).direction == getattr(theirs(**arguments), "_direction", None)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
@pytest.mark.parametrize("monitor", ["played", "val_accuracy"])
def test_an_unknown_direction_is_an_error_in_both(name, monitor, tmp_path):
    for model, library in zip(models(), (keras, nnlite), strict=True):
        callback = getattr(library.callbacks, name)(monitor=monitor)
        with pytest.raises(ValueError, match=f"{name}.*{monitor}"):
            fit(model, library, [callback], 0, tmp_path)
