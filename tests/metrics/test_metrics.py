"""Metrics: values against Keras's, their state, and the form that "accuracy" takes.

The expected numbers are Keras 3.15's (JAX backend), printed by ``update_state`` and ``result`` of
its class of the same name for the arrays below.
"""

import copy
import pickle

import numpy as np
import pytest

from nnlite import Sequential, losses, metrics
from nnlite.layers import Dense

ONE_HOT = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]], float)
LABELS = np.array([1, 0, 2, 1])
P = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.6, 0.3, 0.1]])
OUTPUTS = np.array([[1, -2, 0.5], [0, 3, -1], [4, 2, 2], [0.25, 0.5, -0.75]])
WEIGHTS = np.array([1, 2, 0, 0.5])

# Of all four samples; after a second batch, its first two samples weighing 3 and 1.
CASES = [
    (metrics.BinaryAccuracy, ONE_HOT, P, 0.58333331, 0.58333331),
    (metrics.CategoricalAccuracy, ONE_HOT, P, 0.5, 0.625),
    (metrics.SparseCategoricalAccuracy, LABELS, P, 0.5, 0.625),
    (metrics.SparseCategoricalAccuracy, LABELS[:, None], P, 0.5, 0.625),
    (metrics.BinaryCrossentropy, ONE_HOT, P, 0.64366007, 0.64834172),
    (metrics.CategoricalCrossentropy, ONE_HOT, P, 1.0762664, 1.0858865),
    (metrics.SparseCategoricalCrossentropy, LABELS, P, 1.0762664, 1.0858865),
    (metrics.MeanSquaredError, ONE_HOT, OUTPUTS, 3.5937502, 3.5364585),
    (metrics.MeanAbsoluteError, ONE_HOT, OUTPUTS, 1.5, 1.5208334),
]


@pytest.mark.parametrize(("cls", "y", "p", "first", "second"), CASES)
def test_the_state_gathers_batches_as_in_keras(cls, y, p, first, second):
    metric = cls()
    assert metric.result() == 0
    metric.update_state(y, p)
    assert metric.result() == pytest.approx(first, rel=1e-6)
    assert metric.result() == pytest.approx(first, rel=1e-6)
    metric.update_state(y[:2], p[:2], sample_weight=[3.0, 1.0])
    assert metric.result() == pytest.approx(second, rel=1e-6)
    metric.reset_state()
    assert metric.result() == 0
    assert metric(y, p) == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize(("cls", "y", "p", "first", "second"), CASES)
def test_batches_of_any_size_give_the_same_mean(cls, y, p, first, second):
    metric = cls()
    for row in range(4):
        metric.update_state(y[row : row + 1], p[row : row + 1])
    assert metric.result() == pytest.approx(first, rel=1e-6)
    metric.update_state(y, p, sample_weight=np.zeros(4))
    assert metric.result() == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize(("cls", "y", "p", "first", "second"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lists_and_either_float_type_do(cls, y, p, first, second, dtype):
    assert cls()(y.tolist(), p.tolist()) == pytest.approx(first, rel=1e-6)
    result = cls()(y, p.astype(dtype))
    assert result == pytest.approx(first, rel=1e-5)
    assert type(result) is float


@pytest.mark.parametrize(
    ("cls", "y", "expected"),
    [
        (metrics.BinaryAccuracy, ONE_HOT, 0.42857143),
        (metrics.CategoricalAccuracy, ONE_HOT, 0.28571430),
        (metrics.SparseCategoricalAccuracy, LABELS, 0.28571430),
    ],
)
@pytest.mark.parametrize("weight", [WEIGHTS, WEIGHTS[:, None], WEIGHTS.tolist()])
def test_weights_count_samples_as_in_keras(cls, y, expected, weight):
    assert cls()(y, P, sample_weight=weight) == pytest.approx(expected, rel=1e-6)


def test_the_threshold_of_binary_accuracy():
    metric = metrics.BinaryAccuracy(threshold=0.55)
    assert metric(ONE_HOT, P) == pytest.approx(0.58333331)
    assert metrics.BinaryAccuracy()([[1.0], [1.0]], [[0.5], [0.500001]]) == 0.5
    assert metrics.BinaryAccuracy()([1, 0, 0], [[0.7], [0.2], [0.6]]) == pytest.approx(2 / 3)


def test_the_first_of_equal_outputs_is_the_prediction():
    assert metrics.SparseCategoricalAccuracy()([0, 1], [[0.5, 0.5], [0.5, 0.5]]) == 0.5


def test_a_long_mean_does_not_lose_its_small_parts():
    metric = metrics.MeanSquaredError()
    p = np.full((1000, 1), 0.1, "float32")
    for _ in range(200):
        metric.update_state(np.zeros((1000, 1)), p)
    assert metric.result() == pytest.approx(0.01, rel=1e-6)


def test_mean_takes_values_and_weights_as_in_keras():
    mean = metrics.Mean()
    mean.update_state([1, 2, 6.0])
    assert mean.result() == 3.0
    mean.update_state([4.0, 8.0], sample_weight=[1, 3])
    assert mean.result() == pytest.approx(5.285714149)


@pytest.mark.parametrize(
    ("identifier", "name", "cls"),
    [
        ("binary_accuracy", "binary_accuracy", metrics.BinaryAccuracy),
        ("CategoricalAccuracy", "categorical_accuracy", metrics.CategoricalAccuracy),
        ("mse", "mean_squared_error", metrics.MeanSquaredError),
        ("MSE", "mean_squared_error", metrics.MeanSquaredError),
        ("bce", "binary_crossentropy", metrics.BinaryCrossEntropy),
        ("huber", "huber", metrics.MeanMetricWrapper),
        (losses.Huber(name="h"), "h", metrics.MeanMetricWrapper),
        (losses.Huber, losses.Huber().name, metrics.MeanMetricWrapper),
        (metrics.MeanSquaredError, "mean_squared_error", metrics.MeanSquaredError),
        (metrics.AUC(name="a"), "a", metrics.AUC),
        (metrics.mean_squared_error, "mean_squared_error", metrics.MeanMetricWrapper),
        (np.subtract, "subtract", metrics.MeanMetricWrapper),
    ],
)
def test_get_makes_metrics_of_names_losses_classes_and_functions(identifier, name, cls):
    metric = metrics.get(identifier)
    assert isinstance(metric, cls)
    assert metric.name == name


def test_arguments_reach_the_loss_or_the_function():
    huber = metrics.MeanMetricWrapper(losses.Huber(delta=0.3))
    assert huber(ONE_HOT, OUTPUTS) == pytest.approx(0.40510419)
    metric = metrics.BinaryCrossentropy(from_logits=True)
    assert metric([[1.0]], [[0.0]]) == pytest.approx(np.log(2))

    def scaled(y_true, y_pred, factor):
        return factor * np.abs(y_true - y_pred).max(axis=-1)

    metric = metrics.MeanMetricWrapper(scaled, factor=10)
    assert metric.name == "mean_metric_wrapper"
    assert metric([[0.0, 0.0]], [[1.0, 3.0]]) == 30.0


@pytest.mark.parametrize(
    "metric",
    [metrics.BinaryAccuracy(threshold=0.4), metrics.get("huber"), metrics.get("mse")],
    ids=lambda metric: metric.name,
)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_the_state_and_go_their_own_way(metric, way):
    metric.reset_state()
    first = metric(ONE_HOT, P)
    other = way(metric)
    assert other.result() == first
    other.update_state(ONE_HOT, 1 - P)
    assert other.result() != first
    assert metric.result() == first


def test_a_metric_must_say_how():
    for call in ("update_state", "result", "reset_state"):
        with pytest.raises(NotImplementedError, match=f"Metric does not define {call}"):
            getattr(metrics.Metric(), call)()


# ---- in a model -----------------------------------------------------------------------------

X = np.random.default_rng(0).standard_normal((10, 4))
CLASSES = np.arange(10) % 3


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize(
    ("last", "loss", "y", "hits"),
    [
        (Dense(1, "sigmoid"), "bce", CLASSES == 1, lambda p: (p[:, 0] > 0.5) == (CLASSES == 1)),
        (
            Dense(3, "softmax"),
            "sparse_categorical_crossentropy",
            CLASSES,
            lambda p: p.argmax(1) == CLASSES,
        ),
        (
            Dense(3, "softmax"),
            "sparse_categorical_crossentropy",
            CLASSES[:, None],
            lambda p: p.argmax(1) == CLASSES,
        ),
        (
            Dense(3, "softmax"),
            "categorical_crossentropy",
            np.eye(3)[CLASSES],
            lambda p: p.argmax(1) == CLASSES,
        ),
    ],
)
def test_accuracy_takes_the_form_that_fits(name, last, loss, y, hits):
    model = Sequential([copy.deepcopy(last)])
    model.compile("sgd", loss, metrics=[name])
    value = model.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)[name]
    assert value == pytest.approx(hits(model.predict(X)).mean())
    assert [metric.name for metric in model.metrics] == ["loss", name]


def test_metrics_see_probabilities_where_the_loss_takes_logits():
    model = Sequential([Dense(1, "sigmoid")])
    model.compile("sgd", "bce", metrics=["bce", "mse"])
    loss, bce, mse = model.evaluate(X, CLASSES == 1, verbose=0)
    assert bce == pytest.approx(loss, rel=1e-6)
    assert mse == pytest.approx(np.square(model.predict(X)[:, 0] - (CLASSES == 1)).mean(), rel=1e-6)


def test_weighted_metrics_are_weighted_and_named_apart():
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae", "mse"])
    weight = np.arange(10.0)
    logs = model.evaluate(X, X[:, 0], 4, 0, weight, return_dict=True)
    error = np.abs(model.predict(X)[:, 0] - X[:, 0])
    assert logs == {
        "loss": pytest.approx((weight * error**2).mean(), rel=1e-5),
        "mae": pytest.approx(error.mean(), rel=1e-5),
        "weighted_mae": pytest.approx((weight * error).sum() / weight.sum(), rel=1e-5),
        "mse": pytest.approx((weight * error**2).sum() / weight.sum(), rel=1e-5),
    }


def test_metrics_of_one_name_are_numbered():
    low, high = metrics.BinaryAccuracy(threshold=0.3), metrics.BinaryAccuracy(threshold=0.7)
    model = Sequential([Dense(1, "sigmoid")])
    model.compile("sgd", "bce", metrics=[low, high])
    logs = model.evaluate(X, CLASSES == 1, verbose=0, return_dict=True)
    p = model.predict(X)[:, 0]
    assert logs["binary_accuracy"] == pytest.approx(((p > 0.3) == (CLASSES == 1)).mean())
    assert logs["binary_accuracy_1"] == pytest.approx(((p > 0.7) == (CLASSES == 1)).mean())


def test_a_function_is_a_metric():
    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    model = Sequential([Dense(2)])
    model.compile("sgd", "mse", metrics=[largest])
    logs = model.evaluate(X, X[:, :2], verbose=0, return_dict=True)
    wanted = np.abs(model.predict(X) - X[:, :2]).max(axis=1).mean()
    assert logs["largest"] == pytest.approx(wanted, rel=1e-5)


def test_a_metric_that_has_been_used_before_starts_anew_in_a_run():
    metric = metrics.MeanSquaredError()
    metric([[0.0]], [[1000.0]])
    x = np.zeros((4, 2))
    for _ in range(2):  # the second compile hands over what the first has left in it
        model = Sequential([Dense(1, kernel_initializer="zeros")])
        model.compile("sgd", "mse", metrics=[metric])
        assert model.fit(x, np.ones(4), 4, verbose=0).history["mean_squared_error"] == [1.0]


def test_a_model_tells_of_its_metrics_between_epochs():
    model = Sequential([Dense(1, kernel_initializer="zeros")])
    assert not model.compiled
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.compiled
    assert model.metrics_names == ["loss"]
    loss, error = model.test_on_batch(np.ones((4, 2)), np.full(4, 3.0))
    assert (loss, error) == (9.0, 3.0)
    assert model.metrics_names == ["loss", "mae"]
    assert model.get_metrics_result() == {"loss": 9.0, "mae": 3.0}
    model.reset_metrics()
    assert model.get_metrics_result() == {"mae": 0.0}
