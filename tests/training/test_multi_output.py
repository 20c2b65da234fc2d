"""Training and predicting with several inputs and outputs: data, losses, metrics, results."""

import h5py
import numpy as np
import pytest

from nnlite import Input, Model, Sequential
from nnlite.callbacks import BackupAndRestore, Callback, EarlyStopping
from nnlite.data import HDF5
from nnlite.gradcheck import check_model
from nnlite.layers import Activation, Concatenate, Dense, Embedding, Flatten
from nnlite.losses import BinaryCrossEntropy, MeanSquaredError, SparseCategoricalCrossEntropy
from nnlite.optimizers import SGD
from nnlite.utils import PyDataset

ROWS = 21
RNG = np.random.default_rng(4)
X = {"a": RNG.standard_normal((ROWS, 3)), "b": RNG.standard_normal((ROWS, 1))}
Y = {"z": RNG.standard_normal((ROWS, 1)), "c": RNG.integers(0, 3, ROWS)}
WEIGHT = {"z": RNG.uniform(0.5, 2, ROWS), "c": RNG.uniform(0.5, 2, ROWS)}
LOSSES = {"z": "mse", "c": "sparse_categorical_crossentropy"}


def constant(shape, dtype="float32"):
    return np.random.default_rng(len(shape)).standard_normal(shape)


def model(structure=list, dtype="float64", **arguments):
    options = {"kernel_initializer": constant, "dtype": dtype}
    a, b = Input((3,), name="a", dtype=dtype), Input((1,), name="b", dtype=dtype)
    hidden = Concatenate(dtype=dtype)([a, b])
    hidden = Dense(4, "tanh", name="hidden", **options)(hidden)
    z, c = Dense(1, name="z", **options)(hidden), Dense(3, "softmax", name="c", **options)(hidden)
    ends = ({"a": a, "b": b}, {"z": z, "c": c}) if structure is dict else ([a, b], [z, c])
    made = Model(*ends)
    if arguments:
        made.compile(SGD(0.1), **arguments)
    return made


def listed(data):
    return list(data.values())


class Frame(dict):
    """What a data frame shows of itself."""

    shape = (ROWS, 2)

    @property
    def columns(self):
        return list(self)


class Batches(PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(7 * index, 7 * index + 7)
        return tuple({name: part[rows] for name, part in d.items()} for d in (X, Y, WEIGHT))


def generated():
    for index in range(3):
        yield Batches()[index]


def stored(path):
    with h5py.File(path, "w") as file:
        for group, data in [("x", X), ("y", Y), ("w", WEIGHT)]:
            for name, part in data.items():
                file[f"{group}/{name}"] = part
    names = [
        {k: f"{group}/{k}" for k in data} for group, data in (("x", X), ("y", Y), ("w", WEIGHT))
    ]
    return HDF5(path, *names)


@pytest.mark.parametrize("structure", [list, dict])
def test_every_source_trains_to_the_same_bits(structure, tmp_path):
    sources = [
        (listed(X), listed(Y), listed(WEIGHT)),
        (X, Y, WEIGHT),
        (dict(reversed(X.items())), listed(Y) if structure is list else Y, WEIGHT),
        ([part.tolist() for part in X.values()], Y, WEIGHT),
        (list(generated()), None, None),
        (generated(), None, None),
        (Batches(), None, None),
        (stored(tmp_path / "data.h5"), None, None),
    ]
    if structure is dict:  # whose order is that of its names
        sources[0] = (listed(X), [Y["c"], Y["z"]], [WEIGHT["c"], WEIGHT["z"]])
    weights = []
    for x, y, weight in sources:
        found = model(structure, loss=LOSSES)
        size = 7 if y is not None or isinstance(x, HDF5) else None
        found.fit(x, y, size, verbose=0, shuffle=False, sample_weight=weight)
        weights.append(np.concatenate([w.ravel() for w in found.get_weights()]))
    for other in weights[1:]:
        np.testing.assert_array_equal(other, weights[0])


def test_datasets_of_an_open_file(tmp_path):
    expected = model(loss=LOSSES)
    expected.fit(X, Y, 7, verbose=0, shuffle=False)
    stored(tmp_path / "data.h5")
    with h5py.File(tmp_path / "data.h5") as file:
        for x in ({k: file[f"x/{k}"] for k in X}, [file["x/a"], X["b"]]):
            found = model(loss=LOSSES)
            found.fit(x, Y, 7, verbose=0, shuffle=False)
            for ours, theirs in zip(found.get_weights(), expected.get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)
            for ours, theirs in zip(found.predict(x), expected.predict(X), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_columns_of_a_frame_go_to_inputs_by_name():
    a, b = Input((1,), name="a"), Input((1,), name="b")
    found = Model([a, b], Dense(1, kernel_initializer="ones")(Concatenate()([a, b])))
    frame = Frame(b=np.arange(ROWS), a=10 * np.arange(ROWS))
    assert found.predict(frame, verbose=0)[:, 0].tolist() == (11 * np.arange(ROWS)).tolist()
    found.compile("sgd", "mse")
    found.fit(frame, np.arange(ROWS), verbose=0)
    with pytest.raises(ValueError, match=r"each input: .* lacks 'a'"):
        found.predict(Frame(b=np.arange(ROWS)))


@pytest.mark.parametrize("structure", [list, dict])
def test_predictions_have_the_structure_of_the_outputs(structure):
    found = model(structure)
    sizes = {"z": 1, "c": 3}
    hands = []

    class Keeps(Callback):
        def on_predict_batch_end(self, batch, logs):
            hands.append(logs["outputs"])

    for outputs in (
        found.predict(X, batch_size=4, verbose=0, callbacks=[Keeps()]),
        found.predict(X),
        found.predict(({"a": x["a"], "b": x["b"]} for x, _, _ in generated()), verbose=0),
        found.predict_on_batch(X),
        found(X),
        found(listed(X)),
    ):
        named = outputs if structure is dict else dict(zip(sizes, outputs, strict=True))
        assert type(outputs) is structure
        for name, size in sizes.items():
            assert named[name].shape == (ROWS, size)
    assert len(hands) == 6
    assert type(hands[0]) is structure
    first = found.predict(X, batch_size=4, steps=2, verbose=0)
    assert {part.shape[0] for part in (listed(first) if structure is dict else first)} == {8}


def test_the_gradient_is_that_of_the_weighted_sum():
    found = model(loss=LOSSES, loss_weights={"z": 0.3, "c": 2.0})
    before = found.get_weights()
    found.train_on_batch(X, Y, WEIGHT)
    gradients = [(old - new) / 0.1 for old, new in zip(before, found.get_weights(), strict=True)]

    def loss(at, index, step):
        weights = [part.copy() for part in before]
        weights[at][index] += step
        found.set_weights(weights)
        return found.test_on_batch(X, Y, WEIGHT)[0]

    for at, gradient in enumerate(gradients):
        index = tuple(size // 2 for size in gradient.shape)
        slope = (loss(at, index, 1e-5) - loss(at, index, -1e-5)) / 2e-5
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "y", "weight"),
    [
        (lambda: model(loss=LOSSES, loss_weights={"z": 0.3, "c": 2.0}), Y, WEIGHT),
        (lambda: model(dict, loss={"z": "mse", "c": None}), {"z": Y["z"]}, None),
        (lambda: model(dtype="float32"), Y, WEIGHT),
    ],
)
def test_every_gradient_is_the_slope_of_the_weighted_sum(make, y, weight):
    rows = slice(0, 3)
    parts = [d and {name: part[rows] for name, part in d.items()} for d in (X, y, weight)]
    check_model(make(), *parts)


def test_gradients_beside_inputs_of_integers():
    check_model(embedding(), [[[0, 4], [2, 0]], [[1.0], [2.0]]], [1.0, 2.0])


def test_logs_by_hand():
    a = Input((1,), name="a", dtype="float64")
    ones = {"kernel_initializer": "ones", "dtype": "float64"}
    found = Model(a, [Dense(1, name="p", **ones)(a), Dense(1, name="q", **ones)(a)])
    found.compile("sgd", ["mse", "mae"], [0.5, 2], metrics={"q": "mse"})
    logs = found.evaluate([1.0, 3.0], [[0.0, 0.0], [0.0, 0.0]], batch_size=1, return_dict=True)
    assert logs == {"loss": 0.5 * 5 + 2 * 2, "p_loss": 5, "q_loss": 2, "q_mse": 5}
    assert list(logs) == ["loss", "p_loss", "q_loss", "q_mse"]
    assert found.metrics_names == ["loss", "p_loss", "q_loss", "q_mse"]
    assert found.evaluate([1.0, 3.0], [[0.0, 0.0], [0.0, 0.0]], verbose=0) == [6.5, 5, 2, 5]
    assert [one.name for one in found.metrics] == ["loss", "p_loss", "q_loss", "mse"]


def test_an_output_that_is_left_out_needs_no_targets():
    losses = {"z": "mse", "c": None}
    weights = []
    for y in ({"z": Y["z"]}, [Y["z"]], Y, listed(Y), [Y["z"], None]):
        found = model(loss=losses)
        history = found.fit(X, y, verbose=0, shuffle=False)
        assert set(history.history) == {"loss"}
        weights.append(found.get_weights())
        np.testing.assert_array_equal(found.get_layer("c").kernel.numpy(), model().get_weights()[4])
    for other in weights[1:]:
        for ours, first in zip(other, weights[0], strict=True):
            np.testing.assert_array_equal(ours, first)
    watched = model(loss=losses, metrics={"c": "accuracy"})
    assert set(watched.fit(X, Y, verbose=0).history) == {"loss", "c_accuracy"}
    with pytest.raises(TypeError, match=r"y\['c'\] is missing"):
        watched.fit(X, {"z": Y["z"]})


def test_losses_that_fit_the_outputs():
    a = Input((2,), name="a")
    found = Model(a, [Dense(1)(a), Dense(1, "sigmoid")(a), Dense(3, "softmax")(a)])
    x, y = np.ones((4, 2)), [np.ones(4), np.array([0, 1, 0, 1]), np.array([0, 1, 2, 0])]
    found.fit(x, y, verbose=0)
    kinds = [MeanSquaredError, BinaryCrossEntropy, SparseCategoricalCrossEntropy]
    assert [type(one) for one in found._step.objective.loss.losses] == kinds
    objective = found._step.objective
    found.fit(x, y, verbose=0)
    assert found._step.objective is objective
    found.compile(loss=["mae", "ce", "ce"])
    found.fit(x, y, verbose=0)
    assert [type(one) for one in found._step.objective.loss.losses[1:]] == kinds[1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"z": "mse"}}, r"loss must have one part .* 'z', 'c'. .* lacks 'c'"),
        ({"loss": ["mse"]}, "1 parts"),
        ({"loss": {**LOSSES, "q": "mse"}}, "has 'q' more"),
        ({"loss": LOSSES, "metrics": {"q": "mse"}}, "metrics must have one part .* has 'q' more"),
        ({"loss": LOSSES, "metrics": ["mse"]}, "metrics must have .* 1 parts"),
        ({"loss": LOSSES, "weighted_metrics": {"z": "meen"}}, "meen"),
        ({"loss": LOSSES, "loss_weights": [1.0]}, "loss_weights must have"),
        ({"loss": LOSSES, "loss_weights": {"z": "1", "c": 1}}, "loss_weights must be a number"),
        ({"loss": {"z": "mse", "c": "meen"}}, "meen"),
    ],
)
def test_compile_refuses_what_does_not_fit_the_outputs(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model().compile("sgd", **arguments)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X["a"], Y, {}, "x must have one part for each input: 'a', 'b'"),
        ({"a": X["a"]}, Y, {}, "lacks 'b'"),
        ({**X, "q": X["a"]}, Y, {}, "has 'q' more"),
        (X, Y["z"], {}, "y must have one part for each output: 'z', 'c'"),
        (X, {"z": Y["z"]}, {}, "lacks 'c'"),
        ({**X, "b": X["b"][:5]}, Y, {}, r"x\['a'\] and x\['b'\] must have the same number"),
        ({**X, "b": X["a"]}, Y, {}, r"expects x\['b'\] of shape \(samples, 1\)"),
        ({**X, "b": X["b"] * np.nan}, Y, {}, r"x\['b'\] must be finite"),
        (X, {**Y, "z": Y["z"][:5]}, {}, r"x\['a'\] and y\['z'\] must have the same number"),
        (X, {**Y, "c": Y["c"] + 5}, {}, "from 0 to 2"),
        (X, {**Y, "c": Y["z"]}, {}, r"y\['c'\] to hold class indices"),
        (X, Y, {"sample_weight": {"z": WEIGHT["z"]}}, "sample_weight must have .* lacks 'c'"),
        (X, Y, {"sample_weight": {**WEIGHT, "z": np.ones(3)}}, r"sample_weight\['z'\] must have"),
        (X, Y, {"class_weight": {0: 1.0}}, "class_weight is for models with one output"),
        (X, Y, {"validation_data": (X, Y["z"])}, "validation y must have one part"),
        (X, Y, {"validation_data": ({"a": X["a"]}, Y)}, "validation x must have one part"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name(x, y, options, message):
    found = model(loss=LOSSES)
    before = found.get_weights()
    with pytest.raises((TypeError, ValueError), match=message):
        found.fit(x, y, verbose=0, **options)
    for ours, first in zip(found.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, first)


def test_validation_data_of_lists_is_no_list_of_batches():
    found = model(loss=LOSSES)
    x, y = listed(X), [Y["z"], Y["c"][:, None]]
    history = found.fit(x, y, verbose=0, validation_data=(x, y))
    assert history.history["val_z_loss"][0] == found.evaluate(x, y, verbose=0)[1]


def embedding(dtype="int32"):
    word, number = Input((2,), dtype=dtype, name="word"), Input((1,), name="number")
    vectors = Flatten()(Embedding(5, 2)(word))
    return Model([word, number], Dense(1)(Concatenate()([vectors, number])))


def test_integers_stay_integers():
    found = embedding("int64")
    numbers = np.zeros((2, 1))
    seen = []
    kept = found.get_layer("embedding")
    forward_into = type(kept).forward_into

    def spy(self, x, y):
        seen.append(x.dtype)
        forward_into(self, x, y)

    type(kept).forward_into = spy
    try:
        for words in (np.array([[0, 4], [2, 3]]), [[0.0, 4.0], [2.0, 3.0]]):
            found.predict([words, numbers])
            found([words, numbers])
            found.fit([words, numbers], numbers, verbose=0)
    finally:
        type(kept).forward_into = forward_into
    assert set(seen) == {np.dtype("int64")}
    with pytest.raises(ValueError, match=r"x\['word'\] must hold integers .*\[0, 1\] = 0.5"):
        found.predict([[[0, 0.5]], [[1.0]]])
    with pytest.raises(ValueError, match=r"integers that fit into int8.*= 300"):
        embedding("int8").predict([[[0, 300]], [[1.0]]])


def test_integers_of_a_chain_stay_integers():
    found = Sequential([Embedding(5, 2), Flatten(), Dense(1)])
    with pytest.raises(ValueError, match=r"x must hold integers .* x\[0, 1\] = 1.5"):
        found.predict([[0, 1.5]])
    assert found.predict([[0, 1]]).shape == (1, 1)
    large = Sequential([Input((1,), dtype="int64"), Embedding(5, 2)])
    with pytest.raises(ValueError, match="int64"):
        large.predict([[1e300]])


def test_one_input_or_output_by_name():
    a = Input((2,), name="a")
    found = Model({"a": a}, {"p": Dense(1, name="q")(a)})
    found.compile("sgd", {"p": "mse"}, metrics={"p": ["mae"]})
    x, y = np.ones((4, 2)), np.ones(4)
    for inputs in (x, {"a": x}):
        assert set(found.fit(inputs, {"p": y}, verbose=0).history) == {"loss", "mae"}
        assert found.predict(inputs)["p"].shape == (4, 1)
        assert found(inputs)["p"].shape == (4, 1)
    single = Model(a, Dense(1, name="q")(a))
    single.compile("sgd", {"q": "mse"}, {"q": 0.5})
    assert set(single.fit({"a": x}, {"q": y}, verbose=0).history) == {"loss"}
    single.compile("sgd", ["mse"])
    single.fit([x], [y], verbose=0)
    with pytest.raises(ValueError, match="lacks 'q'"):
        single.compile("sgd", {"z": "mse"})


class Two(Model):
    """Inputs and outputs by name, known only once it is called."""

    def __init__(self):
        super().__init__()
        self.hidden, self.z, self.c = Dense(4, "tanh"), Dense(1), Dense(3)
        self.softmax = Activation("softmax")

    def call(self, x):
        hidden = self.hidden(x["a"]) * x["b"]
        return {"z": self.z(hidden), "c": self.softmax(self.c(hidden))}


def test_a_subclass_is_built_by_its_first_data():
    found = Two()
    found.compile("sgd", LOSSES, metrics={"c": ["accuracy"]}, loss_weights={"z": 0.5, "c": 1})
    names = {"loss", "z_loss", "c_loss", "c_accuracy"}
    assert set(found.fit(X, Y, verbose=0, validation_split=0.2).history) == names | {
        f"val_{name}" for name in names
    }
    assert set(found.predict(X)) == {"z", "c"}
    wrong = Two()
    wrong.compile("sgd", {**LOSSES, "q": "mse"})
    with pytest.raises(ValueError, match="has 'q' more"):
        wrong.fit(X, Y)


def test_a_subclass_is_built_by_the_first_row_of_a_file(tmp_path):
    found = Two()
    found.compile("sgd", LOSSES)
    history = found.fit(stored(tmp_path / "data.h5"), verbose=0)
    assert set(history.history) == {"loss", "z_loss", "c_loss"}
    assert found.predict(stored(tmp_path / "data.h5"))["c"].shape == (ROWS, 3)
    assert Two().predict(stored(tmp_path / "data.h5"))["z"].shape == (ROWS, 1)


def test_a_step_of_ones_own_takes_structures():
    class Own(Model):
        def train_step(self, data):
            x, y, weight = data
            assert set(x) == {"a", "b"}
            y_pred = self(x, training=True)
            assert set(y_pred) == set(y) == set(weight) == {"z", "c"}
            loss = self.compute_loss(x, y, y_pred, weight)
            self.backward(self.compute_loss_gradient(x, y, y_pred, weight))
            self.update_weights()
            self.compiled_metrics.loss.add(loss, len(y["z"]))
            return self.compute_metrics(x, y, y_pred, weight)

    plain = model(dict, loss=LOSSES, metrics={"z": ["mae"]}, loss_weights=0.5)
    own = Own(plain.input, plain.output)
    assert isinstance(own, Own)
    initial = plain.get_weights()
    expected = plain.fit(X, Y, 7, 2, 0, shuffle=False, sample_weight=WEIGHT).history
    plain.set_weights(initial)
    own.compile(SGD(0.1), LOSSES, metrics={"z": ["mae"]}, loss_weights=0.5)
    found = own.fit(X, Y, 7, 2, 0, shuffle=False, sample_weight=WEIGHT).history
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values)


def test_callbacks_watch_one_output():
    found = model(loss=LOSSES, metrics={"c": "accuracy"})
    stop = EarlyStopping("val_z_loss", patience=0, min_delta=100.0)
    history = found.fit(X, Y, epochs=5, verbose=0, validation_split=0.3, callbacks=stop)
    assert len(history.epoch) == 2
    with pytest.warns(UserWarning, match="not in the logs: loss, z_loss, c_loss, c_accuracy"):
        found.fit(X, Y, verbose=0, callbacks=EarlyStopping("q_loss", mode="min"))


def test_a_run_that_was_killed_goes_on_with_the_means_of_each_output(tmp_path):
    class Killed(Exception):  # noqa: N818
        pass

    class Kill(Callback):
        kills = True

        def on_train_batch_end(self, batch, logs):
            if batch == 1 and self.kills:
                raise Killed

    arguments = {"loss": LOSSES, "metrics": {"c": "accuracy"}}
    whole, broken = model(**arguments), model(**arguments)
    expected = whole.fit(X, Y, 7, 2, 0, shuffle=False).history
    kill = Kill()
    with pytest.raises(Killed):
        broken.fit(X, Y, 7, 2, 0, [BackupAndRestore(tmp_path, 1), kill], shuffle=False)
    again, kill.kills = model(**arguments), False
    backup = BackupAndRestore(tmp_path, 1)
    found = again.fit(X, Y, 7, 2, 0, [backup, kill], shuffle=False)
    assert found.history == expected
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_not_finite_is_found_on_the_graph():
    found = model(loss=LOSSES)
    found.get_layer("z").kernel.assign(np.full((4, 1), 1e308))
    with pytest.raises(FloatingPointError, match="in the output of layer 'z'"):
        found.fit({**X, "a": X["a"] * 100}, Y, verbose=0)


def test_nested_outputs():
    a = Input((3,), name="a")
    q, r, t = (Dense(1, name=name)(a) for name in "qrt")
    found = Model(a, {"p": [q, r], "s": t})
    y = np.ones(4)
    parts = {"p": [y, y], "s": y}
    found.compile("sgd", {"p": ["mse", "mae"], "s": "mse"}, metrics={"p": [None, "mse"]})
    logs = found.fit(np.ones((4, 3)), parts, verbose=0, sample_weight=parts).history
    assert set(logs) == {"loss", "q_loss", "r_loss", "t_loss", "r_mse"}
    outputs = found.predict(np.ones((4, 3)))
    assert [part.shape for part in outputs["p"]] == [(4, 1), (4, 1)]
    assert outputs["s"].shape == (4, 1)


def test_two_outputs_of_one_layer_have_names_of_their_own_in_logs():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    encoder = Dense(2, name="code")
    found = Model([a, b], [encoder(a), encoder(b)])
    found.compile("sgd", "mse", metrics=["mae", "mae"])
    x, y = [np.ones((4, 3))] * 2, [np.zeros((4, 2)), np.ones((4, 2))]
    logs = found.evaluate(x, y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "code_loss", "code_1_loss", "code_mae", "code_1_mae"}
    assert logs["loss"] == pytest.approx(logs["code_loss"] + logs["code_1_loss"])


def test_classes_of_a_single_output_are_weighed_whatever_the_inputs():
    a, b = Input((3,), name="a"), Input((1,), name="b")
    probabilities = Dense(2, "softmax", kernel_initializer=constant)(Concatenate()([a, b]))
    found = Model([a, b], probabilities)
    found.compile(SGD(0.0), "ce")
    y = np.arange(ROWS) % 2
    weighed = found.train_on_batch(X, y, class_weight={1: 3.0})
    assert weighed == pytest.approx(found.test_on_batch(X, y, np.where(y == 1, 3.0, 1.0)))
