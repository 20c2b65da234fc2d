"""Writing that fails, and files that are damaged: the last good one stays, and training goes on."""

import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from failing_writes import Fault, X, Y, bits, files, loaded, net
from samples import part

from nnlite import Sequential
from nnlite.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
)
from nnlite.callbacks.run_state import read_backup
from nnlite.layers import Activation, Dense, Dropout, Input
from nnlite.metrics import Metric
from nnlite.optimizers import SGD, Adam
from nnlite.utils import atomic_write as atomic
from nnlite.utils.plain_data import encoded

SCRIPT = Path(__file__).with_name("failing_writes.py")


def can_mount():
    """Return whether a process here may have a disk of its own."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return bool(shutil.which("unshare")) and not subprocess.run(command, check=False).returncode


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
@pytest.mark.parametrize("fault", ["Limit", "Forbidden", "Full", "ReadOnly"])
def test_what_cannot_be_written_leaves_what_was_and_training_goes_on(fault):
    own_disk = []
    if fault in ("Full", "ReadOnly"):
        if not can_mount():
            pytest.skip("mounting a disk takes root")
        own_disk = ["unshare", "--mount"]
    with tempfile.TemporaryDirectory() as folder:  # one that other users find the way to
        command = [*own_disk, sys.executable, str(SCRIPT), fault, folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("nothing was lost\n")
    assert done.stderr == ""


# ---- every call that can fail, failing ------------------------------------------------------


class Disk:
    """Makes the call of a certain number fail, among those that write."""

    def __init__(self, monkeypatch):
        self.left = None
        self.failed = False
        for name in ("fsync", "replace", "open"):
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))
        disk = self

        class Raw(io.FileIO):
            def write(self, data):
                return disk.counted(super().write)(data)

        def opened(path, mode, buffering=-1):
            disk.counted(str)(path)
            raw = Raw(path, mode.replace("b", ""))
            if buffering == 0:
                return raw
            return (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw, 4096)

        monkeypatch.setattr(atomic, "open", opened, raising=False)
        monkeypatch.setattr("nnlite.callbacks.csv_logger.open", opened, raising=False)

    def counted(self, call):
        def counting(*arguments, **options):
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    self.failed = True
                    raise OSError(errno.ENOSPC, "No space left on device")
            return call(*arguments, **options)

        return counting


def train(model, *callbacks, epochs=2):
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[*callbacks])


def back_up(model, path):
    """Write two backups, those of a run that goes on from the last one there."""
    done = read_backup(str(path))["epoch"] if path.exists() else 0
    train(model, BackupAndRestore(path.parent, delete_checkpoint=False), epochs=done + 2)


WRITERS = {
    "m.keras": lambda model, path: model.save(path),
    "m.h5": lambda model, path: model.save(path),
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "latest.npz": back_up,
    "log.csv": lambda model, path: train(model, CSVLogger(path, append=True)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_whichever_call_fails_the_file_is_the_old_one_or_the_new(tmp_path, monkeypatch, name):
    path, model = tmp_path / name, net()
    WRITERS[name](model, path)
    old = files(tmp_path)
    disk = Disk(monkeypatch)
    failures = epoch = 0
    for number in range(1, 500):
        disk.left, disk.failed = number, False
        other = net(number % 3)
        error = None
        try:
            WRITERS[name](other, path)
        except OSError as raised:
            error = raised
        disk.left = None
        if error is not None:
            assert disk.failed
            assert (error.errno, error.filename) == (errno.ENOSPC, str(path))
            assert "Free some space" in str(error)
        assert set(files(tmp_path)) == {name}
        if name == "latest.npz":
            before, epoch = epoch, read_backup(str(path))["epoch"]
            assert before <= epoch <= before + 2
        elif name == "log.csv":
            lines = path.read_text().splitlines()
            assert {line.count(",") for line in lines} == {4}
            assert files(tmp_path)[name].startswith(old[name])
        elif disk.failed and files(tmp_path) != old:
            # Only the folder could not be synchronised: the new file is there, whole.
            for one, two in zip(loaded(path), other.get_weights(), strict=True):
                assert one.tobytes() == two.tobytes()
        if not disk.failed:
            break
        failures += 1
    assert 4 <= failures < 400


def test_a_folder_that_is_not_there_and_one_that_vanishes(tmp_path):
    model = net()
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        WRITERS[name](model, tmp_path / f"of {name}" / name)
        assert len(files(tmp_path / f"of {name}")) == 1
    with pytest.raises(FileNotFoundError, match="Create its folder first"):
        train(model, CSVLogger(tmp_path / "no" / "log.csv"))
    folder = tmp_path / "some"
    gone = Fault(1, lambda: shutil.rmtree(folder))
    for save in (
        BackupAndRestore(folder, delete_checkpoint=False),
        ModelCheckpoint(folder / "m.keras"),
    ):
        folder.mkdir(exist_ok=True)
        train(model, gone, save)
        assert len(files(folder)) == 1
    with pytest.raises(FileNotFoundError, match="Create its folder first"):
        train(model, CSVLogger(folder / "log.csv"), gone)


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(tmp_path):
    model = net()
    blocker = tmp_path / "blocker"
    blocker.write_text("mine")
    inside = blocker / "m.keras"
    for call in (
        lambda: model.save(inside),
        lambda: train(model, ModelCheckpoint(inside)),
        lambda: train(model, BackupAndRestore(blocker / "backup")),
        lambda: train(model, BackupAndRestore(blocker)),
        lambda: train(model, CSVLogger(blocker / "log.csv")),
    ):
        with pytest.raises(OSError, match=r"blocker.*|blocker") as caught:
            call()
        assert "elsewhere" in str(caught.value)
    with pytest.warns(UserWarning, match="Training continues") as seen:
        train(model, BackupAndRestore(blocker / "backup", on_error="warn"))
    assert len(seen) == 3  # when the run begins, and after each epoch
    assert blocker.read_text() == "mine"
    folder = tmp_path / "latest.npz"
    folder.mkdir()
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        (tmp_path / name).mkdir()
        with pytest.raises(IsADirectoryError, match=name):
            WRITERS[name](model, tmp_path / name)
    with pytest.raises(IsADirectoryError, match=r"latest\.npz"):
        train(model, BackupAndRestore(tmp_path))
    model.fit(X, Y, verbose=0)


def test_what_killed_writers_left_is_removed_when_the_run_begins(tmp_path):
    left = tmp_path / ".latest.npz.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    other = tmp_path / ".mine.tmp"
    other.write_bytes(b"whole")
    train(net(), BackupAndRestore(tmp_path))
    assert list(files(tmp_path)) == [other.name]


def test_the_best_is_best_only_once_it_is_on_the_disk(tmp_path, monkeypatch):
    model = net()
    save = ModelCheckpoint(tmp_path / "best.keras", "loss", save_best_only=True, on_error="warn")
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    with pytest.warns(UserWarning, match="Training continues"):
        model.fit(X, Y, verbose=0, callbacks=save)
    assert save.best is None
    monkeypatch.setattr(os, "fsync", real)
    model.fit(X, Y * 1.5, verbose=0, callbacks=save)
    assert save.best is not None
    assert loaded(tmp_path / "best.keras")[0].tobytes() == model.get_weights()[0].tobytes()
    for kind in (BackupAndRestore, ModelCheckpoint):
        with pytest.raises(ValueError, match="on_error must be 'raise' or 'warn'"):
            kind("m.keras", on_error="ignore")


# ---- a log that goes on -----------------------------------------------------------------------


@pytest.mark.parametrize("append", [False, True])
def test_a_log_goes_on_with_the_run(tmp_path, append):
    """Killed after its line of epoch 3 and before the backup of it, which says 2 epochs."""
    path = tmp_path / "log.csv"
    if append:
        path.write_text("epoch,loss,mae,val_loss,val_mae\n")

    def kill():
        raise RuntimeError("killed")

    class KillAfter(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2 and len(path.read_text().splitlines()) == 4 and not killed:
                killed.append(epoch)
                kill()

    killed = []
    model = net()
    for _ in range(2):
        callbacks = [CSVLogger(path, append=append), KillAfter(), BackupAndRestore(tmp_path / "b")]
        try:
            model.fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
        except RuntimeError:
            model = net(4)
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]
    whole = tmp_path / "whole.csv"
    net().fit(X, Y, epochs=4, verbose=0, callbacks=CSVLogger(whole))
    assert lines == whole.read_text().splitlines()


# ---- damaged backups ----------------------------------------------------------------------------


def a_backup(folder, units=1, **options):
    def fail():
        raise RuntimeError("killed")

    model = Sequential([Input((6,)), Dense(units)])
    model.compile("adam", "mse")
    backup = BackupAndRestore(folder, **options)
    with pytest.raises(RuntimeError, match="killed"):
        model.fit(X, Y.repeat(units, 1), epochs=4, verbose=0, callbacks=[Fault(2, fail), backup])


def restored(folder, **options):
    """Return the weights that a new run would go on from."""
    model = Sequential([Input((6,)), Dense(1)])
    model.compile("adam", "mse")
    found = []
    note = Fault(2, lambda: found.extend(bits(model)))
    backup = BackupAndRestore(folder, delete_checkpoint=False, **options)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[note, backup])
    return found


def damaged(data, number):
    """Return what a disk may make of a file: a bit, a byte or a block changed, the end cut off."""
    data, draw = bytearray(data), random.Random(number)
    kind, at = number % 4, draw.randrange(len(data))
    if kind == 0:
        data[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        data[at] = draw.randrange(256)
    elif kind == 2:
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    else:
        del data[at:]
    return bytes(data)


def content(path):
    arrays = []
    text = json.dumps(encoded(read_backup(str(path)), arrays))
    return text, [array.tobytes() for array in arrays]


def damages(tmp_path, numbers):
    """Damage a backup in many ways, and count how many were noticed."""
    a_backup(tmp_path / "one")
    path = tmp_path / "one" / "latest.npz"
    good = path.read_bytes()
    expected = content(path)
    noticed = 0
    for number in numbers:
        path.write_bytes(damaged(good, number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = content(path)
            except ValueError as error:
                found = str(error)
        if isinstance(found, str):
            assert found.startswith(f"{path} is damaged or not a backup: ")
            noticed += 1
        else:  # a date in the archive, say, means nothing
            assert found == expected, number
    return noticed / len(numbers)


def test_damage_to_a_backup_is_noticed_or_means_nothing(tmp_path):
    assert damages(tmp_path, range(400)) > 0.5


@pytest.mark.slow
def test_damage_to_a_backup_is_noticed_or_means_nothing_ten_thousand_times(tmp_path):
    assert damages(tmp_path, part(range(10_000))) > 0.5


def test_an_array_that_claims_to_be_shorter_is_noticed(tmp_path):
    """The archive's own sum of a member is looked at only where its end is read."""
    a_backup(tmp_path, units=5000)
    path = tmp_path / "latest.npz"
    data = path.read_bytes()
    assert data.count(b"(6, 5000)") == 1
    path.write_bytes(data.replace(b"(6, 5000)", b"(5, 5000)"))
    with pytest.raises(ValueError, match="its content is not what was written"):
        read_backup(str(path))


def test_a_damaged_backup_is_refused_or_the_one_before_it_is_taken(tmp_path):
    a_backup(tmp_path / "one")
    (tmp_path / "one" / "latest.npz").write_bytes(b"PK junk")
    with pytest.raises(ValueError, match=r"latest\.npz is damaged or not a backup.*Delete it"):
        restored(tmp_path / "one")
    a_backup(tmp_path / "two", double_checkpoint=True)
    expected = restored(shutil.copytree(tmp_path / "two", tmp_path / "copy"))
    (tmp_path / "two" / "latest.npz").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"latest\.npz is damaged.*The previous backup is used"):
        again = restored(tmp_path / "two", double_checkpoint=True)
    assert again == expected
    for name in ("latest.npz", "previous.npz"):
        (tmp_path / "two" / name).write_bytes(b"")
    with (
        pytest.warns(UserWarning, match=r"latest\.npz is damaged"),
        pytest.raises(ValueError, match=r"previous\.npz is damaged"),
    ):
        restored(tmp_path / "two", double_checkpoint=True)


# ---- a backup that is another run's -----------------------------------------------------------


def another(layers=None, optimizer=None, metrics=None, **options):
    model = Sequential(layers or [Input((6,)), Dense(4), Dropout(0.1), Dense(1)])
    model.compile(optimizer or SGD(0.01), "mse", metrics=metrics)
    options = {"callbacks": [], "batch_size": 8, **options}
    return model, options


OTHERS = {
    "weights": {"layers": [Input((6,)), Dense(5), Dropout(0.1), Dense(1)]},
    "layers": {"layers": [Input((6,)), Dense(4), Activation("linear"), Dense(1)]},
    "an optimizer": {"optimizer": SGD(0.01, momentum=0.9)},
    "metrics": {"metrics": ["mae"]},
    "data": {"batch_size": 9},
    "callbacks": {"callbacks": [EarlyStopping("loss")]},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_backup_of_another_run_is_refused_and_nothing_changes(tmp_path, what):
    def fail():
        raise RuntimeError("killed")

    model, options = another()
    options["callbacks"] = [Fault(1, fail), BackupAndRestore(tmp_path)]
    with pytest.raises(RuntimeError, match="killed"):
        model.fit(X, Y, epochs=3, verbose=0, **options)
    model, options = another(**OTHERS[what])
    model.fit(X, Y, verbose=0, batch_size=8)
    before = bits(model)
    options["callbacks"] = [Fault(9, fail), *options["callbacks"], BackupAndRestore(tmp_path)]
    with pytest.raises(ValueError, match=f"is the backup of another run: it has {what} .* Delete"):
        model.fit(X, Y, epochs=3, verbose=0, **options)
    assert bits(model) == before


def test_data_that_end_before_the_backup_are_refused(tmp_path):
    def batches(count):
        return ((X[:8], Y[:8]) for _ in range(count))

    def fail(batch, logs):
        if batch == 5:
            raise RuntimeError("killed")

    options = {"epochs": 1, "steps_per_epoch": 8, "verbose": 0}
    backup = BackupAndRestore(tmp_path, 1)
    with pytest.raises(RuntimeError, match="killed"):
        net().fit(
            batches(8), callbacks=[LambdaCallback(on_train_batch_begin=fail), backup], **options
        )
    model = net()
    before = bits(model)
    with pytest.raises(
        ValueError, match="data ended after 3 batches, of which the run had taken 5"
    ):
        model.fit(batches(3), callbacks=[LambdaCallback(), backup], **options)
    assert bits(model) == before


def test_a_generator_that_draws_from_numpys_state_goes_on_with_it(tmp_path):
    def batches():
        while True:
            yield X[:8] + np.random.normal(size=(8, 1)), Y[:8]  # noqa: NPY002

    def run(callbacks):
        np.random.seed(3)  # noqa: NPY002
        model = net()
        options = {"epochs": 2, "steps_per_epoch": 5, "verbose": 0}
        model.fit(batches(), callbacks=callbacks, **options)
        return bits(model), np.random.rand()  # noqa: NPY002

    def fail(batch, logs):
        if batch == 3:
            raise RuntimeError("killed")

    expected = run([])
    with pytest.raises(RuntimeError, match="killed"):
        run([LambdaCallback(on_train_batch_begin=fail), BackupAndRestore(tmp_path, 1)])
    assert run([LambdaCallback(), BackupAndRestore(tmp_path, 1)]) == expected


class Largest(Metric):
    """A metric as the manual has it, which holds another one."""

    def __init__(self, name="largest", inner=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.inner = inner
        self.most = self.add_weight(name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(max(self.most, np.abs(y_true - y_pred).max()))
        if self.inner is not None:
            self.inner.update_state(y_true * 2, y_pred)

    def result(self):
        return float(self.most) + (self.inner.result() if self.inner is not None else 0)


def test_metrics_of_ones_own_go_on_too(tmp_path):
    def run(callbacks):
        model = net()
        model.compile(Adam(0.01), "mse", metrics=[Largest(inner=Largest())])
        options = {"epochs": 3, "batch_size": 8, "shuffle": False, "verbose": 0}
        return model.fit(X, Y, callbacks=callbacks, **options).history

    def fail(batch, logs):
        if batch == 3:
            raise RuntimeError("killed")

    expected = run([])
    with pytest.raises(RuntimeError, match="killed"):
        run([LambdaCallback(on_train_batch_begin=fail), BackupAndRestore(tmp_path, 1)])
    assert run([LambdaCallback(), BackupAndRestore(tmp_path, 1)]) == expected
