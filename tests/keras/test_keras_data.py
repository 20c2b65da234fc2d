"""Data as `fit`, `evaluate` and `predict` take them, beside Keras's."""

import keras
import numpy as np
import pytest

import nnlite

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:.*shuffle=True:UserWarning",
    "ignore:Your input ran out of data:UserWarning",
    "ignore:The data ended after:UserWarning",
    "ignore:The structure of `inputs`:UserWarning",
    "ignore:No training configuration:UserWarning",
)

X = np.random.default_rng(4).standard_normal((20, 3)).astype("float32")
Y = np.eye(2, dtype="float32")[(X[:, 0] > 0).astype(int)]


def pair(features=3, outputs=2, loss="mse"):
    """Return a compiled model of Keras's and one of ours, of the same weights."""
    models = []
    for package in (keras, nnlite):
        model = package.Sequential(
            [package.layers.Input((features,)), package.layers.Dense(outputs)]
        )
        model.compile(package.optimizers.SGD(0.1), loss)
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    return models


def losses(call):
    """Return what ``call`` gives for both models."""
    return [call(model, package) for model, package in zip(pair(), (keras, nnlite), strict=True)]


def logged(package, count=4):
    """Return a data set of a package's that writes down what is asked of it."""

    class Logged(package.utils.PyDataset):
        def __init__(self):
            super().__init__(workers=0)
            self.log = []

        @property
        def num_batches(self):
            return count

        def __getitem__(self, number):
            self.log.append(number)
            rows = slice(number % 4 * 5, number % 4 * 5 + 5)
            return X[rows], Y[rows]

        def on_epoch_begin(self):
            self.log.append("begin")

        def on_epoch_end(self):
            self.log.append("end")

    return Logged()


@pytest.mark.parametrize(
    ("count", "steps"), [(4, None), (4, 2), (4, 3), (4, 6), (None, 3), (3, None)]
)
def test_a_dataset_is_asked_and_told_the_same(count, steps):
    def run(model, package):
        data = logged(package, count)
        fitted = model.fit(data, epochs=3, steps_per_epoch=steps, shuffle=False, verbose=0)
        log = data.log
        while log[0] != "begin" or log[1:3] == [0, "end"]:  # looks at the first, for the shapes
            log = log[1:]
        return fitted.history["loss"], log

    (theirs, their_log), (ours, our_log) = losses(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert our_log == their_log


@pytest.mark.parametrize("steps", [3, 7])
def test_steps_alone_say_how_large_a_batch_is(steps):
    def run(model, package):
        options = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, epochs=2, validation_data=(X, Y), **options).history
        return history["loss"] + history["val_loss"]

    theirs, ours = losses(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "y"),
    [
        ({0: 2.0, 1: 5.0}, Y),
        ({1.0: 3.0}, Y),
        ({0: 2.0}, np.zeros_like(Y)),
        ({1: 4.0}, Y * 0.8 + 0.1),
    ],
)
def test_class_weights_weigh_the_same(weights, y):
    theirs, ours = losses(lambda model, _: model.train_on_batch(X, y, class_weight=weights))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


VALIDATION = {
    "a tuple": (X, Y),
    "a list": [X, Y],
    "with weights": [X, Y, np.arange(20.0)],
}


@pytest.mark.parametrize("kind", [*VALIDATION, "a dataset"])
def test_validation_data_come_in_the_same_forms(kind):
    theirs, ours = losses(
        lambda model, package: model.fit(
            X, Y, verbose=0, validation_data=VALIDATION.get(kind) or logged(package), shuffle=False
        ).history["val_loss"]
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_a_vector_is_one_feature(shape):
    models = pair(features=1)
    x = X[:, 0].reshape(shape)
    results = [
        (m.predict(x, verbose=0), np.array(m(x)), m.fit(x, Y, 20, verbose=0).history["loss"])
        for m in models
    ]
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_last_axis_of_one_and_a_list_of_one_are_the_array():
    theirs, ours = losses(
        lambda model, _: [
            model.predict(X[..., None], verbose=0),
            model.predict([X], verbose=0),
            model.fit([X], [Y], 20, verbose=0).history["loss"],
        ]
    )
    for their, our in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-6)


def batches():
    yield X, Y


REFUSED = {
    "text": lambda model, _: model.fit("text"),
    "no data": lambda model, _: model.fit(None, Y),
    "an array of text": lambda model, _: model.fit(X.astype(str), Y),
    "text as targets": lambda model, _: model.fit(X, Y.astype(str)),
    "text as weights": lambda model, _: model.fit(X, Y, sample_weight="heavy"),
    "a function": lambda model, _: model.fit(batches),
    "an object": lambda model, _: model.predict(object()),
    "a generator and targets": lambda model, _: model.fit(batches(), Y),
    "a generator and weights": lambda model, _: model.fit(batches(), sample_weight=np.ones(20)),
    "a dataset and targets": lambda model, package: model.fit(logged(package), Y),
    "an empty generator": lambda model, _: model.fit(iter_of()),
    "batches of four": lambda model, _: model.fit(iter_of((X, Y, Y, Y))),
    "a split of a dataset": lambda m, package: m.fit(logged(package), validation_split=0.5),
    "a split that leaves none": lambda model, _: model.fit(X, Y, validation_split=1.0),
    "two kinds of weights": lambda model, _: model.fit(
        X, Y, sample_weight=np.ones(20), class_weight={0: 1.0}
    ),
    "fewer targets": lambda model, _: model.fit(X, Y[:5]),
    "other features": lambda model, _: model.predict(X[:, :2]),
}


def iter_of(*given):
    return (batch for batch in given)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_keras_refuses_is_refused_as_a_value_error(kind):
    for model, package in zip(pair(), (keras, nnlite), strict=True):
        with pytest.raises(ValueError, match=r"."):
            REFUSED[kind](model, package)


@pytest.mark.parametrize("built", [False, True])
def test_a_model_has_its_shapes_once_they_are_known(built):
    for package in (keras, nnlite):
        first = [package.layers.Input((3,))] if built else []
        model = package.Sequential([*first, package.layers.Dense(2)])
        for name, shape in [("input_shape", (None, 3)), ("output_shape", (None, 2))]:
            assert hasattr(model, name) == built
            assert getattr(model, name, shape) == shape


def test_datasets_have_kerass_attributes():
    theirs, ours = (
        {name for name in dir(package.utils.PyDataset) if not name.startswith("_")}
        for package in (keras, nnlite)
    )
    assert ours == theirs
    assert keras.utils.Sequence is keras.utils.PyDataset
    for package in (keras, nnlite):
        class_ = type("Own", (package.utils.PyDataset,), {"num_batches": 3})
        data = class_(2, use_multiprocessing=True, max_queue_size=7)
        assert (data.workers, data.use_multiprocessing, data.max_queue_size) == (2, True, 7)
        with pytest.raises(NotImplementedError):
            list(data)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_keras_passes_over_the_names_of_columns(tmp_path, ending):
    _, ours = pair()
    ours.fit(X, Y, verbose=0)
    ours.column_names = ("a", "b", "c")
    ours.save(tmp_path / f"named.{ending}")
    theirs = keras.saving.load_model(tmp_path / f"named.{ending}")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), ours.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data", [1, (1,), [1], (1, 2), [1, 2], (1, 2, 3)])
def test_batches_are_unpacked_alike(data):
    theirs, ours = (package.utils.unpack_x_y_sample_weight(data) for package in (keras, nnlite))
    assert ours == theirs
    if ours[1] is not None:
        packed = keras.utils.pack_x_y_sample_weight(*theirs)
        assert nnlite.utils.pack_x_y_sample_weight(*ours) == packed


@pytest.mark.parametrize("data", [(), (1, 2, 3, 4)])
def test_more_than_a_batch_is_refused_alike(data):
    for package in (keras, nnlite):
        with pytest.raises(ValueError, match=r"."):
            package.utils.unpack_x_y_sample_weight(data)
