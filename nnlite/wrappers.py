"""Keras's wrappers of models for scikit-learn; requires the extra ``[sklearn]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

from nnlite.models import Model, clone_model
from nnlite.sklearn.base import Network, NetworkClassifier
from nnlite.utils.typing import Array

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Wrapper(Network):
    """Base class of the wrappers.

    Args:
        model: A compiled model, or a function that returns one. Each fit trains a copy of a model,
            with new weights; a function is called with X, y and ``model_kwargs`` as keywords.
        warm_start: Whether to continue from the weights of the last fit; a model is then trained
            itself, without a copy.
        model_kwargs: Further arguments of the function.
        fit_kwargs: Arguments of the model's `fit`.

    Attributes:
        model_: The fitted model.
        history_: The result of the model's `fit`.
        n_features_in_, feature_names_in_: As in scikit-learn.
    """

    history_: Any

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Train a model on X and y.

        Args:
            X: The samples, of shape (m, n).
            y: The targets, of shape (m,) or (m, outputs).
            sample_weight: The weight of each sample, of shape (m,).
            **kwargs: Arguments of the model's `fit`, which override ``fit_kwargs``.

        Returns:
            The estimator.

        Raises:
            ValueError: If the data is invalid.
            TypeError: If the function does not return a model.
            RuntimeError: If the model is not compiled with a loss.
        """
        X, y = validate_data(self, X, y, multi_output=True, dtype=(np.float64, np.float32))
        if sample_weight is not None:
            kwargs["sample_weight"] = _check_sample_weight(
                sample_weight, X, dtype=X.dtype, ensure_non_negative=True
            )
        y = self._targets(y)
        model = self._model_for(X, y)
        arguments = {"verbose": 0, **(self.fit_kwargs or {}), **kwargs}
        self.history_ = model.fit(X, self._fitting(y, model), **arguments)
        self.model_ = model
        return self

    def _model_for(self, X: Array, y: Array) -> Model:
        """Return the model to train."""
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        model: object = self.model
        if not isinstance(model, Model) and callable(model):
            model = model(X=X, y=y, **(self.model_kwargs or {}))
        elif isinstance(model, Model) and not self.warm_start:
            model = clone_model(model)
        if not isinstance(model, Model):
            raise TypeError(
                f"model must be a model, or a function that returns one. Received: {model!r}"
            )
        if not model.compiled or model.loss is None:
            raise RuntimeError(
                "The model must be compiled with an optimizer and a loss: compile(optimizer, loss)."
            )
        return model

    def _targets(self, y: Array) -> Array:
        """Return y for a function that creates the model."""
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1).astype(float)

    def _fitting(self, y: Array, model: Model) -> Array:
        """Return targets in the form that the model's loss expects."""
        return y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.input_tags.sparse = False
        return tags


class SKLearnClassifier(NetworkClassifier, _Wrapper):
    """A classifier: the model returns the probability of each class, or of the second.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: A compiled model or a function of X and y (y is
            one-hot, of shape (m, classes)); whether a fit continues from the last; the arguments of
            the function and of the model's `fit`. The targets of the model are class indices if
            its loss expects them, or 0 and 1 for a model with one output. `predict_proba` turns
            the logits of a loss with ``from_logits=True`` into probabilities.

    Attributes:
        model_, history_, classes_, n_features_in_, feature_names_in_: The fitted model, what its
            result of `fit`, the sorted classes, and the columns of X.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> def network(X, y, units=4):
    ...     model = Sequential([Dense(units, "relu"), Dense(y.shape[1], "softmax")])
    ...     model.compile("adam", "categorical_crossentropy")
    ...     return model
    >>> X, y = np.eye(4), ["a", "b", "c", "a"]
    >>> estimator = SKLearnClassifier(network, model_kwargs={"units": 8}).fit(X, y, epochs=2)
    >>> estimator.predict_proba(X).shape, estimator.classes_
    ((4, 3), array(['a', 'b', 'c'], dtype='<U1'))
    """

    def _targets(self, y: Array) -> Array:
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Only binary and multiclass target types are supported. Target type: {kind}"
            )
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError("Classifier can't train when only one class is present.")
        return np.eye(len(self.classes_))[indices]

    def _fitting(self, y: Array, model: Model) -> Array:
        if not model.built:
            model.build((None, self.n_features_in_))
        if getattr(model.loss, "takes_indices", False):
            return y.argmax(axis=1)
        return y[:, 1:] if model.output_shape[-1] == 1 and y.shape[1] == 2 else y

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample of X, of shape (m, n).

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        best = self.predict_proba(X).argmax(axis=1)  # checks first that the estimator is fitted
        return self.classes_[best]

    def decision_function(self, X: Any) -> Array:
        """Return the model's outputs; for two classes, that of the second minus the first.

        Args:
            X: The samples, of shape (m, n).

        Returns:
            An array of shape (m, classes), or (m,) for two.

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        y = self._outputs(X)
        if y.shape[1] > 2:
            return y
        p = self._probabilities(y)
        return p[:, 0] - 0.5 if p.shape[1] == 1 else p[:, 1] - p[:, 0]


class SKLearnRegressor(RegressorMixin, _Wrapper):
    """A regressor that wraps a model.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: As for `SKLearnClassifier`; y has shape
            (m, outputs).

    Attributes:
        model_, history_, n_features_in_, feature_names_in_: As for `SKLearnClassifier`.
    """

    def predict(self, X: Any) -> Array:
        """Return the model's outputs for X, of shape (m, n), with as many axes as y in `fit`.

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        y = self._outputs(X)
        return y[:, 0] if self._flat and y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Wrapper):
    """A transformer whose new features are a model's outputs.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: As for `SKLearnRegressor`.

    Attributes:
        model_, history_, n_features_in_, feature_names_in_: As for `SKLearnClassifier`.
    """

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.output_shape[-1])

    def transform(self, X: Any) -> Array:
        """Return the model's outputs for X, of shape (m, n): an array of shape (m, outputs).

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
