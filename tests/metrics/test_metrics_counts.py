"""Metrics made of counts: confusion, AUC, F-scores and IoU, by values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import examples

from nnlite import metrics

Y = [0, 0, 0, 1, 1]
P = [0.0, 0.3, 0.8, 0.3, 0.8]
ONE_HOT = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]])


@pytest.mark.parametrize(
    ("cls", "counts", "weighted"),
    [
        (metrics.TruePositives, [2, 1, 0], [6, 4, 0]),
        (metrics.FalsePositives, [2, 1, 0], [3, 2, 0]),
        (metrics.TrueNegatives, [1, 2, 3], [1, 2, 4]),
        (metrics.FalseNegatives, [0, 1, 2], [0, 2, 6]),
    ],
)
def test_counts_at_each_threshold_in_the_order_given(cls, counts, weighted):
    metric = cls(thresholds=[0.1, 0.5, 0.8])  # 0.8 is not above 0.8
    np.testing.assert_array_equal(metric(Y, P), counts)
    metric.reset_state()
    np.testing.assert_array_equal(metric(Y, P, [1, 1, 2, 2, 4]), weighted)
    backwards = cls(thresholds=[0.8, 0.1, 0.5])
    np.testing.assert_array_equal(backwards(Y, P), np.roll(counts, 1))
    assert cls()(Y, P) == counts[1]
    assert type(cls()(Y, P)) is float


def test_evenly_spaced_thresholds_count_as_any_others():
    y, p = np.tile([0, 1], 20), np.linspace(0, 1, 40, dtype="float32")
    for cls in (metrics.TruePositives, metrics.FalsePositives, metrics.TrueNegatives):
        even = cls(thresholds=[0.0, 0.25, 0.5, 0.75, 1.0])(y, p)
        each = [cls(thresholds=one)(y, p) for one in (0.0, 0.25, 0.5, 0.75, 1.0)]
        np.testing.assert_array_equal(even, each)


def test_precision_and_recall():
    assert metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]) == pytest.approx(2 / 3)
    assert metrics.Recall()([0, 1, 1, 1, 1], [1, 0, 1, 1, 0]) == 0.5
    assert metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1], [3, 9, 1, 2]) == 0.5
    assert metrics.Precision()([1, 0], [0.1, 0.2]) == 0.0
    assert metrics.Recall()([0, 0], [0.9, 0.9]) == 0.0
    np.testing.assert_array_equal(metrics.Recall([0.2, 0.5])(Y, P), [1.0, 0.5])


def test_precision_of_the_largest_outputs_and_of_one_class():
    assert metrics.Precision(top_k=2)([0, 0, 1, 1], [1, 1, 1, 1]) == 0.0  # the first of equals
    assert metrics.Precision(top_k=4)([0, 0, 1, 1], [1, 1, 1, 1]) == 0.5
    assert metrics.Precision(top_k=1)(ONE_HOT, PROBABILITIES) == 0.5
    assert metrics.Recall(top_k=2)(ONE_HOT, PROBABILITIES) == 0.75
    assert metrics.Recall(top_k=1, class_id=1)(ONE_HOT, PROBABILITIES) == 0.5
    assert metrics.Precision(thresholds=0.25, class_id=1)(ONE_HOT, PROBABILITIES) == (
        pytest.approx(2 / 3)
    )
    assert metrics.Precision(class_id=1)(ONE_HOT, PROBABILITIES, [1, 2, 0, 1]) == 1.0


def test_predictions_that_are_no_number_or_beyond_float32_have_a_side():
    with np.errstate(all="raise"):
        for thresholds in (0.5, [0.2, 0.5], [0.0, 0.5, 1.0]):
            metric = metrics.TruePositives(thresholds=thresholds)
            result = metric([1, 1, 1], [np.nan, 1e300, -1e300])
            assert np.max(result) == 1.0
        assert metrics.AUC()([1, 0, 1], [np.nan, 0.5, 1e300]) == 0.5


@pytest.mark.parametrize(
    ("metric", "expected", "weighted"),
    [
        (metrics.SensitivityAtSpecificity(0.5), 0.5, 1 / 3),
        (metrics.SpecificityAtSensitivity(0.5), 2 / 3, 0.25),
        (metrics.PrecisionAtRecall(0.5), 0.5, 0.5),
        (metrics.RecallAtPrecision(0.5), 1.0, 1.0),
        (metrics.RecallAtPrecision(0.9), 0.0, 0.0),
        (metrics.SensitivityAtSpecificity(0.5, num_thresholds=1), 0.5, 1 / 3),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_best_of_one_fraction_at_another(metric, expected, weighted):
    assert metric(Y, P) == pytest.approx(expected)
    metric.reset_state()
    assert metric(Y, P, [1, 1, 2, 2, 1]) == pytest.approx(weighted)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 0.75),
        ({"summation_method": "minoring"}, 0.5),
        ({"summation_method": "majoring"}, 1.0),
        # Recall 1, 1/2, 0; precision 1/2, 1, 0.
        ({"curve": "PR", "summation_method": "minoring"}, 0.25),
        ({"curve": "PR", "summation_method": "majoring"}, 1.0),
        # From TP, P = 1, 1 to 2, 4: slope 1/3 and 2/3 off, so 1/3 (1 + 2/3 log 4) / 2; then 1/2.
        ({"curve": "PR"}, (1 + 2 / 3 * np.log(4)) / 6 + 0.5),
        # Recall gain 1, 0, 0; precision gain 0, 1, 1.
        ({"curve": "PRGAIN"}, 0.5),
        ({"thresholds": [0.5]}, 0.75),
        ({"thresholds": [0.4, 0.1]}, 0.625),
    ],
)
def test_areas_under_curves(arguments, expected):
    arguments = {"num_thresholds": 3, **arguments}
    metric = metrics.AUC(**arguments)
    assert metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]) == pytest.approx(expected)


@pytest.mark.parametrize("thresholds", [None, [0.3]])
def test_predictions_of_0_and_1_lie_between_the_outermost_thresholds(thresholds):
    metric = metrics.AUC(3, thresholds=thresholds)
    assert metric([0, 1], [0.0, 1.0]) == 1.0
    np.testing.assert_array_equal(metric.true_positives, [1, 1, 0])
    np.testing.assert_array_equal(metric.false_positives, [1, 0, 0])


def test_the_roc_area_is_how_often_a_true_sample_is_ranked_above_a_false_one():
    g = np.random.default_rng(0)
    y, p = g.integers(0, 2, 300), g.random(300)
    above = np.mean(p[y == 1][:, None] > p[y == 0])
    assert metrics.AUC(num_thresholds=20_001)(y, p) == pytest.approx(above, abs=1e-3)
    z = np.log(p / (1 - p))
    from_logits = metrics.AUC(num_thresholds=20_001, from_logits=True)
    assert from_logits(y, z) == pytest.approx(above, abs=1e-3)


def test_labels_have_areas_of_their_own_that_are_averaged():
    g = np.random.default_rng(1)
    y, p = g.integers(0, 2, (50, 3)), g.random((50, 3))
    each = [metrics.AUC()(y[:, i], p[:, i]) for i in range(3)]
    assert metrics.AUC(multi_label=True)(y, p) == pytest.approx(np.mean(each))
    weighted = metrics.AUC(multi_label=True, num_labels=3, label_weights=[1, 0, 3])
    assert weighted(y, p) == pytest.approx((each[0] + 3 * each[2]) / 4)
    flat = metrics.AUC()(y[:, [0, 2, 2, 2]].ravel(), p[:, [0, 2, 2, 2]].ravel())
    assert metrics.AUC(label_weights=[1, 0, 3])(y, p) == pytest.approx(flat)
    nothing = metrics.AUC(multi_label=True, label_weights=[0, 0, 0])
    assert nothing(y, p) == 0.0


def test_f_scores():
    y = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    p = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    two = metrics.FBetaScore(beta=2.0, threshold=0.5)
    np.testing.assert_allclose(two(y, p), [5 / 13, 10 / 11, 5 / 6], rtol=1e-6)
    one = metrics.F1Score(threshold=0.5)
    np.testing.assert_allclose(one(y, p), [0.5, 0.8, 2 / 3], rtol=1e-6)
    assert metrics.F1Score("macro", 0.5)(y, p) == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert metrics.F1Score("micro", 0.5)(y, p) == pytest.approx(2 * 4 / (6 + 6), rel=1e-6)
    weighted = (3 * 0.5 + 2 * 0.8 + 2 / 3) / 6
    assert metrics.F1Score("weighted", 0.5)(y, p) == pytest.approx(weighted)
    largest = metrics.F1Score()(ONE_HOT, PROBABILITIES)
    np.testing.assert_allclose(largest, [1.0, 0.5, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(metrics.F1Score()([[1, 0]], [[0.0, 0.0]]), [0, 0])


def test_intersections_over_unions():
    y, p = [0, 0, 1, 1], [0, 1, 1, 1]
    assert metrics.IoU(2, [0])(y, p) == pytest.approx(1 / 2)
    assert metrics.IoU(2, [1])(y, p) == pytest.approx(2 / 3)
    assert metrics.MeanIoU(3)(y, p) == pytest.approx((1 / 2 + 2 / 3) / 2)  # nothing is a 2
    assert metrics.MeanIoU(2)(y, p, [4, 1, 1, 0]) == pytest.approx((4 / 5 + 1 / 2) / 2)
    assert metrics.MeanIoU(2, ignore_class=-1)([0, 0, 1, -1], p) == pytest.approx(1 / 2)
    weighted = metrics.MeanIoU(2, ignore_class=-1)([0, 0, 1, -1], p, [4, 1, 1, 9])
    assert weighted == pytest.approx((4 / 5 + 1 / 2) / 2)
    assert metrics.BinaryIoU([1], 0.3)([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.7]) == pytest.approx(1 / 3)
    assert metrics.OneHotIoU(3, [0, 1])(ONE_HOT, PROBABILITIES) == pytest.approx((1 + 1 / 3) / 2)
    sparse = metrics.OneHotMeanIoU(3, sparse_y_pred=True)(ONE_HOT, [0, 1, 1, 2])
    assert sparse == pytest.approx((1 + 1 / 3 + 0) / 3)
    first = metrics.MeanIoU(2, sparse_y_pred=False, axis=1)
    assert first([[0, 1]], [[[0.9, 0.6], [0.1, 0.4]]]) == pytest.approx(0.25)


def test_areas_with_weights_below_0():
    # Each divisor of the interpolation is at most 0, and counts as 0: Keras's own unit test.
    assert metrics.AUC(3, curve="PR")([0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [-1] * 4) == 0
    # Keras 3.15's value, with a slope whose divisor is below 0.
    y, p = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.6, 0.7]
    area = metrics.AUC(6, curve="PR")(y, p, [1, -3, 1, 1, 1, 1])
    assert area == pytest.approx(0.66666669)


def test_the_state_of_iou_is_the_confusion_matrix():
    metric = metrics.MeanIoU(3)
    metric.update_state([0, 1, 2, 2], [0, 2, 2, 1], [1.0, 0.5, 2.0, 4.0])
    np.testing.assert_array_equal(metric.total_cm, [[1, 0, 0], [0, 0, 0.5], [0, 4, 2]])


ARRAYS = [
    lambda: metrics.AUC(),
    lambda: metrics.AUC(curve="PR"),
    lambda: metrics.AUC(curve="PRGAIN", thresholds=[0.2, 0.7]),
    lambda: metrics.AUC(multi_label=True, label_weights=[1, 2]),
    lambda: metrics.Precision([0.3, 0.6]),
    lambda: metrics.Recall(top_k=1),
    lambda: metrics.FalsePositives(),
    lambda: metrics.SpecificityAtSensitivity(0.5),
    lambda: metrics.F1Score(),
    lambda: metrics.FBetaScore("weighted", 0.5, 0.4),
    lambda: metrics.BinaryIoU(),
    lambda: metrics.R2Score(None),
    lambda: metrics.R2Score("variance_weighted_average"),
    lambda: metrics.RootMeanSquaredError(),
    lambda: metrics.BinaryAccuracy(),
    lambda: metrics.CategoricalAccuracy(),
    lambda: metrics.TopKCategoricalAccuracy(1),
    lambda: metrics.BinaryCrossentropy(),
    lambda: metrics.PearsonCorrelation(),
    lambda: metrics.ConcordanceCorrelation(),
    lambda: metrics.CosineSimilarity(),
]


@pytest.mark.parametrize("make", ARRAYS)
@settings(max_examples=examples(20))
@given(data=st.data())
def test_batches_add_up_and_weights_count_as_repetitions(make, data):
    rows = data.draw(st.integers(1, 12))
    g = np.random.default_rng(data.draw(st.integers(0, 1000)))
    y, p = g.integers(0, 2, (rows, 2)), g.integers(1, 8, (rows, 2)) / 8
    repeats = g.integers(0, 3, rows)
    cut = data.draw(st.integers(0, rows))
    whole, parts, weighted, repeated = (make() for _ in range(4))
    with np.errstate(all="raise", under="ignore"):
        expected = whole(y, p)
        for part in (slice(None, cut), slice(cut, None)):
            if len(y[part]):
                parts.update_state(y[part], p[part])
        np.testing.assert_allclose(parts.result(), expected, rtol=1e-7, atol=1e-9)
        if repeats.any():
            again = repeated(np.repeat(y, repeats, axis=0), np.repeat(p, repeats, axis=0))
            result = weighted(y, p, repeats.astype(float))
            np.testing.assert_allclose(result, again, rtol=1e-6, atol=1e-8)
        whole.reset_state()
        np.testing.assert_array_equal(whole(y, p), expected)


# ---- wrong input ----------------------------------------------------------------------------

LARGE = 10**8


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: metrics.Precision(thresholds=1.5), ValueError, r"thresholds .*\[0, 1\].*1.5"),
        (lambda: metrics.Precision(thresholds=[]), ValueError, "thresholds .*at least one"),
        (lambda: metrics.Precision([0.1, np.nan]), ValueError, "thresholds .*nan"),
        (lambda: metrics.Recall(thresholds="half"), TypeError, "thresholds must be .*'half'"),
        (lambda: metrics.Recall(thresholds=[[0.1]]), ValueError, "thresholds"),
        (lambda: metrics.Recall(class_id=-1), ValueError, "class_id must be at least 0"),
        (lambda: metrics.Recall(class_id=0.5), TypeError, "class_id must be an integer"),
        (lambda: metrics.Recall(top_k=0), ValueError, "top_k must be at least 1"),
        (lambda: metrics.AUC(num_thresholds=1), ValueError, "num_thresholds must be at least 2"),
        (lambda: metrics.AUC(num_thresholds=LARGE), ValueError, "at most 10,000,000"),
        (lambda: metrics.AUC(num_thresholds=2.5), TypeError, "num_thresholds must be an integer"),
        (lambda: metrics.AUC(curve="roc curve"), ValueError, "curve must be one of 'ROC', 'PR'"),
        (lambda: metrics.AUC(summation_method=1), ValueError, "summation_method .*'minoring'"),
        (lambda: metrics.AUC(num_labels=2), ValueError, "num_labels .*multi_label=True"),
        (
            lambda: metrics.AUC(200, multi_label=True, num_labels=LARGE),
            ValueError,
            r"num_thresholds \* num_labels must be at most",
        ),
        (lambda: metrics.AUC(label_weights=[1, -1]), ValueError, "label_weights .*at least 0"),
        (lambda: metrics.AUC(label_weights=[np.inf]), ValueError, "label_weights must be finite"),
        (lambda: metrics.PrecisionAtRecall(1.1), ValueError, r"recall must lie in \[0, 1\]"),
        (lambda: metrics.RecallAtPrecision(0.5, LARGE), ValueError, "num_thresholds .*at most"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, 0), ValueError, "num_thresholds .*least 1"),
        (lambda: metrics.F1Score(average="mean"), ValueError, "average must be one of"),
        (lambda: metrics.F1Score(threshold=0), ValueError, r"threshold must lie in \(0, 1\]"),
        (lambda: metrics.FBetaScore(beta=0), ValueError, "beta must be positive"),
        (lambda: metrics.IoU(0, [0]), ValueError, "num_classes must be at least 1"),
        (lambda: metrics.MeanIoU(LARGE), ValueError, "num_classes\\*\\*2 must be at most"),
        (lambda: metrics.IoU(2, [2]), ValueError, "target_class_ids must be less than .*=2"),
        (lambda: metrics.IoU(2, [-1]), ValueError, "target_class_ids must be at least 0"),
        (lambda: metrics.IoU(2, []), TypeError, "target_class_ids must be a list"),
        (lambda: metrics.IoU(2, [0], dtype="bool"), ValueError, "dtype must be .float32. or"),
        (lambda: metrics.IoU(2, [0], dtype="roman"), ValueError, "dtype must be .float32. or"),
        (lambda: metrics.IoU(2, [0], ignore_class=0.5), TypeError, "ignore_class"),
        (lambda: metrics.BinaryIoU(threshold=np.nan), ValueError, "threshold must be a finite"),
        (lambda: metrics.BinaryAccuracy(threshold=np.nan), ValueError, "threshold must be a fin"),
        (lambda: metrics.TopKCategoricalAccuracy(0), ValueError, "k must be at least 1"),
        (lambda: metrics.SparseTopKCategoricalAccuracy(2.0), TypeError, "k must be an integer"),
        (lambda: metrics.R2Score("mean"), ValueError, "class_aggregation must be one of"),
        (lambda: metrics.R2Score(num_regressors=-1), ValueError, "num_regressors must be at"),
        (lambda: metrics.PearsonCorrelation(axis=0.5), TypeError, "axis must be an integer"),
        (lambda: metrics.ConcordanceCorrelation(axis=()), TypeError, "axis must be an integer"),
        (lambda: metrics.Mean(dtype="float16"), ValueError, "dtype must be 'float32' or"),
        (lambda: metrics.MeanMetricWrapper(3), TypeError, "fn must be a function"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("metric", "batch", "message"),
    [
        (metrics.Precision(), ([1, 0, 1], [[0.1, 0.2, 0.3]]), r"y_true must have shape \(1, 3\)"),
        (metrics.AUC(), ([1, 0], [[0.1], [0.2], [0.3]]), r"y_true must have shape \(3, 1\)"),
        (metrics.Recall(), ([1, np.nan], [0.5, 0.5]), "y_true must be finite"),
        (metrics.Recall(), ([1, 0], [0.5, 0.5], [1, np.inf]), "sample_weight must be finite"),
        (metrics.Recall(), ([1, 0], [0.5, 0.5], [1, 2, 3]), "sample_weight must have one entry"),
        (metrics.Recall(class_id=2), ([[1, 0]], [[0.5, 0.5]]), "more than class_id=2 classes"),
        (metrics.Recall(class_id=0), ([1, 0], [0.5, 0.5]), "class_id=0"),
        (metrics.Recall(top_k=3), ([[1, 0]], [[0.5, 0.5]]), "Received: top_k=3, y_pred of shape"),
        (metrics.AUC(multi_label=True), ([1, 0], [0.5, 0.5]), r"shape \(m, labels\)"),
        (metrics.AUC(multi_label=True, num_labels=3), ([[1, 0]], [[0.5, 0.5]]), r"\(m, 3\)"),
        (metrics.AUC(label_weights=[1, 2, 3]), ([[1, 0]], [[0.5, 0.5]]), "label_weights has 3"),
        (metrics.F1Score(), ([1, 0], [0.5, 0.5]), r"shape \(m, classes\)"),
        (metrics.R2Score(), (np.zeros((2, 1, 1)), np.zeros((2, 1, 1))), r"shape \(m, outputs\)"),
        (metrics.MeanIoU(2), ([0, 2], [0, 1]), "y_true must hold classes from 0 to 1"),
        (metrics.MeanIoU(2), ([0, 1], [0, -1]), "y_pred must hold classes from 0 to 1"),
        (metrics.MeanIoU(2), ([0, 1], [0, np.nan]), "y_pred must be finite"),
        (metrics.SparseTopKCategoricalAccuracy(), ([2], [[0.5, 0.5]]), "from 0 to 1"),
        (metrics.CategoricalAccuracy(), (1, 0.5), "axis of classes"),
        (metrics.BinaryAccuracy(), ([1, 0], [[0.5], [0.5], [0.5]]), "number of samples"),
        (metrics.RootMeanSquaredError(), ([1, 0], [[0.5, 0.5]] * 2), r"shape \(2, 2\)"),
        (metrics.Mean(), ([1, 2], [1, 2, 3]), "sample_weight must have one entry"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_wrong_batches_are_refused_and_count_for_nothing(metric, batch, message):
    before = metric.result()
    with pytest.raises(ValueError, match=message):
        metric.update_state(*batch)
    np.testing.assert_array_equal(metric.result(), before)


def test_batches_of_other_classes_or_outputs_are_refused():
    for metric in (metrics.F1Score(), metrics.R2Score(), metrics.AUC(multi_label=True)):
        metric(ONE_HOT, PROBABILITIES)
        before = metric.result()
        with pytest.raises(ValueError, match=r"shape \(4, 2\)"):
            metric(ONE_HOT[:, :2], PROBABILITIES[:, :2])
        np.testing.assert_array_equal(metric.result(), before)


def test_thresholds_given_as_an_array_are_told_as_a_list():
    metric = metrics.Precision(thresholds=np.array([0.25, 0.5]))
    assert metric.get_config()["thresholds"] == [0.25, 0.5]
    assert metrics.AUC(thresholds=(0.5, 0.25)).get_config()["thresholds"] == [0.25, 0.5]
    assert "thresholds" not in metrics.AUC().get_config()
