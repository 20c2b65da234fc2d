"""scikit-learn's common checks of estimators, whole.

Two of them ask that a sample of weight 2 counts as two samples, in fits that start from the same
weights. Batches break that: they hold other samples then. So these two run on estimators that
take all samples in each step, in one order, and are expected to fail on those that do not, as
scikit-learn expects of its own.
"""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnlite.sklearn import MLPClassifier, MLPRegressor

WEIGHTS = ("check_sample_weight_equivalence_on_dense_data",)
WEIGHTS += ("check_sample_weight_equivalence_on_sparse_data",)
BATCHES = "batches hold other samples where samples are repeated instead of weighted"

ESTIMATORS = [
    MLPClassifier(max_iter=30),
    MLPRegressor(max_iter=30),
    MLPClassifier(solver="lbfgs", max_iter=50),
    MLPRegressor(solver="lbfgs", max_iter=30),
    MLPClassifier(dropout=0.1, normalization="layer", optimizer="rmsprop", max_iter=30),
]


def expected_failed_checks(estimator):
    return {} if estimator.solver == "lbfgs" else dict.fromkeys(WEIGHTS, BATCHES)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_common_check(estimator, check):
    check(estimator)
