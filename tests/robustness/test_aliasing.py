"""No array of the user's is written, and none that the user holds changes by a later call."""

import copy
import inspect

import numpy as np
import pytest
from gradients.loss_strategies import LOSSES
from gradients.strategies import LAYERS
from gradients.test_contract import a_layer
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite import (
    Sequential,
    activations,
    constraints,
    datasets,
    initializers,
    layers,
    metrics,
    optimizers,
    regularizers,
    set_random_seed,
    utils,
)
from nnlite.backend.variables import Variable, WeightVector
from nnlite.callbacks import Callback, EarlyStopping
from nnlite.layers import Dense, Input

GENERATOR = np.random.default_rng(0)
ROWS, FEATURES = 40, 4
X = GENERATOR.standard_normal((ROWS, FEATURES)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
W = GENERATOR.uniform(0.5, 2, ROWS).astype("float32")


def locked(array):
    """Return a copy that cannot be written to."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def classes_of(module, base):
    found = {
        thing
        for name in module.__all__
        if inspect.isclass(thing := getattr(module, name))
        and issubclass(thing, base)
        and thing is not base
    }
    return sorted(found, key=lambda cls: cls.__name__)


def by_name(cls):
    return cls.__name__


# ---- arrays of every make ---------------------------------------------------------------------


def every_second(a):
    wide = np.zeros((2 * len(a), *a.shape[1:]), a.dtype)
    wide[::2] = a
    return wide[::2]


def columns_of_a_table(a):
    wide = np.zeros((len(a), *(n + 3 for n in a.shape[1:])), a.dtype)
    part = wide[(slice(None), *(slice(1, n + 1) for n in a.shape[1:]))]
    part[...] = a
    return part


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    return raw


def of_a_file(a, folder):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    a.tofile(path)
    return np.memmap(path, a.dtype, "r", shape=a.shape)


MAKES = {
    "read-only": locked,
    "Fortran": np.asfortranarray,
    "every second row": every_second,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "columns of a table": columns_of_a_table,
    "unaligned": unaligned,
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "a subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
    "a memory map": of_a_file,
}


def net(dtype):
    set_random_seed(4)
    model = Sequential(
        [
            Input((FEATURES,), dtype=dtype),
            layers.Rescaling(1.0, dtype=dtype),
            Dense(5, "tanh", dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Dropout(0.2, seed=1, dtype=dtype),
            Dense(1, "sigmoid", dtype=dtype),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mae"])
    return model


def everything(model, x, y, weight):
    """Return the results of every method that takes data."""
    results = [
        model.fit(x, y, 8, epochs=2, verbose=0, sample_weight=weight, shuffle=shuffle).history
        for shuffle in (True, False)
    ]
    held = model.fit(x, y, 40, verbose=0, validation_data=(x, y, weight)).history
    results += [held, model.fit(x, y, verbose=0, validation_split=0.25).history]
    results += [model.fit(x, y, verbose=0, class_weight={0: 2.0}).history]
    results += [model.fit([(x, y, weight)], verbose=0).history]
    results += [model.train_on_batch(x, y, weight), model.test_on_batch(x, y, weight)]
    results += [model.evaluate(x, y, 7, 0, weight), model.evaluate(iter([(x, y)]), verbose=0)]
    results += [model.predict(x).tobytes(), model.predict(x, 7).tobytes()]
    results += [model.predict_on_batch(x).tobytes(), np.asarray(model(x)).tobytes()]
    return results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", MAKES)
def test_arrays_of_every_make_train_alike_and_are_left_alone(make, dtype, tmp_path):
    folder = [tmp_path] * (make == "a memory map")
    given = [MAKES[make](array.astype(dtype), *folder) for array in (X, Y, W)]
    expected = everything(net(dtype), *(array.astype(dtype) for array in (X, Y, W)))
    assert everything(net(dtype), *given) == expected
    for array, original in zip(given, (X, Y, W), strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_broadcast_array_is_data_like_any_other(dtype):
    x, weight = np.broadcast_to(X[:1], X.shape), np.broadcast_to(np.float32(0.5), ROWS)
    expected = everything(net(dtype), x.copy(), Y, weight.copy())
    assert everything(net(dtype), x, Y, weight) == expected


# ---- every public layer -----------------------------------------------------------------------

EVERY_LAYER = pytest.mark.parametrize("cls", LAYERS, ids=by_name)


@EVERY_LAYER
def test_a_layer_writes_neither_its_input_nor_its_gradient(cls):
    layer, x = a_layer(cls)
    x = locked(x)
    for training in (False, True):
        gradient = locked(layer.forward(x, training=training))
    layer.backward(gradient)


@EVERY_LAYER
def test_what_callbacks_are_given_of_predictions_stays_as_it_is(cls):
    layer, x = a_layer(cls, 30)
    if cls is layers.InputLayer:
        return
    model, held = Sequential([layer]), []
    hold = Callback()
    hold.on_predict_batch_end = lambda batch, logs: held.append(
        (logs["outputs"], np.array(logs["outputs"]))
    )
    for data, size in ((x, 8), (x.astype("float64"), 8), ([x[:9], x[9:]], None)):
        given = copy.deepcopy(data)
        model.predict(data if size else iter(data), size, callbacks=hold)
        model.predict(np.ones_like(x), 8)
        for outputs, kept in held:
            np.testing.assert_array_equal(outputs, kept)
            outputs[...] = 7
        np.testing.assert_equal(data, given)
        held.clear()


@EVERY_LAYER
def test_the_config_of_a_layer_is_the_users_own(cls):
    layer, _ = a_layer(cls)
    before = copy.deepcopy(layer.get_config())
    spoil(layer.get_config())
    assert layer.get_config() == before


def spoil(config):
    """Change everything in a configuration that can be changed."""
    for key, value in list(config.items()):
        if isinstance(value, dict):
            spoil(value)
        elif isinstance(value, list):
            value.append("spoiled")
        config[key] = "spoiled"


@pytest.mark.parametrize(
    "make",
    [
        lambda a: layers.Rescaling(a, dtype=a.dtype),
        lambda a: layers.Rescaling(1.0, offset=a, dtype=a.dtype),
        lambda a: layers.Normalization(mean=a, variance=np.ones(4), dtype=a.dtype),
        lambda a: layers.Normalization(mean=np.zeros(4), variance=a, dtype=a.dtype),
    ],
    ids=["scale", "offset", "mean", "variance"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_of_a_layer_is_its_own(make, dtype):
    constant = np.arange(1.0, 5.0, dtype=dtype)
    layer = make(constant)
    kept, config = layer(X), copy.deepcopy(layer.get_config())
    make(locked(constant))(X)
    constant[...] = 9
    np.testing.assert_array_equal(layer(X), kept)
    assert repr(layer.get_config()) == repr(config)


def test_the_data_of_adapt_are_left_alone():
    layer, data = layers.Normalization(), locked(X)
    layer.adapt(data)
    mean = layer.mean
    kept = mean.copy()
    layer.update_state(locked(X + 1))
    layer.adapt([locked(X[:5]), locked(X[5:])])
    layer.adapt(X * 2)
    np.testing.assert_array_equal(mean, kept)


# ---- weights ----------------------------------------------------------------------------------


class Kept(initializers.Initializer):
    """Returns the same array each time."""

    def __init__(self, array):
        self.array = array

    def __call__(self, shape, dtype=None):
        return self.array


@pytest.mark.parametrize("wrap", [Kept, lambda array: lambda shape, dtype: array])
def test_what_an_initializer_returns_is_left_alone(wrap):
    kept = GENERATOR.standard_normal((FEATURES, 1)).astype("float32")
    original = kept.copy()
    first, second = (
        Sequential([Input((FEATURES,)), Dense(1, kernel_initializer=wrap(kept))]) for _ in range(2)
    )
    first.set_weights([np.zeros((FEATURES, 1)), np.zeros(1)])
    first.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(kept, original)
    np.testing.assert_array_equal(second.get_weights()[0], original)
    third = Sequential([Input((FEATURES,)), Dense(1, kernel_initializer=wrap(locked(kept)))])
    third.set_weights(first.get_weights())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_that_are_set_are_copied(dtype):
    model = net(dtype)
    given = [array.copy() for array in model.get_weights()]
    model.set_weights([locked(array) for array in given])
    model.set_weights(given)
    model.layers[1].set_weights(given[:2])
    model.weights[0].assign(given[0])
    for array in given:
        array[...] = 99
    assert all((array != 99).all() for array in model.get_weights())
    before = [array.copy() for array in given]
    model.fit(X, Y, verbose=0)
    for array, kept in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_what_shows_a_weight_is_a_copy():
    model = net("float32")
    weight = model.weights[0]
    shown = [weight.numpy(), np.asarray(weight), np.array(weight), model.get_weights()[0]]
    kept = shown[0].copy()
    model.fit(X, Y, verbose=0)
    for array in shown:
        np.testing.assert_array_equal(array, kept)


# ---- training ---------------------------------------------------------------------------------


class Holder(Callback):
    """Keeps all logs that it is given, as they are and as copies."""

    def __init__(self):
        self.held = []

    def keep(self, *place_and_logs):
        self.held.append((place_and_logs[-1], copy.deepcopy(place_and_logs[-1])))

    on_train_batch_end = on_test_batch_end = on_epoch_end = keep
    on_train_end = on_test_end = keep


def test_logs_and_results_stay_as_they_are():
    model = net("float32")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", metrics.F1Score(), "auc"])
    hold, stop = Holder(), EarlyStopping("loss", patience=50, restore_best_weights=True)
    history = model.fit(
        X, Y, 8, epochs=3, verbose=0, callbacks=[hold, stop], validation_data=(X, Y)
    )
    results = [history.history, stop.best_weights, model.train_on_batch(X, Y)]
    results += [model.evaluate(X, Y, verbose=0, callbacks=hold), model.test_on_batch(X, Y)]
    results += [[metric.result() for metric in model.metrics]]
    kept = copy.deepcopy(results)
    model.fit(1 - X, 1 - Y, 8, epochs=2, verbose=0, callbacks=[Callback()])
    model.evaluate(1 - X, 1 - Y, verbose=0)
    np.testing.assert_equal(results, kept)
    assert len(hold.held) > 20
    for logs, copied in hold.held:
        np.testing.assert_equal(logs, copied)


@pytest.mark.parametrize("cls", classes_of(optimizers, optimizers.Optimizer), ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_optimizers_state_goes_in_and_out_by_copies(cls, dtype):
    model = net(dtype)
    model.compile(cls(0.01, use_ema=True, clipnorm=1.0), "mse")
    model.fit(X, Y, verbose=0)
    optimizer = model.optimizer
    arrays = [array for _, array in optimizer.state_arrays()]
    variables = [variable.value for variable in optimizer.variables]
    kept = copy.deepcopy(arrays)
    model.fit(X, Y, verbose=0)
    np.testing.assert_equal(arrays, kept)
    np.testing.assert_equal(variables, kept)
    optimizer.load_state_arrays([locked(array) for array in arrays])
    optimizer.load_state_arrays(arrays)
    model.fit(X, Y, verbose=0)
    np.testing.assert_equal(arrays, kept)
    for array in arrays:
        array[...] = 7
    now = [array for _, array in optimizer.state_arrays()]
    assert not any((array == 7).all() for array in now)


@pytest.mark.parametrize("cls", classes_of(optimizers, optimizers.Optimizer), ids=by_name)
def test_an_optimizer_changes_the_weights_of_its_vector_only(cls):
    first = np.arange(3.0)
    vector = WeightVector([Variable(first, "kernel")], np.dtype(float))
    optimizer = cls(0.1)
    optimizer.build(vector)
    vector.gradients[...] = 1
    optimizer.update()
    np.testing.assert_array_equal(first, [0, 1, 2])
    assert (vector.values != first).all()


# ---- losses, metrics, and functions -----------------------------------------------------------


@pytest.mark.parametrize("cls", LOSSES, ids=by_name)
@given(data=st.data())
@settings(max_examples=examples(30))
def test_a_loss_writes_none_of_its_arguments_and_gives_new_arrays(cls, data):
    loss, y_true, y_pred = data.draw(LOSSES[cls])
    y_true, y_pred = locked(y_true), locked(y_pred)
    weight = locked(np.full(loss.samples_shape(y_pred.shape), 0.5))
    for more in ((), (weight,)):
        results = [loss.gradient(y_true, y_pred, *more), loss(y_true, y_pred, *more)]
        kept = copy.deepcopy(results)
        for argument in (y_true, y_pred, weight):
            assert not any(np.shares_memory(result, argument) for result in results)
        loss.gradient(y_true, y_pred[::-1].copy(), *more)
        loss(y_true, y_pred[::-1].copy(), *more)
        np.testing.assert_equal(results, kept)


MORE = {
    metrics.MeanMetricWrapper: {"fn": metrics.mean_squared_error},
    metrics.PrecisionAtRecall: {"recall": 0.5},
    metrics.RecallAtPrecision: {"precision": 0.5},
    metrics.SensitivityAtSpecificity: {"specificity": 0.5},
    metrics.SpecificityAtSensitivity: {"sensitivity": 0.5},
    metrics.IoU: {"num_classes": 2, "target_class_ids": [0, 1]},
    metrics.MeanIoU: {"num_classes": 2},
    metrics.OneHotIoU: {"num_classes": 2, "target_class_ids": [0, 1]},
    metrics.OneHotMeanIoU: {"num_classes": 2},
}


@pytest.mark.parametrize("cls", classes_of(metrics, metrics.Metric), ids=by_name)
def test_a_metric_writes_no_argument_and_its_results_stay(cls):
    metric = cls(**MORE.get(cls, {}))
    p = GENERATOR.dirichlet([1, 1], 9)
    y = np.eye(2)[GENERATOR.integers(0, 2, 9)]
    if "Sparse" in cls.__name__:
        y = y[:, 1].astype(int)
    if cls in (metrics.IoU, metrics.MeanIoU):
        p, y = p.round()[:, 1], y[:, 1]
    batch = (locked(p),) if cls in (metrics.Mean, metrics.Sum) else (locked(y), locked(p))
    # Means of pairs, not of samples, take no weights.
    metric.update_state(*batch)
    takes_weights = "sample_weight" in inspect.signature(metric.update_state).parameters
    if takes_weights and "Correlation" not in cls.__name__:
        metric.update_state(*batch, sample_weight=locked(np.linspace(0.5, 1, 9)))
    result = metric.result()
    kept = copy.deepcopy(result)
    metric.update_state(*(1 - part for part in batch))
    metric.result()
    metric.reset_state()
    np.testing.assert_equal(result, kept)
    np.testing.assert_equal(batch[-1], p)


FUNCTIONS = sorted(set(activations.__all__) - {"deserialize", "get", "serialize"})


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_activation_gives_a_new_array(name, dtype):
    x = locked(X.astype(dtype))
    more = {"threshold": (0.5, 0.0)}.get(name, ())
    function = getattr(activations, name)
    y = function(x, *more)
    kept = y.copy()
    assert not np.shares_memory(x, y)
    function(x + 1, *more)
    np.testing.assert_array_equal(y, kept)


@pytest.mark.parametrize("cls", classes_of(constraints, constraints.Constraint), ids=by_name)
def test_a_constraint_gives_a_new_array(cls):
    w = locked(X)
    assert not np.shares_memory(cls()(w), w)


@pytest.mark.parametrize("cls", classes_of(regularizers, regularizers.Regularizer), ids=by_name)
def test_a_regularizer_gives_a_new_array(cls):
    w = locked(X)
    cls()(w)
    assert not np.shares_memory(cls().gradient(w), w)


@pytest.mark.parametrize("cls", classes_of(initializers, initializers.Initializer), ids=by_name)
def test_an_initializer_gives_a_new_array_each_time(cls):
    initializer = cls()
    one, other = initializer((3, 3)), initializer((3, 3))
    np.testing.assert_array_equal(one, other)
    assert not np.shares_memory(one, other)
    assert one.flags.writeable


def test_helpers_give_new_arrays():
    labels, x = locked([0, 2, 1]), locked(X)
    assert not np.shares_memory(utils.normalize(x), x)
    assert not np.shares_memory(utils.normalize(utils.normalize(x)), x)
    assert not np.shares_memory(utils.to_categorical(labels), labels)
    utils.pad_sequences([locked([1, 2]), locked([3])])


@pytest.mark.parametrize("name", datasets.__all__)
def test_a_dataset_is_loaded_anew_each_time(name):
    load = getattr(datasets, name).load_data
    arrays = [part for pair in load() for part in pair]
    kept = copy.deepcopy(arrays)
    for part in (part for pair in load() for part in pair):
        part[...] = 0
    for pair in (load(), (arrays[:2], arrays[2:])):
        np.testing.assert_equal([part for half in pair for part in half], kept)
