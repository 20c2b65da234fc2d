"""scikit-learn's common checks of estimators, whole.

Two of them ask that a sample of weight 2 counts as two samples do. That holds where each step takes
all samples: with "lbfgs", and with as few samples as those checks have. It cannot hold with
dropout, which draws for each sample. scikit-learn expects as much of its own estimators.
"""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from nnlite import Sequential
from nnlite.layers import Dense, Input
from nnlite.losses import CategoricalCrossEntropy, MeanSquaredError
from nnlite.optimizers import Adam
from nnlite.sklearn import MLPClassifier, MLPRegressor
from nnlite.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

WEIGHTS = ("check_sample_weight_equivalence_on_dense_data",)
WEIGHTS += ("check_sample_weight_equivalence_on_sparse_data",)


def network(X, y, last=None, loss=MeanSquaredError):
    generator = np.random.default_rng(1)
    kernels = [generator.normal(size=shape) / 3 for shape in ((X.shape[1], 8), (8, y.shape[1]))]
    model = Sequential(
        [
            Input((X.shape[1],), dtype="float64"),
            Dense(8, "relu", dtype="float64"),
            Dense(y.shape[1], last, dtype="float64"),
        ]
    )
    for layer, kernel in zip(model.layers, kernels, strict=True):
        layer.kernel.assign(kernel)
    model.compile(Adam(0.05), loss(reduction="mean_with_sample_weight"))
    return model


FAST = {"learning_rate_init": 0.05, "max_iter": 60}
FIT = {"epochs": 40, "batch_size": 1000, "shuffle": False}
SOFTMAX = {"last": "softmax", "loss": CategoricalCrossEntropy}
ESTIMATORS = [
    MLPClassifier(10, **FAST),
    MLPRegressor(hidden_layer_sizes=10, **FAST),
    MLPClassifier(8, solver="lbfgs", max_iter=20),
    MLPRegressor(hidden_layer_sizes=8, solver="lbfgs", max_iter=20),
    MLPClassifier(10, dropout=0.1, normalization="layer", optimizer="nadam", **FAST),
    SKLearnClassifier(network, model_kwargs=SOFTMAX, fit_kwargs=FIT),
    SKLearnRegressor(network, fit_kwargs=FIT),
    SKLearnTransformer(network, fit_kwargs=FIT),
]


def expected_failed_checks(estimator):
    reason = "dropout draws for each sample"
    return dict.fromkeys(WEIGHTS, reason) if getattr(estimator, "dropout", 0) else {}


# `parametrize_with_checks` would name a test by its estimator's text, in which a function has its
# address: pytest-xdist's processes would disagree about the names.
CASES = [
    case
    for estimator in ESTIMATORS
    for case in estimator_checks_generator(
        estimator, expected_failed_checks=expected_failed_checks(estimator), mark="xfail"
    )
]


def name(value):
    """Name an estimator by its class and a check by its function."""
    return value.func.__name__ if hasattr(value, "func") else type(value).__name__


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), CASES, ids=name)
def test_common_check(estimator, check):
    check(estimator)
