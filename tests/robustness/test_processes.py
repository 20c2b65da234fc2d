"""Copies of all kinds, and other processes: what leaves a model goes on as the model would."""

import copy
import functools
import gc
import inspect
import multiprocessing
import pickle
import types

import h5py
import numpy as np
import pytest
from gradients.loss_strategies import LOSSES
from gradients.strategies import LAYERS
from gradients.test_contract import a_layer

from nnlite import Sequential, callbacks, metrics, optimizers, random, set_random_seed
from nnlite.data import HDF5
from nnlite.layers import BatchNormalization, Dense, Dropout, GaussianNoise, Input
from nnlite.optimizers import schedules

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((48, 5)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": functools.partial(
            lambda thing, protocol: pickle.loads(pickle.dumps(thing, protocol)), protocol=protocol
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def classes_of(module, base):
    found = {
        thing
        for name in module.__all__
        if inspect.isclass(thing := getattr(module, name))
        and issubclass(thing, base)
        and thing is not base
    }
    return sorted(found, key=lambda cls: cls.__name__)


def reachable(thing):
    """Return everything within an object that can change."""
    fixed = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, np.dtype)
    found, todo = {}, [thing]
    while todo:
        one = todo.pop()
        if isinstance(one, fixed) or id(one) in found:
            continue
        found[id(one)] = one
        if isinstance(one, np.ndarray) and one.base is not None:
            todo.append(one.base)
        todo += gc.get_referents(one)
    plain = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, range)
    return {number: one for number, one in found.items() if not isinstance(one, plain)}


def assert_nothing_shared(one, other):
    mine = reachable(one)
    assert [mine[number] for number in mine.keys() & reachable(other).keys()] == []


# ---- models -----------------------------------------------------------------------------------

STAGES = ("unbuilt", "built", "compiled", "trained")


def net(stage="compiled", optimizer="adam"):
    set_random_seed(3)
    first = [] if stage == "unbuilt" else [Input((5,))]
    inner = Sequential([Dense(4, "tanh", kernel_regularizer="l2"), Dropout(0.3)])
    model = Sequential(
        [*first, GaussianNoise(0.1), inner, BatchNormalization(), Dense(1, "sigmoid")]
    )
    if stage in ("compiled", "trained"):
        model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "auc"])
    if stage == "trained":
        model.fit(X, Y, 8, epochs=2, verbose=0)
        model.layers[1].layers[0].trainable = False
        model.fit(X, Y, 8, epochs=1, verbose=0)
        model.layers[1].layers[0].trainable = True
    return model


def goes_on(model):
    """Return what training makes of a model, to the last bit."""
    set_random_seed(5)
    history = model.fit(X, Y, 8, epochs=2, verbose=0, validation_split=0.25).history
    loss = model.train_on_batch(X, Y)
    state = [array.tobytes() for _, array in model.optimizer.state_arrays()]
    return history, loss, [w.tobytes() for w in model.get_weights()], state


@EVERY_WAY
@pytest.mark.parametrize("stage", STAGES)
def test_a_copy_trains_on_to_the_same_bits_and_shares_nothing(stage, way):
    model = net(stage)
    other = WAYS[way](model)
    assert_nothing_shared(model, other)
    assert model.get_config() == other.get_config()
    assert goes_on(other) == goes_on(model)
    assert_nothing_shared(model, other)


@EVERY_WAY
@pytest.mark.parametrize("cls", classes_of(optimizers, optimizers.Optimizer))
def test_a_copy_takes_the_state_of_every_optimizer_along(cls, way):
    options = {"use_ema": True, "gradient_accumulation_steps": 2, "global_clipnorm": 1.0}
    model = net("trained", cls(schedules.ExponentialDecay(0.01, 10, 0.9), **options))
    other = WAYS[way](model)
    assert other.optimizer.iterations == model.optimizer.iterations == 9
    assert goes_on(other) == goes_on(model)
    assert_nothing_shared(model, other)


def test_a_copy_of_a_copy_is_one_of_the_model():
    model = net("trained")
    other = pickle.loads(pickle.dumps(copy.deepcopy(copy.copy(model))))
    assert goes_on(other) == goes_on(model)


def test_a_model_is_copied_in_the_midst_of_its_training():
    model, copies = net(), []
    take = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: copies.append(copy.deepcopy(model))
    )
    model.fit(X, Y, 8, verbose=0, shuffle=False, callbacks=take)
    steps = net()
    for number, one in enumerate(copies):
        steps.train_on_batch(X[8 * number : 8 * number + 8], Y[8 * number : 8 * number + 8])
        for mine, wanted in zip(one.get_weights(), steps.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, wanted)
        assert goes_on(one)
    assert len(copies) == 6


# ---- all that a model is made of --------------------------------------------------------------

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
    schedules.CosineDecay: {"initial_learning_rate": 0.1, "decay_steps": 9},
    schedules.CosineDecayRestarts: {"initial_learning_rate": 0.1, "first_decay_steps": 9},
    schedules.ExponentialDecay: {
        "initial_learning_rate": 0.1,
        "decay_steps": 9,
        "decay_rate": 0.5,
    },
    schedules.InverseTimeDecay: {
        "initial_learning_rate": 0.1,
        "decay_steps": 9,
        "decay_rate": 0.5,
    },
    schedules.PiecewiseConstantDecay: {"boundaries": [2, 4], "values": [0.3, 0.2, 0.1]},
    schedules.PolynomialDecay: {"initial_learning_rate": 0.1, "decay_steps": 9},
}
SMALL = [
    *LOSSES,
    *classes_of(metrics, metrics.Metric),
    *classes_of(optimizers, optimizers.Optimizer),
    *classes_of(schedules, schedules.LearningRateSchedule),
]


@EVERY_WAY
@pytest.mark.parametrize("cls", SMALL)
def test_a_copied_part_is_its_equal_and_shares_nothing(cls, way):
    thing = cls(**MORE.get(cls, {}))
    other = WAYS[way](thing)
    assert type(other) is cls
    assert other.get_config() == thing.get_config()
    assert_nothing_shared(thing, other)


@EVERY_WAY
@pytest.mark.parametrize("cls", LAYERS)
def test_a_copied_layer_goes_its_own_way(cls, way):
    layer, x = a_layer(cls)
    other = WAYS[way](layer)
    assert_nothing_shared(layer, other)
    for training in (True, False):
        np.testing.assert_array_equal(other(x, training=training), layer(x, training=training))
    before = [weight.copy() for weight in layer.get_weights()]
    for weight in other.weights:
        weight.value[...] += 1
    for found, wanted in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@EVERY_WAY
def test_a_copied_metric_goes_on_from_its_state(way):
    metric = metrics.AUC(num_thresholds=20)
    metric.update_state(Y[:9], np.linspace(0, 1, 9)[:, None])
    other = WAYS[way](metric)
    assert other.result() == metric.result()
    other.update_state(Y[9:18], np.linspace(1, 0, 9)[:, None])
    assert other.result() != metric.result()


def half(epoch, rate):
    return rate / 2


def noted(epoch, logs):
    logs["seen"] = epoch


CALLBACKS = {
    callbacks.BackupAndRestore: lambda folder: callbacks.BackupAndRestore(folder),
    callbacks.CSVLogger: lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    callbacks.EarlyStopping: lambda folder: callbacks.EarlyStopping(
        "loss", patience=9, restore_best_weights=True
    ),
    callbacks.History: lambda folder: callbacks.History(),
    callbacks.LambdaCallback: lambda folder: callbacks.LambdaCallback(on_epoch_begin=noted),
    callbacks.LearningRateScheduler: lambda folder: callbacks.LearningRateScheduler(half),
    callbacks.ModelCheckpoint: lambda folder: callbacks.ModelCheckpoint(folder / "m.keras"),
    callbacks.ReduceLROnPlateau: lambda folder: callbacks.ReduceLROnPlateau("loss"),
    callbacks.SwapEMAWeights: lambda folder: callbacks.SwapEMAWeights(),
    callbacks.TensorBoard: lambda folder: callbacks.TensorBoard(folder),
    callbacks.TerminateOnNaN: lambda folder: callbacks.TerminateOnNaN(),
}


@EVERY_WAY
@pytest.mark.parametrize("cls", classes_of(callbacks, callbacks.Callback))
def test_a_callback_is_copied_before_and_after_it_served(cls, way, tmp_path):
    callback = CALLBACKS[cls](tmp_path)
    swaps = cls is callbacks.SwapEMAWeights
    for _ in range(2):
        callback = WAYS[way](callback)
        model = net(optimizer=optimizers.SGD(0.1, use_ema=swaps))
        assert len(model.fit(X, Y, epochs=2, verbose=0, callbacks=callback).epoch) == 2
        if callback.model is not None:
            assert callback.model is model


@EVERY_WAY
def test_data_in_a_file_are_copied_by_their_name(way, stored):
    data = HDF5(stored)
    other = WAYS[way](data)
    assert (other.path, other.x, other.y) == (data.path, "x", "y")
    assert net().evaluate(other, verbose=0) == net().evaluate(data, verbose=0)


# ---- other processes --------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "train.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = X, Y
    return path


def predicted(model):
    return model.predict(X).tobytes()


def trained(model):
    return goes_on(model)


def trained_from_file(model, path):
    set_random_seed(5)
    history = model.fit(HDF5(path), batch_size=8, epochs=2, verbose=0)
    return history.history, [w.tobytes() for w in model.get_weights()]


# From Python 3.12 on, fork warns in a process that has threads, such as those of BLAS.
MAY_FORK = pytest.mark.filterwarnings(  # Python's own, and JAX's where Keras's tests run too
    "ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning"
)
METHODS = [
    method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()
]


@MAY_FORK
@pytest.mark.parametrize("method", METHODS)
def test_workers_train_and_predict_as_their_parent_does(method, stored):
    wide = Sequential([Input((600,)), Dense(600, "relu"), Dense(1)])
    wide.fit(np.ones((256, 600)), np.ones(256), 128, verbose=0)  # by all of BLAS's threads
    trained_from_file(net(), stored)
    model = net("trained")
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = [
            pool.apply_async(function, (model, *more))
            for function, *more in 2 * [[predicted], [trained], [trained_from_file, stored]]
        ]
        found += [pool.apply_async(wide.predict_on_batch, (np.ones((256, 600)),))]
        found = [one.get(timeout=120) for one in found]
    np.testing.assert_array_equal(found.pop(), wide.predict_on_batch(np.ones((256, 600))))
    for half in (found[:3], found[3:]):
        assert half[0] == predicted(model)
        assert half[1] == trained(copy.deepcopy(model))
        assert half[2] == trained_from_file(copy.deepcopy(model), stored)


def predict_and_train(connection, model):
    connection.send((predicted(model), trained(copy.deepcopy(model)), trained(model)))


@MAY_FORK
@pytest.mark.skipif("fork" not in METHODS, reason="the system cannot fork")
def test_a_worker_forked_in_the_midst_of_a_fit_goes_on_from_there():
    model, context, found = net(), multiprocessing.get_context("fork"), []

    def fork(batch, logs):
        mine, theirs = context.Pipe()
        worker = context.Process(target=predict_and_train, args=(theirs, model))
        worker.start()
        assert mine.poll(60)
        found.append((copy.deepcopy(model), mine.recv()))
        worker.join(60)

    model.fit(X, Y, 24, verbose=0, callbacks=callbacks.LambdaCallback(on_train_batch_end=fork))
    assert len(found) == 2
    for then, (output, one, other) in found:
        assert predicted(then) == output
        assert trained(then) == one == other


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_trains_and_predicts_as_its_caller_does(backend):
    joblib = pytest.importorskip("joblib")
    model = net("trained")
    parallel = joblib.Parallel(2, backend=backend)
    assert parallel(joblib.delayed(predicted)(model) for _ in range(4)) == 4 * [predicted(model)]
    if backend == "loky":  # threads share one root of random numbers
        one = trained(copy.deepcopy(model))
        assert parallel(joblib.delayed(trained)(model) for _ in range(2)) == [one, one]


def shuffled(connection):
    """Tell by which order a fit takes its samples, and what the next seed is."""
    seen = []

    class Watching(Dense):
        def forward(self, x, training=False):
            if training:
                seen.extend(x[:, 0].astype(int).tolist())
            return super().forward(x, training)

        def backward(self, gradient):
            return super().backward(gradient)

    model = Sequential([Watching(1)])
    model.compile("sgd", "mse")
    model.fit(np.arange(32.0)[:, None], np.zeros(32), 4, verbose=0)
    connection.send((seen, random.new_seed()))


def of_forked_workers(count):
    context, results = multiprocessing.get_context("fork"), []
    for _ in range(count):
        mine, theirs = context.Pipe()
        worker = context.Process(target=shuffled, args=(theirs,))
        worker.start()
        assert mine.poll(60)
        results.append(mine.recv())
        worker.join(60)
    return results


@MAY_FORK
@pytest.mark.skipif("fork" not in METHODS, reason="the system cannot fork")
def test_forked_workers_draw_numbers_of_their_own_which_a_seed_repeats():
    set_random_seed(7)
    runs = [of_forked_workers(3)]
    later = random.new_seed()
    set_random_seed(7)
    assert random.new_seed() == later  # the parent draws as if it had not forked
    set_random_seed(7)
    runs += [of_forked_workers(3)]
    assert runs[0] == runs[1]
    orders, seeds = zip(*runs[0], strict=True)
    assert len({tuple(order) for order in orders}) == len(set(seeds)) == 3
    assert all(sorted(order) == list(range(32)) for order in orders)
