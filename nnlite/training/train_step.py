"""One training step of a model, and one batch of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from nnlite import optimizers
from nnlite.backend.blas import ALWAYS_ONE, threads_for
from nnlite.backend.structure_cache import per_structure, structure_version, without_memo
from nnlite.backend.variables import Variable, WeightVector
from nnlite.data.arrays import rows_of
from nnlite.data.sources import pack_x_y_sample_weight
from nnlite.distribution.processes import Processes, Share, current
from nnlite.execution.abstract_model import AbstractModel
from nnlite.execution.halves import in_halves
from nnlite.layers.layer import Layer
from nnlite.metrics.compiled import MetricsOfOutputs
from nnlite.training.compiled_loss import AnyLoss, CompiledLoss
from nnlite.training.heads import Heads
from nnlite.training.nan_diagnosis import ALL_FINITE, diagnosis
from nnlite.training.objective import Objective
from nnlite.utils.structures import SHAPES, flatten, map_structure, pack_as
from nnlite.utils.typing import Array
from nnlite.utils.user_code import read_only

__all__ = ["TrainStep"]


_NO_CONTEXT = nullcontext()


class TrainStep:
    """Takes the training steps of a model: forward, loss, backward, update.

    Args:
        model: The model.
        loss: Its compiled loss.

    Attributes:
        optimizer: The optimizer; None before `compile` and the first training.
        objective: The objective of the last run.
        vector: The trainable weights in one vector.
        own: The current step of a user's `train_step`, or None.
    """

    def __init__(self, model: AbstractModel, loss: CompiledLoss) -> None:
        self.model = model
        self.loss = loss
        self.optimizer: optimizers.Optimizer | None = None
        self.objective: Objective | None = None
        self.vector: WeightVector | None = None
        self.laid_out = -1  # the model's structure at the last lay_out
        self.own: _OwnStep | None = None
        self._unguarded: list[Variable] = []  # weights that a user's layer may change in a pass

    def apart(self) -> TrainStep:
        """Return a copy for a call from a callback, so that the current run is not changed."""
        other = TrainStep(self.model, self.loss)
        vars(other).update(without_memo(vars(self)) | {"own": None})
        return other

    def __getstate__(self) -> dict[str, Any]:
        # The vector and the arrays of a step belong to this object alone.
        fresh = {"vector": None, "laid_out": -1, "objective": None, "own": None}
        return {**without_memo(vars(self)), **fresh}

    def prepare(self, shape: Any, loss: AnyLoss, training: bool = False) -> None:
        """Build the model; for training, also lay out its weights and the optimizer's state.

        Args:
            shape: The shape of the inputs, the number of samples first.
            loss: The loss.
            training: Whether steps follow.
        """
        if training:
            self.loss.check_read("optimizer")
        optimizer = self.optimizer or optimizers.SGD()
        optimizer.check_owner(self.model)
        if not self.model.built:
            self.model.build((None, *shape[1:]))
        known = self.objective
        objective = known
        if objective is None or objective.loss is not loss:
            objective = Objective(loss, self.model)
        objective.settle()
        if objective is not known:
            shape = map_structure(lambda one: (None, *one[1:]), shape, SHAPES)
            output_shape = self.model.compute_output_shape(shape)
            self.model.compiled_metrics.say_missing(objective.warn_of_mismatch(output_shape))
        self.objective = objective
        if training:
            self.optimizer = optimizer
            if not isinstance(loss, Heads):
                self.loss.given = loss
            for layer in self._of_user():
                layer.unproven = True
            if self.laid_out != structure_version() or not optimizer.updates(self.vector):
                self.lay_out()

    def lay_out(self) -> None:
        """Gather the trainable weights in the model's vector, with the optimizer's state."""
        assert self.optimizer is not None  # prepare came first
        learning = self.model.learning_variables()
        if self.vector is None or not self.vector.holds(learning):
            self.vector = WeightVector(learning, np.dtype(self.model.dtype), self.model)
        self.optimizer.take_up(self.vector)
        self.known_objective().settle()
        learns = {id(variable) for variable in learning}
        self._unguarded = [
            variable
            for layer in self._of_user()
            for variable in layer._variables
            if id(variable) not in learns
        ]
        self.laid_out = structure_version()

    def known_objective(self) -> Objective:
        """Return the objective; before any data, it is created from the compiled loss."""
        if self.objective is None:
            self.objective = Objective(self.loss.by_hand(), self.model)
        return self.objective

    @per_structure
    def _of_user(self) -> list[Layer]:
        """Return the layers, with the model, whose passes a user has written."""
        return [layer for layer in self.model.all_layers() if layer.of_user]

    def blas_threads(self, batch_size: int) -> AbstractContextManager[None]:
        """Return a context in which BLAS uses the right number of threads for ``batch_size``."""
        known = self._largest_products()
        if batch_size not in known:
            layers = self.model.all_layers()
            largest = max(layer._largest_product(batch_size) for layer in layers)
            known[batch_size] = ALWAYS_ONE + 1 if in_halves(layers, batch_size) else largest
        multiplications = known[batch_size]
        return threads_for(multiplications) if multiplications > ALWAYS_ONE else _NO_CONTEXT

    @per_structure
    def _largest_products(self) -> dict[int, int]:
        return {}  # by the number of samples in a batch

    def forget_batch(self) -> None:
        """Drop the batch, and what users' layers keep for the backward pass."""
        if self.objective is not None:
            self.objective.forget_inputs()
        if self.model.cache:
            self.model.forget_caches()
        for layer in self._of_user():
            layer.forget_caches()

    def release(self) -> None:
        """Free the memory of steps."""
        if self.objective is not None:
            self.objective.release()
        self.forget_batch()

    def take(self, x: Array, y: Any, weight: Array | None) -> dict[str, Any] | None:
        """Take one step; return the result of a user's `train_step`, or None.

        Raises:
            FloatingPointError: If the loss or the gradient is not finite; no weight has changed.
            TypeError: If a user's `train_step` returns anything but numbers by name.
        """
        if not self.model.trains_own:
            self.model.compiled_metrics.loss.add(self.descend_on(x, y, weight), rows_of(x))
            return None
        with self._step_of_user(x, y) as step:
            logs = self.model.train_step(self._handed(x, y, weight))
        logs = self._checked_logs("train_step", logs)
        return {**logs, "loss": math.nan} if step.refused else logs

    def descend_on(self, x: Array, y: Array, weight: Array | None) -> float:
        """Run both passes for one batch and update; return the loss before the update."""
        objective = self.objective
        assert objective is not None  # prepare came first
        within = self.own is not None  # a user's train_step has called this one
        if not within:
            self.model.lock.acquire_write()
        try:
            if self.laid_out != structure_version():  # a callback may have frozen a layer
                objective.keep_up(x, y)
                self.lay_out()
            kept = [(variable, variable.numpy()) for variable in self._unguarded]
            if (group := current()).size > 1:
                value = self._descend_together(group, objective, x, y, weight)
            else:
                output = objective.forward(x, training=True)
                value, gradient = self._value_and_gradient(objective, x, y, output, weight, True)
                objective.backward(gradient)
                value += objective.regularize()
            if not (math.isfinite(value) and self.vector.has_finite_gradients()):  # type: ignore[union-attr]
                for variable, before in kept:
                    variable.value[...] = before
                if self.model.fit_loop is not None and self.model.fit_loop.ends_on_nan:
                    return math.nan if math.isfinite(value) else value
                raise FloatingPointError(self._diagnosis(value, x, y))
            if within:
                self.own.penalized = True  # type: ignore[union-attr]
            self.update()
        finally:
            if not within:
                self.model.lock.release_write()
        return value

    def _value_and_gradient(
        self, objective: Objective, x: Any, y: Any, output: Any, weight: Any, training: bool
    ) -> tuple[float, Any]:
        """Return the loss of a batch and its derivative, and update the metrics."""
        return self._loss_and_metrics(objective, y, output, weight, objective.masks(x, training))

    def _loss_and_metrics(
        self, objective: Objective, y: Any, output: Any, weight: Any, masks: Any
    ) -> tuple[float, Any]:
        metrics = self.model.compiled_metrics
        value, gradient, values = objective.loss_and_gradient(y, output, weight, masks)
        if isinstance(metrics, MetricsOfOutputs):
            metrics.add_losses(values, rows_of(output))
        if metrics.wanted:
            metrics.update(y, objective.predictions(output), weight, masks)
        return value, gradient

    def _descend_together(
        self, group: Processes, objective: Objective, x: Any, y: Any, weight: Any
    ) -> float:
        """Run both passes on this process's share; return the loss of the whole batch.

        The gradients become those of the whole batch. NaN in one process is NaN in all.
        """
        group.share = share = Share(rows_of(x), group)
        try:
            own = share.of(x)
            output = objective.forward(own, training=True)
            masks, metrics = objective.masks(own, True), self.model.compiled_metrics
            if masks is None and objective.averages_rows(y, output):
                value, gradient, _ = objective.loss_and_gradient(
                    share.of(y), output, share.of(weight), None
                )
                gradient *= share.weight
                if metrics.wanted:
                    whole = share.whole(objective.predictions(output))
                    metrics.update(y, whole, weight)
            else:  # every process computes the loss of the whole batch
                whole, masks = share.whole(output), share.whole(masks)
                value, gradient = self._loss_and_metrics(objective, y, whole, weight, masks)
                gradient = share.of(gradient)
                for one in gradient if type(gradient) is list else [gradient]:
                    if one is not None and not share.weight:
                        one[...] = 0
            objective.backward(gradient)
            assert self.vector is not None
            mark = _mark(x)
            self.vector.reduced[-2:] = (value + objective.step_penalty()) * share.weight, mark
            group.sum(self.vector.reduced, "add up the gradients")
        finally:
            group.share = None
        loss, marks = self.vector.reduced[-2:].tolist()
        if abs(marks - mark * group.size) > 1e-3 * group.size:
            raise ValueError(
                f"Process {group.rank} of {group.size} was given another batch than the others. "
                "Give all processes the same data in the same order: each takes its share. Random "
                "data needs the same seed in all."
            )
        objective.add_penalty_gradients()
        return loss + objective.weight_penalty()

    def _diagnosis(self, value: float, x: Any, y: Any) -> str:
        """Return the diagnosis of a step; if the processes differ, the diagnosis of each."""
        texts = current().gather(diagnosis(self.model, value, x, y), "find the cause of NaN")
        if len(set(texts)) == 1:
            return texts[0]
        found = [f"In process {r}, {t}" for r, t in enumerate(texts) if ALL_FINITE not in t]
        return " ".join(found) or texts[0]

    def update(self) -> None:
        """Update the weights after a step with finite loss and gradient."""
        assert self.optimizer is not None
        assert self.objective is not None
        self.optimizer.update()
        self.objective.constrain()
        self._settle_step()

    def evaluate(self, x: Array, y: Any, weight: Array | None) -> dict[str, Any] | None:
        """Evaluate one batch; return the result of a user's `test_step`, or None."""
        if self.model.tests_own:
            return self._checked_logs("test_step", self.model.test_step(self._handed(x, y, weight)))
        self.model.compiled_metrics.loss.add(self.test(x, y, weight), rows_of(x))
        return None

    def test(self, x: Array, y: Array, weight: Array | None) -> float:
        """Return the loss of one batch, with penalties."""
        objective = self.objective
        assert objective is not None  # prepare came first
        objective.keep_up(x, y)
        if (group := current()).size > 1:
            share = Share(rows_of(x), group)
            output = share.whole(objective.forward(share.of(x), training=False))
        else:
            output = objective.forward(x, training=False)
        value, _ = self._value_and_gradient(objective, x, y, output, weight, False)
        return value + objective.penalty(x)

    def _handed(self, x: Any, y: Any, weight: Any) -> tuple[Any, ...]:
        """Return a batch for a user's step, as read-only views.

        Several inputs and outputs have the model's structures.
        """
        outputs = self.model._data.ends()[1]
        x = self.model._data.packed(map_structure(_read_only, x))
        if y is None:
            return (x,)
        y, weight = [map_structure(_read_only, part) for part in (y, weight)]
        if outputs is not None:
            y = pack_as(outputs, flatten(y))
            weight = None if weight is None else pack_as(outputs, flatten(weight))
        return pack_x_y_sample_weight(x, y, weight)

    def flat(self, x: Any, y: Any, sample_weight: Any) -> Any:
        """Return the arguments of a user's step as arrays or flat lists."""
        inputs, outputs = self.model._data.ends()
        x = x if inputs is None else _flat_or_single(x)
        if outputs is None:
            return x, y, sample_weight
        weight = None if sample_weight is None else _flat_or_single(sample_weight)
        return x, _flat_or_single(y), weight

    def masked(self, x: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Return the weights of samples, 0 for those that the outputs' masks leave out."""
        objective = self.known_objective()
        objective.settle()
        if not self.model.built or x is None or not (masks := objective.masks(x, training=False)):
            return sample_weight
        x, outputs, weight = self.flat(x, y_pred, sample_weight)
        return objective.masked(masks, weight, outputs)

    @contextmanager
    def _step_of_user(self, x: Array, y: Any) -> Iterator[_OwnStep]:
        """Return a context for a user's step, taken as a whole or not at all."""
        if self.laid_out != structure_version():
            self.lay_out()
        self.own = step = _OwnStep(x, y)
        kept = [(variable, variable.numpy()) for variable in self._unguarded]
        assert self.optimizer is not None  # prepare came first
        count = self.optimizer._batches
        self.model.lock.acquire_write()
        try:
            yield step
            if self.optimizer._batches != count and not step.refused:
                self._end_step_of_user(step)
        except BaseException:
            step.refused = True
            raise
        finally:
            self.own = None
            if step.refused:
                for variable, value in kept:
                    variable.value[...] = value
            self.model.lock.release_write()

    def _end_step_of_user(self, step: _OwnStep) -> None:
        """Let the layers settle, even if the optimizer was called directly.

        Raises:
            RuntimeError: If the optimizer's step lacked the gradients of the penalties on weights.
        """
        penalties = [variable.regularizer for variable in self.model.learning_variables()]
        if not step.penalized and any(one is not None for one in penalties):
            raise RuntimeError(
                f"train_step of model {self.model.name!r} applies gradients without those of the "
                "penalties on weights. Call update_weights(), which adds them, instead of "
                "optimizer.apply(...)."
            )
        self._settle_step()

    def _settle_step(self) -> None:
        """Let the layers store the step's results, such as moving averages."""
        assert self.objective is not None
        if self.own is None or not self.model.cache:
            self.objective.settle_step()
        else:  # a user's train_step has run the model by hand
            self.model.cache[0].settle()

    def refuse(self, value: float) -> None:
        """Raise if a user's step is not finite, or note it if a callback ends the run."""
        if (
            self.model.fit_loop is not None
            and self.model.fit_loop.ends_on_nan
            and self.own is not None
        ):
            self.own.refused = True
            return
        if self.own is None:
            raise FloatingPointError("The gradient is not finite. No weight has changed.")
        raise FloatingPointError(diagnosis(self.model, value, self.own.x, self.own.y))

    def _checked_logs(self, method: str, logs: Any) -> dict[str, Any]:
        """Return the checked result of a user's step.

        Raises:
            TypeError: If it is not a dict of numbers by name.
        """
        what = f"{method} of model {self.model.name!r} must return a dict of numbers by name"
        if not isinstance(logs, Mapping) or not all(isinstance(name, str) for name in logs):
            raise TypeError(f"{what}. Received: {type(logs).__name__}")
        checked = {}
        for name, value in logs.items():
            array = np.asarray(value)
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{what}. Received: {name}={value!r}")
            checked[name] = array.item() if array.ndim == 0 else np.array(array)
        return checked


class _OwnStep:
    """A step of a user's `train_step`: its batch, and whether it was refused."""

    def __init__(self, x: Array, y: Any) -> None:
        self.x, self.y = x, y
        self.loss = 0.0  # the result of compute_loss
        self.penalized = False  # whether the penalties' gradients were added
        self.refused = False


def _mark(x: Any) -> float:
    """Return a number in [0, 997) from the last sample, which differs among batches."""
    return float(np.sum((x[0] if type(x) is list else x)[-1], dtype=float)) % 997


def _read_only(array: Array | None) -> Array | None:
    return None if array is None else read_only(array)


def _flat_or_single(structure: Any) -> Any:
    """Return the arrays of a structure as a list, or the only one itself."""
    arrays = flatten(structure)
    return arrays if len(arrays) > 1 else arrays[0]
