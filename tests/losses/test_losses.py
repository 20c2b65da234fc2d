"""Losses: values against Keras's, reductions, weights, and what arrays come out.

The expected numbers are Keras 3.15's (JAX backend, float32), printed by
``keras.losses.<Class>(reduction=..., **arguments)(y, p, sample_weight=...)`` for the arrays below.
"""

import numpy as np
import pytest

from nnlite import Sequential, losses
from nnlite.layers import Dense
from nnlite.losses import (
    BinaryCrossEntropy,
    BinaryFocalCrossEntropy,
    CategoricalCrossEntropy,
    CategoricalFocalCrossEntropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossEntropy,
    SquaredHinge,
    Tversky,
)

ONE_HOT = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]], float)
LABELS = np.array([1, 0, 2, 1])
GAPS = np.array([1, -1, 2, -1])
P = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.6, 0.3, 0.1]])
LOGITS = np.array([[1, -2, 0.5], [0, 3, -1], [-4, 2, 2], [0.25, 0.5, -0.75]])
OUTPUTS = np.array([[1, -2, 0.5], [0, 3, -1], [4, 2, 2], [0.25, 0.5, -0.75]])
COUNTS = np.array([[0, 1, 3], [2, 0, 0], [1, 1, 4], [0, 5, 2]], float)
RATES = np.array([[0.5, 1, 2], [1, 0.25, 0.125], [1, 2, 3], [0.75, 4, 6]])
WEIGHTS = np.array([1, 2, 0, 0.5])

# Class, arguments, y, p, the value of each sample, and with WEIGHTS the three means and sums.
CASES = {
    "binary": (
        (BinaryCrossEntropy, {}, ONE_HOT, P),
        [0.42432189, 1.3391279, 0.06931573, 0.74187469],
        (0.86837876, 3.473515, 0.99243289),
    ),
    "binary from logits": (
        (BinaryCrossEntropy, {"from_logits": True}, ONE_HOT, LOGITS),
        [1.4714222, 1.3516654, 0.75733536, 0.56229579],
        (1.1139753, 4.4559011, 1.2731146),
    ),
    "binary, smoothed": (
        (BinaryCrossEntropy, {"label_smoothing": 0.2}, ONE_HOT, P),
        [0.49877501, 1.2929180, 0.33885247, 0.77335680],
        (0.86782235, 3.4712894, 0.99179697),
    ),
    "categorical": (
        (CategoricalCrossEntropy, {}, ONE_HOT, P),
        [0.69314718, 2.3025851, 0.10536055, 1.2039728],
        (1.4750760, 5.9003038, 1.6858011),
    ),
    "categorical from logits": (
        (CategoricalCrossEntropy, {"from_logits": True}, ONE_HOT, LOGITS),
        [3.5045969, 3.0658839, 0.69438571, 0.72527814],
        (2.4997511, 9.9990044, 2.8568585),
    ),
    "categorical, smoothed": (
        (CategoricalCrossEntropy, {"label_smoothing": 0.1}, ONE_HOT, P),
        [0.74071771, 2.2332706, 0.29805201, 1.2174883],
        (1.4540008, 5.8160033, 1.6617153),
    ),
    "categorical, not normalized": (
        (CategoricalCrossEntropy, {}, ONE_HOT, 2 * P + 0.1),
        [0.737599, 2.036882, 0.19105518, 1.189584],
        None,
    ),
    "sparse": (
        (SparseCategoricalCrossEntropy, {}, LABELS, P),
        [0.69314718, 2.3025851, 0.10536055, 1.2039728],
        (1.4750760, 5.9003038, 1.6858011),
    ),
    "sparse from logits": (
        (SparseCategoricalCrossEntropy, {"from_logits": True}, LABELS, LOGITS),
        [3.5045969, 3.0658839, 0.69438571, 0.72527814],
        (2.4997511, 9.9990044, 2.8568585),
    ),
    "squared": (
        (MeanSquaredError, {}, ONE_HOT, OUTPUTS),
        [3.4166667, 3.6666667, 7.0, 0.29166669],
        (2.7239583, 10.895833, 3.1130950),
    ),
    "absolute": (
        (MeanAbsoluteError, {}, ONE_HOT, OUTPUTS),
        [1.5, 1.6666667, 2.3333333, 0.5],
        (1.2708334, 5.0833335, 1.4523810),
    ),
    "Huber": (
        (Huber, {}, ONE_HOT, OUTPUTS),
        [1.0416667, 1.1666667, 1.8333334, 0.14583334],
        (0.86197925, 3.4479170, 0.98511916),
    ),
    "Huber, delta 0.3": (
        (Huber, {"delta": 0.3}, ONE_HOT, OUTPUTS),
        [0.40500003, 0.45500001, 0.65500003, 0.10541668],
        (0.34192711, 1.3677084, 0.39077383),
    ),
    "binary focal": (
        (BinaryFocalCrossEntropy, {}, ONE_HOT, P),
        [0.071437761, 0.96539593, 0.00043669087, 0.30695498],
        (0.53892678, 2.1557071, 0.61591631),
    ),
    "binary focal, balanced": (
        (BinaryFocalCrossEntropy, {"apply_class_balancing": True, "gamma": 0.5}, ONE_HOT, P),
        [0.11463203, 0.55024606, 0.0085112611, 0.26971143],
        (0.33749497, 1.3499799, 0.38570854),
    ),
    "binary focal from logits": (
        (BinaryFocalCrossEntropy, {"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, LOGITS),
        [0.71567655, 0.75231159, 0.42184079, 0.12850496],
        (0.57113802, 2.2845521, 0.65272915),
    ),
    "categorical focal": (
        (CategoricalFocalCrossEntropy, {}, ONE_HOT, P),
        [0.043321699, 0.46627346, 0.00026340148, 0.14748666],
        (0.26240298, 1.0496119, 0.29988912),
    ),
    "categorical focal, each class": (
        (
            CategoricalFocalCrossEntropy,
            {"alpha": [0.25, 0.5, 1.0], "gamma": 0.5, "label_smoothing": 0.1},
            ONE_HOT,
            P,
        ),
        [0.27430013, 0.5841763, 0.1040937, 0.54558718],
        (0.42886156, 1.7154462, 0.4901275),
    ),
    "categorical focal from logits": (
        (CategoricalFocalCrossEntropy, {"from_logits": True}, ONE_HOT, LOGITS),
        [0.82426876, 0.69668186, 0.043506626, 0.048241891],
        (0.56043839, 2.2417536, 0.64050102),
    ),
    "generalized": (
        (CategoricalGeneralizedCrossEntropy, {"q": 0.7}, LABELS, P),
        [0.54918259, 1.1435339, 0.10156904, 0.81355488],
        (0.81075698, 3.2430279, 0.92657942),
    ),
    "percentage": (
        (MeanAbsolutePercentageError, {}, COUNTS + 1, RATES),
        [50.0, 76.388893, 30.000002, 52.777779],
        (57.291668, 229.16667, 65.476189),
    ),
    "logarithmic": (
        (MeanSquaredLogarithmicError, {}, COUNTS, RATES),
        [0.082387611, 0.076022595, 0.07139834, 0.35477489],
        (0.10295506, 0.41182023, 0.11766292),
    ),
    "log cosh": (
        (LogCosh, {}, ONE_HOT, OUTPUTS),
        [0.95440793, 1.0589635, 1.6886572, 0.13643682],
        (0.78513837, 3.1405535, 0.89730102),
    ),
    "cosine": (
        (CosineSimilarity, {}, ONE_HOT + 0.5, OUTPUTS),
        [0.59215653, -0.1906925, -0.73854899, -0.32232919],
        (0.012401734, 0.049606934, 0.01417341),
    ),
    "hinge": (
        (Hinge, {}, ONE_HOT, OUTPUTS),
        [2.1666667, 1.6666667, 2.6666667, 0.66666669],
        (1.4583334, 5.8333335, 1.6666667),
    ),
    "hinge, signs": (
        (Hinge, {}, 2 * ONE_HOT - 1, OUTPUTS),
        [2.1666667, 1.6666667, 2.6666667, 0.66666669],
        (1.4583334, 5.8333335, 1.6666667),
    ),
    "hinge, other labels": (
        (Hinge, {}, ONE_HOT / 2, OUTPUTS),
        [1.3333334, 1.0, 0.66666669, 0.91666669],
        (0.94791669, 3.7916667, 1.0833334),
    ),
    "squared hinge": (
        (SquaredHinge, {}, ONE_HOT, OUTPUTS),
        [5.0833335, 5.666667, 11.333334, 0.625],
        (4.182292, 16.729168, 4.7797623),
    ),
    "categorical hinge": (
        (CategoricalHinge, {}, ONE_HOT, OUTPUTS),
        [4.0, 4.0, 3.0, 0.75],
        (3.09375, 12.375, 3.5357144),
    ),
    "divergence": (
        (KLDivergence, {}, ONE_HOT * 0.8 + 0.1, P),
        [0.34983197, 1.769558, 0.13862944, 0.80957496],
        (1.0734339, 4.2937355, 1.2267816),
    ),
    "Poisson": (
        (Poisson, {}, COUNTS, RATES),
        [0.47351944, 0.45833325, 0.30413455, 0.078336403],
        (0.35733855, 1.4293542, 0.40838692),
    ),
    "Dice": (
        (Dice, {"axis": -1}, ONE_HOT, P),
        [0.5, 0.89999998, 0.10000002, 0.69999999],
        (0.66249996, 2.6499999, 0.75714284),
    ),
    "Tversky": (
        (Tversky, {"alpha": 0.9, "beta": 0.3, "axis": -1}, ONE_HOT, P),
        [0.54545456, 0.91525424, 0.11764717, 0.73684216],
        (0.68609601, 2.7443841, 0.78410971),
    ),
}


KINKED = (MeanAbsoluteError, MeanAbsolutePercentageError, Huber, Hinge, CategoricalHinge)


def close(expected):
    return pytest.approx(expected, rel=1e-6)


@pytest.fixture(params=CASES)
def case(request):
    (cls, arguments, y, p), values, weighted = CASES[request.param]
    return lambda **more: cls(**arguments, **more), y, p, values, weighted


@pytest.mark.parametrize("none", ["none", None])
def test_each_samples_value_is_kerass(case, none):
    make, y, p, values, weighted = case
    loss = make(reduction=none)
    assert loss(y, p) == close(values)
    if weighted is not None:
        assert loss(y, p, WEIGHTS) == close(values * WEIGHTS)


def test_reductions_are_kerass(case):
    make, y, p, values, weighted = case
    for reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight"):
        assert make(reduction=reduction)(y, p) == close(np.mean(values))
    assert make(reduction="sum")(y, p) == close(np.sum(values))
    if weighted is not None:
        names = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
        got = tuple(make(reduction=name)(y, p, WEIGHTS) for name in names)
        assert got == close(weighted)


@pytest.mark.parametrize("ignored", [1, -1])
def test_an_ignored_class_counts_for_nothing(ignored):
    y = LABELS if ignored == 1 else GAPS
    values = {1: [0, 2.3025851, 0.10536055, 0], -1: [0.69314718, 0, 0.10536055, 0]}[ignored]
    wanted = {
        "none": (values, values * WEIGHTS),
        "sum_over_batch_size": {1: (1.2039728, 2.3025851), -1: (0.39925388, 0.34657359)}[ignored],
        "sum": {1: (2.4079456, 4.6051702), -1: (0.79850775, 0.69314718)}[ignored],
        "mean_with_sample_weight": {1: (1.2039728, 2.3025851), -1: (0.39925388, 0.69314718)}[
            ignored
        ],
    }
    for reduction, (plain, weighted) in wanted.items():
        loss = SparseCategoricalCrossEntropy(ignore_class=ignored, reduction=reduction)
        assert loss(y, P) == close(plain)
        assert loss(y, P, WEIGHTS) == close(weighted)
        gradient = loss.gradient(y, P)
        assert (np.any(gradient != 0, axis=1) == (y != ignored)).all()


def test_all_classes_ignored_is_a_loss_of_nothing():
    loss = SparseCategoricalCrossEntropy(ignore_class=1)
    assert loss([1, 1], P[:2]) == 0
    np.testing.assert_array_equal(loss.gradient([1, 1], P[:2]), np.zeros((2, 3)))


def test_saturated_probabilities_cost_what_keras_says():
    # float32: 16.03024 = the mean of -log(1e-7) and -log(1 - (1 - 1e-7)); nnlite's log1p is exact.
    assert BinaryCrossEntropy()([[1.0], [0.0]], [[0.0], [1.0]]) == pytest.approx(16.118095)
    assert CategoricalCrossEntropy()([[1.0, 0]], [[0.0, 1]]) == pytest.approx(16.118095)
    logits = [[-200.0], [300.0]]
    assert BinaryCrossEntropy(from_logits=True)([[1.0], [0.0]], logits) == pytest.approx(250)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_predictions_give_finite_values_and_gradients(case, dtype):
    make, y, p, _, _ = case
    tiny = np.finfo(dtype).tiny
    for extreme in (p * 0 + tiny, p * 0 + 1, 1 - p.round(), p.round() * 1e3 + tiny):
        with np.errstate(all="raise", under="ignore"):
            loss = make(dtype=dtype)
            assert np.isfinite(loss(y, extreme))
            assert np.isfinite(loss.gradient(y, extreme)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_of_the_predictions_is_kept(case, dtype):
    make, y, p, values, _ = case
    p = p.astype(dtype)
    each = make(reduction="none")(y, p)
    assert each.dtype == dtype
    assert each.shape == (4,)
    assert each == pytest.approx(values, rel=1e-5)
    assert make().gradient(y, p).dtype == dtype
    assert make().gradient(y, p, WEIGHTS).dtype == dtype
    assert type(make()(y, p)) is float


def test_a_dtype_of_its_own_wins_over_that_of_the_predictions(case):
    make, y, p, _, _ = case
    assert make(dtype="float32", reduction="none")(y, p).dtype == "float32"
    assert make(dtype="float64").gradient(y, p.astype("float32")).dtype == "float64"


@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_the_gradient_is_the_slope_of_the_value(case, reduction, weight):
    make, y, p, _, _ = case
    loss = make(reduction=reduction)
    if isinstance(loss, KINKED):
        p = p + 1e-3  # off the kinks
    gradient = loss.gradient(y, p, weight)
    step = 1e-6
    slope = np.empty_like(p)
    for place in np.ndindex(p.shape):
        shift = np.zeros_like(p)
        shift[place] = step
        slope[place] = (loss(y, p + shift, weight) - loss(y, p - shift, weight)) / (2 * step)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-8)


def test_the_arguments_are_left_alone_and_the_results_are_new(case):
    make, y, p, _, _ = case
    weight = WEIGHTS.copy()
    kept = y.copy(), p.copy(), weight.copy()
    for array in (y, p, weight):
        array.flags.writeable = False
    try:
        for reduction in ("sum_over_batch_size", "none"):
            loss = make(reduction=reduction)
            results = [np.asarray(loss(y, p, weight)), np.asarray(loss(y, p))]
            if reduction != "none":
                results += [loss.gradient(y, p, weight), loss.gradient(y, p)]
            for result in results:
                assert not any(np.shares_memory(result, array) for array in (y, p, weight))
    finally:
        for array in (y, p):
            array.flags.writeable = True
    for array, before in zip((y, p, weight), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_a_time_axis_is_more_samples():
    y, p = np.stack([ONE_HOT, ONE_HOT[::-1]]), np.stack([P, P[::-1]])
    once = CategoricalCrossEntropy(reduction="none")(ONE_HOT, P)
    loss = CategoricalCrossEntropy(reduction="none")
    np.testing.assert_allclose(loss(y, p), [once, once[::-1]])
    np.testing.assert_allclose(loss(y, p, [1.0, 3.0]), [once, 3 * once[::-1]])
    np.testing.assert_allclose(
        loss(y, p, np.array([WEIGHTS, WEIGHTS])), [once, once[::-1]] * WEIGHTS
    )
    sparse = SparseCategoricalCrossEntropy()
    labels = np.stack([LABELS, LABELS[::-1]])
    assert sparse(labels, p) == pytest.approx(once.mean())
    assert sparse(labels[..., None], p) == pytest.approx(once.mean())


def test_another_axis_of_the_classes():
    plain = CategoricalCrossEntropy()(ONE_HOT, P)
    assert CategoricalCrossEntropy(axis=0)(ONE_HOT.T, P.T) == pytest.approx(plain)
    np.testing.assert_allclose(
        CategoricalCrossEntropy(axis=0).gradient(ONE_HOT.T, P.T).T,
        CategoricalCrossEntropy().gradient(ONE_HOT, P),
    )


def test_the_configuration_makes_the_same_loss(case):
    make, y, p, values, _ = case
    loss = make(reduction="none", name="mine")
    other = type(loss).from_config(loss.get_config())
    assert other.get_config() == loss.get_config()
    assert other(y, p) == close(values)
    assert repr(other) == repr(loss)
    assert other.name == "mine"


def test_names_in_logs_are_kerass():
    assert BinaryCrossEntropy().name == "binary_crossentropy"
    assert SparseCategoricalCrossEntropy().name == "sparse_categorical_crossentropy"
    assert losses.BinaryCrossentropy is BinaryCrossEntropy
    assert repr(Huber(2.0)) == "Huber(delta=2.0)"
    assert Huber().name == "huber_loss"
    name = "categorical_generalized_cross_entropy"
    assert CategoricalGeneralizedCrossEntropy().name == name


class Cubed(Loss):
    def call(self, y_true, y_pred):
        return (np.abs(y_pred - y_true) ** 3).mean(axis=-1)

    def derivative(self, y_true, y_pred):
        e = y_pred - y_true
        return 3 * e * np.abs(e) / y_pred.shape[-1]


def test_a_loss_of_ones_own_trains():
    assert Cubed()([[0.0, 0.0]], [[1.0, 2.0]]) == pytest.approx(4.5)
    np.testing.assert_allclose(Cubed().gradient([[0.0, 0.0]], [[1.0, -2.0]]), [[1.5, -6.0]])
    x = np.linspace(-1, 1, 8)[:, None]
    model = Sequential([Dense(1)])
    model.compile("adam", Cubed())
    history = model.fit(x, 2 * x + 1, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_a_loss_must_say_its_value_and_derivative():
    with pytest.raises(NotImplementedError, match="Loss does not define call"):
        Loss()([[1.0]], [[1.0]])
    with pytest.raises(NotImplementedError, match="Half does not define derivative"):
        type("Half", (Loss,), {"call": lambda self, y, p: p[..., 0]})().gradient([[1.0]], [[1.0]])


def test_predictions_that_are_all_zero_cost_as_much_as_the_clip_allows_and_nothing_divides_by_0():
    with np.errstate(all="raise"):
        loss = losses.CategoricalCrossEntropy()
        assert loss([[0.0, 1.0]], [[0.0, 0.0]]) == pytest.approx(-np.log(1e-7))
        np.testing.assert_array_equal(loss.gradient([[0.0, 1.0]], [[0.0, 0.0]]), [[0, 0]])


def test_a_loss_that_computes_both_at_once_is_evaluated_by_that():
    class Twice(losses.MeanAbsoluteError):
        def call_and_derivative(self, y_true, y_pred):
            values, derivative = super().call_and_derivative(y_true, y_pred)
            return 2 * values, 2 * derivative

    y, p = np.array([[0.0, 1.0]], "float32"), np.array([[1.0, 4.0]], "float32")
    assert Twice()(y, p) == 4.0
    np.testing.assert_array_equal(Twice().gradient(y, p), [[1.0, 1.0]])
