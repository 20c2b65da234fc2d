"""Errors, correlations and accuracies by values worked out by hand, and metrics as data."""

import json

import numpy as np
import pytest

from nnlite import Sequential, losses, metrics
from nnlite.callbacks import EarlyStopping
from nnlite.layers import Dense
from nnlite.saving import register_keras_serializable

X = np.random.default_rng(0).standard_normal((10, 4))
CLASSES = np.arange(10) % 3


# ---- reductions -----------------------------------------------------------------------------


def test_sums_and_means_of_weights_of_any_shape():
    values = [[1.0, 2.0], [3.0, 6.0]]
    assert metrics.Sum()(values) == 12.0
    assert metrics.Sum()(values, [1, 2]) == 21.0
    assert metrics.Sum()(values, 3) == 36.0
    assert metrics.Mean()(values, [1, 3]) == 3.75
    assert metrics.Mean()(values, [[1, 0], [0, 1]]) == 3.5
    assert metrics.Mean()(values, [[1, 3]]) == 3.5
    assert metrics.Mean()(5.0) == 5.0


def test_a_batch_counts_its_samples_and_a_lone_weight_counts_the_batch():
    mean = metrics.Mean()
    mean.update_state([[1.0, 3.0]])  # one sample, of mean 2
    mean.update_state([8.0, 8.0])
    assert mean.result() == 6.0
    mean.update_state([0.0, 0.0, 0.0], sample_weight=3.0)
    assert mean.result() == 3.0
    mean.update_state([[0.0, 0.0]], sample_weight=[[1.0, 3.0]])
    assert mean.result() == 18 / 8
    mean.update_state([])
    assert mean.result() == 18 / 8
    mean.update_state([[[0.0] * 4] * 2], sample_weight=[10.0])
    assert mean.result() == 1.0


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "y", "p", "expected"),
    [
        (metrics.MeanSquaredError, [[0, 2]], [[1, 4]], 2.5),
        (metrics.RootMeanSquaredError, [[0, 2]], [[1, 9]], 5),
        (metrics.MeanAbsoluteError, [[0, 2]], [[1, 4]], 1.5),
        (metrics.MeanAbsolutePercentageError, [[1, -4]], [[2, -5]], 62.5),
        (metrics.MeanSquaredLogarithmicError, [[0, 3]], [[1, 3]], np.log(2) ** 2 / 2),
        (metrics.LogCoshError, [[0, 0]], [[2, 0]], np.log(np.cosh(2)) / 2),
        (metrics.CosineSimilarity, [[3, 4], [1, 0]], [[4, 3], [-2, 0]], (24 / 25 - 1) / 2),
        (metrics.Hinge, [[-1, 1]], [[0.5, 0.75]], 0.875),
        (metrics.SquaredHinge, [[-1, 1]], [[0.5, 0.5]], 1.25),
        (metrics.CategoricalHinge, [[0, 1, 0]], [[0.5, 1, 0.25]], 0.5),
        (metrics.KLDivergence, [[0.25, 0.75]], [[0.5, 0.5]], 0.75 * np.log(3) - np.log(2)),
        (metrics.Poisson, [[1, 2]], [[1, np.e]], (1 + np.e - 2) / 2),
        (metrics.BinaryCrossEntropy, [[1, 0]], [[0.5, 0.75]], 1.5 * np.log(2)),
        (metrics.CategoricalCrossEntropy, [[0, 1]], [[0.75, 0.25]], 2 * np.log(2)),
        (metrics.SparseCategoricalCrossEntropy, [1], [[0.75, 0.25]], 2 * np.log(2)),
        (metrics.PearsonCorrelation, [[0, 1, 2]], [[2, 2, 5]], 3 / np.sqrt(12)),
        (metrics.PearsonCorrelation, [[1, 1, 1]], [[2, 2, 5]], 0),
        (metrics.ConcordanceCorrelation, [[0, 1, 2]], [[2, 2, 5]], 2 / (2 / 3 + 2 + 4)),
        (metrics.Accuracy, [1, 2, 3, 4], [0, 2, 3, 4], 0.75),
        (metrics.R2Score, [[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]], 4 / 7),
    ],
)
def test_values_known_by_hand(cls, y, p, expected):
    for dtype in ("float32", "float64"):
        assert cls()(y, np.asarray(p, dtype)) == pytest.approx(expected, rel=2e-6, abs=1e-9)


def test_similarities_and_correlations_along_another_axis():
    y, p = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), np.array([[2.0, 1], [2, 1], [5, 1]])
    assert metrics.PearsonCorrelation(axis=0)(y, p) == pytest.approx(3 / np.sqrt(12) / 2)
    assert metrics.CosineSimilarity(axis=0)(y, p) == pytest.approx((12 / np.sqrt(165) + 1) / 2)
    both = metrics.pearson_correlation(y, p, axis=(0, 1))
    assert both == pytest.approx(np.corrcoef(y.ravel(), p.ravel())[0, 1])


def test_r2_is_averaged_weighted_by_variance_or_told_for_each_output():
    y = np.array([[1.0, 0.0, 5.0], [4.0, 0.0, 5.0], [3.0, 6.0, 5.0]])
    p = np.array([[2.0, 3.0, 5.0], [4.0, 0.0, 4.0], [4.0, 6.0, 5.0]])
    each = np.array([4 / 7, 1 - 9 / 24, 0.0])  # the last does not vary
    np.testing.assert_allclose(metrics.R2Score(None)(y, p), each)
    assert metrics.R2Score()(y, p) == pytest.approx(each.mean())
    variation = np.array([14 / 3, 24, 0])
    weighted = metrics.R2Score("variance_weighted_average")
    assert weighted(y, p) == pytest.approx((each @ variation) / variation.sum())
    assert weighted(y, p, [0, 0, 0]) == pytest.approx((each @ variation) / variation.sum())
    assert metrics.R2Score("variance_weighted_average")(y[:1], p[:1]) == 0.0
    heavy = metrics.R2Score()([1.0, 4.0], [2.0, 4.0], [1, 3])
    assert heavy == pytest.approx(1 - 1 / (1 * 2.25**2 + 3 * 0.75**2))


def test_r2_adjusted_for_regressors():
    y, p = [1.0, 4.0, 3.0, 2.0], [2.0, 4.0, 4.0, 2.0]
    plain = metrics.R2Score()(y, p)
    assert metrics.R2Score(num_regressors=2)(y, p) == pytest.approx(1 - (1 - plain) * 3 / 1)
    several, predicted = np.array([y, y[::-1]]).T, np.array([p, y]).T
    each = metrics.R2Score(None)(several, predicted)
    adjusted = metrics.R2Score(None, 1)  # from 4 samples, however many outputs these have
    np.testing.assert_allclose(adjusted(several, predicted), 1 - (1 - each) * 3 / 2)
    repeated = metrics.R2Score(num_regressors=1)(y[:1] + y, p[:1] + p)
    weighted = metrics.R2Score(num_regressors=1)(y, p, [2, 1, 1, 1])
    assert weighted == pytest.approx(repeated)
    for too_many in (3, 4):
        metric = metrics.R2Score(num_regressors=too_many)
        metric.update_state(y, p)
        with pytest.warns(UserWarning, match="cannot be adjusted for"):
            assert metric.result() == plain


def test_r2_of_large_targets_keeps_its_digits():
    y = 1e9 + np.array([[1.0], [4.0], [3.0]])
    assert metrics.R2Score()(y, y + np.array([[1.0], [0.0], [1.0]])) == pytest.approx(4 / 7)
    metric = metrics.R2Score()
    for row in range(3):
        metric.update_state(y[row : row + 1], y[row : row + 1] + float(row != 1))
    assert metric.result() == pytest.approx(4 / 7)
    metric.update_state(np.zeros((0, 1)), np.zeros((0, 1)))
    assert metric.result() == pytest.approx(4 / 7)


def test_an_ignored_class_does_not_count():
    y, p = [0, 1, 1], np.array([[0.75, 0.25], [0.75, 0.25], [0.5, 0.5]])
    make = metrics.SparseCategoricalCrossEntropy
    assert make(ignore_class=0)(y, p) == pytest.approx(1.5 * np.log(2))
    assert make(ignore_class=0)(y, p, [5, 1, 0]) == pytest.approx(2 * np.log(2))
    assert make(ignore_class=-1)([[-1], [1], [1]], p) == pytest.approx(1.5 * np.log(2))
    assert make(ignore_class=7)([7, 7, 7], p) == 0.0


def test_the_accuracies_of_the_largest_outputs():
    p = [[0.1, 0.4, 0.5], [0.1, 0.4, 0.5], [0.3, 0.4, 0.3]]
    for k, expected in [(1, 1 / 3), (2, 1), (5, 1)]:
        assert metrics.SparseTopKCategoricalAccuracy(k)([2, 1, 2], p) == pytest.approx(expected)
        one_hot = np.eye(3)[[2, 1, 2]]
        assert metrics.TopKCategoricalAccuracy(k)(one_hot, p) == pytest.approx(expected)
    assert metrics.SparseTopKCategoricalAccuracy(1)([[1], [0], [0]], np.zeros((3, 2))) == 1.0
    ids = metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True)
    assert ids([7, 5], [[3, 7, 5], [3, 7, 5]]) == 0.5


# ---- metrics of one's own -------------------------------------------------------------------


@register_keras_serializable("tests")
class Positives(metrics.Metric):
    """As in Keras's documentation: its state is made by add_variable."""

    def __init__(self, name="positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(np.sum(y_pred > 0))

    def result(self):
        return self.total


class Span(metrics.Metric):
    """One whose state is in plain attributes."""

    def __init__(self, name="span", dtype=None):
        super().__init__(dtype, name)
        self.largest = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest = max(self.largest, float(np.abs(y_pred).max()))

    def result(self):
        return self.largest

    def reset_state(self):
        self.largest = 0.0


class Pair(metrics.Metric):
    """One made of others."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Positives(), Positives()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.first.update_state(y_true, y_pred)
        self.second.update_state(y_true, y_true)

    def result(self):
        return float(self.first.result() + self.second.result())


def test_metrics_of_ones_own_watch_a_model():
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse", metrics=[Positives(), Span, Pair()])
    for _ in range(2):  # each run starts anew
        logs = model.evaluate(X, X[:, 0], 4, 0, return_dict=True)
        p = model.predict(X)
        assert logs["positives"] == np.sum(p > 0)
        assert type(logs["positives"]) is float
        assert logs["span"] == pytest.approx(np.abs(p).max())
        assert logs["pair"] == np.sum(p > 0) + np.sum(X[:, 0] > 0)
    assert len(Pair().variables) == 2
    assert Span().name == "span"


def test_a_state_may_have_a_shape_a_type_and_a_first_value():
    metric = metrics.Metric(name="m")
    ones = metric.kept = metric.add_weight((2,), "ones", "float32")
    assert ones.dtype == np.float32
    np.testing.assert_array_equal(ones + 1, [2, 2])
    assert metric.add_variable(3, "zeros").shape == (3,)
    metric.reset_state()
    np.testing.assert_array_equal(metric.kept, [0, 0])


# ---- in compile -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([["mse"]], ["mse"]),
        ({"out": ["mse", "mae"]}, ["mse", "mae"]),
        ({"b": "mse", "a": ["mae"]}, ["mae", "mse"]),
        (("MeanSquaredError", ["mse", ("mae",)]), ["MeanSquaredError", "mse", "mae"]),
        ([{"class_name": "MeanSquaredError", "config": {"name": "m"}}], ["m"]),
        ([metrics.mean_squared_error, losses.Huber(), np.subtract], None),
    ],
)
def test_metrics_come_in_lists_dicts_and_as_data(asked, names):
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse", metrics=asked)
    logs = model.evaluate(X, X[:, 0], verbose=0, return_dict=True)
    names = names or ["mean_squared_error", losses.Huber().name, "subtract"]
    assert list(logs) == ["loss", *names]


@pytest.mark.parametrize("name", ["crossentropy", "ce"])
@pytest.mark.parametrize(
    ("units", "last", "loss", "y"),
    [
        (1, "sigmoid", "binary_crossentropy", CLASSES == 1),
        (3, "softmax", "sparse_categorical_crossentropy", CLASSES),
        (3, "softmax", "categorical_crossentropy", np.eye(3)[CLASSES]),
    ],
)
def test_crossentropy_takes_the_form_that_fits(name, units, last, loss, y):
    model = Sequential([Dense(units, last)])
    model.compile("sgd", loss, metrics=[name])
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    assert logs[name] == pytest.approx(logs["loss"], rel=1e-5)


def test_a_metric_with_a_value_for_each_class_goes_through_fit_and_evaluate(capsys):
    y = np.eye(3)[CLASSES]
    model = Sequential([Dense(3, "softmax")])
    model.compile("sgd", metrics=[metrics.F1Score(), "accuracy"])
    for verbose in (1, 2):
        stop = EarlyStopping("accuracy", patience=9, mode="max")
        history = model.fit(X, y, 4, 3, verbose, validation_data=(X, y), callbacks=[stop])
        printed = capsys.readouterr().out
        assert "f1_score: [" in printed
        assert "val_f1_score: [" in printed
    scores = history.history["val_f1_score"]
    assert [score.shape for score in scores] == [(3,)] * 3
    assert "f1_score=[" in repr(history)
    _, f1, accuracy = model.evaluate(X, y, 4, verbose=0)
    np.testing.assert_array_equal(f1, scores[-1])
    model.test_on_batch(X[:3], y[:3])
    np.testing.assert_array_equal(f1, scores[-1])  # what was handed out stays as it was
    hits = model.predict(X).argmax(1) == CLASSES
    assert accuracy == pytest.approx(hits.mean())


# ---- as data --------------------------------------------------------------------------------


def test_metrics_are_data_and_back():
    for metric in (
        metrics.AUC(thresholds=[0.5, 0.2], label_weights=[1, 2], curve="pr"),
        metrics.Precision([0.1, 0.2], top_k=2),
        metrics.MeanIoU(3, ignore_class=-1),
        metrics.PearsonCorrelation(axis=(0, 1)),
        metrics.MeanMetricWrapper(metrics.huber, delta=0.5),
        metrics.MeanMetricWrapper(losses.Huber(0.5), "h"),
        metrics.SparseCategoricalCrossEntropy(ignore_class=1),
    ):
        data = json.loads(json.dumps(metrics.serialize(metric)))
        again = metrics.deserialize(data)
        assert type(again) is type(metric)
        assert json.dumps(again.get_config()) == json.dumps(metric.get_config())
    assert metrics.deserialize(metrics.serialize(metrics.hinge)) is metrics.hinge
    assert metrics.deserialize("mse").name == "mean_squared_error"
    assert isinstance(metrics.get("tests>Positives"), Positives)


def test_data_can_name_functions_of_ones_own_only_if_they_are_told():
    def mine(y_true, y_pred):
        return y_true

    data = metrics.serialize(metrics.MeanMetricWrapper(mine, "m"))
    with pytest.raises(ValueError, match="Unknown metric function: 'mine'"):
        metrics.deserialize(data)
    assert metrics.deserialize(data, {"mine": mine}).fn is mine
    assert metrics.deserialize("mine", {"mine": mine}).fn is mine
    with pytest.raises(ValueError, match="Unknown metric function: 'eval'"):
        metrics.deserialize({"class_name": "function", "config": "eval"})


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "MeanIoU", "config": {"num_classes": 10**12}},
        {"class_name": "AUC", "config": {"num_thresholds": 10**12}},
        {"class_name": "AUC", "config": {"multi_label": True, "num_labels": 10**12}},
        {"class_name": "RecallAtPrecision", "config": {"precision": 0.5, "num_thresholds": 1e12}},
        {"class_name": "RecallAtPrecision", "config": {"precision": 0.5, "num_thresholds": 10**12}},
    ],
)
def test_data_cannot_take_all_memory(config):
    with pytest.raises(ValueError, match=r"at most 10,000,000|must be an integer"):
        metrics.deserialize(config)
