"""Writes files, makes writing impossible, tries again, makes it possible: what is left each time?

``python failing_writes.py FAULT FOLDER``; it ends with an error where a promise is broken. What it
does to the machine ends with the process: see test_full_disks.py.
"""

import errno
import os
import re
import subprocess
import sys
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import nnlite
from nnlite import Sequential
from nnlite.callbacks import BackupAndRestore, Callback, CSVLogger, ModelCheckpoint
from nnlite.layers import Dense, Input
from nnlite.models import load_model
from nnlite.optimizers import Adam

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((40, 6)).astype(np.float32)
Y = X[:, :1] * X[:, 1:2]


def net(seed=1):
    nnlite.set_random_seed(seed)
    model = Sequential([Input((6,)), Dense(40, "tanh"), Dense(1)])
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    return model


def bits(model):
    arrays = [*model.get_weights(), *model.optimizer.state.values()]
    return [array.tobytes() for array in arrays]


def loaded(path):
    if not str(path).endswith(".weights.h5"):
        return load_model(path).get_weights()
    model = net(9)
    model.load_weights(path)
    return model.get_weights()


class Fault(Callback):
    """Calls a function when an epoch begins."""

    def __init__(self, epoch, function):
        self.epoch, self.function = epoch, function

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.function()


def files(folder):
    """Return every file's content; the ballast of a full disk does not count."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "ballast"}


def refused(call, path, number):
    """Check that a call raises an OSError that names the path and says what to do."""
    with pytest.raises(OSError, match=re.escape(str(path))) as caught:
        call()
    assert caught.value.errno == number
    assert any(w in str(caught.value) for w in ("elsewhere", "write less"))


def saving(folder, fault, number):
    """Save over a file and to a new one, by each of the ways."""
    ways = {
        "m.keras": lambda model, path: model.save(path),
        "m.h5": lambda model, path: model.save(path),
        "m.weights.h5": lambda model, path: model.save_weights(path),
    }
    for name, write in ways.items():
        path = folder / name
        first, second = net(1), net(2)
        write(first, path)
        before = files(folder)
        with fault:
            for target in (path, folder / f"new {name}"):
                refused(partial(write, second, target), target, number)
            assert files(folder) == before
            for one, other in zip(loaded(path), first.get_weights(), strict=True):
                assert one.tobytes() == other.tobytes()
        write(second, path)
        for one, other in zip(loaded(path), second.get_weights(), strict=True):
            assert one.tobytes() == other.tobytes()
        path.unlink()


def checkpoints(folder, fault, number):
    """Train with a checkpoint of each epoch: it fails in the second, or only warns."""
    for name, options in [("c.keras", {}), ("c.weights.h5", {"save_weights_only": True})]:
        model = net()
        path = folder / name
        same = net()
        same.fit(X, Y, epochs=3, verbose=0)

        def train(model=model, path=path, options=options, **more):
            save = ModelCheckpoint(path, **options, **more)
            begin = [Fault(1, fault.begin), save]
            try:
                model.fit(X, Y, epochs=3, verbose=0, callbacks=begin)
            finally:
                fault.end()

        refused(train, path, number)
        assert [p.name for p in folder.iterdir()] == [name]
        assert len(loaded(path)) == 4
        model.fit(X, Y, verbose=0)
        path.unlink()
        model = net()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            train(model, on_error="warn")
        assert bits(model) == bits(same)
        assert len(seen) == 2
        assert "Training continues" in str(seen[0].message)
        path.unlink()


def backups(folder, fault, number):
    """Train with a backup of each epoch: it fails in the second, and the run is taken up again."""
    same = net()
    expected = same.fit(X, Y, epochs=4, verbose=0).history
    other = folder / "ballast"  # with it in the folder, the folder stays when a run has ended
    for double in (False, True):
        other.touch()
        model = net()

        def train(model, double=double, **more):
            backup = BackupAndRestore(folder, double_checkpoint=double, **more)
            try:
                return model.fit(
                    X, Y, epochs=4, verbose=0, callbacks=[Fault(2, fault.begin), backup]
                )
            finally:
                fault.end()

        refused(lambda model=model: train(model), folder, number)
        assert len(files(folder)) == 1 + double
        assert all(name.endswith(".npz") for name in files(folder))
        fault.off = True  # the disk has room again: a new process, or the same, takes the run up
        again = net(5)
        assert train(again).history == expected
        assert bits(again) == bits(same)
        assert files(folder) == {}
        fault.off = False
        model = net()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert train(model, on_error="warn").history == expected
        assert bits(model) == bits(same)
        for path in list(folder.iterdir()):
            path.unlink()
    other.unlink(missing_ok=True)


def logs(folder, fault, number):
    """Train with a log of each epoch: a line that fails is not there in part."""
    path = folder / "log.csv"
    model = net()
    fault.tight = path
    failed = None
    try:
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[CSVLogger(path), Fault(2, fault.begin)])
    except OSError as error:
        failed = error
    fault.end()
    if failed is not None:  # a line may find room on a full disk, in a block that is begun
        assert (failed.errno, failed.filename) == (number, str(path))
        assert len(path.read_text().splitlines()) == 3
    log = CSVLogger(path, append=True)
    model.fit(X, Y, initial_epoch=2, epochs=4, verbose=0, callbacks=[log])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae"
    assert [line.count(",") for line in lines] == [4] * len(lines)
    path.unlink()


class Limit:
    """No file may grow beyond some bytes."""

    number = errno.EFBIG
    off = False
    tight = None

    def begin(self):
        import resource  # not on Windows

        if not self.off:
            size = self.tight.stat().st_size + 7 if self.tight else 500
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def end(self):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    def __enter__(self):
        self.begin()

    def __exit__(self, *error):
        self.end()


class Full(Limit):
    """A small disk on which nothing is free."""

    number = errno.ENOSPC

    def __init__(self, folder):
        self.ballast = folder / "ballast"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)

    def begin(self):
        if not self.off:
            with suppress(OSError), open(self.ballast, "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

    def end(self):
        self.ballast.unlink(missing_ok=True)


class ReadOnly(Limit):
    """A disk that is mounted to be read only."""

    number = errno.EROFS

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)

    def begin(self):
        self._mount("rw" if self.off else "ro")

    def end(self):
        self._mount("rw")

    def _mount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


class Forbidden(Limit):
    """A folder of somebody else's."""

    number = errno.EACCES

    def __init__(self, folder):
        self.folder = folder

    def begin(self):
        if not self.off:
            self.folder.chmod(0o555)
            if self.tight:
                self.tight.chmod(0o444)
            if os.getuid() == 0:
                os.seteuid(65534)

    def end(self):
        if os.getuid() == 0:
            os.seteuid(0)
        self.folder.chmod(0o777)
        if self.tight:
            self.tight.chmod(0o666)


def main(kind, folder):
    folder = Path(folder)
    fault = Limit() if kind == "Limit" else globals()[kind](folder)
    for part in (saving, checkpoints, backups, logs):
        part(folder, fault, fault.number)
        assert files(folder) == {}, part
    print("nothing was lost")


if __name__ == "__main__":
    main(*sys.argv[1:])
