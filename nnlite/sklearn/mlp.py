"""scikit-learn's multi-layer perceptrons, trained by nnlite.

With the same ``random_state``, they draw the same weights, splits and batches and take the same
steps as ``sklearn.neural_network``.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
from scipy.sparse import issparse
from scipy.special import xlogy
from sklearn import neural_network
from sklearn.base import RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d, gen_batches
from sklearn.utils import shuffle as shuffled
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from nnlite import losses, optimizers, random
from nnlite.callbacks import Callback
from nnlite.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Input,
    Layer,
    LayerNormalization,
    Sigmoid,
    Softmax,
)
from nnlite.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss, MeanSquaredError
from nnlite.models import Model, Sequential
from nnlite.regularizers import L2
from nnlite.sklearn.base import Network, NetworkClassifier
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_fraction

#: scikit-learn's names of activations with other names here.
_ACTIVATIONS = {"logistic": "sigmoid", "identity": "linear", "exp": "exponential"}

#: As in scikit-learn, losses are divided by the sum of the sample weights.
_MEAN = "mean_with_sample_weight"

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed nnlite's draws with ``seed``; the old state is restored afterwards."""
    kept = random.states()
    random.set_random_seed(seed)
    try:
        yield
    finally:
        random.set_states(kept)


class _SquaredErrorOfMany(Loss):
    """Half the squared error of several outputs, as in scikit-learn's "sgd" and "adam".

    The value is the mean over the outputs, the derivative that of the sum.
    """

    def call_and_derivative(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the value and the derivative."""
        d = y_pred - y_true
        return np.square(d).mean(axis=-1) / 2, d


class _PoissonDeviance(Loss):
    """Half the Poisson deviance: the sum over the outputs of y log(y / p) - y + p.

    Its derivative is 1 - y / p. It is scikit-learn's ``loss="poisson"`` without an epsilon.
    """

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Return the sum over the outputs."""
        p = np.maximum(y_pred, np.finfo(y_pred.dtype).tiny)
        return (xlogy(y_true, y_true / p) - y_true + y_pred).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Return 1 - y / p."""
        return 1 - y_true / np.maximum(y_pred, np.finfo(y_pred.dtype).tiny)


class _Batches:
    """The batches of each epoch, drawn as by scikit-learn; each iteration is one epoch.

    Args:
        estimator: The estimator.
        data: X (dense or sparse), y, and the sample weights or None.
        size: The batch size.
    """

    def __init__(self, estimator: Any, data: tuple[Any, Any, Any], size: int) -> None:
        self.estimator = estimator
        self.X, self.y, self.weight = data
        self.size = size
        self.order = np.arange(self.X.shape[0])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        est = self.estimator
        if est.shuffle:
            self.order = shuffled(self.order, random_state=est._random_state)
        for part in gen_batches(len(self.order), self.size):
            rows = self.order[part] if est.shuffle else part
            x = self.X[rows].toarray() if issparse(self.X) else self.X[rows]
            weight = None if self.weight is None else self.weight[rows]
            est._scale_penalty(len(x) if weight is None else weight.sum())
            yield (x, self.y[rows]) if weight is None else (x, self.y[rows], weight)


class _Progress(Callback):
    """Scikit-learn's work after each epoch: record, compare, lower the rate or stop.

    Args:
        estimator: The estimator.
        samples: The number of samples of an epoch.
        held: X, y (as labels) and weights to score on, with ``early_stopping``.
        context: The context of scikit-learn's callbacks.
        data: X, y and metadata for scikit-learn's callbacks.
    """

    def __init__(
        self, estimator: Any, samples: int, held: Any, context: Any, data: dict[str, Any]
    ) -> None:
        self.estimator = estimator
        self.samples = samples
        self.held = held
        self.context = context
        self.data = data
        self.best = estimator.model_.get_weights() if held else None
        self.task: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call scikit-learn's callbacks."""
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the loss and the score, and stop if they do not improve."""
        est = self.estimator
        est.n_iter_ = epoch + 1
        est.loss_ = float(logs["loss"])  # type: ignore[index]
        est.t_ += self.samples
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        improved = self._improves(est.loss_)
        est._no_improvement_count = 0 if improved else est._no_improvement_count + 1
        scheduled = est.solver == "sgd" or est.optimizer is not None
        if scheduled and est.learning_rate == "invscaling":
            rate = est.learning_rate_init / (est.t_ + 1) ** est.power_t
            self.model.optimizer.learning_rate = rate
        stop = self.task.call_on_fit_task_end(
            estimator=est,
            **self.data,
            reconstruction_attributes=lambda: est._fitted(copy.deepcopy(est.model_)),
        )
        if est._no_improvement_count > est.n_iter_no_change:
            stop = self._slow_down(scheduled) or stop
        self.model.stop_training |= stop

    def _improves(self, loss: float) -> bool:
        """Return whether loss or score is better by ``tol``, and keep the best."""
        est = self.estimator
        if self.held is None:
            better = loss <= est.best_loss_ - est.tol
            est.best_loss_ = min(est.best_loss_, loss)
            return better
        score = est._score(*self.held)
        est.validation_scores_.append(score)
        if est.verbose:
            print(f"Validation score: {score:f}")
        better = score >= est.best_validation_score_ + est.tol
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            self.best = self.model.get_weights()
        return better

    def _slow_down(self, scheduled: bool) -> bool:
        """Return whether to stop; an adaptive rate is divided by 5 first, down to 1e-6."""
        est = self.estimator
        rate = float(self.model.optimizer.learning_rate)
        stop = not (scheduled and est.learning_rate == "adaptive" and rate > 1e-6)
        if not stop:
            self.model.optimizer.learning_rate = rate / 5
            est._no_improvement_count = 0
        if est.verbose:
            what = "Training loss" if self.held is None else "Validation score"
            print(
                f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} "
                "consecutive epochs.",
                "Stopping." if stop else f"Setting learning rate to {rate / 5:f}",
            )
        return stop


class _MLP(Network):
    """Base class of the two estimators; see `MLPClassifier`."""

    _scorer: ClassVar[Any]
    # nnlite checks those for which it accepts more.
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        name: constraint
        for name, constraint in neural_network.MLPClassifier._parameter_constraints.items()
        if name not in ("activation", "hidden_layer_sizes")
    }

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on X and y.

        Args:
            X: The samples, dense or sparse, of shape (m, n). float32 stays float32; other types are
                computed in float64.
            y: The classes or numbers, of shape (m,) or (m, outputs).
            sample_weight: The weight of each sample, of shape (m,).

        Returns:
            The estimator.

        Raises:
            ValueError: If a parameter or the data is invalid, or the weights do not stay
                finite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _offers_partial_fit(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is for the solvers 'sgd' and 'adam', not 'lbfgs'.")
        return True

    # ---- parameters -----------------------------------------------------------------------

    def _check_parameters(self) -> None:
        """Check the parameters; those of scikit-learn raise a `ValueError`, as there.

        Raises:
            ValueError: If a parameter is out of range, or does not fit the solver or the model.
            TypeError: If a parameter has the wrong type.
        """
        self._validate_params()
        if self.normalization not in (None, "batch", "layer"):
            raise ValueError(
                "normalization must be None, 'batch' or 'layer'. "
                f"Received: normalization={self.normalization!r}"
            )
        check_fraction("dropout", self.dropout)
        if not isinstance(self.activation, str):
            raise TypeError(f"activation must be a name. Received: activation={self.activation!r}")
        if self.solver == "lbfgs":
            unused = {
                "dropout": self.dropout,
                "normalization": self.normalization == "batch",
                "optimizer": self.optimizer is not None,
                "callbacks": self.callbacks is not None,
            }
            self._refuse(unused, "solver='lbfgs', which does not use batches")
        if self.model is not None:
            if not callable(self.model) or isinstance(self.model, Model):
                raise TypeError(
                    "model must be a function of n_features and n_outputs that returns an nnlite "
                    f"model. Received: model={self.model!r}"
                )
            defaults = {
                "hidden_layer_sizes": (100,),
                "activation": "relu",
                "alpha": 0.0001,
                "dropout": 0.0,
                "normalization": None,
            }
            unused = {name: getattr(self, name) != value for name, value in defaults.items()}
            self._refuse(unused, "model=, which defines the layers")

    def _refuse(self, unused: dict[str, Any], what: str) -> None:
        for name, given in unused.items():
            if given:
                raise ValueError(
                    f"{name} cannot be used with {what}. Received: {name}={getattr(self, name)!r}"
                )

    # ---- the model ------------------------------------------------------------------------

    def _layers(self, units: int, dtype: Any, random_state: Any) -> Iterator[Layer]:
        """Yield the layers of one hidden layer."""
        activation = _ACTIVATIONS.get(self.activation, self.activation)
        yield Dense(units, kernel_regularizer=self._penalty, dtype=dtype)
        if self.normalization:
            kind = BatchNormalization if self.normalization == "batch" else LayerNormalization
            yield kind(dtype=dtype)
        yield Activation(activation, dtype=dtype)
        if self.dropout:
            yield Dropout(self.dropout, seed=int(random_state.randint(2**31 - 1)), dtype=dtype)

    def _make_model(self, features: int, dtype: Any) -> Model:
        """Return the network for the parameters, without drawing its weights."""
        state, outputs = self._random_state, self.n_outputs_
        if self.model is not None:
            with _seeded(int(state.randint(2**31 - 1))):
                model = self.model(n_features=features, n_outputs=outputs)
                if not isinstance(model, Model):
                    raise TypeError(f"model must return an nnlite model. Received: {model!r}")
                if not model.built:
                    model.build((None, features))
            self._check_model(model, features)
            return model
        self._penalty = L2(0.0)
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        layers = [layer for n in sizes for layer in self._layers(int(n), dtype, state)]
        last = Dense(
            outputs,
            _ACTIVATIONS.get(self.out_activation_, self.out_activation_),
            kernel_regularizer=self._penalty,
            dtype=dtype,
        )
        return Sequential([Input((features,), dtype=dtype), *layers, last])

    def _check_model(self, model: Model, features: int) -> None:
        """Refuse a model that `fit` cannot train, or whose outputs have another meaning."""
        if model.compiled:
            raise ValueError(
                "model must return a model that is not compiled: loss= and optimizer= tell how to "
                "train it."
            )
        shape, expected = model.compute_output_shape((None, features)), (None, self.n_outputs_)
        if tuple(shape) != expected:
            raise ValueError(
                f"model must return a model with an output of shape {expected}, n_outputs columns. "
                f"Received: {shape}"
            )
        kind = {"softmax": Softmax, "logistic": Sigmoid}.get(self.out_activation_)
        last = model.final_activation()
        if kind is not None and not (model.of_user or isinstance(last, kind)):
            raise ValueError(
                f"model must return a model that ends in a {kind.__name__.lower()}, as its outputs "
                f"are probabilities. Received: {last!r}"
            )

    def _draw_weights(self) -> None:
        """Draw the weights of the dense layers in scikit-learn's order, with its formula."""
        factor = 2.0 if self.activation == "logistic" else 6.0
        for layer in self._dense():
            bound = math.sqrt(factor / sum(layer.kernel.shape))
            for variable in (layer.kernel, layer.bias):
                variable.assign(self._random_state.uniform(-bound, bound, variable.shape))

    def _dense(self) -> list[Any]:
        return [layer for layer in self.model_.all_layers() if isinstance(layer, Dense)]

    def _fitted(self, model: Model) -> dict[str, Any]:
        """Return the attributes for a model: the model and views of its weights."""
        dense = [layer for layer in model.all_layers() if isinstance(layer, Dense)]
        return {
            "model_": model,
            "coefs_": [layer.kernel.value for layer in dense],
            "intercepts_": [layer.bias.value for layer in dense if layer.use_bias],
        }

    def _show_weights(self) -> None:
        for name, value in self._fitted(self.model_).items():
            setattr(self, name, value)

    def _take_weights(self) -> None:
        """Copy the arrays that a user has assigned to ``coefs_`` and ``intercepts_``."""
        dense = self._dense()
        kernels = [layer.kernel for layer in dense]
        biases = [layer.bias for layer in dense if layer.use_bias]
        for own, variables in ((self.coefs_, kernels), (self.intercepts_, biases)):
            for array, variable in zip(own, variables, strict=True):
                if array is not variable.value:
                    variable.assign(array)

    def _outputs(self, X: Any, checked: bool = False) -> Array:
        check_is_fitted(self)
        self._take_weights()
        return super()._outputs(X, checked)

    # ---- training -------------------------------------------------------------------------

    @with_callbacks
    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        self._check_parameters()
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        stochastic = self.solver != "lbfgs"
        context = self._init_callback_context(max_subtasks=self.max_iter if stochastic else 0)
        told = {"X": X, "y": y}
        if sample_weight is not None:
            told["metadata"] = {"sample_weight": sample_weight}
        context.call_on_fit_task_begin(estimator=self, **told)
        given = y
        X, y = self._validated(X, y, incremental, reset=fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=X.dtype, ensure_non_negative=True
            )
        y = y.reshape(len(y), -1)
        sample_weight = self._by_class(given, y, sample_weight)
        self._random_state = check_random_state(self.random_state)
        if fresh:
            self._begin(X, y)
        elif not hasattr(self, "model_"):  # a user assigned coefs_ and intercepts_
            self.model_ = self._make_model(X.shape[1], X.dtype.name)
        if not fresh:
            self._take_weights()
        scores = getattr(self, "validation_scores_", "no records yet")
        if stochastic and (
            fresh or isinstance(scores, str) or (scores is None) == self.early_stopping
        ):
            self._begin_records()
        if not (incremental and self.model_.compiled):
            loss, weight = self._loss_of(self._losses())
            self.model_.compile(self._new_optimizer(), loss=loss, loss_weights=weight)
        self.model_._step.lay_out()
        self._show_weights()  # from here on, views of the weights
        try:
            if stochastic:
                self._descend(X, y, sample_weight, incremental, context, told)
            else:
                self._minimize(X, y, sample_weight)
        except FloatingPointError as error:
            raise ValueError(_NOT_FINITE) from error
        self._show_weights()
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError(_NOT_FINITE)
        context.call_on_fit_task_end(
            estimator=self, **told, reconstruction_attributes=lambda: self._fitted(self.model_)
        )
        return self

    def _by_class(self, given: Any, y: Array, weight: Array | None) -> Array | None:
        """Return the weight of each sample; a classifier multiplies by the class weight."""
        return weight

    def _begin(self, X: Any, y: Array) -> None:
        """Create a new model, and reset the counts of a fit."""
        self.n_iter_ = self.t_ = 0
        self.n_outputs_ = y.shape[1]
        self.out_activation_ = self._output_activation()
        self.model_ = self._make_model(X.shape[1], X.dtype.name)
        if self.model is None:
            self._draw_weights()
        self.n_layers_ = len(self._dense()) + 1
        self._no_improvement_count = 0

    def _begin_records(self) -> None:
        """Reset the records of "sgd" and "adam"."""
        self.loss_curve_: list[float] = []
        self.best_loss_ = None if self.early_stopping else math.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -math.inf if self.early_stopping else None

    def _new_optimizer(self) -> Any:
        """Return the new optimizer of a fit."""
        if self.solver == "lbfgs":
            return optimizers.SGD(0.0)  # a step computes the gradient; SciPy moves the weights
        if self.optimizer is not None:
            chosen = optimizers.get(copy.deepcopy(self.optimizer))
            if isinstance(self.optimizer, str):
                chosen.learning_rate = self.learning_rate_init  # type: ignore[union-attr]
            return chosen
        if self.solver == "sgd":
            nesterov = self.nesterovs_momentum
            return optimizers.SGD(self.learning_rate_init, self.momentum, nesterov)
        return optimizers.Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _loss_of(self, names: dict[str, tuple[Any, float]]) -> tuple[Any, float]:
        """Return the loss for scikit-learn's or nnlite's name in ``loss``, and its factor."""
        if isinstance(self.loss, str) and self.loss in names:
            return names[self.loss]
        loss = losses.get(copy.deepcopy(self.loss))
        if isinstance(self.loss, str) and loss.reduction == "sum_over_batch_size":
            loss.reduction = _MEAN
        return loss, 1.0

    def _scale_penalty(self, total: float) -> None:
        """Set the penalty to alpha / 2 |W|^2 over the sum of a batch's weights."""
        if self.model is None:
            self._penalty.l2 = self.alpha / 2 / float(total) if total else 0.0

    def _descend(
        self, X: Any, y: Any, weight: Any, incremental: bool, context: Any, told: dict[str, Any]
    ) -> None:
        """Train with batches, as scikit-learn's "sgd" and "adam" do."""
        held = None
        if self.early_stopping:
            if incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            X, y, weight, held = self._split(X, y, weight)
        samples = X.shape[0]
        size = min(200, samples) if self.batch_size == "auto" else self.batch_size
        if size > samples:
            warnings.warn(
                f"batch_size is larger than the number of samples, {samples}, and is cut to it. "
                f"Received: batch_size={size}",
                stacklevel=5,
            )
            size = samples
        X = X.tocsr() if issparse(X) else X
        batches = _Batches(self, (X, self._targets(y, X.dtype), weight), size)
        watcher = _Progress(self, samples, held, context, told)
        epochs = 1 if incremental else self.max_iter
        self.n_iter_ = 0
        try:
            self.model_.fit(
                batches,
                epochs=epochs,
                steps_per_epoch=-(-samples // size),
                verbose=0,
                callbacks=[watcher, self.callbacks or []],
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        except FloatingPointError as error:
            if held is None:
                raise
            self.validation_scores_.append(math.nan)  # type: ignore[union-attr]
            warnings.warn(
                f"The training diverged; the best weights so far are kept. {error}",
                ConvergenceWarning,
                stacklevel=5,
            )
        else:
            if self.n_iter_ == self.max_iter and not (incremental or self.model_.stop_training):
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        if held is not None:
            self.model_.set_weights(watcher.best)

    def _split(self, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any, Any]:
        """Hold out data to score on, stratified by class if there is one output."""
        parts = [X, y] if weight is None else [X, y, weight]
        X, X_held, y, y_held, *weights = train_test_split(
            *parts,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(y),
        )
        if X_held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        weight, weight_held = weights or (None, None)
        return X, y, weight, (X_held, self._labels(y_held), weight_held)

    def _score(self, X: Any, y: Any, weight: Any) -> float:
        """Return the score of the held-out data; NaN if the outputs are not finite."""
        outputs = super()._outputs(X, checked=True)
        if not np.isfinite(outputs).all():
            return math.nan
        return float(self._scorer(y, self._labels(self._decided(outputs)), sample_weight=weight))

    def _minimize(self, X: Any, y: Any, weight: Any) -> None:
        """Train on all samples at once with SciPy's L-BFGS-B."""
        model, dense = self.model_, X.toarray() if issparse(X) else X
        targets = self._targets(y, X.dtype)
        self._scale_penalty(len(dense) if weight is None else weight.sum())
        vector = model._step.vector

        def loss_and_gradient(weights: Array) -> tuple[float, Array]:
            vector.values[...] = weights
            try:
                loss = model.train_on_batch(dense, targets, weight)
            except FloatingPointError:
                return math.inf, np.zeros(len(weights))
            return loss, vector.gradients.astype(float)

        def show(intermediate_result: Any) -> None:
            print(f"Loss = {intermediate_result.fun:.8f}")

        result = scipy.optimize.minimize(
            loss_and_gradient,
            vector.values.astype(float),
            method="L-BFGS-B",
            jac=True,
            callback=show if self.verbose else None,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        vector.values[...] = result.x
        model.optimizer = None  # it only computed gradients
        self.n_iter_, self.loss_ = min(result.nit, self.max_iter), float(result.fun)
        if not math.isfinite(self.loss_):
            raise FloatingPointError("The loss is not finite.")
        if result.status:
            warnings.warn(
                f"lbfgs failed to converge after {result.nit} iteration(s): {result.message} "
                "Increase max_iter or max_fun, or scale the data.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "model_" in state:  # these are views of its weights
            state = {k: v for k, v in state.items() if k not in ("coefs_", "intercepts_")}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._show_weights()


class MLPClassifier(NetworkClassifier, _MLP):
    """scikit-learn's ``MLPClassifier``, trained by nnlite, with additional parameters.

    The attributes and the parameters that are not listed below are those of scikit-learn, with its
    defaults. With the same ``random_state``, weights and predictions agree with scikit-learn's to
    rounding. A fit stops at the first step with a loss that is not finite.

    Args:
        activation: The activation of the hidden layers, by scikit-learn's or nnlite's name.
        loss: ``"log_loss"``, or the name of an nnlite loss, or a `Loss`, for probabilities.
        dropout: The fraction of each hidden layer's outputs to drop in training.
        normalization: ``"batch"`` or ``"layer"``, before each hidden activation.
        optimizer: The name of an nnlite optimizer, which gets ``learning_rate_init``, or an
            optimizer, which is copied; instead of the solver's.
        callbacks: An nnlite callback or a list of them.
        class_weight: ``"balanced"``, or the weight of each class by label; it multiplies
            ``sample_weight``.
        model: A function of ``n_features`` and ``n_outputs`` that returns an nnlite model, not
            compiled, instead of hidden layers. The model must end with a softmax for three or more
            classes, and with a sigmoid otherwise.

    Attributes:
        model_: The nnlite model; ``coefs_`` and ``intercepts_`` are views of its dense layers.

    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> estimator = MLPClassifier(8, solver="lbfgs", random_state=1).fit(X, y)
    >>> estimator.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    """

    _scorer = staticmethod(accuracy_score)

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        loss: Any = "log_loss",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        normalization: str | None = None,
        optimizer: Any = None,
        callbacks: Any = None,
        class_weight: Any = None,
        model: Callable[..., Model] | None = None,
    ) -> None:
        _set_parameters(self, locals())

    @available_if(lambda self: self._offers_partial_fit())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch, from the current weights and optimizer state.

        Args:
            X: As for `fit`.
            y: As for `fit`.
            sample_weight: As for `fit`.
            classes: All classes of all calls; required in the first call.

        Returns:
            The estimator.

        Raises:
            ValueError: As for `fit`; or if ``classes`` is missing in the first call, or changes.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all data at once. For partial_fit, give the weights "
                "as a dict."
            )
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = unique_labels(classes)
            if known is not None and not np.array_equal(known, classes):
                raise ValueError(
                    f"classes must be those of the first call, {known}. Received: {classes}"
                )
        if known is None:
            multilabel = type_of_target(y).startswith("multilabel")
            self._learn_classes(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def _learn_classes(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return X as floats, and y as booleans by class."""
        X, y = validate_data(self, X, y, reset=reset, **_DATA)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._learn_classes(y)
        classes = unique_labels(y)
        if self.warm_start and not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, self._label_binarizer.transform(y).astype(bool)

    def _by_class(self, given: Any, y: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return weight
        if self._label_binarizer.y_type_.startswith("multilabel"):
            by_class = compute_sample_weight(self.class_weight, given)
        else:
            indices = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
            classes = {"classes": self.classes_, "y": np.ravel(given)}
            by_class = compute_class_weight(self.class_weight, **classes)[indices]
        return by_class if weight is None else weight * by_class

    def _output_activation(self) -> str:
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        return "softmax" if multiclass else "logistic"

    def _losses(self) -> dict[str, tuple[Any, float]]:
        if self.out_activation_ == "softmax":
            return {"log_loss": (CategoricalCrossEntropy(reduction=_MEAN), 1.0)}
        return {"log_loss": (BinaryCrossEntropy(reduction=_MEAN), float(self.n_outputs_))}

    def _targets(self, y: Array, dtype: Any) -> Array:
        """Return y in the form of the loss: numbers for each output, or indices."""
        loss = self.model_.loss
        if getattr(loss, "from_logits", False):
            raise ValueError(f"loss must expect probabilities, not logits. Received: {loss!r}")
        if not loss.takes_indices:
            return y.astype(dtype)
        if self.out_activation_ != "softmax":
            raise ValueError(
                "A loss for class indices needs three classes or more, and one class per sample. "
                f"Received: loss={self.loss!r}"
            )
        return y.argmax(axis=1)

    def _strata(self, y: Array) -> Array | None:
        return y if self.n_outputs_ == 1 else None

    def _labels(self, y: Array) -> Array:
        return self._label_binarizer.inverse_transform(y)

    def _decided(self, outputs: Array) -> Array:
        p = self._probabilities(outputs)
        return p.ravel() if self.n_outputs_ == 1 else p

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample, or every label above 1/2.

        Args:
            X: The samples, dense or sparse, of shape (m, n).

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        return self._labels(self._decided(self._outputs(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MLP):
    """scikit-learn's ``MLPRegressor``, trained by nnlite; see `MLPClassifier`.

    Args:
        loss: ``"squared_error"``, half the squared error; ``"poisson"``, for an exponential output
            and y of at least 0; or the name of an nnlite loss, or a `Loss`.
        **others: As for `MLPClassifier`, without ``class_weight``. The loss determines the model's
            last activation.

    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> estimator = MLPRegressor(
    ...     hidden_layer_sizes=8, solver="lbfgs", random_state=1, max_iter=1000
    ... )
    >>> estimator.fit(X, [1.0, 3.0, 5.0, 7.0]).predict([[1.5]]).round(1)
    array([4.])
    """

    _scorer = staticmethod(r2_score)

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        normalization: str | None = None,
        optimizer: Any = None,
        callbacks: Any = None,
        model: Callable[..., Model] | None = None,
    ) -> None:
        _set_parameters(self, locals())

    @available_if(lambda self: self._offers_partial_fit())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch, from the current weights and optimizer state.

        See `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(self, X, y, reset=reset, y_numeric=True, **_DATA)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"loss='poisson' needs y of at least 0. Received: {y.min()}")
        return X, y

    def _output_activation(self) -> str:
        return "exp" if isinstance(self.loss, str) and self.loss == "poisson" else "identity"

    def _losses(self) -> dict[str, tuple[Any, float]]:
        squared: tuple[Any, float] = (MeanSquaredError(reduction=_MEAN), self.n_outputs_ / 2)
        if self.n_outputs_ > 1 and self.solver != "lbfgs":
            squared = (_SquaredErrorOfMany(reduction=_MEAN), 1.0)
        return {"squared_error": squared, "poisson": (_PoissonDeviance(reduction=_MEAN), 1.0)}

    def _targets(self, y: Array, dtype: Any) -> Array:
        return y.astype(dtype)

    def _strata(self, y: Array) -> None:
        return None

    def _labels(self, y: Array) -> Array:
        return y

    def _decided(self, outputs: Array) -> Array:
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def predict(self, X: Any) -> Array:
        """Return the predictions for X.

        Args:
            X: The samples, dense or sparse, of shape (m, n).

        Returns:
            An array of shape (m,), or (m, outputs).

        Raises:
            NotFittedError: If `fit` has not been called.
        """
        return self._decided(self._outputs(X))


_DATA: dict[str, Any] = {
    "accept_sparse": ["csr", "csc"],
    "multi_output": True,
    "dtype": (np.float64, np.float32),
}


def _set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Set the arguments of a constructor as attributes."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
