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
from nnlite.data.epochs import Epochs
from nnlite.data.iterables import IterableBatches
from nnlite.data.weights import class_weights
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
        (lambda: net.fit(Batches(), batch_size=3), "gives its own batches"),
        (
            lambda: net.fit(Batches(), sample_weight=W),
            r"Batches, which gives \(x, y, sample_weight",
        ),
        (lambda: net.fit(Batches(), Y), r"Batches, which gives \(x, y\): do not pass y"),
        (lambda: net.predict(Batches(), batch_size=3), "gives its own batches"),
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
    assert "1/2: 7 " in first
    assert "7/7" in second
    assert steps == [None]


# ---- vectors, frames, lists of one ------------------------------------------------------------


def line(declared):
    """Return a model of one feature, which is known beforehand or not."""
    nnlite.set_random_seed(2)
    net = Sequential([Input((1,)), Dense(1)] if declared else [Dense(1)])
    net.compile("sgd", "mse")
    return net


@pytest.mark.parametrize("declared", [True, False])
def test_a_vector_is_one_feature_of_many_samples(declared, tmp_path):
    xs, ys = X.T[:2].copy()
    with h5py.File(tmp_path / "vectors.h5", "w") as file:
        file["x"], file["y"] = xs, ys
    expected = line(declared)
    options = {"epochs": 2, "verbose": 0, "shuffle": False}
    losses = expected.fit(xs[:, None], ys[:, None], 103, validation_split=0.2, **options).history
    for x, y in [(xs, ys), (xs.tolist(), ys), ([xs[:, None]], [ys])]:
        net = line(declared)
        assert net.fit(x, y, 103, validation_split=0.2, **options).history == losses
        assert net.evaluate(x, y) == expected.evaluate(xs[:, None], ys)
        np.testing.assert_array_equal(net.predict(x), expected.predict(xs[:, None]))
        np.testing.assert_array_equal(net(x), expected(xs[:, None]))
    whole = line(declared)
    whole.fit(xs[:, None], ys, 103, **options)
    for source in ([(xs, ys)] * 2, HDF5(tmp_path / "vectors.h5")):
        net = line(declared)
        if isinstance(source, HDF5):
            net.fit(source, batch_size=103, **options)
        else:
            net.fit(iter(source), steps_per_epoch=1, **options)
        assert [w.tobytes() for w in net.get_weights()] == [
            w.tobytes() for w in whole.get_weights()
        ]
    assert net.predict(HDF5(tmp_path / "vectors.h5")).shape == (103, 1)
    assert net.predict(iter([xs])).shape == (103, 1)


def test_an_axis_of_one_is_added_or_taken_off_at_the_end_alone():
    wide = Sequential([Input((4,)), Dense(1)])
    np.testing.assert_array_equal(wide.predict(X[..., None]), wide.predict(X))
    deep = Sequential([Input((4, 1)), Dense(2)])
    np.testing.assert_array_equal(deep.predict(X), deep.predict(X[..., None]))
    for x in (X[:, None], X[0], X[0, 0]):
        with pytest.raises(ValueError, match="x "):
            wide.predict(x)
    one = Sequential([Input((103, 4)), Dense(2)])
    assert one.predict([X]).shape == (1, 103, 2)  # one sample, where the model takes such ones


class Frame:
    """What a data frame shows of itself, where neither pandas nor polars is installed."""

    def __init__(self, columns):
        self.columns = list(columns)
        self.series = columns

    shape = property(lambda self: (len(self.series[self.columns[0]]), len(self.columns)))

    def __array__(self, dtype=None, copy=None):
        return np.stack([np.asarray(self.series[name]) for name in self.columns], axis=1)

    def __getitem__(self, names):
        if isinstance(names, str):
            return self.series[names]
        return Frame({name: self.series[name] for name in names})


def frame(order="abcd"):
    return Frame({name: X[:, "abcd".index(name)] for name in order})


FRAMES = {
    "fit": lambda net, x: net.fit(x, Y, verbose=0, shuffle=False).history["loss"],
    "train_on_batch": lambda net, x: net.train_on_batch(x, Y),
    "evaluate": lambda net, x: net.evaluate(x, Y),
    "predict": lambda net, x: net.predict(x).tolist(),
    "a call": lambda net, x: net(x).tolist(),
    "batches": lambda net, x: net.predict(iter([x, x])).tolist(),
    "validation": lambda net, x: net.fit(frame(), Y, validation_data=(x, Y), verbose=0).history,
}


@pytest.mark.parametrize("way", FRAMES)
@pytest.mark.parametrize("trained", [lambda n: n.fit, lambda n: n.train_on_batch])
def test_a_frames_columns_are_put_in_the_order_of_training(way, trained):
    outcomes = []
    for order in ("abcd", "cadb"):
        net = model()
        trained(net)(frame(), Y)
        outcomes.append(FRAMES[way](net, frame(order)))
        assert net.column_names == tuple("abcd")
    assert outcomes[0] == outcomes[1]
    for order, message in [("abd", "no column 'c'"), ("abce", "no column 'd'"), ("abcde", "'e' m")]:
        x = Frame(dict.fromkeys(order, X[:, 0]))
        with pytest.raises(ValueError, match=f"x must have the columns .*{message}"):
            FRAMES[way](net, x)
    FRAMES[way](net, X)  # by position


def test_validation_data_and_batches_are_held_to_the_columns_of_their_own_fit():
    one, two = model(), model()
    plain, other = (
        net.fit(frame(), Y, verbose=0, shuffle=False, validation_data=(held, Y)).history
        for net, held in [(one, frame()), (two, frame("dcba"))]
    )
    assert plain == other
    one, two = model(), model()
    one.fit(iter([(frame(), Y), (frame(), Y)]), verbose=0)
    two.fit(iter([(frame(), Y), (frame("bdca"), Y)]), verbose=0)
    assert [w.tobytes() for w in one.get_weights()] == [w.tobytes() for w in two.get_weights()]
    assert two.column_names == tuple("abcd")


def test_columns_without_names_go_by_position():
    net = model()
    numbered = frame()
    numbered.columns = [0, 1, 2, 3]
    numbered.series = {i: X[:, i] for i in range(4)}
    net.fit(numbered, Y, verbose=0)
    assert net.column_names is None
    np.testing.assert_array_equal(net.predict(frame("dcba")), net.predict(X[:, ::-1]))


def test_a_model_that_is_emptied_forgets_the_columns():
    net = Sequential([Dense(1)])
    net.compile("sgd", "mse")
    net.train_on_batch(frame(), Y)
    net.pop()
    net.add(Dense(1))
    net.train_on_batch(Frame({"e": X[:, 0], "f": X[:, 1]}), Y)
    assert net.column_names == ("e", "f")


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_the_names_of_columns_are_saved(tmp_path, ending):
    net = model()
    net.fit(frame(), Y, verbose=0)
    net.save(tmp_path / f"net.{ending}")
    loaded = nnlite.models.load_model(tmp_path / f"net.{ending}")
    np.testing.assert_array_equal(loaded.predict(frame("dbac")), net.predict(X))
    with pytest.raises(ValueError, match="no column 'd'"):
        loaded.predict(frame("abc"))
    assert nnlite.models.clone_model(net).column_names is None


@pytest.mark.parametrize("names", [["a", "b", "c"], ["a", "b", "c", 4], list("aabc"), 4])
def test_names_of_columns_in_a_file_that_are_none_are_refused(tmp_path, names):
    net = model()
    net.column_names = [names] if names == 4 else names
    net.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="column_names"):
        nnlite.models.load_model(tmp_path / "net.keras")


# ---- data sets of the user's own --------------------------------------------------------------


class Counted(nnlite.utils.PyDataset):
    """Batches of 16 rows that write down what is asked of them."""

    def __init__(self, count=7, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.log = []

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, number):
        self.log.append(number)
        rows = slice(number % 7 * 16, number % 7 * 16 + 16)
        return X[rows], Y[rows], W[rows]

    def on_epoch_begin(self):
        self.log.append("begin")

    def on_epoch_end(self):
        self.log.append("end")


def test_a_dataset_trains_as_the_same_batches_in_a_list():
    expected = model()
    wanted = outcome(expected, expected.fit(list(batches()), epochs=2, verbose=0, shuffle=False))
    for data, steps in [(Counted(), None), (Counted(None), 7), (Counted(workers=4), None)]:
        net = model()
        history = net.fit(data, epochs=2, verbose=0, shuffle=False, steps_per_epoch=steps)
        assert outcome(net, history) == wanted
    assert expected.evaluate(Counted(), verbose=0) == expected.evaluate(list(batches()), verbose=0)
    assert expected.predict(Counted()).shape == (103, 1)
    orders = Counted()
    model().fit(orders, epochs=2, verbose=0)
    assert sorted(orders.log[2:9]) == list(range(7)) != orders.log[2:9]


def test_a_dataset_is_told_of_epochs_however_they_cut_it():
    for steps, wanted in [
        (None, ["begin", 0, 1, 2, "end"] * 2),
        (2, ["begin", 0, 1, "end", "begin", 2, "end"]),
    ]:
        data = Counted(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the second epoch ends in the middle
            model().fit(data, epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)
        assert data.log[1:] == wanted  # the first look is for the shapes
    endless = Counted(None)
    model().fit(endless, epochs=2, steps_per_epoch=2, verbose=0)
    assert endless.log[1:] == ["begin", 0, 1, "end", "begin", 2, 3, "end"]


def test_a_resumed_epoch_is_begun_before_its_batches():
    data = Counted(3)
    epochs = Epochs(IterableBatches(data, lambda batch: batch), None)
    epochs.restore({"order": None, "passed": 1, "taken": 1}, within_epoch=True)
    assert len(list(epochs)) == 2
    assert data.log == ["begin", 0, 1, 2, "end"]


def test_datasets_by_hand():
    assert len(list(Counted(3))) == 3
    assert [number for number, _ in zip(range(9), Counted(None), strict=False)] == [*range(9)]
    data = nnlite.utils.PyDataset(2, True, 5)
    assert (data.workers, data.use_multiprocessing, data.max_queue_size) == (2, True, 5)
    assert nnlite.utils.Sequence is nnlite.utils.PyDataset
    with pytest.raises(NotImplementedError, match="must define __len__ or num_batches"):
        model().fit(data)
    with pytest.raises(NotImplementedError, match="PyDataset does not define __getitem__"):
        next(iter(data))


def test_a_sequence_without_a_length_ends_where_it_says():
    class Old:
        def __getitem__(self, number):
            return list(batches())[number]  # an IndexError at the end

    net, same = model(), model()
    net.fit(Old(), verbose=0)
    same.fit(list(batches()), verbose=0, shuffle=False)
    assert [w.tobytes() for w in net.get_weights()] == [w.tobytes() for w in same.get_weights()]


@pytest.mark.parametrize("count", ["7", 7.5, -1])
def test_a_number_of_batches_that_is_none_is_refused(count):
    with pytest.raises((TypeError, ValueError), match=r"^Counted\.num_batches must be"):
        model().fit(Counted(count), verbose=0)


def test_a_wrong_batch_is_named_by_its_number():
    class Spoiled(Counted):
        def __getitem__(self, number):
            x, y, w = super().__getitem__(number)
            return (x[:, :2] if number == 5 else x), y, w

    for call in ("fit", "evaluate", "predict"):
        with pytest.raises(ValueError, match=r"^Batch 5 of Spoiled: .* x of shape \(16, 2\)"):
            getattr(model(), call)(Spoiled(), verbose=0)
    with pytest.raises(ValueError, match=r"^Batch 2 of generator: A batch must be"):
        model().fit(((X, Y) if number < 2 else {"x": X} for number in range(3)), verbose=0)


def test_without_a_batch_size_steps_say_how_large_batches_are():
    """As in Keras: ceil(103 / 4) = 26 samples a batch, so that four of them are all."""
    sizes = []

    class Watching(Sequential):
        def train_step(self, data):
            sizes.append(len(data[0]))
            return {"loss": 0.0}

        def test_step(self, data):
            return self.train_step(data)

    net = Watching([Dense(1)])
    net.compile("sgd", "mse")
    net.fit(X, Y, steps_per_epoch=4, epochs=2, verbose=0)
    assert sizes == [26, 26, 26, 25] * 2
    sizes.clear()
    net.fit(X, Y, batch_size=60, validation_data=(X, Y), validation_steps=2, verbose=0)
    assert sizes == [60, 43] * 2  # batch_size is that of the validation too
    sizes.clear()
    net.evaluate(X, Y, steps=2)
    assert sizes == [52, 51]
    assert net.predict(X, steps=3).shape == (103, 1)


def test_only_a_step_of_the_users_own_does_without_targets():
    seen = []

    class Own(Sequential):
        def train_step(self, data):
            seen.append(data)
            return {"loss": 0.0}

    net = Own([Dense(1)])
    net.compile("sgd", "mse")
    net.fit(iter([X, (X,), (X, Y)]), verbose=0)
    assert [len(data) for data in seen] == [1, 1, 2]
    net.train_on_batch(X)
    for call in (net.evaluate, net.test_on_batch, model().fit, model().train_on_batch):
        with pytest.raises(TypeError, match="y is missing"):
            call(X)
    with pytest.raises(TypeError, match="y is missing"):
        net.fit(X, class_weight={0: 1.0})


# ---- class weights ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "y", "expected"),
    [
        ({0.0: 2.0, 1: 3}, [0, 1, 2], [2, 3, 1]),
        ({np.float32(1): 3, True: 4}, [0.0, 1.0], [1, 4]),
        ({-1: 5.0}, [[-1], [1]], [5, 1]),
        ({0: 2, 2: 7}, [[0, 0, 1], [1, 0, 0], [0, 0, 0]], [7, 2, 2]),
        ({1: 4}, [[0.05, 0.9, 0.05], [0.5, 0.2, 0.3]], [4, 1]),
        ({}, [0, 1], [1, 1]),
    ],
)
def test_class_weights_are_those_of_keras(weights, y, expected):
    np.testing.assert_array_equal(class_weights(weights, np.array(y)), expected)


@pytest.mark.parametrize(
    ("y", "row"),
    [
        ([[1, 0], [1, 1]], r"y\[1\] = \[1 1\]"),
        ([[0.2, 0.8], [0.3, 2.5]], r"y\[1\]"),
        ([[1.5, -0.5]], r"y\[0\]"),
        ([0.0, 0.7], r"y\[1\] = 0.7"),
        ([[0.5], [1.0]], r"y\[0\] = 0.5"),
    ],
)
def test_targets_of_several_classes_or_of_none_have_no_class_weight(y, row):
    y = np.array(y)
    net = Sequential([Dense(1 if y.ndim == 1 else y.shape[1])])
    net.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"one class per sample.*Received: {row}.*sample_weight"):
        net.fit(X[: len(y)], y, class_weight={0: 2.0}, verbose=0)


# ---- what is no data --------------------------------------------------------------------------


def a_generator():
    yield X, Y


class Lazy:
    def collect(self):
        raise AssertionError("it is not computed by us")

    __getitem__ = collect


HINTS = {
    "a generator function": (a_generator, "Received: function. It is a function: call it"),
    "a lambda": (lambda: X, "It is a function: call it"),
    "a class": (Counted, "Received: type. It is a class: pass an instance"),
    "a dict": ({"a": X[:, 0]}, r"numpy.column_stack\(list\(x.values\(\)\)\)"),
    "a frame that is not computed": (Lazy(), r"Received: Lazy. Compute it first, x.collect\(\)"),
    "an Input": (Input((4,)), "Received: KerasTensor, which says"),
    "text among objects": (
        np.array([[1, "red"], [2, "blue"]], object),
        r"x\[0, 1\] is 'red'. Text must become numbers",
    ),
    "a gap among objects": ([[1.0, None], [2.0, 3.0]], r"x\[0, 1\] is None. .*fill the gaps"),
    "arrays among objects": (np.array([[1, X]], object), r"x\[0, 1\] is of type ndarray"),
    "a column of text": (
        Frame({"size": np.ones(2), "colour": np.array(["red", "blue"])}),
        r"x\['colour'\] must hold real numbers.*Text must become numbers",
    ),
    "a column of objects": (
        Frame({"size": np.ones(2), "many": np.array([1.0, 2.0], object)}),
        r"x\['many'\].*\.astype\('float32'\)",
    ),
}


@pytest.mark.parametrize("kind", HINTS)
def test_what_is_no_data_is_refused_with_what_to_do(kind):
    data, hint = HINTS[kind]
    net = Sequential([Dense(1)])
    for call in (lambda: net.fit(data, [1.0, 2.0], verbose=0), lambda: net.predict(data)):
        for error in (TypeError, ValueError):  # Keras's and Python's habit
            with pytest.raises(error, match=hint):
                call()
    assert not net.built


def test_a_symbolic_tensor_is_said_to_hold_no_numbers():
    class Symbolic:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("A KerasTensor is symbolic")

    with pytest.raises(TypeError, match="A symbolic tensor holds no numbers: give the data"):
        model().predict(Symbolic())


def test_an_iterator_is_no_target():
    with pytest.raises(TypeError, match=r"Collect its elements first, numpy.array\(list\(y\)\)"):
        model().fit(X, iter(Y))
