"""Whole fits agree with those of scikit-learn's own perceptrons, from the same random_state."""

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression

from nnlite import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NUMBERS, LINE = make_regression(80, 5, random_state=0)
_, PLANE = make_regression(80, 5, n_targets=3, random_state=0)
TARGETS = {
    "three classes": ("MLPClassifier", X, Y),
    "two classes": ("MLPClassifier", X[20:80], np.array(["no", "yes"])[Y[20:80]]),
    "labels": ("MLPClassifier", *make_multilabel_classification(80, random_state=0)),
    "one number": ("MLPRegressor", NUMBERS, LINE / 100),
    "numbers": ("MLPRegressor", NUMBERS, PLANE / 100),
}
SETTINGS = {
    "adam": {"batch_size": 32},
    "adam of its own": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "activation": "logistic"},
    "sgd": {"solver": "sgd", "alpha": 0.5, "activation": "tanh"},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "sgd, plain": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 40},
    "early stopping, soon": {"early_stopping": True, "tol": 0.3, "learning_rate_init": 0.01},
    "in order": {"shuffle": False, "batch_size": 40, "activation": "identity"},
}


def pair(name, **settings):
    settings = {"hidden_layer_sizes": (7, 5), "random_state": 3, "max_iter": 25, **settings}
    settings = {"n_iter_no_change": 3, **settings}
    return [getattr(package, name)(**settings) for package in (neural_network, ours)]


def assert_alike(theirs, own, features):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(own, name), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)
    for name in ("loss_", "best_loss_", "best_validation_score_", "loss_curve_"):
        value = getattr(theirs, name)
        expected = value if value is None else pytest.approx(value, rel=1e-6)
        assert getattr(own, name) == expected, name
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(own, name) == getattr(theirs, name), name
    predict = "predict_proba" if hasattr(theirs, "classes_") else "predict"
    expected = getattr(theirs, predict)(features)
    np.testing.assert_allclose(getattr(own, predict)(features), expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(own.predict(features).shape, theirs.predict(features).shape)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_agrees(target, setting):
    name, x, y = TARGETS[target]
    theirs, own = pair(name, **SETTINGS[setting])
    assert_alike(theirs.fit(x, y), own.fit(x, y), x)


@pytest.mark.parametrize("target", TARGETS)
def test_weighted_fits_agree_and_so_do_those_that_go_on(target):
    name, x, y = TARGETS[target]
    weight = np.random.default_rng(0).uniform(0.1, 3, len(x))
    theirs, own = pair(name, warm_start=True, batch_size=30, max_iter=5)
    for estimator in (theirs, own):
        estimator.fit(x, y, sample_weight=weight).fit(x, y)
        estimator.partial_fit(x[::-1], y[::-1], sample_weight=weight).partial_fit(x, y)
    assert_alike(theirs, own, x)


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "numbers"])
def test_lbfgs_agrees(target):
    name, x, y = TARGETS[target]
    theirs, own = pair(name, solver="lbfgs", max_iter=10, alpha=0.01)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(x))
    for a, b in zip(theirs.fit(x, y, weight).coefs_, own.fit(x, y, weight).coefs_, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-8)
    assert own.loss_ == pytest.approx(theirs.loss_)
    assert own.n_iter_ == theirs.n_iter_


def test_lbfgs_minimises_the_sum_over_outputs_whose_gradient_scikit_learn_takes():
    """scikit-learn's value is the mean over the outputs, and its gradient the sum's."""
    _, x, y = TARGETS["numbers"]
    sums, means = [], []
    theirs, own = pair("MLPRegressor", solver="lbfgs", max_iter=20)
    for estimator in (theirs, own):
        error = ((estimator.fit(x, y).predict(x) - y) ** 2).mean(axis=0) / 2
        squares = sum((w**2).sum() for w in estimator.coefs_)
        penalty = estimator.alpha / 2 * squares / len(x)
        sums.append(error.sum() + penalty)
        means.append(error.mean() + penalty)
    assert (theirs.loss_, own.loss_) == pytest.approx((means[0], sums[1]))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_poisson_agrees(solver):
    y = np.random.default_rng(0).poisson(np.exp(NUMBERS[:, :2] / 3)).astype(float)
    theirs, own = pair("MLPRegressor", loss="poisson", solver=solver, max_iter=10)
    theirs.fit(NUMBERS, y)
    own.fit(NUMBERS, y)
    np.testing.assert_allclose(own.predict(NUMBERS), theirs.predict(NUMBERS), rtol=1e-6)
    assert own.loss_ == pytest.approx(theirs.loss_, rel=1e-6)


def test_a_random_state_is_left_where_scikit_learn_leaves_it():
    states = [np.random.RandomState(5), np.random.RandomState(5)]
    for state, package in zip(states, (neural_network, ours), strict=True):
        package.MLPClassifier(5, random_state=state, max_iter=4, early_stopping=True).fit(X, Y)
    assert states[0].randint(10**9) == states[1].randint(10**9)
