"""scikit-learn estimators trained by nnlite; requires the extra ``[sklearn]``."""

try:
    import sklearn.callback  # noqa: F401  new in 1.9
except ImportError as error:
    raise ImportError(
        "nnlite.sklearn and nnlite.wrappers need scikit-learn 1.9 or later: "
        "pip install 'nnlite[sklearn]'"
    ) from error

from nnlite.sklearn.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
