"""Estimators for scikit-learn that nnlite trains; they need the extra ``[sklearn]``."""

from nnlite.sklearn.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
