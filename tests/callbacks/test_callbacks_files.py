"""Callbacks that write files: ModelCheckpoint and CSVLogger."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import SERIES, TARGETS, Play, small

from nnlite import optimizers
from nnlite.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    SwapEMAWeights,
)
from nnlite.models import load_model

X, Y = SERIES, TARGETS


@pytest.fixture
def saved(monkeypatch):
    """Return a model, and the list of what it is told to save to, which it does not."""
    model, calls = small(), []
    for method in ("save", "save_weights"):

        def note(path, overwrite, method=method):
            assert overwrite
            assert Path(path).parent.is_dir()
            calls.append((method, path))

        monkeypatch.setattr(model, method, note, raising=False)
    return model, calls


def names(calls):
    return [Path(path).name for _, path in calls]


# ---- ModelCheckpoint: when, and under which name ----------------------------------------------


def test_every_epoch_is_saved_under_its_name(saved, tmp_path):
    model, calls = saved
    save = ModelCheckpoint(tmp_path / "new" / "er" / "{epoch:02d}-{val_loss:.2f}.keras")
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[Play([0.5, 0.25, 1.0]), save])
    assert names(calls) == ["01-0.50.keras", "02-0.25.keras", "03-1.00.keras"]
    assert {method for method, _ in calls} == {"save"}
    assert calls[0][1] == str(tmp_path / "new" / "er" / "01-0.50.keras")


def test_a_name_without_a_folder_is_one_in_the_folder_at_hand(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, calls = saved
    model.fit(X, Y, verbose=0, callbacks=ModelCheckpoint("best.weights.h5", save_weights_only=True))
    assert calls == [("save_weights", "best.weights.h5")]


@pytest.mark.parametrize(
    ("arguments", "values", "epochs"),
    [
        ({}, [3, 2, 4, 1], [1, 2, 4]),
        ({}, [3, 3, 3], [1]),
        ({"mode": "max"}, [3, 2, 4, 5], [1, 3, 4]),
        ({"initial_value_threshold": 2.5}, [3, 2, 4, 1], [2, 4]),
        ({"initial_value_threshold": 0}, [3, 2, 4, 1], []),
    ],
)
def test_only_the_best_is_saved_when_asked(saved, arguments, values, epochs):
    model, calls = saved
    save = ModelCheckpoint("{epoch}.h5", save_best_only=True, **arguments)
    model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[Play(values), save])
    assert names(calls) == [f"{epoch}.h5" for epoch in epochs]


def test_nan_is_not_saved_as_the_best(saved):
    """Keras saves the first NaN, and nothing afterwards."""
    model, calls = saved
    save = ModelCheckpoint("{epoch}.h5", save_best_only=True)
    play = Play([np.nan, 2.0, np.nan, 1.0])
    with pytest.warns(UserWarning, match="ModelCheckpoint watches 'val_loss', which is nan"):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[play, save])
    assert names(calls) == ["2.h5", "4.h5"]


def test_the_best_is_the_best_of_all_runs(saved):
    model, calls = saved
    save = ModelCheckpoint("{epoch}.h5", save_best_only=True)
    for values in ([2, 1], [3, 0.5]):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[Play(values), save])
    assert names(calls) == ["1.h5", "2.h5", "2.h5"]
    assert save.best == 0.5


def test_batches_are_counted_over_the_epochs(saved):
    model, calls = saved
    save = ModelCheckpoint("{epoch}-{batch}.keras", save_freq=4)
    for _ in range(2):
        model.fit(X, Y, 5, 2, 0, save)  # 5 batches an epoch
    # The batches 4 and 8 of the first run's 10, and of the second run's 2, 6 and 10.
    assert names(calls) == ["1-4.keras", "2-3.keras", "1-2.keras", "2-1.keras", "2-5.keras"]


def test_the_best_of_batches_is_that_of_the_means_so_far(saved):
    model, calls = saved

    class Loss(Callback):
        def on_train_batch_end(self, batch, logs=None):
            logs["made_up"] = [3, 4, 2, 2, 1][batch]

    save = ModelCheckpoint("{batch}.keras", "made_up", 0, True, mode="min", save_freq=1)
    model.fit(X, Y, 5, 1, 0, [Loss(), save])
    assert names(calls) == ["1.keras", "3.keras", "5.keras"]


def test_without_its_quantity_everything_is_saved_with_one_warning(saved):
    model, calls = saved
    save = ModelCheckpoint("{epoch}.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss', which is not in the logs: loss") as seen:
        model.fit(X, Y, epochs=2, verbose=0, callbacks=save)
    assert names(calls) == ["1.keras", "2.keras"]
    assert len(seen) == 1
    assert str(seen[0].message).endswith("The model is saved each time.")


def test_of_several_numbers_none_is_the_best(saved):
    model, calls = saved
    save = ModelCheckpoint("{epoch}.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss' must be a single number"):
        model.fit(X, Y, verbose=0, callbacks=[Play([np.ones(2)]), save])
    assert names(calls) == ["1.keras"]


def test_a_quantity_of_unknown_direction_matters_only_to_the_best(saved):
    model, calls = saved
    play = Play([1.0], "mine")
    model.fit(X, Y, verbose=0, callbacks=[play, ModelCheckpoint("a.keras", "mine")])
    assert names(calls) == ["a.keras"]
    save = ModelCheckpoint("a.keras", "mine", save_best_only=True)
    with pytest.raises(ValueError, match="ModelCheckpoint cannot tell whether 'mine'"):
        model.fit(X, Y, verbose=0, callbacks=[play, save])


def test_a_checkpoint_speaks_when_asked(saved, capsys):
    model, _ = saved
    best = ModelCheckpoint("best.keras", verbose=1, save_best_only=True)
    every = ModelCheckpoint("{epoch}.keras", verbose=1)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Play([0.5, 0.75]), best, every])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: val_loss improved from None to 0.50000, saving to best.keras",
        "Epoch 1: saving to 1.keras",
        "Epoch 2: val_loss did not improve from 0.50000.",
        "Epoch 2: saving to 2.keras",
    ]


def test_a_checkpoint_by_epochs_costs_the_batches_nothing():
    by_epochs, by_batches = (ModelCheckpoint("a.keras", save_freq=freq) for freq in ("epoch", 2))
    for callback, wanted in ((by_epochs, False), (by_batches, True)):
        hooks = CallbackList(callback)
        hooks.begin(small())
        assert hooks.wants("on_train_batch_end") == wanted


def test_a_copied_checkpoint_counts_for_itself(saved):
    model, calls = saved
    save = ModelCheckpoint("{batch}.keras", save_freq=3)
    model.fit(X, Y, 11, 1, 0, [save, copy.deepcopy(save)])  # 2 batches
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("model",), ValueError, "must end in '.keras' or '.h5'.*Received: filepath='model'"),
        (("a.tf",), ValueError, "must end in '.keras' or '.h5'"),
        (("a.h5", "loss", 0, False, True), ValueError, "must end in '.weights.h5'"),
        (("a.keras", "loss", 0, False, True), ValueError, "must end in '.weights.h5'"),
        ((3,), TypeError, "filepath must be a path. Received: filepath=3"),
        (("a.h5", "loss", 0, False, False, "auto", "batch"), ValueError, "save_freq must be 'epoc"),
        (("a.h5", "loss", 0, False, False, "auto", 0), ValueError, "at least 1.*: save_freq=0"),
        (("a.h5", "loss", 0, False, False, "auto", 1.5), ValueError, "Received: save_freq=1.5"),
        (("a.h5", "loss", 0, False, False, "auto", True), ValueError, "Received: save_freq=True"),
        (("a.h5", "loss", 0, True, False, "auto", 1, np.nan), ValueError, "initial_value_thresho"),
        (("a.h5", "loss", 0, True, False, "auto", 1, "2"), TypeError, "initial_value_threshold mu"),
        (("a.h5", "loss", 0, False, False, "best"), ValueError, "mode must be"),
    ],
)
def test_checkpoints_that_could_not_be_written_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ModelCheckpoint(*arguments)


def test_a_name_that_is_not_in_the_logs_is_an_error_that_lists_them(saved):
    model, calls = saved
    begun = []
    note = LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    save = ModelCheckpoint("{val_loss:.2f}.keras")
    message = "names 'val_loss', which is none of epoch, loss"
    with pytest.raises(KeyError, match=message):
        model.fit(X, Y, verbose=0, callbacks=[note, save])
    assert begun == []
    # Where a callback of one's own may add the name, it is seen after the epoch.
    adds = LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    with pytest.raises(KeyError, match=message):
        model.fit(X, Y, verbose=0, callbacks=[note, adds, save])
    assert begun == [0]
    assert calls == []


@pytest.mark.parametrize(
    ("path", "arguments", "error", "message"),
    [
        ("{epoch:02d}-{loss:d}.keras", {}, ValueError, "cannot be filled in.*'d' for object of ty"),
        ("{epoch.keras", {}, ValueError, "cannot be filled in from epoch, loss: expected '}'"),
        ("{}.keras", {}, ValueError, "cannot be filled in from epoch, loss: .*index 0"),
        ("{batch}.keras", {}, KeyError, "names 'batch', which is none of epoch, loss"),
        ("{val_loss}.keras", {"save_freq": 1}, KeyError, "names 'val_loss', .* epoch, batch, loss"),
    ],
)
def test_a_name_that_cannot_be_filled_in_is_told_before_the_first_epoch(
    saved, path, arguments, error, message
):
    model, calls = saved
    begun = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("an epoch began"))
    given = {"validation_data": (X, Y)} if arguments else {}
    with pytest.raises(error, match=message):
        model.fit(X, Y, verbose=0, callbacks=[begun, ModelCheckpoint(path, **arguments)], **given)
    assert calls == []


def test_every_name_that_will_be_in_the_logs_may_stand_in_the_path(saved):
    model, calls = saved
    model.compile("sgd", "mse", metrics=["mae"])
    save = ModelCheckpoint("{epoch}-{loss:.1f}-{val_mae:.1e}-{learning_rate}.h5")
    rates = LearningRateScheduler(lambda epoch: 0.25)
    model.fit(X, Y, verbose=0, callbacks=[rates, save], validation_data=(X, Y))
    assert re.fullmatch(r"1-\d\.\d-\d\.\de-\d+-0\.25\.h5", names(calls)[0])


def test_an_array_in_the_path_is_refused_by_a_sentence(saved):
    model, _ = saved
    save = ModelCheckpoint("{val_loss:.2f}.h5")
    with pytest.raises(ValueError, match="cannot be filled in from epoch, loss, val_loss: unsuppo"):
        model.fit(X, Y, verbose=0, callbacks=[Play([np.ones(2)]), save])


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_the_best_of_a_run_is_in_its_file(tmp_path, ending):
    path = tmp_path / f"best{ending}"
    only_weights = ending == ".weights.h5"
    save = ModelCheckpoint(path, save_best_only=True, save_weights_only=only_weights)
    model = small()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[Play([2, 1, 3]), save])
    if only_weights:
        best = small()
        best.build((None, 3))
        best.load_weights(path)
    else:
        best = load_model(path)
    # Play writes the epoch into the last bias.
    np.testing.assert_array_equal(best.get_weights()[-1], [1, 1])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("averaging", [False, True])
def test_training_goes_on_from_a_checkpoint_as_if_never_ended(tmp_path, averaging):
    model = small()
    model.compile(optimizers.Adam(0.05, use_ema=averaging), "mse")
    swap = [SwapEMAWeights(swap_on_epoch=True)] if averaging else []
    save = ModelCheckpoint(tmp_path / "{epoch}.keras")
    model.fit(X, Y, 8, 2, 0, [*swap, save], shuffle=False)
    again = load_model(tmp_path / "2.keras")
    for each in (model, again):
        each.fit(X, Y, 8, 4, 0, swap, shuffle=False, initial_epoch=2)
    for mine, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-6)


def test_a_folder_is_not_overwritten(saved, tmp_path):
    model, _ = saved
    folder = tmp_path / "model.keras"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="filepath must be a file"):
        model.fit(X, Y, verbose=0, callbacks=ModelCheckpoint(folder))


def test_batches_are_counted_by_their_numbers():
    """fit may call the hook once for several, as Keras does with steps_per_execution."""
    saves = []
    save = ModelCheckpoint("{batch}.keras", save_freq=4)
    save._save_after_batch = lambda batch, logs: saves.append(batch)
    for _ in range(2):
        for batch in (2, 5, 6):  # groups of 3, 3 and 1 batches
            save.on_train_batch_end(batch, {})
    assert saves == [5, 2, 6]


@pytest.mark.parametrize("frequency", [0.15, "batch", 0, None])
def test_a_backup_frequency_is_an_epoch_or_a_number(frequency):
    with pytest.raises(ValueError, match=f"save_freq must be .*Received: save_freq={frequency!r}"):
        BackupAndRestore("backup", frequency)


@pytest.mark.parametrize("folder", ["", None])
def test_a_backup_needs_a_folder(folder):
    with pytest.raises(ValueError, match=f"must name a folder. Received: backup_dir={folder!r}"):
        BackupAndRestore(folder)


@pytest.mark.parametrize("other", [False, True])
def test_the_folder_of_a_backup_goes_with_it_unless_something_else_is_in_it(tmp_path, other):
    folder = tmp_path / "backup"
    if other:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    small().fit(X, Y, epochs=2, verbose=0, callbacks=BackupAndRestore(folder))
    assert [path.name for path in tmp_path.rglob("*")] == (["backup", "notes.txt"] if other else [])


# ---- CSVLogger --------------------------------------------------------------------------------


def test_every_epoch_is_a_line(tmp_path):
    path = tmp_path / "log.csv"
    model = small(metrics=["mae"])
    history = model.fit(X, Y, 5, 2, 0, CSVLogger(path), validation_data=(X, Y)).history
    lines = path.read_bytes().decode().split("\r\n")
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae"
    for epoch in range(2):
        values = [history[name][epoch] for name in ("loss", "mae", "val_loss", "val_mae")]
        assert lines[epoch + 1] == ",".join(map(str, [epoch, *values]))
    assert lines[3:] == [""]


def read(path):
    return path.read_text().splitlines()


def test_what_an_epoch_lacks_is_na_and_what_comes_late_is_left_out(tmp_path):
    path = tmp_path / "log.csv"

    class Late(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs.clear()
            logs.update([{"b": 1.5, "a": "x"}, {"a": [1, 2], "b": np.array(2.5), "c": 3}][epoch])

    small().fit(X, Y, epochs=2, verbose=0, callbacks=[Late(), CSVLogger(path, ";")])
    assert read(path) == ["epoch;a;b;val_a;val_b", "0;x;1.5;NA;NA", '1;"""[1, 2]""";2.5;NA;NA']


@pytest.mark.parametrize("before", [None, "", "header\n"])
def test_lines_are_appended_when_asked(tmp_path, before):
    path = tmp_path / "log.csv"
    if before is not None:
        path.write_text(before)
    model, log = small(), CSVLogger(path, append=True)
    for _ in range(2):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[log])
    lines = read(path)
    assert lines[0] == ("header" if before else "epoch,loss,val_loss")
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "0"]


def test_the_file_begins_anew_with_every_run_unless_asked(tmp_path):
    path = tmp_path / "log.csv"
    log = CSVLogger(str(path))
    for epochs in (3, 1, 0):
        small().fit(X, Y, epochs=epochs, verbose=0, callbacks=log)
        assert len(read(path)) == (epochs + 1 if epochs else 0)


def test_a_run_that_fails_leaves_the_lines_so_far_and_no_open_file(tmp_path):
    path = tmp_path / "log.csv"

    class Bomb(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):  # an open file would warn, which is an error here
        small().fit(X, Y, epochs=3, verbose=0, callbacks=[CSVLogger(path), Bomb()])
    assert len(read(path)) == 2
    path.unlink()


def test_a_file_that_cannot_be_written_is_an_error_before_training(tmp_path):
    model = small()
    model.build((None, 3))
    before = model.get_weights()
    with pytest.raises(FileNotFoundError):
        model.fit(X, Y, verbose=0, callbacks=CSVLogger(tmp_path / "none" / "log.csv"))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.raises(TypeError, match=r"separator must be one character\. Received: .*', '"):
        CSVLogger("log.csv", ", ")
