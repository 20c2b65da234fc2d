"""Base classes of estimators with a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nnlite.losses import CategoricalCrossEntropy, Loss
from nnlite.ops import sigmoid, softmax
from nnlite.utils.typing import Array

_ROWS = 4096  # of a sparse X, made dense together


class Network(CallbackSupportMixin, BaseEstimator):
    """Base class of estimators whose `fit` sets ``model_``."""

    model_: Any

    def _outputs(self, X: Any, checked: bool = False) -> Array:
        """Return the model's output for each row of X, dense or sparse.

        Args:
            X: The samples, of shape (m, n).
            checked: Whether X has been checked.
        """
        if not checked:
            check_is_fitted(self)
            X = validate_data(
                self, X, reset=False, accept_sparse="csr", dtype=(np.float64, np.float32)
            )
        if not issparse(X):
            return self.model_.predict(X, verbose=0)
        X = X.tocsr()
        parts = [X[at : at + _ROWS].toarray() for at in range(0, X.shape[0], _ROWS)]
        return np.concatenate([self.model_.predict(part, verbose=0) for part in parts])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class NetworkClassifier(ClassifierMixin, Network):
    """Base class of classifiers with probabilities of all classes, or of the second of two."""

    classes_: Array

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, or of each label.

        Args:
            X: The samples, dense or sparse, of shape (m, n).

        Returns:
            An array of shape (m, classes), in the order of ``classes_``.

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        p = self._probabilities(self._outputs(X))
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _probabilities(self, y: Array) -> Array:
        """Return probabilities for outputs, which are logits if the model's loss expects them."""
        loss = self.model_.loss
        if not (isinstance(loss, Loss) and getattr(loss, "from_logits", False)):
            return y
        return softmax(y) if isinstance(loss, CategoricalCrossEntropy) else sigmoid(y)
