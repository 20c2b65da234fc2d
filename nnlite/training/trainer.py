"""Trainer: compile, fit, evaluate and predict, and their methods for one batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from nnlite import optimizers
from nnlite.backend.structure_cache import structure_version
from nnlite.callbacks import Callback, CallbackList, History
from nnlite.data.arrays import Samples, rows_of
from nnlite.data.epochs import Epochs
from nnlite.data.sources import holds_batches, is_stored, unpack_x_y_sample_weight
from nnlite.distribution.data_parallel import warn_if_apart
from nnlite.distribution.processes import current
from nnlite.execution.abstract_model import AbstractModel
from nnlite.execution.common_state import begin_together
from nnlite.layers.layer import Layer
from nnlite.losses import Loss
from nnlite.metrics import Metric
from nnlite.metrics.compiled import CompiledMetrics, MetricsOfOutputs
from nnlite.random import drawing_from, new_generator
from nnlite.symbolic import any_symbolic
from nnlite.training.compiled_loss import CompiledLoss, one_loss_weight, to_descend_on
from nnlite.training.data_adapter import AnySamples, DataAdapter
from nnlite.training.fit_loop import FitLoop
from nnlite.training.heads import (
    Heads,
    is_structure,
    loss_weights_by_output,
    losses_by_output,
    output_keys,
)
from nnlite.training.model_lock import ReadersWriterLock, one_thread
from nnlite.training.prediction import (
    BATCH_SIZE,
    default_batch_size,
    evaluate_all,
    predict_all,
    predict_batch,
    rows_at_once,
)
from nnlite.training.train_step import TrainStep
from nnlite.utils.overrides import overridden, require_derivative
from nnlite.utils.progress import Progress, check_verbose
from nnlite.utils.structures import flatten, pack_as
from nnlite.utils.validation import (
    check_count,
    check_entries,
    check_flag,
    check_fraction,
    check_number,
    optional_count,
)

__all__ = ["Trainer"]


# The loss and gradient of a step show whether anything has overflowed.
_ERRORS: Any = {"under": "ignore", "over": "ignore", "invalid": "ignore"}


class Trainer(AbstractModel):
    """A model that can be trained.

    A `DataAdapter` checks its data, a `TrainStep` takes its steps, a lock guards its weights, and
    each `fit` runs in a `FitLoop`.
    """

    builds_once = False

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **AbstractModel.refused_overrides,
        "settle": "its layers define settle(self).",
        "compute_mask": "its layers define compute_mask(self, inputs, previous_mask).",
        **dict.fromkeys(
            ("final_activation", "add_to", "graph", "calls", "attributes"),
            "nnlite computes it itself.",
        ),
        **dict.fromkeys(
            ("input_structure", "output_structure", "step_penalty", "activity_penalty"),
            "nnlite computes it itself.",
        ),
        **dict.fromkeys(
            ("make_train_function", "make_test_function", "make_predict_function"),
            "define train_step(self, data), test_step(self, data) or predict_step(self, data).",
        ),
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not overridden(cls, "train_step"):
            require_derivative(
                cls,
                Layer,
                "compute_loss",
                "compute_loss_gradient",
                "self, x, y, y_pred, sample_weight",
            )
        computes = ("compute_loss", "compute_loss_gradient", "compute_metrics", "update_weights")
        cls.computes_own = overridden(cls, *computes)
        cls.trains_own = cls.computes_own or overridden(cls, "train_step")
        cls.tests_own = cls.computes_own or overridden(cls, "test_step")
        cls.lists_own = overridden(cls, "metrics")
        cls.predicts_own = overridden(cls, "predict_step")

    #: Whether a class outside of nnlite overrides ``metrics``.
    lists_own: ClassVar[bool] = False

    _data: DataAdapter
    _step: TrainStep

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._compiled_loss = CompiledLoss(self)
        self._data = DataAdapter(self, self._compiled_loss)
        self._step = TrainStep(self, self._compiled_loss)
        self.lock = ReadersWriterLock()
        self.compiled_metrics = CompiledMetrics([], [])
        self.compile_arguments: dict[str, Any] = {}
        self.unread: dict[str, Any] = {}
        self.column_names: tuple[str, ...] | None = None
        self.steps_per_execution = 1
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: History | None = None
        self.fit_loop: FitLoop | None = None  # the current fit

    # ---- compile --------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configure training. A model that is never compiled is trained with plain `SGD`.

        Args:
            optimizer: A name or an optimizer.
            loss: A name or a loss. None chooses by the last layer: binary cross-entropy for a
                sigmoid, categorical cross-entropy for a softmax, else the mean squared error.
                ``"crossentropy"`` or ``"ce"`` chooses the form that fits the targets. For several
                outputs, one loss for all, or a list or dict with one for each, whose weighted sum
                is minimized; None there leaves an output out.
            loss_weights: The factor of the loss: a number, or a list or dict by output.
            metrics: A list of names or metrics, shown with the loss. For several outputs, a list
                or dict with a metric or a list for each; a dict may leave outputs out.
            weighted_metrics: The same, weighted by ``sample_weight`` or ``class_weight``.
            run_eagerly: Ignored, for compatibility with Keras: there is no graph mode.
            steps_per_execution: The number of steps between calls of the callbacks' batch hooks.
            jit_compile: Ignored, as ``run_eagerly``.
            auto_scale_loss: Ignored: float32 and float64 need no loss scaling.

        Raises:
            ValueError: If a name is unknown, a list or dict does not fit the outputs, or a loss has
                reduction ``"none"``.
            TypeError: If an argument has the wrong type.
            RuntimeError: If a callback calls `compile` during `fit`.

        >>> from nnlite import Input, Model
        >>> from nnlite.layers import Dense
        >>> x = Input((4,))
        >>> model = Model(x, [Dense(1, name="price")(x), Dense(1, "sigmoid", name="sold")(x)])
        >>> model.compile(
        ...     "adam",
        ...     loss={"price": "mse", "sold": "binary_crossentropy"},
        ...     loss_weights={"price": 0.1, "sold": 1.0},
        ...     metrics={"sold": ["accuracy"]},
        ... )
        >>> y = {"price": np.ones(8), "sold": np.ones(8)}
        >>> history = model.fit(np.ones((8, 4)), y, verbose=0)
        >>> list(history.history)
        ['loss', 'price_loss', 'sold_loss', 'sold_accuracy']
        """
        self._between_runs("compile()")
        for weight in flatten(loss_weights):
            if weight is not None:
                check_number("loss_weights", weight, -math.inf)
        new_optimizer = optimizers.registry.get(optimizer)
        new_loss = to_descend_on(loss)
        steps = check_count("steps_per_execution", steps_per_execution, 1)
        new_metrics = self._new_metrics(metrics, weighted_metrics, loss, loss_weights)
        self.compiled_metrics = new_metrics
        self.compile_arguments = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self.steps_per_execution = steps
        self._compiled_loss.weights = loss_weights
        self.optimizer, self.loss = new_optimizer, new_loss or loss

    def _new_metrics(
        self, metrics: Any, weighted_metrics: Any, loss: Any, loss_weights: Any
    ) -> CompiledMetrics:
        """Return the new metrics of `compile` after checking the arguments by output.

        Raises:
            ValueError: If an argument does not fit the outputs, if they are known.
            TypeError: If an argument has the wrong type.
        """
        structure = self._data.ends()[1]
        if structure is not None and len(self.output_names) > 1:
            losses = losses_by_output(loss, structure)
            loss_weights_by_output(loss_weights, structure, losses)
            keys = output_keys(structure)
            chosen = not is_structure(loss)
            with_loss = [
                k for k, own in zip(keys, losses, strict=True) if chosen or own is not None
            ]
            return MetricsOfOutputs(metrics, weighted_metrics, structure, keys, with_loss)
        if self.built or self.single_ended:
            one_loss_weight(loss_weights)
            if self.built:
                losses_by_output(loss, structure or self.output_names)
            return CompiledMetrics(metrics, weighted_metrics)
        # The number of outputs is not known yet, nor the output of each metric.
        given = [flatten(one) if is_structure(one) else one for one in (metrics, weighted_metrics)]
        return CompiledMetrics(
            *[
                [one for one in part if one is not None] if isinstance(part, list) else part
                for part in given
            ]
        )

    @property
    def optimizer(self) -> optimizers.Optimizer | Any:
        """The optimizer; a name or another optimizer can be assigned between two runs.

        Raises:
            ValueError: On assigning an unknown name.
            TypeError: On assigning anything but a name or an optimizer.
            RuntimeError: On assigning during `fit`.
        """
        return self._step.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._between_runs("optimizer")
        self._step.optimizer = None if value is None else optimizers.get(value)
        self.unread.pop("optimizer", None)
        self._step.laid_out = -1

    @property
    def loss(self) -> Loss | list[Any] | dict[str, Any] | None:
        """The loss; a name or another loss can be assigned between two runs.

        Raises:
            ValueError: On assigning an unknown name, or a loss without a mean or sum.
            TypeError: On assigning anything but a name or a loss.
            RuntimeError: On assigning during `fit`.
        """
        return self._compiled_loss.given

    @loss.setter
    def loss(self, value: Any) -> None:
        self._between_runs("loss")
        self._compiled_loss.assign(value)
        self._step.objective = None

    def _between_runs(self, what: str) -> None:
        if self.fit_loop is not None:
            raise RuntimeError(f"{what} has to wait for the end of the current fit.")

    def get_compile_config(self) -> dict[str, Any]:
        """Return the arguments of `compile` as plain data in Keras's form; {} if it was not called.

        Raises:
            TypeError: If an argument, such as a lambda, cannot be written as data.
        """
        from nnlite.saving.compile_config import compile_config

        return compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model with a config from `get_compile_config`; warn about unknown parts."""
        from nnlite.saving.compile_config import compile_from
        from nnlite.saving.load_report import LoadReport

        notes = LoadReport()
        compile_from(self, config, notes)
        notes.warn("the compile config")

    @property
    def metrics(self) -> list[Metric]:
        """The mean loss, the metrics of `compile`, and those that are attributes of the model.

        Metrics whose form follows from the data, such as ``"accuracy"``, are added at the first
        batch. All are reset when an epoch or an evaluation begins.
        """
        return [
            self.compiled_metrics.loss,
            *self.compiled_metrics.all,
            *self._tracked.values(),
        ]

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Metric):
            self._tracked[name] = value
        elif name in self._tracked:
            del self._tracked[name]
        super().__setattr__(name, value)

    @property
    def metrics_names(self) -> list[str]:
        """The names of the results of `evaluate`: the loss, then each metric that has seen data."""
        return ["loss", *self.compiled_metrics.results()]

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results since the last reset by name: the loss, if any, and each metric."""
        compiled = self.compiled_metrics
        results = {} if compiled.loss.empty else {"loss": compiled.loss.result()}
        results |= compiled.results()
        if self._tracked or self.lists_own:
            known = {id(metric) for metric in (compiled.loss, *compiled.all)}
            others = [metric for metric in self.metrics if id(metric) not in known]
            results |= {metric.name: metric.result() for metric in others}
        return results

    def reset_metrics(self) -> None:
        """Reset all metrics."""
        self.compiled_metrics.reset_state()
        if self._tracked or self.lists_own:
            for metric in self.metrics:
                metric.reset_state()

    @property
    def compiled(self) -> bool:
        """Whether the model has an optimizer: from `compile`, or from its first training."""
        return self.optimizer is not None

    # ---- fit ------------------------------------------------------------------------------

    @one_thread
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> History:
        """Train on ``x`` and ``y`` for a number of epochs, and return the history.

        All input is checked first; if that raises an error, no weight has changed.

        Args:
            x: The inputs, of shape (m, features) or the first layer's input shape, of integers or
                floats, converted one batch at a time. A vector is one feature. The columns of a
                data frame are remembered, and later frames are put in that order. Several inputs
                are a list, a dict by name or the columns of a frame. Inputs for
                ``Input(dtype="int32")`` must be whole numbers and stay integers.
            y: The targets, of the output's shape, or m class indices, depending on the loss. For
                several outputs, a list or a dict by name.
            batch_size: Samples per step; by default 32, or the size for ``steps_per_epoch`` steps.
            epochs: The final epoch; with ``initial_epoch``, not the number of epochs to run.
            verbose: 0 is silent, 1 a progress bar, 2 a line per epoch. ``"auto"`` is a bar on a
                terminal, and elsewhere lines for at most some twenty epochs.
            callbacks: One callback or a list.
            validation_split: The fraction of samples, the last ones, to evaluate on.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate on.
            shuffle: Whether every epoch takes the samples in a new order.
            class_weight: The weight of each class's samples, by class index, 1 for other classes.
                Each target must be one class: an index, a one-hot row or probabilities.
            sample_weight: The weight of each sample, of shape (m,). For several outputs, one array
                for all, or a list or dict with one for each.
            initial_epoch: The epoch at which to start, to continue an earlier fit.
            steps_per_epoch: Batches per epoch; None takes all.
            validation_steps: Batches of each evaluation; None takes all.
            validation_batch_size: Samples per step of the evaluation; by default ``batch_size``.
            validation_freq: The number of epochs between evaluations, or a list of epochs from 1.

        Returns:
            The `History`: its ``history`` maps ``"loss"``, ``"val_loss"`` and each metric's name
            to a list with one value per epoch.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If a value, a shape or a combination is wrong.
            FloatingPointError: If a loss or gradient is not finite. The message names the source,
                and the batch changes no weight. `TerminateOnNaN` ends the run instead.
        """
        size = optional_count("batch_size", batch_size)
        epochs = check_count("epochs", epochs, 0)
        initial_epoch = check_count("initial_epoch", initial_epoch, 0)
        steps_per_epoch = optional_count("steps_per_epoch", steps_per_epoch)
        validation_steps = optional_count("validation_steps", validation_steps)
        validation_size = optional_count("validation_batch_size", validation_batch_size) or size
        evaluates = _epochs_to_evaluate(validation_freq)
        shuffle = check_flag("shuffle", shuffle)
        progress = Progress(verbose, epochs)
        data, loss = self._data.data(
            x, y, sample_weight, class_weight, batch_size, own=self.trains_own
        )
        held: AnySamples | None = None
        if validation_data is not None:
            pair = isinstance(validation_data, (list, tuple)) and not self.single_ended
            if is_stored(validation_data) or (holds_batches(validation_data) and not pair):
                validation_data = (validation_data,)
            elif not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (
                2,
                3,
            ):
                raise ValueError(
                    "validation_data must be (x, y) or (x, y, sample_weight). "
                    f"Received: {type(validation_data).__name__}"
                )
            vx, vy, vw = (*validation_data, None, None)[:3]
            held, _ = self._data.data(
                vx,
                vy,
                vw,
                None,
                validation_batch_size,
                "validation ",
                loss,
                data,
                self.tests_own,
            )
        elif validation_split:
            data, held = data.split(check_fraction("validation_split", validation_split))
        held_batches = None
        if held is not None:
            held_size = validation_size or default_batch_size(held.rows, validation_steps)
            held_batches = Epochs(held.batches(held_size), validation_steps, "validation_steps")
        hooks = CallbackList(callbacks, add_history=True)
        self._step.prepare(data.shape, loss, training=True)
        if data.names:
            self.column_names = data.names
        size = size or default_batch_size(data.rows, steps_per_epoch)
        warn_if_apart()
        begin_together(
            self,
            "fit",
            training=True,
            rows=data.rows,
            batch_size=size,
            epochs=(initial_epoch, epochs),
            validation_rows=held and held.rows,
            callbacks=[type(callback).__name__ for callback in hooks.callbacks],
        )
        with drawing_from(self._seed_root):
            order = new_generator() if shuffle else None
        batches = Epochs(data.batches(size, order), steps_per_epoch, order=order)
        hooks.begin(self, verbose=verbose, epochs=epochs, steps=batches.length)
        self.history = hooks.history
        self.stop_training = False
        span = (initial_epoch, epochs)
        self.fit_loop = FitLoop(self, batches, held_batches, evaluates, hooks, progress, span)
        try:
            with np.errstate(**_ERRORS), self._step.blas_threads(size), progress:
                self.fit_loop.run()
        finally:
            self.fit_loop = None
            batches.close()
            self._step.release()
        assert hooks.history is not None  # it was asked for
        return hooks.history

    # ---- one step -------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take one step on one batch; a subclass may override it to train differently.

        Its parts are `__call__` with ``training=True``, `compute_loss`, the derivative of the loss
        by the output, from `compute_loss_gradient` or your own code, ``backward``, which fills the
        gradient of every weight, `update_weights` and `compute_metrics`.

        Args:
            data: ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``, of read-only arrays; see
                `nnlite.utils.unpack_x_y_sample_weight`.

        Returns:
            Numbers by name, which `fit` shows and passes to callbacks. As in Keras, the values of
            the last batch of an epoch are those of the epoch.

        Raises:
            FloatingPointError: If the loss or the gradient is not finite; no weight has changed.

        >>> from nnlite import Sequential
        >>> from nnlite.layers import Dense
        >>> class Noisy(Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         y_pred = self(x + 0.1 * np.sin(100 * x), training=True)
        ...         loss = self.compute_loss(x, y, y_pred)
        ...         self.backward(self.compute_loss_gradient(x, y, y_pred))
        ...         self.update_weights()
        ...         return {"loss": loss}
        >>> model = Noisy([Dense(1)])
        >>> x = np.linspace(-1, 1, 8)[:, None]
        >>> list(model.fit(x, x, epochs=2, verbose=0).history)
        ['loss']
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        mean = self.compiled_metrics.loss
        if not self.computes_own:
            parts = self._step.flat(x, y, sample_weight)
            mean.add(self._step.descend_on(*parts), rows_of(parts[0]))
            return self.get_metrics_result()
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self.backward(self.compute_loss_gradient(x, y, y_pred, sample_weight))
        self.update_weights()
        mean.add(loss, rows_of(flatten(x)))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> float:
        """Return the loss of a batch, with penalties.

        A subclass that overrides it must override `compute_loss_gradient` or `train_step` as well.

        Args:
            x: The inputs.
            y: The targets.
            y_pred: The model's output for ``x``.
            sample_weight: The weight of each sample.
            training: Whether ``y_pred`` comes from a forward pass in training.
        """
        objective = self._step.known_objective()
        sample_weight = self._step.masked(x, y_pred, sample_weight)
        if isinstance(objective.loss, Heads):
            value, parts = objective.loss.values(y, y_pred, sample_weight)
            self._compiled_loss.metrics_of(
                objective.loss.names, objective.loss.left_out
            ).add_losses(parts, rows_of(flatten(y_pred)))
        else:
            value = objective.loss(y, y_pred, sample_weight)
        value += objective.weight_penalty()
        value += self.step_penalty() if training else self.activity_penalty(x)
        if self._step.own is not None:
            self._step.own.loss = value
        return value

    def compute_loss_gradient(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        """Return the derivative of `compute_loss` by ``y_pred``, an array of its shape.

        For several outputs it has their structure, with None for those without a loss.

        ``backward`` and `update_weights` add the penalties. Arguments are those of `compute_loss`.
        """
        sample_weight = self._step.masked(x, y_pred, sample_weight)
        gradient = self._step.known_objective().loss.gradient(y, y_pred, sample_weight)
        return pack_as(self._data.ends()[1], gradient) if type(gradient) is list else gradient

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Update the metrics of `compile` with a batch, and return all results so far by name.

        Arguments are those of `compute_loss`.
        """
        if self.compiled_metrics.wanted:
            flat, y, weight = self._step.flat(x, y, sample_weight)
            masks = self._step.known_objective().masks(flat, training=False)
            self.compiled_metrics.update(y, self._step.flat(x, y_pred, None)[1], weight, masks)
        return self.get_metrics_result()

    def update_weights(self) -> None:
        """Take the optimizer's step with the gradients that ``backward`` has filled.

        The gradients of the penalties on weights are added first; constraints and moving averages
        follow the step.

        Raises:
            FloatingPointError: If a gradient or the step's result of `compute_loss` is not finite;
                no weight has changed.
        """
        objective = self._step.known_objective()
        if self._step.laid_out != structure_version() or self._step.optimizer is None:
            self._step.optimizer = self._step.optimizer or optimizers.SGD()
            self._step.lay_out()
        objective.add_penalty_gradients()
        if self._step.own is not None:
            self._step.own.penalized = True
        assert self._step.vector is not None
        loss = 0.0 if self._step.own is None else self._step.own.loss
        current().average(self._step.vector.reduced, "add up the gradients")
        if math.isfinite(loss) and self._step.vector.has_finite_gradients():
            self._step.update()
        else:
            self._step.refuse(loss)

    @one_thread
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on one batch.

        Args:
            x: The inputs, as for `fit`.
            y: The targets, as for `fit`.
            sample_weight: As for `fit`.
            class_weight: As for `fit`.
            return_dict: Whether to return a dict by name instead of a list.

        Returns:
            The batch's loss before the step; with metrics, a list of the loss and each metric.

        Raises:
            TypeError: As `fit`.
            ValueError: As `fit`.
        """
        return_dict = check_flag("return_dict", return_dict)
        data, loss = self._data.arrays(x, y, sample_weight, class_weight, own=self.trains_own)
        laid_out = self._step.laid_out
        self._step.prepare(data.shape, loss, training=True)
        if laid_out != self._step.laid_out:
            begin_together(self, "train_on_batch", training=True)
        if data.names:
            self.column_names = data.names
        self.reset_metrics()
        logs = _take(self._step, data)
        self._step.forget_batch()
        return _results(self.get_metrics_result() if logs is None else logs, return_dict)

    # ---- evaluate -------------------------------------------------------------------------

    @one_thread
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, and the metrics if any, on ``x`` and ``y``.

        Args:
            x: The inputs, as for `fit`.
            y: The targets, as for `fit`.
            batch_size: Samples per batch; by default 32, or the size for ``steps`` batches.
            verbose: 1 shows a progress bar; ``"auto"`` shows it on a terminal.
            sample_weight: The weight of each sample.
            steps: The number of batches; None takes all.
            callbacks: One callback or a list, whose ``on_test_...`` hooks are called.
            return_dict: Whether to return a dict by name instead of a list.

        Returns:
            The loss as a float; with metrics, a list of the loss and each metric, or the dict.

        Raises:
            TypeError: As `fit`.
            ValueError: As `fit`.
        """
        size, steps = optional_count("batch_size", batch_size), optional_count("steps", steps)
        return_dict = check_flag("return_dict", return_dict)
        data, loss = self._data.data(x, y, sample_weight, None, batch_size, own=self.tests_own)
        bar = Progress(verbose, 1, delay=0.5)
        size = size or default_batch_size(data.rows, steps)
        batches = Epochs(data.batches(size), steps, "steps")
        hooks = CallbackList(callbacks)
        self._step.prepare(data.shape, loss)
        begin_together(self, "evaluate", rows=data.rows, batch_size=size)
        hooks.begin(self, verbose=verbose, epochs=1, steps=batches.length)
        with np.errstate(under="ignore"), self._step.blas_threads(size), bar as progress:
            return _results(evaluate_all(self, batches, hooks, progress), return_dict)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch; a subclass may override it to evaluate differently.

        Args:
            data: As for `train_step`.

        Returns:
            Numbers by name; `evaluate` returns those of the last batch.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        mean = self.compiled_metrics.loss
        if not self.computes_own:
            parts = self._step.flat(x, y, sample_weight)
            mean.add(self._step.test(*parts), rows_of(parts[0]))
            return self.get_metrics_result()
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        mean.add(loss, rows_of(flatten(x)))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    @one_thread
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss, and the metrics if any, of one batch; arguments as `train_on_batch`."""
        return_dict = check_flag("return_dict", return_dict)
        data, loss = self._data.arrays(x, y, sample_weight, None, own=self.tests_own)
        self._step.prepare(data.shape, loss)
        self.reset_metrics()
        with np.errstate(under="ignore"):
            logs = self._step.evaluate(*data.whole())
        return _results(self.get_metrics_result() if logs is None else logs, return_dict)

    # ---- predict --------------------------------------------------------------------------

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """Return the output for every sample of ``x``, a new array, or a list or dict of arrays.

        Many threads can predict with one model at once. If a thread trains it meanwhile, each batch
        is predicted with the weights between two steps.

        Args:
            x: The inputs, as for `fit`.
            batch_size: Samples per batch; by default as many as fit the cache.
            verbose: 1 shows a progress bar; ``"auto"`` shows it on a terminal if it takes long.
            steps: The number of batches; None takes all. Without a ``batch_size``, all samples are
                divided into that many batches.
            callbacks: One callback or a list, whose ``on_predict_...`` hooks are called.

        Raises:
            TypeError: If ``x`` is not numeric.
            ValueError: If its shape does not fit the model, or an entry is not finite.
        """
        check_verbose(verbose)
        size = optional_count("batch_size", batch_size)
        steps = optional_count("steps", steps)
        if type(x) is np.ndarray or not (self._data.stores(x) or holds_batches(x)):
            x = self._data.validate("x", x)
            if callbacks is None and steps is None and rows_of(x) <= (size or BATCH_SIZE):
                return predict_batch(self, x)
            inputs: AnySamples = self._data.samples_of(x)
        else:
            inputs = self._data.inputs(x, size)
        hooks, bar = CallbackList(callbacks), Progress(verbose, 1, delay=0.5)
        if not self.built:
            self.build((None, *inputs.shape[1:]))
        rows = inputs.rows
        size = size or (
            default_batch_size(rows, steps) if steps else rows_at_once(self) * current().size
        )
        batches = Epochs(inputs.batches(size), steps, "steps")
        if rows is not None and steps is not None:
            rows = min(rows, steps * size)
        begin_together(self, "predict", rows=rows, batch_size=size)
        hooks.begin(self, verbose=verbose, epochs=1, steps=batches.length)
        return predict_all(self, batches, rows, hooks, bar)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the output for ``x`` as one batch; see `predict`."""
        return predict_batch(self, self._data.validate("x", x))

    def predict_step(self, data: Any) -> Any:
        """Return the output for one batch; `predict` calls it if a subclass overrides it.

        Args:
            data: ``(x,)``, for `nnlite.utils.unpack_x_y_sample_weight`.

        >>> from nnlite import Sequential
        >>> from nnlite.layers import Dense
        >>> class Doubled(Sequential):
        ...     def predict_step(self, data):
        ...         return 2 * super().predict_step(data)
        >>> Doubled([Dense(1, kernel_initializer="ones")]).predict(np.array([[1.0, 2.0]]))
        array([[6.]], dtype=float32)
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self.run_forward(x)

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the output for ``x`` as one batch, a new array; inputs as for `predict`.

        Raises:
            TypeError: If ``x`` is not numeric.
            ValueError: If its shape does not fit the model.
        """
        if self.tracks_layers:
            self._follow_attributes()
        if any_symbolic(x) or mask is not None:
            return super().__call__(x, training, mask)
        if type(x) is not np.ndarray or self._data.ends()[0] is not None:
            structure, x = self._data.structure_of(x), self._data.arranged_input("x", x)
            if structure is not None:
                x = self._data.packed(self._data.several("x", x, structure))
                return super().__call__(x, training)
        x, dtype = self._data.aligned("x", x)[0], self._data.input_types()[0]
        if dtype.kind != "f":
            check_entries("x", x, dtype)
        return super().__call__(x, training)

    # ---- calls from callbacks -------------------------------------------------------------

    def _set_aside(self) -> dict[str, Any]:
        """Return the state of the current run, which a call from a callback must not change."""
        names = (
            "fit_loop",
            "history",
            "stop_training",
            "stop_evaluating",
            "compiled_metrics",
            "_step",
        )
        kept = {name: vars(self)[name] for name in names}
        self.fit_loop, self._step = None, self._step.apart()
        self.compiled_metrics = copy.deepcopy(self.compiled_metrics)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "history": None, "fit_loop": None}


@np.errstate(**_ERRORS)  # half the cost of a context
def _take(step: TrainStep, data: Samples) -> dict[str, Any] | None:
    """Take a step on all of ``data``."""
    with step.blas_threads(data.rows):
        return step.take(*data.whole())


def _results(logs: dict[str, float], return_dict: bool) -> Any:
    """Return results as Keras does: a dict, a list, or the loss alone if there is no metric."""
    if return_dict:
        return logs
    return next(iter(logs.values())) if len(logs) == 1 else list(logs.values())


def _epochs_to_evaluate(frequency: Any) -> Any:
    """Return a function that tells whether to evaluate after an epoch, counted from 0."""
    if isinstance(frequency, Iterable) and not isinstance(frequency, str):
        chosen = {check_count("validation_freq", epoch, 1) for epoch in frequency}
        return lambda epoch: epoch + 1 in chosen
    every = check_count("validation_freq", frequency, 1)
    return lambda epoch: (epoch + 1) % every == 0
