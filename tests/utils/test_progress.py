"""What fit, evaluate and predict show, with and without a terminal."""

import io
import itertools
import re
import sys

import numpy as np
import pytest
from helpers import SERIES, TARGETS, Play, small

from nnlite.callbacks import Callback, EarlyStopping
from nnlite.utils import progress

X, Y = SERIES, TARGETS


# ---- what is shown --------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, terminal, call):
    stream = Terminal() if terminal else io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        call()
    return stream.getvalue()


def lines_of(text):
    """Return what stands on the terminal in the end: a bar draws over itself."""
    return [line.split("\r")[-1] for line in text.split("\n") if line.strip()]


def test_verbose_0_says_nothing(monkeypatch, capsys):
    def run():
        model = small()
        model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y))
        model.evaluate(X, Y, verbose=0)
        model.predict(np.tile(X, (9, 1)), verbose=0)

    for terminal in (False, True):
        assert shown(monkeypatch, terminal, run) == ""
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("terminal", [False, True])
def test_what_takes_long_draws_a_bar_only_where_one_is_wanted(monkeypatch, verbose, terminal):
    clock = itertools.count()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    model = small()

    def run():
        model.fit(X, Y, 5, epochs=2, verbose=verbose)
        model.evaluate(X, Y, 5, verbose=verbose)
        model.predict(X, 5, verbose=verbose)

    drawn = "100%|" in shown(monkeypatch, terminal, run)
    assert drawn == (verbose == 1 or (verbose == "auto" and terminal))


@pytest.mark.parametrize("terminal", [False, True])
def test_verbose_2_is_a_line_an_epoch(monkeypatch, terminal):
    def run():
        small(metrics=["mae"]).fit(X, Y, epochs=30, verbose=2, validation_data=(X, Y))

    lines = shown(monkeypatch, terminal, run).splitlines()
    assert len(lines) == 30
    number = r"\d\.\d{4}"
    values = " - ".join(f"{name}: {number}" for name in ("loss", "mae", "val_loss", "val_mae"))
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(f"Epoch {epoch}/30 - {values}", line), line


def test_verbose_1_is_a_bar_an_epoch(monkeypatch):
    def run():
        small(metrics=["mae"]).fit(X, Y, 5, epochs=2, verbose=1, validation_data=(X, Y))

    monkeypatch.setenv("COLUMNS", "100")
    lines = lines_of(shown(monkeypatch, True, run))
    assert len(lines) == 2
    for epoch, line in enumerate(lines, 1):
        assert re.match(rf"Epoch {epoch}/2: 5/5 0s \d+(us|ms)/step - loss: ", line)
        for name in ("loss: ", "mae: ", "val_loss: ", "val_mae: "):
            assert name in line


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (112, r"Epoch 1/2: 5/5 0s \w+/step - loss: \S+ - acc: \S+ - val_loss: \S+ - val_acc: \S+"),
        (79, r"1/2 \w+/step loss \S+ acc \S+ val_loss \S+ val_acc \S+"),
        (58, r"1/2 loss \S+ acc \S+ val_loss \S+ val_acc \S+"),
    ],
)
def test_what_stays_of_an_epoch_fits_the_terminal(monkeypatch, columns, line):
    def run():
        small(metrics=["acc"]).fit(X, Y, 5, epochs=2, verbose=1, validation_data=(X, Y))

    monkeypatch.setenv("COLUMNS", str(columns))
    lines = lines_of(shown(monkeypatch, True, run))
    assert len(lines) == 2
    assert re.fullmatch(line, lines[0])
    assert len(lines[0]) < columns


@pytest.mark.parametrize(
    ("step", "shown_as"), [(2.0, "2s"), (0.03, "30ms"), (4e-5, "40us"), (0.0, "0s")]
)
def test_the_time_of_a_step_is_written_as_keras_does_without_the_validation(
    monkeypatch, step, shown_as
):
    clock = iter([0.0, 0.0, *(step * k for k in range(1, 5)), 4 * step + 100])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(progress, "_REFRESH", 1e9)

    def run():
        bar = progress.Progress(1, 1)
        bar.begin_epoch(0, 4)
        for _ in range(4):
            bar.step(dict)
        bar.end_epoch(0, {"loss": 0.5}, True)

    seconds = f"{4 * step + 100:.0f}s"
    expected = f"Epoch 1/1: 4/4 {seconds} {shown_as}/step - loss: 0.5000\n"
    assert shown(monkeypatch, False, run) == expected


class Writer:
    """What some programs put in the place of stdout: it can write, and nothing else."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("tqdm_is_loaded", [False, True])
def test_a_writer_or_nothing_may_stand_for_stdout(monkeypatch, capsys, verbose, tqdm_is_loaded):
    if not tqdm_is_loaded:
        monkeypatch.delitem(sys.modules, "tqdm.auto", raising=False)
    monkeypatch.setattr(progress, "_REFRESH", 0.0)
    for stream in (None, Writer()):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            speaking = EarlyStopping("loss", mode="max", verbose=1)
            model = small()
            model.fit(X, Y, 5, epochs=3, verbose=verbose, callbacks=[speaking])
            model.evaluate(X, Y, 5, verbose=verbose)
            model.predict(X, 5, verbose=verbose)
    assert "Epoch 2: early stopping\n" in stream.text
    assert ("Epoch 1/3" in stream.text) == (verbose != 0)
    assert capsys.readouterr() == ("", "")


def test_auto_is_a_bar_on_a_terminal_and_few_lines_elsewhere(monkeypatch):
    def run():
        small().fit(X, Y, 5, epochs=101)

    lines = shown(monkeypatch, False, run).splitlines()
    assert 10 <= len(lines) <= 25
    assert lines[0].startswith("Epoch 1/101 - loss: ")
    assert lines[-1].startswith("Epoch 101/101 - loss: ")
    drawn = lines_of(shown(monkeypatch, True, lambda: small().fit(X, Y, 5, epochs=2)))
    assert [line[:15] for line in drawn] == ["Epoch 1/2: 5/5 ", "Epoch 2/2: 5/5 "]


def test_the_last_line_is_shown_when_training_stops_early(monkeypatch):
    def run():
        small().fit(X, Y, epochs=1000, callbacks=[Play([1, 2, 3]), EarlyStopping()])

    assert "Epoch 2/1000 - loss: " in shown(monkeypatch, False, run).splitlines()[-1]


def test_evaluate_and_predict_are_quiet_where_there_is_no_terminal(monkeypatch):
    def run():
        model = small()
        model.evaluate(X, Y, 2)
        model.predict(X, 2)

    assert shown(monkeypatch, False, run) == ""


def test_bars_are_closed_when_an_error_ends_the_run(monkeypatch):
    from tqdm.std import tqdm

    class Bomb(Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError("boom")

    def run():
        with pytest.raises(KeyError):
            small().fit(X, Y, verbose=1, callbacks=Bomb())

    shown(monkeypatch, True, run)
    assert len(getattr(tqdm, "_instances", ())) == 0
