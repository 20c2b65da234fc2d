"""Sources of batches that fail, change, end too soon or never: what is left of model and file."""

import threading
import types
from functools import partial

import h5py
import numpy as np
import pytest
from test_data_kinds import W, X, Y, bits, net, torch

from nnlite.callbacks import Callback
from nnlite.data import HDF5


def batches(size=4):
    for start in range(0, len(X), size):
        yield X[start : start + size], Y[start : start + size]


class Batches:
    def __init__(self, length=5):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, number):
        return X[number * 4 : number * 4 + 4], Y[number * 4 : number * 4 + 4]


WRONG = {
    "None": (None, "Received: NoneType"),
    "a number": (3, "Received: int"),
    "inputs alone": ((X[:4],), "Received: 1 things"),
    "text": ("ab", "Received: str"),
    "texts": (("a", "b"), "x must hold real numbers"),
    "a dict": ({"x": X}, "Received: dict"),
    "four things": ((X, Y, Y, Y), "Received: 4 things"),
    "fewer targets": ((X[:4], Y[:3]), "same number of samples"),
    "fewer weights": ((X[:4], Y[:4], W[:3]), "sample_weight must have one entry per sample"),
    "fewer features": ((X[:4, :2], Y[:4]), r"expects x of shape \(samples, 3\)"),
    "no samples": ((X[:0], Y[:0]), "x is empty"),
    "a gap": ((np.full((4, 3), np.nan), Y[:4]), "x must be finite"),
    "a target outside": ((X[:4], Y[:4] + 7), r"expects y in \[0, 1\]"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_batch_ends_the_run_after_the_steps_before_it(wrong):
    bad, message = WRONG[wrong]

    def spoiled():
        yield from list(batches())[:3]
        yield bad

    model, same = net(), net()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(spoiled(), verbose=0)
    same.fit(list(batches())[:3], verbose=0, shuffle=False)
    assert bits(model) == bits(same)
    assert model.evaluate(Batches(), verbose=0) == same.evaluate(Batches(), verbose=0)


@pytest.mark.parametrize("error", [KeyError("mine"), StopIteration("mine"), OSError(5, "mine")])
def test_a_failing_source_leaves_a_model_that_can_be_trained_on(error):
    class Failing(Batches):
        def __getitem__(self, number):
            if number == 3:
                raise error
            return super().__getitem__(number)

    for call in ("fit", "evaluate", "predict"):
        model = net()
        with pytest.raises((KeyError, RuntimeError, OSError)) as caught:
            getattr(model, call)(
                Failing(), verbose=0, **({"shuffle": False} if call == "fit" else {})
            )
        assert "mine" in f"{caught.value} {caught.value.__cause__}"
        assert len(model.fit(Batches(), epochs=2, verbose=0).history["loss"]) == 2


def test_a_sequence_may_grow_and_shrink_between_epochs():
    class Changing(Batches):
        def on_epoch_end(self):
            self.length = {5: 2, 2: 3}.get(self.length, 0)

    steps = []
    watch = Callback()
    watch.on_train_batch_end = lambda batch, logs=None: steps.append(batch)
    with pytest.warns(UserWarning, match="The data ended after 0 steps"):
        history = net().fit(Changing(), epochs=6, verbose=0, callbacks=watch)
    assert steps == [*range(5), *range(2), *range(3)]
    assert len(history.history["loss"]) == 3


def test_a_source_without_end_is_cut_into_epochs(capsys):
    def endless():
        while True:
            yield from batches()

    model, same = net(), net()
    model.fit(endless(), epochs=2, steps_per_epoch=5, verbose=1)
    same.fit(Batches(), epochs=2, shuffle=False, verbose=0)
    assert bits(model) == bits(same)
    assert "5/5" in capsys.readouterr().out.splitlines()[0]
    assert model.evaluate(endless(), steps=5, verbose=0) == same.evaluate(Batches(), verbose=0)
    assert model.predict(endless(), steps=3).shape == (12, 1)


def test_validation_data_that_have_ended_give_no_values():
    """A loss of no samples would be 0, and the best of all."""
    with pytest.warns(
        UserWarning, match="ended after 0 steps.* An iterator gives its batches only"
    ):
        history = net().fit(X, Y, epochs=3, verbose=0, validation_data=batches()).history
    assert [len(history[name]) for name in ("loss", "val_loss", "val_mse")] == [3, 1, 1]


def test_the_length_is_known_where_the_source_tells_it(capsys):
    class Loader:
        def __len__(self):
            return 5

        def __iter__(self):
            return batches()

    class Unknown(Loader):
        def __len__(self):
            raise TypeError("It has no length")

    net().fit(Loader(), verbose=1)
    assert "5/5" in capsys.readouterr().out
    net().fit(Unknown(), verbose=1)
    assert "1/1: 5 " in capsys.readouterr().out


def test_batches_of_torchs_loader():
    data = torch().utils.data
    loader = data.DataLoader(data.TensorDataset(torch().tensor(X), torch().tensor(Y)), batch_size=4)
    model, same = net(), net()
    model.fit(loader, epochs=2, verbose=0)
    same.fit(Batches(), epochs=2, shuffle=False, verbose=0)
    assert bits(model) == bits(same)
    assert model.evaluate(loader, verbose=0) == same.evaluate(Batches(), verbose=0)
    assert model.predict(loader).tobytes() == same.predict(X, batch_size=4).tobytes()
    listed = net()
    listed.fit(list(loader), epochs=2, shuffle=False, verbose=0)
    assert bits(listed) == bits(same)


def test_keras_datasets_in_python(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("jax", exc_type=ImportError)
    keras = pytest.importorskip("keras", exc_type=ImportError)

    class Own(Batches, keras.utils.PyDataset):
        def __init__(self):
            keras.utils.PyDataset.__init__(self, workers=2)
            self.length = 5

    class Endless(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, number):
            return Batches()[number % 5]

    models = [net() for _ in range(3)]
    models[0].fit(Batches(), epochs=2, verbose=0, shuffle=False)
    models[1].fit(Own(), epochs=2, verbose=0, shuffle=False)
    models[2].fit(Endless(), epochs=2, steps_per_epoch=5, verbose=0)
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


# ---- what a failing pass leaves open ----------------------------------------------------------


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "validation"])
def test_a_pass_that_fails_closes_its_file_and_ends_its_thread(tmp_path, call):
    path = tmp_path / "train.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = X, Y
    threads = threading.active_count()
    fail = Callback()

    def hook(batch, logs=None):
        raise KeyError("mine")

    kind = {"fit": "train", "predict": "predict"}.get(call, "test")
    setattr(fail, f"on_{kind}_batch_end", hook)
    model = net(trained=True)
    calls = {
        "fit": partial(model.fit, HDF5(path), batch_size=4),
        "evaluate": partial(model.evaluate, HDF5(path), batch_size=4),
        "predict": partial(model.predict, HDF5(path), batch_size=4),
        "validation": partial(model.fit, X, Y, validation_data=HDF5(path)),
    }
    with pytest.raises(KeyError, match="mine") as kept:  # as a notebook keeps the last error
        calls[call](verbose=0, callbacks=fail)
    assert isinstance(kept.tb, types.TracebackType)
    assert threading.active_count() == threads
    with h5py.File(path, "r+") as file:  # refused while it is open to be read
        file["z"] = 1
