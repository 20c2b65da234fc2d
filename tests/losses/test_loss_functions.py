"""Losses by name, as functions and as data; those of a whole batch; and the ends of the domains.

The expected numbers are Keras 3.15's, unless a comment says otherwise.
"""

import numpy as np
import pytest

from nnlite import Sequential, losses, optimizers
from nnlite.gradcheck import check_loss, check_model
from nnlite.layers import Dense, Softmax

ONE_HOT = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]], float)
P = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.6, 0.3, 0.1]])
X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
WEIGHTS = np.array([1, 2, 0, 0.5])

# Every string that keras.losses.get takes, and those that older files hold.
NAMES = {
    "BinaryCrossEntropy": "BinaryCrossentropy binary_crossentropy bce BCE",
    "BinaryFocalCrossEntropy": "BinaryFocalCrossentropy binary_focal_crossentropy",
    "CategoricalCrossEntropy": "CategoricalCrossentropy categorical_crossentropy",
    "CategoricalFocalCrossEntropy": "CategoricalFocalCrossentropy categorical_focal_crossentropy",
    "CategoricalGeneralizedCrossEntropy": "categorical_generalized_cross_entropy",
    "CategoricalHinge": "categorical_hinge",
    "Circle": "circle",
    "CosineSimilarity": "cosine_similarity cosine_proximity cosine",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber huber_loss",
    "KLDivergence": "kl_divergence kld KLD kullback_leibler_divergence",
    "LogCosh": "log_cosh logcosh",
    "MeanAbsoluteError": "mean_absolute_error mae MAE",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error mape MAPE",
    "MeanSquaredError": "mean_squared_error mse MSE",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error msle MSLE",
    "Poisson": "poisson",
    "SparseCategoricalCrossEntropy": (
        "SparseCategoricalCrossentropy sparse_categorical_crossentropy"
    ),
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}

# Names that are strings only, not functions.
STRINGS = {"cosine", "huber_loss"}

every_loss = pytest.mark.parametrize("name", NAMES)


@every_loss
def test_names_and_functions_find_their_class(name):
    cls = getattr(losses, name)
    for other in (name, *NAMES[name].split()):
        assert type(losses.get(other)) is cls
        if other not in STRINGS:
            thing = getattr(losses, other)
            assert thing is cls or type(losses.get(thing)) is cls


def test_every_public_name_is_known_here():
    known = {name for cls, names in NAMES.items() for name in (cls, *names.split())}
    rest = {"Loss", "deserialize", "get", "registry", "serialize"}
    assert set(losses.__all__) == (known - STRINGS) | rest


@every_loss
def test_a_function_is_the_loss_of_each_sample(name):
    loss = getattr(losses, name)(reduction="none")
    y, p = (np.array([0, 0, 1, 1]), X) if loss.takes_indices else (ONE_HOT, P)
    function = getattr(losses, NAMES[name].split()[0])
    function = getattr(losses, loss.default_name()) if isinstance(function, type) else function
    np.testing.assert_array_equal(function(y, p), loss(y, p))


def test_the_arguments_of_functions_reach_the_class():
    y, p = ONE_HOT, P
    labels = np.array([1, 0, 2, 1])
    by_hand = [
        (losses.binary_crossentropy(y, p, True, 0.1, 0), losses.BinaryCrossEntropy(True, 0.1, 0)),
        (
            losses.binary_focal_crossentropy(y, p, True, 0.4, 1.5, True, 0.1, 0),
            losses.BinaryFocalCrossEntropy(True, 0.4, 1.5, True, 0.1, 0),
        ),
        (
            losses.categorical_crossentropy(y, p, True, 0.1, 0),
            losses.CategoricalCrossEntropy(True, 0.1, 0),
        ),
        (
            losses.categorical_focal_crossentropy(y, p, 0.4, 1.5, True, 0.1, 0),
            losses.CategoricalFocalCrossEntropy(0.4, 1.5, True, 0.1, 0),
        ),
        (losses.cosine_similarity(y, p, 0), losses.CosineSimilarity(0)),
        (losses.dice(y, p, 0), losses.Dice(axis=0)),
        (losses.huber(y, p, 0.3), losses.Huber(0.3)),
        (losses.tversky(y, p, 0.3, 0.9, 0), losses.Tversky(0.3, 0.9, axis=0)),
    ]
    for value, loss in by_hand:
        loss.reduction = "none"
        np.testing.assert_array_equal(value, loss(y, p))
    generalized = losses.CategoricalGeneralizedCrossEntropy(0.7, reduction="none")
    got = losses.categorical_generalized_cross_entropy(labels, p, 0.7)
    np.testing.assert_array_equal(got, generalized(labels, p))
    sparse = losses.SparseCategoricalCrossEntropy(True, 1, reduction="none")
    got = losses.sparse_categorical_crossentropy(labels, p, True, 1)
    np.testing.assert_array_equal(got, sparse(labels, p))


def test_compile_takes_a_function():
    model = Sequential([Dense(1)])
    model.compile("sgd", losses.log_cosh)
    assert type(model.loss) is losses.LogCosh


@pytest.mark.parametrize("function", [lambda y, p: 0, np.mean])
def test_a_function_of_ones_own_has_no_derivative(function):
    with pytest.raises(
        TypeError, match=r"has no derivative here.*\n.*class MyLoss.*\n.*call.*\n.*deriv"
    ):
        Sequential([Dense(1)]).compile("sgd", function)


def test_losses_become_data_and_back():
    data = losses.serialize(losses.CategoricalFocalCrossEntropy(gamma=1.0))
    assert data == {
        "module": "keras.losses",
        "class_name": "CategoricalFocalCrossentropy",
        "config": {
            "alpha": 0.25,
            "gamma": 1.0,
            "from_logits": False,
            "label_smoothing": 0.0,
            "axis": -1,
            "reduction": "sum_over_batch_size",
            "name": "categorical_focal_crossentropy",
        },
        "registered_name": None,
    }
    assert repr(losses.deserialize(data)) == "CategoricalFocalCrossEntropy(gamma=1.0)"
    generalized = losses.serialize(losses.CategoricalGeneralizedCrossEntropy())
    assert generalized["class_name"] == "CategoricalGeneralizedCrossEntropy"
    function = losses.serialize(losses.mean_squared_error)
    assert function["config"] == "mean_squared_error"
    assert type(losses.deserialize(function)) is losses.MeanSquaredError
    assert losses.get({"class_name": "Dice", "config": {"axis": [1, 2]}}).axis == (1, 2)


# ---- one loss of a whole batch ------------------------------------------------------------------


def test_a_batch_taken_as_one_has_one_loss():
    loss = losses.Dice(reduction="none")
    assert loss(ONE_HOT, P) == pytest.approx(0.55)
    np.testing.assert_allclose(loss(ONE_HOT, P, WEIGHTS), [0.55, 1.1, 0, 0.275], rtol=1e-6)
    wanted = {
        "sum_over_batch_size": (0.55, 0.48125),
        "sum": (0.55, 1.925),
        "mean_with_sample_weight": (0.55, 0.55),
    }
    for reduction, (plain, weighted) in wanted.items():
        loss = losses.Dice(reduction)
        assert loss(ONE_HOT, P) == pytest.approx(plain)
        assert loss(ONE_HOT, P, WEIGHTS) == pytest.approx(weighted)
        check_loss(loss, ONE_HOT, P, WEIGHTS)
        value, gradient = loss.value_and_gradient(ONE_HOT, P, WEIGHTS)
        assert value == pytest.approx(weighted)
        np.testing.assert_array_equal(gradient, loss.gradient(ONE_HOT, P, WEIGHTS))
    assert losses.Tversky(0.9, 0.3)(ONE_HOT, P) == pytest.approx(0.59459466)


def test_alpha_weighs_what_is_added_and_beta_what_is_left_out():
    # Shared 1.5, added 0.5 + 0.25, left out 0.5, by hand; Salehi et al. weigh p0 g1 with alpha.
    y, p = [[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.5, 0.5, 0.25]]
    assert losses.Tversky(1.0, 0.0)(y, p) == pytest.approx(1 - 1.5 / 2.25)
    assert losses.Tversky(0.0, 1.0)(y, p) == pytest.approx(1 - 1.5 / 2.0)
    assert losses.Tversky(0.2, 0.8)(y, p) == pytest.approx(1 - 1.5 / (1.5 + 0.15 + 0.4))
    check_loss(losses.Tversky(0.2, 0.8), y, p)


def test_regions_lie_along_the_axes_given():
    np.testing.assert_allclose(
        losses.dice(ONE_HOT, P, axis=0), [0.8974359, 0.56164384, 0.25], rtol=1e-6
    )
    y, p = np.stack([ONE_HOT, ONE_HOT[::-1]]), np.stack([P, P])
    for axis in ((1, 2), (-2, -1)):
        np.testing.assert_allclose(losses.dice(y, p, axis=axis), [0.55, 0.7625], rtol=1e-6)
        loss = losses.Tversky(axis=axis)
        check_loss(loss, y, p, [1.0, 3.0])
        assert loss(y, p, [1.0, 3.0]) == pytest.approx((0.55 + 3 * 0.7625) / 2)


def test_a_model_is_trained_on_the_overlap_of_its_batches():
    x = np.random.default_rng(0).standard_normal((40, 3))
    model = Sequential([Dense(2, activation="sigmoid")])
    model.compile(optimizers.Adam(0.05), "dice")
    history = model.fit(x, x[:, :2] > 0, batch_size=10, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    check_model(model, x[:6], x[:6, :2] > 0, np.arange(6.0))


# ---- circle -------------------------------------------------------------------------------------


def test_embeddings_are_compared_with_each_other():
    labels = [0, 0, 1, 1]
    values = [1.780013, 2.4537735, 1.780013, 2.4537735]
    loss = losses.Circle(2.0, 0.25, reduction="none")
    np.testing.assert_allclose(loss(labels, X), values, rtol=1e-6)
    np.testing.assert_allclose(loss(np.array(labels)[:, None], X), values, rtol=1e-6)
    values = [1.9112624, 2.5971794, 1.9112624, 2.5971794]
    got = losses.circle(labels, X, gamma=2.0, remove_diagonal=False)
    np.testing.assert_allclose(got, values, rtol=1e-6)
    np.testing.assert_allclose(losses.circle(labels, X), [38.4, 60.928009] * 2, rtol=1e-6)


def test_a_sample_without_a_pair_of_either_kind_counts_for_nothing():
    labels = [0, 0, 0, 1]
    wanted = {
        "sum_over_batch_size": (83.242699, 75.818726),
        "sum": (249.72809, 227.45615),
        "mean_with_sample_weight": (83.242699, 75.818718),
    }
    for reduction, numbers in wanted.items():
        loss = losses.Circle(reduction=reduction)
        got = loss(labels, X), loss(labels, X, WEIGHTS)
        assert got == pytest.approx(numbers, rel=1e-6)
    assert losses.circle(labels, X)[3] == 0
    assert losses.Circle()([3, 3, 3, 3], X) == 0
    np.testing.assert_array_equal(losses.Circle().gradient([3, 3, 3, 3], X), np.zeros((4, 2)))


def test_references_take_the_place_of_the_others():
    # By hand: d to the references is 0 and 0.8; both exponents are gamma (d^2 - m^2) and so on.
    got = losses.circle([0], [[1.0, 0.0]], [0, 1], [[1.0, 0.0], [0.2, 0.9]], False, 2.0, 0.25)
    near, far = 2 * (0 - 0.25**2), 2 * (1.25 - 0.8) * (0.75 - 0.8)
    np.testing.assert_allclose(got, [np.log1p(np.exp(near + far))])


def test_embeddings_of_a_model_are_drawn_together():
    generator = np.random.default_rng(0)
    x, labels = generator.standard_normal((30, 4)), generator.integers(0, 3, 30)
    x[np.arange(30), labels] += 2
    model = Sequential([Dense(3, activation="tanh")])
    model.compile("adam", losses.Circle(gamma=5.0))
    history = model.fit(x, labels, batch_size=30, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]
    check_model(model, x, labels, generator.uniform(0, 2, 30))


# ---- the ends of the domains --------------------------------------------------------------------

HUGE = 1e30


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "y", "p", "value", "gradient"),
    [
        ("log_cosh", [0, 0], [HUGE, -HUGE], HUGE, [0.5, -0.5]),
        (
            "cosine_similarity",
            [HUGE, 0],
            [HUGE, HUGE],
            -(0.5**0.5),
            [-0.35355339e-30, 0.35355339e-30],
        ),
        ("cosine_similarity", [1, 0], [0, 0], 0, [-1e7, 0]),
        ("cosine_similarity", [0, 0], [3, 4], 0, [0, 0]),
        ("cosine_similarity", [1, 0], [3e-8, 4e-8], -0.3, [-1e7, 0]),
        ("kl_divergence", [0, 1], [1, 0], 16.118094, [-1e-7, 0]),
        ("poisson", [0, 3], [0, 0], 24.177143, [0.5, 0.5 - 1.5e7]),
        # Below 0 Keras says NaN; here the loss goes on along its tangent.
        ("poisson", [0, 3], [0, -1e-7], 25.677143, [0.5, 0.5 - 1.5e7]),
        ("mean_absolute_percentage_error", [0, 2], [1, 2], 5e8, [5e8, 0]),
        ("mean_squared_logarithmic_error", [-1, 0], [-5, 0], 0, [0, 0]),
        ("hinge", [0, 1], [-HUGE, HUGE], 0, [0, 0]),
        ("dice", [0, 0], [0, 0], 1, [0, 0]),
        ("binary_focal_crossentropy", [0, 1], [0, 1], 0, [0, 0]),
        ("binary_focal_crossentropy", [1, 1], [0, 0], 16.118095, [-16.118095, -16.118095]),
        # Keras clips the cross-entropy but not what it is weighted by; here both are flat.
        ("binary_focal_crossentropy", [1, 1], [-0.5, -0.5], 16.118095, [0, 0]),
        ("categorical_focal_crossentropy", [1, 0], [0, 1], 4.0295229, [0, 0]),
        ("categorical_focal_crossentropy", [1, 0], [0, 0], 4.0295229, [0, 0]),
    ],
)
def test_at_the_ends_of_the_domain_all_is_finite(name, y, p, value, gradient, dtype):
    y, p = np.array([y], dtype), np.array([p], dtype)
    with np.errstate(all="raise", under="ignore"):
        loss = losses.get(name)
        assert loss(y, p) == pytest.approx(value, rel=1e-6, abs=1e-6)
        got = loss.gradient(y, p)
    np.testing.assert_allclose(got, [gradient], rtol=1e-5, atol=1e-12)


def test_a_divisor_of_0_as_negative_predictions_can_make_is_1():
    with np.errstate(all="raise"):
        loss = losses.Tversky(alpha=0.0, beta=0.0)
        assert loss([[1.0]], [[-1e-7]]) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(loss.gradient([[1.0]], [[-1e-7]]), -1, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_focal_losses_of_saturated_logits_are_exact(gamma, dtype):
    y, z = np.array([[1.0], [0.0]], dtype), np.array([[-300.0], [300.0]], dtype)
    both = np.concatenate([z, -z], axis=1) / 2
    targets = np.array([[1, 0], [0, 1]], dtype)
    for loss, y_true, logits, scale in [
        (losses.BinaryFocalCrossEntropy(gamma=gamma, from_logits=True), y, z, 1),
        (losses.CategoricalFocalCrossEntropy(1, gamma, from_logits=True), targets, both, 1),
    ]:
        with np.errstate(all="raise", under="ignore"):
            assert loss(y_true, logits) == pytest.approx(300 * scale)  # as for the cross-entropy
            assert loss(y_true, -logits) == pytest.approx(0, abs=1e-30)
            wrong, right = loss.gradient(y_true, logits), loss.gradient(y_true, -logits)
        np.testing.assert_allclose(np.abs(wrong), 0.5, rtol=1e-6)
        np.testing.assert_allclose(right, 0, atol=1e-15)


@pytest.mark.parametrize(
    ("activation", "loss", "y"),
    [
        ("sigmoid", losses.BinaryFocalCrossEntropy(), [[1.0, 0.0]]),
        ("softmax", losses.CategoricalFocalCrossEntropy(alpha=1.0), [[1.0, 0.0]]),
    ],
)
def test_training_takes_focal_losses_from_the_logits(activation, loss, y):
    model = Sequential([Dense(2, activation=activation, kernel_initializer="ones")])
    model.compile("sgd", loss)
    model.build((None, 1))
    model.set_weights([np.array([[-200.0, 200.0]]), np.zeros(2)])
    # A probability that has come to 0 costs log(1 / 1e-7) at most; the logit costs what it is.
    assert model.evaluate([[1.0]], y, verbose=0) == pytest.approx(
        200 if activation == "sigmoid" else 400
    )
    by_hand = loss(y, model.predict([[1.0]], verbose=0))
    assert by_hand == pytest.approx(16.118095, rel=0.006)  # -log(1 - p), by the p next to 1
    model.train_on_batch([[1.0]], y)
    assert not np.array_equal(model.get_weights()[0], [[-200.0, 200.0]])


def test_another_axis_of_the_softmax_is_not_taken_from_the_logits():
    model = Sequential([Dense(3), Softmax(axis=1)])
    model.compile("sgd", losses.CategoricalFocalCrossEntropy(axis=-1))
    x = np.random.default_rng(0).standard_normal((2, 4, 2))
    check_model(model, x, np.broadcast_to(np.eye(3)[0], (2, 4, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_generalized_crossentropy_of_a_probability_that_came_to_0(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    p = np.array([[0, 1], [tiny, 1], [-1, 2], [1e-30, 1]], dtype)
    loss = losses.CategoricalGeneralizedCrossEntropy(q=0.5, reduction="none")
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(loss([0] * 4, p), 2, rtol=1e-6)
        gradient = loss.gradient([0] * 4, p)
    np.testing.assert_allclose(gradient[:, 0], [0, 0, 0, -1e15], rtol=1e-5)
    np.testing.assert_array_equal(gradient[:, 1], 0)


def test_hinges_take_labels_of_0_and_1_for_signs_only_if_all_are():
    p = [[0.5, -0.5]]
    assert losses.Hinge()([[0, 1]], p) == losses.Hinge()([[-1, 1]], p) == 1.5
    assert losses.SquaredHinge()([[0, 2]], p) == pytest.approx((1 + 4) / 2)
    np.testing.assert_allclose(losses.SquaredHinge().gradient([[0, 2]], p), [[0, -4]])


def test_outputs_that_tie_for_the_rival_share_its_derivative():
    gradient = losses.CategoricalHinge().gradient([[1, 0, 0]], [[0.0, 2.0, 2.0]])
    np.testing.assert_allclose(gradient, [[-1, 0.5, 0.5]])


# ---- wrong arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: losses.CosineSimilarity(axis=None), TypeError, "axis must be an integer.*None"),
        (lambda: losses.BinaryCrossEntropy(axis=True), TypeError, "axis must be an integer.*True"),
        (lambda: losses.Dice(axis="all"), TypeError, "axis must be an integer.*'all'"),
        (lambda: losses.Tversky(axis=(1, 0.5)), TypeError, "axis must be an integer.*0.5"),
        (lambda: losses.Tversky(alpha=-1), ValueError, "alpha must be a finite number >= 0"),
        (lambda: losses.Tversky(beta=-1), ValueError, "beta must be a finite number >= 0"),
        (lambda: losses.Circle(gamma=-1), ValueError, "gamma must be a finite number >= 0"),
        (lambda: losses.Circle(margin="x"), TypeError, "margin must be a number"),
        (lambda: losses.BinaryFocalCrossEntropy(alpha=2), ValueError, "alpha must lie in"),
        (lambda: losses.BinaryFocalCrossEntropy(gamma=-1), ValueError, "gamma must be a finite"),
        (lambda: losses.CategoricalFocalCrossEntropy([1, -1]), ValueError, "alpha must be a fin"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(0), ValueError, "q must lie between"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(1), ValueError, "q must lie in"),
        (
            lambda: losses.CategoricalFocalCrossEntropy([1, 2])(ONE_HOT, P),
            ValueError,
            "alpha must have one weight for each of the 3 classes",
        ),
        (
            lambda: losses.categorical_generalized_cross_entropy([0, 3, 1, 1], P),
            ValueError,
            "CategoricalGeneralizedCrossEntropy expects y_true from 0 to 2.*a label 3",
        ),
        (
            lambda: losses.categorical_generalized_cross_entropy(ONE_HOT, P),
            ValueError,
            r"of shape \(4,\).*argmax",
        ),
        (lambda: losses.circle([0.5, 1], X[:2]), TypeError, "Circle expects y_true to hold"),
        (lambda: losses.circle([0, 1], X), ValueError, r"Circle expects y_true of shape \(4,\)"),
        (lambda: losses.circle([0], X[:1, None]), ValueError, "one embedding per sample"),
        (lambda: losses.dice(ONE_HOT, P, axis=(0, 2)), ValueError, r"has no axis=\(0, 2\)"),
        (lambda: losses.dice(ONE_HOT, P[:, :2]), ValueError, "Dice expects y_true of the output"),
        (
            lambda: losses.Dice()(ONE_HOT, P, [1, 2]),
            ValueError,
            r"sample_weight must have one entry per sample, shape \(4,\)",
        ),
        (
            lambda: losses.binary_focal_crossentropy([[2.0]], [[0.5]]),
            ValueError,
            r"BinaryFocalCrossEntropy expects y_true in \[0, 1\]",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- one weight for all ---------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "none"])
@pytest.mark.parametrize("cls", [losses.MeanSquaredError, losses.Dice, losses.Circle])
def test_a_single_weight_multiplies_every_loss(cls, reduction):
    y, p = ([0, 1, 1, 0] if cls is losses.Circle else ONE_HOT), P
    loss = cls(reduction=reduction)
    for weight in (2.5, 0, np.float32(0.5)):
        np.testing.assert_allclose(loss(y, p, weight), weight * np.asarray(loss(y, p)))
        if reduction != "none":
            np.testing.assert_allclose(loss.gradient(y, p, weight), weight * loss.gradient(y, p))


def test_a_single_weight_leaves_a_weighted_mean_as_it_is():
    loss = losses.MeanSquaredError("mean_with_sample_weight")
    assert loss([[0.0], [0.0]], [[1.0], [3.0]], 7.0) == 5.0


@pytest.mark.parametrize("weight", ["heavy", np.nan, np.inf])
def test_a_single_weight_must_be_a_number(weight):
    with pytest.raises((TypeError, ValueError), match="sample_weight must"):
        losses.MeanSquaredError()(ONE_HOT, P, weight)
