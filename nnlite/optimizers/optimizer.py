"""Optimizer: clipping, weight decay, averaging and saved state around an update rule."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.blas import add_scaled, scale, takes_long_vectors
from nnlite.backend.two_threads import for_each
from nnlite.backend.variables import Variable, WeightVector
from nnlite.config import floatx
from nnlite.optimizers.bound import Iterations, LearningRate
from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.optimizers.state import Rate, State
from nnlite.serialization.objects import serialize_keras_object
from nnlite.serialization.registry import Registry
from nnlite.utils.overrides import refuse_overrides
from nnlite.utils.typing import Array
from nnlite.utils.validation import (
    check_count,
    check_fraction,
    check_number,
    check_positive,
    optional_count,
)

_Part = tuple[tuple[Array, ...], tuple[Array, ...]]  # slices of vectors, a scratch per thread

# Replaces an epsilon of 0 under a root, so that 0 / 0 becomes 0 and nothing else changes.
TINY = float(np.finfo(np.float32).tiny)

# Entries updated together. A rule makes many passes over the weights, the gradient and its state;
# slices of this size stay in the cache. Multi-threaded BLAS passes are faster on whole vectors.
# A step of Adam over 670,000 weights took 0.95 ms in slices of 32,768 entries, 0.80 ms in these.
_SLICE = 131_072

_BY_VARIABLE = "define update_step(gradient, variable, learning_rate), called for each weight"
_STATE = "make the state in build, by add_variable_from_reference, or name it in slots"
_SAVED = "what add_variable and add_variable_from_reference make is saved with the model"

# Methods that a step does not call, with the alternative.
_NOT_CALLED = {
    "apply": _BY_VARIABLE,
    "apply_gradients": _BY_VARIABLE,
    "stateless_apply": _BY_VARIABLE,
    "_backend_apply_gradients": _BY_VARIABLE,
    "_backend_update_step": _BY_VARIABLE,
    "_clip_gradients": _BY_VARIABLE,
    "_apply_weight_decay": _BY_VARIABLE,
    "assign": _BY_VARIABLE,
    "assign_add": _BY_VARIABLE,
    "assign_sub": _BY_VARIABLE,
    "add_variable": _STATE,
    "add_variable_from_reference": _STATE,
    "add_optimizer_variables": _STATE,
    "variables": _SAVED,
    "save_own_variables": _SAVED,
    "load_own_variables": _SAVED,
    "set_weights": "define load_state_arrays(arrays), which reads what state_arrays() returned",
    "scale_loss": "define a loss that is scaled, or update_step, which scales a gradient",
    "learning_rate": "give the constructor a LearningRateSchedule or a function as learning_rate",
    "iterations": "keep a count of your own, by add_variable",
}


class Optimizer(State):
    """Base class of optimizers, which update weights from their gradients.

    A subclass defines `rule`, which works on long slices of all weights, and names its state
    vectors in ``slots``. Or it defines Keras's `update_step`, which is called for each weight, and
    creates its state in `build`. As in Keras, a step clips gradients, decays weights, applies the
    rule and updates the average of the weights, in this order.

    Args:
        learning_rate: The step size: a number, a `LearningRateSchedule`, or a function without
            arguments that returns a number.
        weight_decay: The fraction of each weight, times the learning rate, that every step
            subtracts (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).
        clipnorm: The largest norm of the gradient of each weight array.
        clipvalue: The largest absolute value of each gradient's entries.
        global_clipnorm: The largest norm of all gradients together (Pascanu et al., "On the
            Difficulty of Training Recurrent Neural Networks", 2013).
        use_ema: Whether to keep a running average of the weights, which replaces them when `fit`
            ends (Polyak and Juditsky, "Acceleration of Stochastic Approximation by
            Averaging", 1992).
        ema_momentum: m in average <- m average + (1 - m) weights, after every batch.
        ema_overwrite_frequency: Also replace the weights by the average every N steps.
        loss_scale_factor: Accepted for compatibility with Keras, where it prevents underflow in
            float16. `scale_loss` multiplies by it and `apply` divides by it.
        gradient_accumulation_steps: The number of batches, at least 2, whose mean gradient one
            step uses.
        name: The name.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range, or several clippings are set.

    >>> class SignDescent(Optimizer):
    ...     def rule(self, w, g, *state, scratch):
    ...         np.sign(g, out=scratch)
    ...         scratch *= self.rate
    ...         w -= scratch
    >>> SignDescent(0.1)
    SignDescent(learning_rate=0.1)
    >>> class Heavy(Optimizer):
    ...     def build(self, variables):
    ...         super().build(variables)
    ...         self.momentums = self.add_optimizer_variables(variables, "momentum")
    ...
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         m = self.momentums[self._get_variable_index(variable)]
    ...         self.assign(m, 0.5 * m - learning_rate * gradient)
    ...         self.assign_add(variable, m)
    >>> weight = Variable([1.0], "weight")
    >>> optimizer = Heavy(0.5)
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [weight])
    >>> weight.value, [variable.name for variable in optimizer.variables]
    (array([-0.25], dtype=float32), ['iteration', 'learning_rate', 'weight_momentum'])
    """

    #: Whether a subclass defines `update_step`.
    _by_variable: ClassVar[bool] = False

    #: Whether `rule` uses BLAS only, and therefore takes all weights at once.
    by_blas: ClassVar[bool] = False

    #: The learning rate of the current step, for `begin_step` and `rule`.
    rate: float

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_overrides(cls, _NOT_CALLED)
        cls._by_variable = cls.update_step is not Optimizer.update_step

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.weight_decay = _optional_number("weight_decay", weight_decay)
        self.clipnorm = _optional_number("clipnorm", clipnorm)
        self.clipvalue = _optional_number("clipvalue", clipvalue)
        self.global_clipnorm = _optional_number("global_clipnorm", global_clipnorm)
        clippings = ("clipnorm", "clipvalue", "global_clipnorm")
        asked = [
            f"{way}={getattr(self, way)}" for way in clippings if getattr(self, way) is not None
        ]
        if len(asked) > 1:
            raise ValueError(
                f"Only one of {', '.join(clippings)} can be set. Received: {', '.join(asked)}"
            )
        self.use_ema = bool(use_ema)
        self.ema_momentum = check_fraction("ema_momentum", ema_momentum, including_one=True)
        self.ema_overwrite_frequency = optional_count(
            "ema_overwrite_frequency", ema_overwrite_frequency
        )
        self.loss_scale_factor = (
            None
            if loss_scale_factor is None
            else check_positive("loss_scale_factor", loss_scale_factor)
        )
        self.gradient_accumulation_steps = (
            None
            if gradient_accumulation_steps is None
            else check_count("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        )
        self.name = name or self.default_name()
        self._owner: object = None
        self._vector: WeightVector | None = None
        #: Called in each step before the rule, which may overwrite the gradients.
        self.watchers: tuple[Callable[[], None], ...] = ()
        self._no_decay: tuple[list[Variable], re.Pattern[str] | None] = ([], None)
        self._decayed: list[slice] = []
        #: The slices of w, g and the state, each with a scratch for each thread.
        self._parts: list[_Part] = []
        self._averages: list[tuple[Array, Array, Array]] = []
        self._chosen: list[slice] | None = None  # the weights of a partial step
        self._begun: tuple[float, int] | None = None  # rate and count of the last begin_step
        self._scalars_before: dict[str, Any] = {}

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate of the next step, a float with the methods of a variable.

        Assign to the attribute to change it during training.

        Raises:
            TypeError: On assigning a number while a schedule is set, as in Keras; if a schedule
                or function does not return a number.
        """
        return LearningRate(self._rate_now(), self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if not callable(value):
            if isinstance(getattr(self, "_learning_rate", None), LearningRateSchedule):
                raise TypeError(
                    f"The learning rate of this {type(self).__name__} is a schedule. To set a "
                    "number, create the optimizer with one, or assign another schedule. "
                    f"Received: learning_rate={value!r}"
                )
            value = check_number("learning_rate", value)
        elif isinstance(value, type):
            raise TypeError(
                "learning_rate must be a number, a schedule or a function without arguments. "
                f"Received: the class {value.__name__}. Create an instance."
            )
        self._learning_rate = value

    def _rate_now(self) -> float:
        """Return the rate as a plain float."""
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        value: Any = rate(self._batches) if isinstance(rate, LearningRateSchedule) else rate()
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        try:
            return check_number("learning_rate", value)
        except (TypeError, ValueError) as error:
            giver = getattr(rate, "__name__", type(rate).__name__)
            raise type(error)(f"What {giver} returned is not a learning rate: {error}") from None

    @property
    def iterations(self) -> Iterations:
        """The number of steps: batches, or groups of batches with gradient accumulation."""
        return Iterations(self._count(), self)

    @iterations.setter
    def iterations(self, value: int) -> None:
        count = check_count("iterations", value, 0)
        self._batches = count * (self.gradient_accumulation_steps or 1)

    def _count(self) -> int:
        """Return `iterations` as a plain integer."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as plain data in Keras's format.

        Raises:
            TypeError: If the learning rate is a function without a name.
        """
        return {
            **super().get_config(),
            "learning_rate": serialize_keras_object(self._learning_rate),
        }

    def _shown(self) -> dict[str, Any]:
        if isinstance(self._learning_rate, float):
            return super()._shown()
        return {**super()._shown(), "learning_rate": self._learning_rate}

    # ---- to be defined by subclasses ------------------------------------------------------

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Change a slice of the weights ``w`` in place, given its gradient ``g``.

        Args:
            w: The weights.
            g: Their gradient, which may be overwritten.
            *state: The same slice of each vector in ``slots``.
            scratch: A temporary array of the same size.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define rule(w, g, ...)")

    def begin_step(self) -> None:
        """Compute what the slices of a step share; here ``self.iterations`` starts from 1."""

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Update one weight with `rule`.

        An override is called for each weight instead of `rule`, after clipping and decay, and
        updates ``variable`` with `assign`, `assign_add` or `assign_sub`. As in Keras,
        ``self.iterations`` excludes this step.

        Args:
            gradient: The weight's gradient, of its shape.
            variable: The weight.
            learning_rate: The step size.

        Raises:
            ValueError: If the optimizer is not built for this weight.
        """
        part = self._slices[self._get_variable_index(variable)]
        self._begin(float(learning_rate))
        g = np.array(variable.check(gradient, "the gradient of ")).reshape(-1)
        state = (self.state[slot][part] for slot in self.slots)
        self.rule(variable.value.reshape(-1), g, *state, scratch=np.empty_like(g))

    def assign(self, variable: Any, value: Any) -> None:
        """Copy ``value`` into a variable, or into an array of state of the same shape."""
        _as_variable(variable).assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        """Add ``value`` to a variable, or to an array of state."""
        _as_variable(variable).assign_add(value)

    def assign_sub(self, variable: Any, value: Any) -> None:
        """Subtract ``value`` from a variable, or from an array of state."""
        _as_variable(variable).assign_sub(value)

    # ---- shared behaviour -----------------------------------------------------------------

    def check_owner(self, owner: object) -> None:
        """Raise a ValueError if the optimizer belongs to another ``owner``."""
        if self._owner is not None and owner is not self._owner:
            raise ValueError(
                f"This {type(self).__name__} belongs to another model already. Give each model "
                "an optimizer of its own, in compile(optimizer=...)."
            )

    def updates(self, vector: WeightVector | None) -> bool:
        """Return whether the optimizer is built for ``vector``."""
        return vector is not None and vector is self._vector

    def take_up(self, vector: WeightVector) -> None:
        """Call `build` for ``vector`` unless it has been called.

        Raises:
            ValueError: If the vector belongs to another model.
            RuntimeError: If ``build`` of a subclass does not call ``super().build(variables)``, or
                does not create its state again.
        """
        if vector is self._vector:
            return
        slots = self._slots_added()
        self.built = False  # a subclass may test `if self.built: return`
        self.build(vector)
        name = type(self).__name__
        if self._vector is not vector:
            raise RuntimeError(f"{name}.build must call super().build(variables) first.")
        if lost := slots - self._slots_added():
            raise RuntimeError(
                f"{name}.build must add {', '.join(sorted(lost))} every time that it is called: "
                "when weights are frozen or thawed, it is called again."
            )

    def build(self, variables: WeightVector | Iterable[Variable]) -> None:
        """Create the state for variables; known weights keep their state.

        Args:
            variables: The vector of a model, or variables of one float type, which are gathered in
                a new vector if they do not share one.

        Raises:
            TypeError: If one is not a `Variable`, or the types differ.
            ValueError: If the vector belongs to another model.
        """
        vector = variables if isinstance(variables, WeightVector) else self._gathered(variables)
        self.check_owner(vector.owner)
        self._owner, self._vector = vector.owner, vector
        averages = ["average"] * self.use_ema
        accumulators = ["gradient_accumulator"] * (self.gradient_accumulation_steps is not None)
        self._lay_out(vector, [*averages, *accumulators, *self.slots])
        self._cut()

    def _gathered(self, variables: Iterable[Variable]) -> WeightVector:
        """Return the common vector of the variables, a new one if necessary."""
        listed = list(variables)
        vector = listed[0].vector if listed and isinstance(listed[0], Variable) else None
        if vector is not None and vector.holds(listed):
            return vector
        for variable in listed:
            if not isinstance(variable, Variable) or variable.dtype != listed[0].dtype:
                raise TypeError(
                    f"{type(self).__name__} updates Variables of one float type. "
                    f"Received: {variable!r} beside {listed[0]!r}"
                )
        dtype = listed[0].dtype if listed else np.dtype(floatx())
        return WeightVector(listed, dtype, self._owner)

    def _cut(self) -> None:
        """Prepare the slices of a step and the weights that decay."""
        if self._vector is None:
            return
        values, gradients = self._vector.values, self._vector.gradients
        together = (
            max(len(values), _SLICE)
            if self.by_blas and takes_long_vectors(values.dtype)
            else _SLICE
        )
        # A user's rule may not be made for two threads.
        ours = type(self).rule.__module__.startswith("nnlite.")
        two = ours and len(values) > 2 * together
        if two:  # an even number of equal slices
            together = math.ceil(len(values) / (2 * math.ceil(len(values) / (2 * together))))
        parts = [slice(at, at + together) for at in range(0, len(values), together)]
        scratch = [np.empty(min(together, len(values)), values.dtype) for _ in range(1 + two)]
        self._parts, self._averages = [], []
        for part in parts:
            w = values[part]
            state = [self.state[slot][part] for slot in self.slots]
            own = tuple(whole[: len(w)] for whole in scratch)
            self._parts.append(((w, gradients[part], *state), own))
            if self.use_ema:
                self._averages.append((w, self.state["average"][part], own[0]))
        kept, names = self._no_decay
        self._decayed = [
            part
            for variable, part in zip(self._variables, self._slices, strict=True)
            if not any(variable is other for other in kept)
            and not (names and names.search(variable.name))
        ]

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude weights from weight decay.

        Args:
            var_list: The weights, such as ``[layer.bias]``.
            var_names: Regular expressions to search in the names, such as ``["bias"]``.
        """
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._no_decay = (list(var_list or ()), pattern)
        self._cut()

    def update(self) -> None:
        """Take one step with the gradients in the vector.

        Raises:
            RuntimeError: If the optimizer is not built.
            ValueError: If the rate of a schedule is negative or not finite.
        """
        vector = self._vector
        if vector is None:
            raise RuntimeError("update() needs build(vector) first; a model's fit does both.")
        self.rate = self._rate_now()  # a schedule does not count this batch
        self._batches += 1
        if self._chosen is not None:
            self._keep_to_chosen(vector)
        if self.gradient_accumulation_steps is None or self._accumulate(vector.gradients):
            self._step(vector)
        if self.use_ema:
            self._average(vector)

    def _accumulate(self, gradients: Array) -> bool:
        """Accumulate; return whether a step is due, with the mean in ``gradients``."""
        assert self.gradient_accumulation_steps is not None  # checked by update()
        total = self.state["gradient_accumulator"]
        total += gradients
        if self._batches % self.gradient_accumulation_steps:
            return False
        np.divide(total, self.gradient_accumulation_steps, out=gradients)
        total.fill(0)
        return True

    def _step(self, vector: WeightVector) -> None:
        """Clip, decay, and apply the rule."""
        chosen = self._chosen
        if chosen is not None:  # other gradients may have been accumulated
            self._keep_to_chosen(vector)
        self._clip(vector)
        for watch in self.watchers:
            watch()
        if self.weight_decay:
            keep = 1 - self.weight_decay * self.rate
            if chosen is None and len(self._decayed) == len(vector.slices):
                scale(vector.values, keep)
            else:
                for part in self._decayed:
                    if chosen is None or part in chosen:
                        vector.values[part] *= keep
        if self._by_variable or chosen is not None:
            self._step_by_variable()
            return
        self.begin_step()
        if self._parts and len(self._parts[0][1]) > 1:
            for_each(self._update_part, self._parts)
            return
        for arrays, scratch in self._parts:
            self.rule(*arrays, scratch=scratch[0])

    def _update_part(self, part: _Part, thread: int) -> None:
        """Apply the rule to one slice, on one of two threads."""
        arrays, scratch = part
        self.rule(*arrays, scratch=scratch[thread])

    def _step_by_variable(self) -> None:
        """Update each weight with `update_step`."""
        self._batches -= 1  # as in Keras, this step is not counted yet
        self._begun = None
        rate = self.rate
        try:
            self._begin(rate)
            for variable, part in zip(self._variables, self._slices, strict=True):
                if self._chosen is None or part in self._chosen:
                    self.update_step(variable.gradient, variable, rate)
        finally:
            self._batches, self._begun = self._batches + 1, None

    def _begin(self, rate: float) -> None:
        """Call `begin_step` once for the next step at ``rate``."""
        batches = self._batches
        if self._begun == (rate, batches):
            return
        if self._begun is not None and self._begun[1] == batches:
            vars(self).update(self._scalars_before)  # the same step, at another rate
        else:
            self._scalars_before = {name: getattr(self, name) for name in self.scalars}
        self._begun, self.rate = (rate, batches), rate
        self.iterations = self._count() + 1
        try:
            self.begin_step()
        finally:
            self._batches = batches

    def _keep_to_chosen(self, vector: WeightVector) -> None:
        """Ignore the gradients of weights outside a partial step."""
        assert self._chosen is not None  # checked by the caller
        for part in self._slices:
            if part not in self._chosen:
                vector.gradients[part] = 0

    # ---- direct calls ---------------------------------------------------------------------

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> None:
        """Take one step with given gradients and apply constraints, for custom training loops.

        Args:
            grads: An array per variable, of its shape. None skips the variable with a warning.
            trainable_variables: The variables; all by default. Builds the optimizer if necessary.

        Raises:
            TypeError: If a gradient is not numeric.
            ValueError: If shapes or numbers of gradients and variables differ, all gradients are
                None, or a variable is unknown. Nothing is changed then.

        >>> from nnlite.optimizers import SGD
        >>> weight = Variable([1.0, 2.0], "weight")
        >>> SGD(0.5).apply([[1.0, 1.0]], [weight])
        >>> weight.value
        array([0.5, 1.5], dtype=float32)
        """
        grads = list(grads)
        if not grads:
            return
        name = type(self).__name__
        if trainable_variables is None and not self.built:
            raise ValueError(
                f"This {name} is not built: call build(variables), or give the variables beside "
                "their gradients."
            )
        given = trainable_variables is not None
        variables = list(trainable_variables if given else self._variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"There must be one gradient per variable. Received: {len(grads)} gradients for "
                f"{len(variables)} variables"
            )
        if not self.built:
            self.take_up(self._gathered(variables))
        elif self._vector is None or not self._vector.holds(self._variables):
            self.take_up(self._gathered(self._variables))  # they are in another vector now
        places = [self._get_variable_index(variable) for variable in variables]
        if len(set(places)) != len(places):
            raise ValueError(f"{name} takes each variable once. Received: {variables}")
        missing = [v.path for v, g in zip(variables, grads, strict=True) if g is None]
        if len(missing) == len(grads):
            raise ValueError("No gradients provided for any variable.")
        if missing:
            warnings.warn(f"Gradients do not exist for variables {missing}.", stacklevel=2)
        factor = self.loss_scale_factor or 1.0
        taken = [
            (variable, variable.check(gradient, "the gradient of ") / factor)
            for variable, gradient in zip(variables, grads, strict=True)
            if gradient is not None
        ]
        for variable, gradient in taken:
            variable.gradient[...] = gradient
        if len(taken) < len(self._variables):
            self._chosen = [self._slices[self._index[variable]] for variable, _ in taken]
        try:
            self.update()
        finally:
            self._chosen = None
        for variable, _ in taken:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> int:
        """Take one step with pairs (gradient, variable) as `apply`; return the batch count."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._batches

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times ``loss_scale_factor``, by which `apply` divides gradients."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy the ``variables`` of another optimizer; raises as `load_state_arrays`."""
        if not self.built:
            raise ValueError(
                "You are calling set_weights() on an optimizer that is not built: call "
                "build(variables) first."
            )
        self.load_state_arrays(weights)

    # ---- the average of the weights -------------------------------------------------------

    def _average(self, vector: WeightVector) -> None:
        """Update the average after a batch, and replace the weights by it when due."""
        # As in Keras, the average is updated after every batch, but steps exclude this batch.
        before = (self._batches - 1) // (self.gradient_accumulation_steps or 1)
        momentum = self.ema_momentum if before else 0.0
        for w, average, scratch in self._averages:
            scale(average, momentum)
            add_scaled(average, 1 - momentum, w, scratch)
        if self.ema_overwrite_frequency and (before + 1) % self.ema_overwrite_frequency == 0:
            np.copyto(vector.values, self.state["average"])

    def finalize_variable_values(self, var_list: Iterable[Variable] | None = None) -> None:
        """Replace the weights by their average, with ``use_ema``; called at the end of `fit`.

        Args:
            var_list: The weights to overwrite; all by default.
        """
        if not (self.use_ema and self._batches):
            return
        chosen = self._variables if var_list is None else list(var_list)
        for variable, part in zip(self._variables, self._slices, strict=True):
            if any(variable is other for other in chosen):
                variable.value[...] = self.state["average"][part].reshape(variable.shape)

    # ---- clipping -------------------------------------------------------------------------

    def _clip(self, vector: WeightVector) -> None:
        """Clip the gradients in place."""
        if self.clipnorm:
            for part in vector.slices:
                _scale_to_norm(vector.gradients[part], self.clipnorm)
        elif self.global_clipnorm:
            _scale_to_norm(vector.gradients, self.global_clipnorm)
        elif self.clipvalue:
            np.clip(vector.gradients, -self.clipvalue, self.clipvalue, out=vector.gradients)

    def __getstate__(self) -> dict[str, Any]:
        # The vector is not copied: the copy uses the vector of its own model.
        fresh: dict[str, Any] = {"_parts": [], "_averages": [], "_decayed": []}
        return {**self.__dict__, "_owner": None, "_vector": None, "watchers": (), **fresh}


def _as_variable(target: Any) -> Variable:
    return target if isinstance(target, Variable) else Variable(target, "array of state")


def _optional_number(name: str, value: Any) -> float | None:
    return None if value is None else check_number(name, value)


def _scale_to_norm(gradient: Array, limit: float) -> None:
    """Scale ``gradient`` in place to a Euclidean norm of at most ``limit``."""
    largest = float(np.abs(gradient).max(initial=0.0))
    if largest == 0.0:
        return
    # Dividing by the largest entry first avoids overflow of the squares.
    norm = largest * math.sqrt(float(np.sum(np.square(gradient / largest), dtype=float)))
    if norm > limit:
        gradient *= limit / norm


class _AnyCase(Registry[Optimizer]):
    """Registry of optimizers, whose names are case-insensitive as in Keras."""

    def lookup(self, name: str, known: Iterable[str] = ()) -> Callable[..., Optimizer]:
        lower = name.lower()
        return super().lookup(lower if lower in self._makers else name, known)


registry = _AnyCase("optimizer", Optimizer, "keras.optimizers")


def get(identifier: Any) -> Optimizer | None:
    """Return an optimizer.

    Args:
        identifier: A name such as ``"adam"``, a class, a configuration, an instance, or None, which
            is returned.

    Raises:
        ValueError: If the name is unknown; the message suggests the nearest.
        TypeError: If ``identifier`` is none of these.

    >>> get("sgd")
    SGD()
    """
    return None if identifier is None else registry.get(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer as plain data: class name and configuration.

    >>> serialize(get("adam"))["class_name"]
    'Adam'
    """
    return serialize_keras_object(optimizer)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """Create an optimizer from the result of `serialize`.

    Args:
        config: The optimizer as plain data.
        custom_objects: Your own classes, by name.

    Raises:
        ValueError: If the name is unknown, or the configuration does not fit.

    >>> deserialize({"class_name": "adam", "config": {"beta_2": 0.99}})
    Adam(beta_2=0.99)
    """
    return registry.deserialize(config, custom_objects)
