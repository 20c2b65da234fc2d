import pickle
import warnings

import h5py
import numpy as np
import pytest
from helpers import a_model

import nnlite
from nnlite import Sequential
from nnlite.data import HDF5
from nnlite.data import blocks as blocks_module
from nnlite.layers import Dense, Input

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((103, 4)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2] > 0).astype(np.float32)
W = GENERATOR.uniform(0.5, 2, 103)


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes X, Y and W into a file and tells the file's name."""

    def write(chunks=None, compression=None, x=X, y=Y):
        path = tmp_path / "train.h5"
        options = {"chunks": chunks, "compression": compression} if chunks else {}
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=x, **options)
            file.create_dataset("y", data=y)
            file.create_dataset("w", data=W)
        return path

    return write


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of some rows and windows of some blocks, so that 103 rows fill many."""
    monkeypatch.setattr(blocks_module, "_BLOCK", 7 * 20)
    monkeypatch.setattr(blocks_module, "_WINDOW", 3 * 7 * 20)


def model(seed=3, last="sigmoid"):
    nnlite.set_random_seed(seed)
    net = Sequential([Input((4,)), Dense(5, activation="tanh"), Dense(1, activation=last)])
    net.compile("adam", metrics=["accuracy"], weighted_metrics=["mse"])
    return net


def outcome(net, history):
    return [*(w.tobytes() for w in net.get_weights()), history.history]


class Batches:
    """A Keras sequence over X and Y."""

    def __init__(self, size=16):
        self.size = size
        self.told = []
        self.asked = []

    def __len__(self):
        return -(-len(X) // self.size)

    def __getitem__(self, number):
        self.asked.append(number)
        rows = slice(number * self.size, (number + 1) * self.size)
        return X[rows], Y[rows], W[rows]

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


def batches(size=16):
    for start in range(0, len(X), size):
        yield X[start : start + size], Y[start : start + size], W[start : start + size]


class Iterable:
    def __iter__(self):
        return batches()


@pytest.mark.parametrize("layout", [{}, {"chunks": (10, 4)}, {"chunks": (9, 2), "compression": 4}])
@pytest.mark.usefixtures("small_blocks")
def test_every_source_trains_to_the_same_bits(stored, layout):
    path = stored(**layout)
    options = {"epochs": 3, "verbose": 0, "shuffle": False}
    net = model()
    expected = outcome(net, net.fit(X, Y, batch_size=16, sample_weight=W, **options))
    with h5py.File(path) as file:
        sources = {
            "HDF5": lambda n: n.fit(HDF5(path, sample_weight="w"), batch_size=16, **options),
            "datasets": lambda n: n.fit(
                file["x"], file["y"], sample_weight=file["w"], batch_size=16, **options
            ),
            "a dataset and arrays": lambda n: n.fit(
                file["x"], Y[:, 0], sample_weight=W, batch_size=16, **options
            ),
            "a sequence": lambda n: n.fit(Batches(), **options),
            "an iterable": lambda n: n.fit(Iterable(), **options),
            "a list of batches": lambda n: n.fit(list(batches()), **options),
            "a generator": lambda n: n.fit(
                (batch for _ in range(3) for batch in batches()), steps_per_epoch=7, **options
            ),
        }
        for name, fit in sources.items():
            net = model()
            assert outcome(net, fit(net)) == expected, name


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("chunks", [None, (10, 4), (103, 4)])
@pytest.mark.parametrize("size", [1, 5, 16, 103, 200])
def test_shuffled_blocks_give_every_row_once_an_epoch_in_a_new_order(stored, chunks, size):
    numbered = np.arange(103, dtype=np.int32)[:, None] * [[1, 0, 0, 0]]
    seen = []

    class Watching(Dense):
        def forward(self, x, training=False):
            if training:
                seen.extend(x[:, 0].astype(int).tolist())
            return super().forward(x, training)

        def backward(self, gradient):
            return super().backward(gradient)

    orders = []
    for seed in (1, 1, 2):
        nnlite.set_random_seed(seed)
        net = Sequential([Watching(1, activation="sigmoid")])
        net.fit(HDF5(stored(chunks, x=numbered)), batch_size=size, epochs=2, verbose=0)
        orders.append((seen[:103], seen[103:]))
        assert [sorted(order) for order in orders[-1]] == [list(range(103))] * 2
        seen.clear()
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][0] != orders[0][1] != list(range(103))
    neighbours = sum(b - a == 1 for a, b in zip(orders[0][0], orders[0][0][1:], strict=False))
    assert neighbours < 40  # a window's rows are mixed one by one


@pytest.mark.usefixtures("small_blocks")
def test_a_validation_split_of_a_file_is_its_last_rows(stored):
    at = int(103 * 0.75)
    options = {"batch_size": 16, "epochs": 2, "verbose": 0, "shuffle": False}
    one, two = model(), model()
    expected = outcome(one, one.fit(X[:at], Y[:at], validation_data=(X[at:], Y[at:]), **options))
    data = HDF5(stored((10, 4)))
    assert outcome(two, two.fit(data, validation_split=0.25, **options)) == expected
    three = model()
    with pytest.raises(ValueError, match=r"validation_split=0.25 needs arrays or an HDF5 file"):
        three.fit(Batches(), validation_split=0.25)


@pytest.mark.usefixtures("small_blocks")
def test_evaluate_and_predict_take_every_source(stored):
    net = model()
    path = stored((10, 4))
    expected = net.evaluate(X, Y, batch_size=16, sample_weight=W, verbose=0)
    whole = net.predict(X, batch_size=16)
    for source in [Batches(), Iterable(), batches(), list(batches())]:
        assert net.evaluate(source, verbose=0) == expected
    for source in [Batches(), Iterable(), batches(), (X[i : i + 16] for i in range(0, 103, 16))]:
        assert net.predict(source).tobytes() == whole.tobytes()
    data = HDF5(path, sample_weight="w")
    assert net.evaluate(data, batch_size=16, verbose=0) == expected
    assert net.predict(data, batch_size=16).tobytes() == whole.tobytes()
    assert net.predict(HDF5(path, y="not there"), batch_size=16).tobytes() == whole.tobytes()
    with h5py.File(path) as file:
        assert net.predict(file["x"], batch_size=16).tobytes() == whole.tobytes()
    history = model().fit(Batches(), validation_data=HDF5(path), epochs=1, verbose=0)
    assert set(history.history) >= {"val_loss", "val_accuracy"}
    assert net.predict(Batches(), steps=2).shape == (32, 1)
    assert net.predict(data, batch_size=16, steps=2).shape == (32, 1)


def test_a_sequence_is_shuffled_by_batches_and_told_of_its_epochs():
    source = Batches()
    orders = []
    for shuffle in (True, True, False):
        source.asked.clear()
        model().fit(source, epochs=2, verbose=0, shuffle=shuffle)
        orders.append(source.asked[1:])  # the first look is for the shapes
    assert orders[0] == orders[1]
    assert orders[2] == [*range(7)] * 2
    assert sorted(orders[0][:7]) == sorted(orders[0][7:]) == list(range(7))
    assert orders[0][:7] != orders[0][7:]
    assert source.told == ["begin", "end"] * 6


def test_integers_are_converted_a_batch_at_a_time(stored):
    pixels = GENERATOR.integers(0, 255, (103, 4), dtype=np.uint8)
    one, two = model(), model()
    options = {"batch_size": 16, "epochs": 2, "verbose": 0, "shuffle": False}
    expected = outcome(one, one.fit(pixels.astype(np.float32), Y, **options))
    assert outcome(two, two.fit(HDF5(stored(x=pixels)), **options)) == expected


def test_class_weights_count_in_every_source(stored):
    options = {"epochs": 2, "verbose": 0, "shuffle": False, "class_weight": {1: 3.0}}
    nets = [model() for _ in range(3)]
    plain = [batch[:2] for batch in batches()]
    outcomes = [
        outcome(nets[0], nets[0].fit(X, Y, batch_size=16, **options)),
        outcome(nets[1], nets[1].fit(HDF5(stored((10, 4))), batch_size=16, **options)),
        outcome(nets[2], nets[2].fit(plain, **options)),
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    with pytest.raises(ValueError, match="class_weight or sample_weight, not both"):
        nets[0].fit(Batches(), **options)


def test_an_iterator_that_ends_stops_the_run():
    net = model()
    with pytest.warns(UserWarning, match="ended after 0 steps"):
        history = net.fit(batches(), epochs=3, verbose=0)
    assert len(history.history["loss"]) == 1
    with pytest.warns(UserWarning, match="ended after 7 of steps_per_epoch=10 steps"):
        history = net.fit(batches(), epochs=1, steps_per_epoch=10, verbose=0)
    assert len(history.history["loss"]) == 1


def test_an_iterator_goes_on_from_epoch_to_epoch():
    net = model()
    taken = []

    def watched():
        for number, batch in enumerate(batches()):
            taken.append(number)
            yield batch

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = net.fit(watched(), epochs=3, steps_per_epoch=2, verbose=0)
    assert len(history.history["loss"]) == 3
    assert taken == [0, 1, 2, 3, 4, 5]


def spoiled(x=None, y=None):
    bad_x, bad_y = X.copy(), Y.copy()
    if x is not None:
        bad_x[x] = np.nan
    if y is not None:
        bad_y[y] = 7
    return bad_x, bad_y


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"x": 60}, r"x\[56:\] must be finite as float32. Received: x\[56:\]\[4, 0\] = nan"),
        ({"y": 60}, r"BinaryCrossEntropy expects y\[56:\] in \[0, 1\]"),
    ],
)
def test_a_bad_row_in_a_file_is_named_and_the_steps_before_it_stand(stored, bad, message):
    x, y = spoiled(**bad)
    net = model()
    with pytest.raises(ValueError, match=message):
        net.fit(HDF5(stored(x=x, y=y)), batch_size=7, verbose=0, shuffle=False)
    same = model()
    same.fit(X[:42], Y[:42], batch_size=7, verbose=0, shuffle=False)
    assert [w.tobytes() for w in net.get_weights()] == [w.tobytes() for w in same.get_weights()]


WRONG = {
    "no such dataset": (lambda p: HDF5(p, x="z"), "has no dataset 'z'. It has: w, x, y"),
    "a group": (lambda p: HDF5(p, y="/"), "has no dataset '/'"),
    "batches that are no pairs": (lambda p: [(X, Y, W, W)], "x must|rectangular|real numbers"),
    "a generator of rows": (lambda p: iter(X), r"A batch must be \(x, y\) or"),
    "no batches": (lambda p: iter(()), "There are no batches: tuple_iterator gave none"),
    "an empty sequence": (lambda p: type("S", (Batches,), {"__len__": lambda s: 0})(), "length 0"),
    "another shape": (lambda p: iter([(X[:, :3], Y)]), r"expects x of shape \(samples, 4\)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_sources_are_refused_before_anything_changes(stored, wrong):
    source, message = WRONG[wrong]
    path = stored()
    net = a_model(state="trained")
    before = [w.tobytes() for w in net.get_weights()]
    for way in (net.fit, net.evaluate):
        with pytest.raises((ValueError, TypeError), match=message):
            way(source(path), verbose=0)
    assert [w.tobytes() for w in net.get_weights()] == before


def test_arguments_that_do_not_go_together_are_refused(stored):
    path = stored()
    net = model()
    for call, message in [
        (lambda: net.fit(Batches(), batch_size=3), "gives batches of its own"),
        (lambda: net.fit(Batches(), sample_weight=W), "gives batches of its own"),
        (lambda: net.predict(Batches(), batch_size=3), "gives batches of its own"),
        (lambda: net.fit(HDF5(path), Y), "HDF5 names its own y and sample_weight"),
        (lambda: net.evaluate(HDF5(path), sample_weight=W), "HDF5 names its own"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with h5py.File(path) as file:
        with pytest.raises(ValueError, match="same number of samples"):
            net.fit(file["x"], Y[:50])
        with pytest.raises(TypeError, match="y is missing"):
            net.fit(file["x"])
    with pytest.raises(TypeError, match="x must be the name of a dataset"):
        HDF5(path, x=X)
    with pytest.raises(FileNotFoundError):
        net.fit(HDF5(path.with_name("other.h5")))


def test_text_in_a_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["x"], file["y"] = [b"one", b"two"], [0, 1]
    with pytest.raises(TypeError, match="x must hold rows of real numbers"):
        model().fit(HDF5(tmp_path / "text.h5"))


def test_a_failing_generator_leaves_the_steps_before_it():
    def failing():
        for number, batch in enumerate(batches()):
            if number == 3:
                raise KeyError("mine")
            yield batch

    net, same = model(), model()
    with pytest.raises(KeyError, match="mine"):
        net.fit(failing(), verbose=0)
    same.fit(list(batches())[:3], verbose=0, shuffle=False)
    assert [w.tobytes() for w in net.get_weights()] == [w.tobytes() for w in same.get_weights()]
    net.fit(Batches(), verbose=0)


def test_the_reading_thread_ends_with_the_pass(stored):
    import threading

    net = model()
    before = threading.active_count()
    stop = nnlite.callbacks.Callback()
    stop.on_train_batch_end = lambda batch, logs=None: setattr(net, "stop_training", True)
    net.fit(HDF5(stored((10, 4))), batch_size=5, verbose=0, callbacks=stop)
    net.fit(HDF5(stored((10, 4))), batch_size=5, verbose=0)
    assert threading.active_count() == before


def test_a_file_as_data_can_be_pickled(stored):
    data = pickle.loads(pickle.dumps(HDF5(stored())))
    assert model().evaluate(data, verbose=0)
    assert repr(HDF5("a.h5", y="labels")) == "HDF5(path='a.h5', y='labels')"


def test_a_bar_without_a_length_counts_and_knows_it_the_second_time(capsys):
    net = model()
    steps = []
    watch = nnlite.callbacks.Callback()
    watch.on_train_begin = lambda logs=None: steps.append(watch.params["steps"])
    net.fit(Iterable(), epochs=2, verbose=1, callbacks=watch)
    first, second = capsys.readouterr().out.strip().splitlines()
    assert "7/7" not in first
    assert "7 steps" in first
    assert "7/7" in second
    assert steps == [None]
