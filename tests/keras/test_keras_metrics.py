"""Every metric beside Keras's: results over batches, configurations and names."""

import inspect

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src import backend

import nnlite
from nnlite import losses, metrics

# Keras's variables do not take NumPy 2's argument of __array__.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROWS = 8  # of every batch: JAX compiles each operation anew for each shape


@pytest.fixture(autouse=True)
def floatx(request, monkeypatch):
    """Both sides compute in one type; Keras's means on JAX would be float32 of float64 too."""
    dtype = getattr(request, "param", "float32")
    keras.config.set_floatx(dtype)
    nnlite.config.set_floatx(dtype)
    monkeypatch.setattr(backend.numpy, "mean", jnp.mean)
    monkeypatch.setattr(backend.numpy, "var", jnp.var)
    yield dtype
    keras.config.set_floatx("float32")
    nnlite.config.set_floatx("float32")


def tolerance(floatx):
    return {"rtol": 1e-5, "atol": 1e-5} if floatx == "float32" else {"rtol": 1e-10, "atol": 1e-10}


# ---- data -----------------------------------------------------------------------------------


def scores(g, shape):
    """Return probabilities, some of them 0, 1 or right on a threshold."""
    return np.where(g.random(shape) < 0.3, g.integers(0, 11, shape) / 10, g.random(shape))


def numbers(g, m):
    return g.standard_normal((m, 3)), g.standard_normal((m, 3))


def positive(g, m):
    return g.uniform(0.1, 3, (m, 3)), g.uniform(0.1, 3, (m, 3))


def binary(g, m):
    return g.integers(0, 2, (m, 1)), scores(g, (m, 1))


def flat(g, m):
    return g.integers(0, 2, m), scores(g, m)


def labels(g, m):
    return g.integers(0, 2, (m, 3)), scores(g, (m, 3))


def logits(g, m):
    return g.integers(0, 2, (m, 1)), 3 * g.standard_normal((m, 1))


def one_hot(g, m):
    return np.eye(3)[g.integers(0, 3, m)], g.dirichlet(np.ones(3), m)


def indices(g, m):
    return g.integers(0, 3, m), g.dirichlet(np.ones(3), m)


def column(g, m):
    return g.integers(0, 3, (m, 1)), g.dirichlet(np.ones(3), m)


def series(g, m):
    return g.integers(0, 3, (m, 4)), g.dirichlet(np.ones(3), (m, 4))


def classes(g, m):
    return g.integers(0, 4, (m, 5)), g.integers(0, 4, (m, 5))


def signs(g, m):
    return g.choice([-1.0, 1.0], (m, 3)), 2 * g.standard_normal((m, 3))


def values(g, m):
    return (g.standard_normal((m, 2)),)


THRESHOLDS = [None, 0.3, [0.7, 0.1], [0.0, 0.5, 1.0], [0.2, 0.4, 0.6, 0.8], [0.25]]

# For each class: what its arguments are drawn from, and the data.
CASES = {
    "Accuracy": ({}, [classes, flat]),
    "AUC": (
        {
            "num_thresholds": [200, 2, 3, 11],
            "curve": ["ROC", "PR", "PRGAIN", "pr"],
            "summation_method": ["interpolation", "minoring", "majoring", "Majoring"],
            "thresholds": [None, None, [0.5], [0.9, 0.2, 0.3]],
            "multi_label": [False, True],
            "label_weights": [None, [0.5, 2.0, 1.0]],
        },
        [labels],
    ),
    "BinaryAccuracy": ({"threshold": [0.5, 0.3]}, [binary, labels, flat]),
    "BinaryCrossEntropy": ({"from_logits": [False], "label_smoothing": [0, 0.2]}, [binary, labels]),
    "BinaryIoU": ({"target_class_ids": [[0], (0, 1)], "threshold": [0.5, 0.3]}, [binary, flat]),
    "CategoricalAccuracy": ({}, [one_hot]),
    "CategoricalCrossEntropy": (
        {"from_logits": [False, True], "label_smoothing": [0, 0.2]},
        [one_hot],
    ),
    "CategoricalHinge": ({}, [one_hot]),
    "ConcordanceCorrelation": ({"axis": [-1, 1]}, [numbers]),
    "CosineSimilarity": ({"axis": [-1, 1]}, [numbers]),
    "F1Score": (
        {"average": [None, "micro", "macro", "weighted"], "threshold": [None, 0.4]},
        [labels, one_hot],
    ),
    "FBetaScore": (
        {
            "average": [None, "micro", "macro", "weighted"],
            "beta": [0.5, 2.0],
            "threshold": [None, 0.4],
        },
        [labels, one_hot],
    ),
    "FalseNegatives": ({"thresholds": THRESHOLDS}, [binary, labels, flat]),
    "FalsePositives": ({"thresholds": THRESHOLDS}, [binary, labels, flat]),
    "Hinge": ({}, [signs, labels]),
    "IoU": (
        {"num_classes": [4], "target_class_ids": [[0], [1, 3]], "ignore_class": [None, 2]},
        [classes],
    ),
    "KLDivergence": ({}, [one_hot]),
    "LogCoshError": ({}, [numbers]),
    "Mean": ({}, [values]),
    "MeanAbsoluteError": ({}, [numbers]),
    "MeanAbsolutePercentageError": ({}, [positive]),
    "MeanIoU": ({"num_classes": [4, 5], "ignore_class": [None, 2]}, [classes]),
    "MeanSquaredError": ({}, [numbers]),
    "MeanSquaredLogarithmicError": ({}, [positive]),
    "OneHotIoU": ({"num_classes": [3], "target_class_ids": [[0], [1, 2]]}, [one_hot]),
    "OneHotMeanIoU": ({"num_classes": [3], "ignore_class": [None, 1]}, [one_hot]),
    "PearsonCorrelation": ({"axis": [-1, 1]}, [numbers]),
    "Poisson": ({}, [positive]),
    "Precision": (
        {"thresholds": THRESHOLDS, "top_k": [None, None, 1, 2], "class_id": [None, 1]},
        [labels],
    ),
    "PrecisionAtRecall": (
        {"recall": [0.0, 0.5, 1.0], "num_thresholds": [200, 1, 11], "class_id": [None, 2]},
        [labels],
    ),
    "R2Score": (
        {
            "class_aggregation": [None, "uniform_average", "variance_weighted_average"],
            "num_regressors": [0],
        },
        [numbers],
    ),
    "Recall": (
        {"thresholds": THRESHOLDS, "top_k": [None, None, 1, 2], "class_id": [None, 1]},
        [labels],
    ),
    "RecallAtPrecision": (
        {"precision": [0.0, 0.5, 0.8], "num_thresholds": [200, 1, 11], "class_id": [None, 2]},
        [labels],
    ),
    "RootMeanSquaredError": ({}, [numbers]),
    "SensitivityAtSpecificity": (
        {"specificity": [0.0, 0.5, 1.0], "num_thresholds": [200, 1, 11], "class_id": [None, 2]},
        [labels],
    ),
    "SparseCategoricalAccuracy": ({}, [indices, column, series]),
    "SparseCategoricalCrossEntropy": ({"from_logits": [False, True]}, [indices, column, series]),
    "SparseTopKCategoricalAccuracy": ({"k": [1, 2, 5]}, [indices, column, series]),
    "SpecificityAtSensitivity": (
        {"sensitivity": [0.0, 0.5, 1.0], "num_thresholds": [200, 1, 11], "class_id": [None, 2]},
        [labels],
    ),
    "SquaredHinge": ({}, [signs, labels]),
    "Sum": ({}, [values]),
    "TopKCategoricalAccuracy": ({"k": [1, 2, 5]}, [one_hot]),
    "TrueNegatives": ({"thresholds": THRESHOLDS}, [binary, labels, flat]),
    "TruePositives": ({"thresholds": THRESHOLDS}, [binary, labels, flat]),
}

# Tested otherwise: the base, the wrapper of functions, what compile makes, and Keras's spelling.
ELSEWHERE = {
    "CompiledMetrics",
    "Metric",
    "MeanMetricWrapper",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "deserialize",
    "get",
    "registry",
    "serialize",
}


def keras_class(name):
    return getattr(keras.metrics, name.replace("CrossEntropy", "Crossentropy"))


def drawn(name, seed, floatx):
    """Return the arguments, one of the kinds of data, and a generator of it."""
    g = np.random.default_rng([seed, *map(ord, name)])
    choices, data = CASES[name]
    arguments = {key: options[g.integers(len(options))] for key, options in choices.items()}
    if "IoU" in name:  # Keras cuts fractions off weights, and warns, where its type is an integer
        arguments["dtype"] = floatx
    return arguments, data[seed % len(data)], g


def both(name, arguments):
    keras.utils.clear_session()
    return getattr(metrics, name)(**arguments), keras_class(name)(**arguments)


SEEDS = [(0, "float32"), (1, "float64"), (2, "float32")]


@pytest.mark.parametrize(("seed", "floatx"), SEEDS, indirect=["floatx"])
@pytest.mark.parametrize("name", CASES)
def test_results_over_batches_are_those_of_keras(name, seed, floatx):
    arguments, data, g = drawn(name, seed, floatx)
    mine, theirs = both(name, arguments)
    for weighted in (False, True, False):
        batch = [part.astype(floatx) if part.dtype == float else part for part in data(g, ROWS)]
        weight = None
        if weighted:
            weight = g.choice([0.0, 0.5, 1.0, 3.0], ROWS).astype(floatx)
        if weighted and name.endswith("IoU") and batch[0].ndim == 2 and batch[0].shape[1] == 5:
            weight = np.repeat(weight[:, None], 5, axis=1)  # Keras wants one for each label
        mine.update_state(*batch, sample_weight=weight)
        theirs.update_state(*batch, sample_weight=weight)
        wanted = np.asarray(theirs.result())
        result = mine.result()
        assert np.shape(result) == wanted.shape
        assert isinstance(result, np.ndarray if wanted.ndim else float)
        # Keras divides in float32 for IoU, whatever the type.
        bound = tolerance("float32" if "IoU" in name else floatx)
        np.testing.assert_allclose(result, wanted, **bound)
    if name != "R2Score":  # whose sums are of differences from the first target
        for own, kerass in zip(mine.variables, theirs.variables, strict=True):
            np.testing.assert_allclose(own, np.asarray(kerass), **bound)
            assert own.name == kerass.name.replace("accumulator", own.name)
    mine.reset_state()
    assert not np.any(mine.result())
    assert not any(np.any(variable) for variable in mine.variables)


# Arguments that Keras's configuration leaves out: what is made from it computes something else.
FORGOTTEN = {"CosineSimilarity": ["axis"], "SparseTopKCategoricalAccuracy": ["from_sorted_ids"]}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CASES)
def test_configurations_are_those_of_keras(name, seed, floatx):
    arguments, _, _ = drawn(name, seed, floatx)
    arguments.pop("dtype", None)
    mine, theirs = both(name, arguments)
    config, wanted = mine.get_config(), theirs.get_config()
    for forgotten in FORGOTTEN.get(name, ()):
        wanted[forgotten] = getattr(mine, forgotten)
    if wanted.get("label_weights") is not None:  # Keras keeps an array
        wanted["label_weights"] = np.asarray(wanted["label_weights"]).tolist()
    assert config == wanted
    assert {**metrics.serialize(mine), "config": 0} == {
        **keras.metrics.serialize(theirs),
        "config": 0,
    }
    assert type(mine).from_config(wanted).get_config() == config
    there = type(theirs).from_config(config).get_config()
    assert there.keys() == theirs.get_config().keys()
    assert metrics.deserialize(metrics.serialize(mine)).get_config() == config


@pytest.mark.parametrize("name", CASES)
def test_arguments_have_keras_order_and_defaults(name):
    def known(cls):
        return [
            (argument.name, argument.default)
            for argument in inspect.signature(cls).parameters.values()
        ]

    assert known(getattr(metrics, name)) == known(keras_class(name))


def test_r2_of_one_output_is_adjusted_as_in_keras(floatx):
    # Of several, Keras 3.15 counts every output of a sample for a sample: fixed there since.
    mine, theirs = both("R2Score", {"num_regressors": 2})
    g = np.random.default_rng(4)
    for _ in range(2):
        batch = g.standard_normal((2, 8, 1)).astype(floatx)
        np.testing.assert_allclose(mine(*batch), float(theirs(*batch)), **tolerance(floatx))


def test_the_area_with_weights_below_0_is_that_of_keras(floatx):
    for seed in range(3):
        mine, theirs = both("AUC", {"num_thresholds": 11, "curve": "PR"})
        g = np.random.default_rng(seed)
        y, p = binary(g, ROWS)
        weight = g.choice([-2.0, 0.5, 1.0], ROWS)
        bound = {**tolerance(floatx), "rtol": 1e-4}  # which cancel
        np.testing.assert_allclose(mine(y, p, weight), float(theirs(y, p, weight)), **bound)


# ---- the ways that samples of integers, weights and types come in ----------------------------


def test_integer_weights_count_in_the_default_iou(floatx):
    mine, theirs = both("MeanIoU", {"num_classes": 3})
    assert mine.get_config() == theirs.get_config()
    y, p, weight = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]), np.array([1, 2, 3, 0])
    assert mine(y, p, weight) == pytest.approx(float(theirs(y, p, weight)), rel=1e-6)


@pytest.mark.parametrize("name", ["Mean", "Sum", "RootMeanSquaredError"])
@pytest.mark.parametrize("shape", [(), (5, 1), (5, 3), (1, 3)])
def test_weights_of_other_shapes_count_as_in_keras(name, shape, floatx):
    g = np.random.default_rng(1)
    mine, theirs = both(name, {})
    for _ in range(2):
        data = [g.standard_normal((5, 3)) for _ in range(1 + (name not in ("Mean", "Sum")))]
        weight = g.random(shape)
        mine.update_state(*data, sample_weight=weight)
        theirs.update_state(*data, sample_weight=weight)
    np.testing.assert_allclose(mine.result(), float(theirs.result()), **tolerance(floatx))


@pytest.mark.parametrize("count", [2, 11, 200])
def test_predictions_on_a_threshold_fall_on_keras_side_of_it(count, floatx):
    on = (np.arange(count) / (count - 1)).astype(floatx)
    p = np.concatenate([on, np.nextafter(on, -1, dtype=floatx), np.nextafter(on, 2, dtype=floatx)])
    p = p[(p == 0) | (np.abs(p) >= np.finfo(floatx).tiny)]  # JAX takes what is smaller for 0
    y = np.arange(len(p)) % 2
    for name, arguments in [("AUC", {}), ("RecallAtPrecision", {"precision": 0.5})]:
        mine, theirs = both(name, {**arguments, "num_thresholds": count})
        mine.update_state(y, p)
        theirs.update_state(y, p)
        for counts in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
            np.testing.assert_array_equal(getattr(mine, counts), getattr(theirs, counts))


def test_auc_of_logits_and_of_labels_told_beforehand(floatx):
    g = np.random.default_rng(2)
    mine, theirs = both("AUC", {"from_logits": True, "multi_label": True, "num_labels": 2})
    y, z = g.integers(0, 2, (40, 2)), (4 * g.standard_normal((40, 2))).astype(floatx)
    np.testing.assert_allclose(mine(y, z), float(theirs(y, z)), **tolerance(floatx))
    assert mine.get_config() == theirs.get_config()


def test_wrapped_functions_have_keras_configuration(floatx):
    def scaled(y_true, y_pred, factor=1):
        return factor * abs(y_true - y_pred).max(axis=-1)

    keras.utils.clear_session()
    mine = metrics.MeanMetricWrapper(metrics.mean_squared_error, name="m")
    theirs = keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error, name="m")
    assert metrics.serialize(mine) == keras.metrics.serialize(theirs)
    again = metrics.deserialize(keras.metrics.serialize(theirs))
    assert again.fn is metrics.mean_squared_error
    mine = metrics.MeanMetricWrapper(scaled, factor=3)
    theirs = keras.metrics.MeanMetricWrapper(scaled, factor=3)
    config, wanted = mine.get_config(), theirs.get_config()
    assert {**config, "fn": 0} == {**wanted, "fn": 0}
    assert config["fn"]["config"] == wanted["fn"]["config"] == "scaled"
    y, p = np.zeros((4, 2)), np.arange(8.0).reshape(4, 2)
    assert mine(y, p) == float(theirs(y, p)) == 12


# ---- functions ------------------------------------------------------------------------------

FUNCTIONS = {
    "binary_accuracy": ({"threshold": [0.5, 0.2]}, labels),
    "binary_crossentropy": ({"label_smoothing": [0.0, 0.1]}, labels),
    "binary_focal_crossentropy": ({"gamma": [2.0, 1.0]}, labels),
    "categorical_accuracy": ({}, one_hot),
    "categorical_crossentropy": ({"label_smoothing": [0.0, 0.1]}, one_hot),
    "categorical_focal_crossentropy": ({"gamma": [2.0, 1.0]}, one_hot),
    "categorical_hinge": ({}, one_hot),
    "concordance_correlation": ({"axis": [-1, 0, (0, 1)]}, numbers),
    "hinge": ({}, signs),
    "huber": ({"delta": [1.0, 0.4]}, numbers),
    "kl_divergence": ({}, one_hot),
    "log_cosh": ({}, numbers),
    "mean_absolute_error": ({}, numbers),
    "mean_absolute_percentage_error": ({}, positive),
    "mean_squared_error": ({}, numbers),
    "mean_squared_logarithmic_error": ({}, positive),
    "pearson_correlation": ({"axis": [-1, 0, (0, 1)]}, numbers),
    "poisson": ({}, positive),
    "sparse_categorical_accuracy": ({}, indices),
    "sparse_categorical_crossentropy": ({"from_logits": [False, True]}, indices),
    "sparse_top_k_categorical_accuracy": ({"k": [1, 2]}, indices),
    "squared_hinge": ({}, signs),
    "top_k_categorical_accuracy": ({"k": [1, 2]}, one_hot),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_return_what_keras_does(name, seed, floatx):
    g = np.random.default_rng([seed, *map(ord, name)])
    choices, data = FUNCTIONS[name]
    arguments = {key: options[seed % len(options)] for key, options in choices.items()}
    batch = [part.astype(floatx) if part.dtype == float else part for part in data(g, ROWS)]
    mine = getattr(metrics, name)(*batch, **arguments)
    theirs = np.asarray(getattr(keras.metrics, name)(*batch, **arguments))
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, **tolerance(floatx))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_keras_arguments(name):
    mine, theirs = getattr(metrics, name), getattr(keras.metrics, name)
    assert list(inspect.signature(mine).parameters) == list(inspect.signature(theirs).parameters)


def test_ids_of_the_likeliest_classes_are_looked_up_as_in_keras():
    y, p = np.array([7.0, 2.0, 5.0]), np.array([[3.0, 7, 5], [2, 1, 9], [1, 2, 5]])
    mine = metrics.sparse_top_k_categorical_accuracy(y, p, k=2, from_sorted_ids=True)
    theirs = keras.metrics.sparse_top_k_categorical_accuracy(y, p, k=2, from_sorted_ids=True)
    np.testing.assert_array_equal(mine, theirs)


# ---- names ----------------------------------------------------------------------------------


def test_every_public_name_is_tested():
    assert set(metrics.__all__) == set(CASES) | set(FUNCTIONS) | ELSEWHERE


def test_every_public_name_of_keras_is_there():
    wanted = {name for name in dir(keras.metrics) if not name.startswith("_")}
    assert not wanted - set(metrics.__all__)


def test_every_string_that_keras_knows_gives_the_same_class():
    from keras.src.metrics import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        if cls is keras.metrics.Metric:
            continue  # which does nothing yet
        mine = metrics.registry.lookup(name)
        assert mine.__name__.replace("CrossEntropy", "Crossentropy") == cls.__name__


def test_a_loss_for_a_metric_has_keras_name_and_configuration(floatx):
    keras.utils.clear_session()
    mine = metrics.MeanMetricWrapper(losses.Huber(0.5))
    theirs = keras.metrics.MeanMetricWrapper(keras.losses.Huber(0.5))
    config, wanted = mine.get_config(), theirs.get_config()
    assert config.pop("fn")["class_name"] == wanted.pop("fn")["class_name"]
    assert config == wanted
