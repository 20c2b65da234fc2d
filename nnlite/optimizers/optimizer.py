"""What every optimizer does around its rule: from the gradients of a batch to the new weights."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlite.backend.blas import add_scaled, scale, takes_long_vectors
from nnlite.backend.variables import Variable, WeightVector
from nnlite.config import floatx
from nnlite.optimizers.bound import Iterations, LearningRate
from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.optimizers.state import State
from nnlite.serialization.objects import serialize_keras_object
from nnlite.serialization.registry import Registry
from nnlite.utils.overrides import refuse_overrides
from nnlite.utils.validation import check_count, check_fraction, check_number, optional_count

__all__ = ["TINY", "Optimizer", "Rate", "deserialize", "get", "registry", "serialize"]

Array = NDArray[Any]

#: What an optimizer takes for its learning rate.
Rate: TypeAlias = float | LearningRateSchedule | Callable[[], float]

# What an epsilon of 0 counts as under a root: it makes 0 / 0 into 0 and changes nothing else.
TINY = float(np.finfo(np.float32).tiny)

# Entries updated together. A rule makes many passes over the weights, the gradient and its own
# state; in slices of this size all of them stay in the cache from the first pass to the last. The
# passes that BLAS makes on all cores are quicker over everything at once.
_SLICE = 32_768

_BY_VARIABLE = "define update_step(gradient, variable, learning_rate), called for each weight"
_STATE = "make the state in build, by add_variable_from_reference, or name it in slots"
_SAVED = "what add_variable and add_variable_from_reference make is saved with the model"

# What Keras calls, or a user might, and a step here does not.
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
    """A rule that changes a model's weights, given their gradients.

    A rule of your own defines `rule`, and names in ``slots`` the vectors that it keeps from step
    to step; it works on long slices of all weights. Or it defines Keras's `update_step`, for one
    weight after the other, and makes its state in `build`. As in Keras, gradients are clipped
    first, then weights decay, then the rule applies, then the average of the weights moves on.

    Args:
        learning_rate: The step size: a number, a `LearningRateSchedule`, or a function without
            arguments that returns a number.
        weight_decay: The fraction of each weight, times the learning rate, that every step takes
            away (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).
        clipnorm: The largest norm of the gradient of each weight array.
        clipvalue: The largest absolute value of each gradient's entries.
        global_clipnorm: The largest norm of all gradients together (Pascanu et al., "On the
            Difficulty of Training Recurrent Neural Networks", 2013).
        use_ema: Whether to keep a running average of the weights, which takes their place when
            `fit` ends (Polyak and Juditsky, "Acceleration of Stochastic Approximation by
            Averaging", 1992).
        ema_momentum: m in average <- m average + (1 - m) weights, after every batch.
        ema_overwrite_frequency: Put the average in the weights' place every so many steps too.
        loss_scale_factor: Kept for Keras's sake. It guards float16 gradients from underflow, and
            cancels out of every step; float32 and float64 do not need it. By hand, `scale_loss`
            multiplies by it and `apply` divides.
        gradient_accumulation_steps: Take a step only every so many batches, at least 2, on the
            mean of their gradients.
        name: Its name.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is out of its range, or more than one clipping is asked for.

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

    #: Whether a subclass says by `update_step` what a step is.
    _by_variable: ClassVar[bool] = False

    #: Whether `rule` makes all its passes by BLAS, and so is given all weights at once.
    by_blas: ClassVar[bool] = False

    #: The learning rate of the step that is being taken: for `begin_step` and `rule`.
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
        self.loss_scale_factor = _optional_number("loss_scale_factor", loss_scale_factor)
        self.gradient_accumulation_steps = (
            None
            if gradient_accumulation_steps is None
            else check_count("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        )
        self.name = name or self.default_name()
        self._owner: object = None
        self._vector: WeightVector | None = None
        #: Called in each step with its gradients in place, which a rule may overwrite.
        self.watchers: tuple[Callable[[], None], ...] = ()
        self._no_decay: tuple[list[Variable], re.Pattern[str] | None] = ([], None)
        self._decayed: list[slice] = []
        self._parts: list[tuple[Array, ...]] = []
        self._averages: list[tuple[Array, Array, Array]] = []
        self._chosen: list[slice] | None = None  # the weights of this step, where not all
        self._begun: tuple[float, int] | None = None  # for what rate and count begin_step was last
        self._scalars_before: dict[str, Any] = {}

    @property
    def learning_rate(self) -> LearningRate:
        """The step size of the next step, a float with the methods of a variable.

        Assign to it to change it during training.

        Raises:
            TypeError: On assigning a number where a schedule decides, as in Keras; if a schedule
                or function returned no number.
        """
        return LearningRate(self._rate_now(), self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if not callable(value):
            if isinstance(getattr(self, "_learning_rate", None), LearningRateSchedule):
                raise TypeError(
                    f"A schedule decides on this {type(self).__name__}'s learning rate. To set it "
                    "by hand, make the optimizer with a number, or assign another schedule. "
                    f"Received: learning_rate={value!r}"
                )
            value = check_number("learning_rate", value)
        elif isinstance(value, type):
            raise TypeError(
                "learning_rate must be a number, a schedule or a function without arguments. "
                f"Received the class {value.__name__}: make an object of it."
            )
        self._learning_rate = value

    def _rate_now(self) -> float:
        """Return the rate as a plain float, which a step computes with."""
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        value = rate(self._batches) if isinstance(rate, LearningRateSchedule) else rate()
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        try:
            return check_number("learning_rate", value)
        except (TypeError, ValueError) as error:
            giver = getattr(rate, "__name__", type(rate).__name__)
            raise type(error)(f"What {giver} returned is no learning rate: {error}") from None

    @property
    def iterations(self) -> Iterations:
        """How many steps were taken: batches, or with gradient accumulation groups of them."""
        return Iterations(self._count(), self)

    @iterations.setter
    def iterations(self, value: int) -> None:
        count = check_count("iterations", value, 0)
        self._batches = count * (self.gradient_accumulation_steps or 1)

    def _count(self) -> int:
        """Return `iterations` as a plain integer, which a step computes with."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as plain data in Keras's form.

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

    # ---- what an optimizer defines --------------------------------------------------------

    def rule(self, w: Array, g: Array, *state: Array, scratch: Array) -> None:
        """Change a slice of the weights ``w`` in place, given its gradient ``g``.

        Args:
            w: The weights.
            g: Their gradient, which may be overwritten.
            *state: The slice's part of each vector named in ``slots``, in that order.
            scratch: An array of the same size to compute in.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define rule(w, g, ...)")

    def begin_step(self) -> None:
        """Compute what all slices of one step share; ``self.iterations`` counts from 1 here."""

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Take a step on one weight; here by `rule`, in a subclass as it says.

        An override is called for each weight instead of `rule`, after clipping and decay, and
        changes ``variable`` by `assign`, `assign_add` or `assign_sub`. As in Keras,
        ``self.iterations`` counts the steps before this one.

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

    # ---- what every optimizer does --------------------------------------------------------

    def check_owner(self, owner: object) -> None:
        """Refuse to serve a second model.

        Raises:
            ValueError: If the optimizer belongs to another ``owner``.
        """
        if self._owner is not None and owner is not self._owner:
            raise ValueError(
                f"This {type(self).__name__} belongs to another model already. Give each model "
                "an optimizer of its own, in compile(optimizer=...)."
            )

    def updates(self, vector: WeightVector | None) -> bool:
        """Return whether ``vector`` is what this optimizer was built to update."""
        return vector is not None and vector is self._vector

    def take_up(self, vector: WeightVector) -> None:
        """Have `build` called for ``vector``, unless that is what is updated already.

        Raises:
            ValueError: If the vector is another model's.
            RuntimeError: If a subclass's ``build`` does not call ``super().build(variables)``, or
                makes no state where it did before.
        """
        if vector is self._vector:
            return
        slots = self._slots_added()
        self.built = False  # some begin with `if self.built: return`
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
        """Take variables as what to update; weights known from before keep their state.

        Args:
            variables: A model's vector, or any variables of one float type. Those that are not in
                a vector together are gathered in a new one.

        Raises:
            TypeError: If one is not a `Variable`, or of another type than the others.
            ValueError: If the vector is another model's.
        """
        vector = variables if isinstance(variables, WeightVector) else self._gathered(variables)
        self.check_owner(vector.owner)
        self._owner, self._vector = vector.owner, vector
        averages = ["average"] * self.use_ema
        accumulators = ["gradient_accumulator"] * (self.gradient_accumulation_steps is not None)
        self._lay_out(vector, [*averages, *accumulators, *self.slots])
        self._cut()

    def _gathered(self, variables: Iterable[Variable]) -> WeightVector:
        """Return the vector that the variables live in together, a new one if need be."""
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
        """Prepare the slices of a step, and which of the weights decay."""
        if self._vector is None:
            return
        values, gradients = self._vector.values, self._vector.gradients
        together = (
            max(len(values), _SLICE)
            if self.by_blas and takes_long_vectors(values.dtype)
            else _SLICE
        )
        scratch = np.empty(min(together, len(values)), values.dtype)
        self._parts, self._averages = [], []
        for start in range(0, len(values), together):
            part = slice(start, start + together)
            w = values[part]
            state = [self.state[slot][part] for slot in self.slots]
            self._parts.append((w, gradients[part], *state, scratch[: len(w)]))
            if self.use_ema:
                self._averages.append((w, self.state["average"][part], scratch[: len(w)]))
        kept, names = self._no_decay
        self._decayed = [
            part
            for variable, part in zip(self._variables, self._slices, strict=True)
            if not any(variable is other for other in kept)
            and not (names and names.search(variable.name))
        ]

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Keep weights from decaying: the given ones, or all whose name contains a given text.

        Args:
            var_list: Weights, such as ``[layer.bias]``.
            var_names: Parts of names, such as ``["bias"]``, or regular expressions.
        """
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._no_decay = (list(var_list or ()), pattern)
        self._cut()

    def update(self) -> None:
        """Take one step: from the gradients that stand in the vector, change its weights.

        Raises:
            RuntimeError: If there is no vector yet.
            ValueError: If a schedule's rate is no finite number, or negative.
        """
        vector = self._vector
        if vector is None:
            raise RuntimeError("update() needs build(vector) first; a model's fit does both.")
        self.rate = self._rate_now()  # a schedule counts the batches before this one
        self._batches += 1
        if self._chosen is not None:
            self._keep_to_chosen(vector)
        if self.gradient_accumulation_steps is None or self._accumulate(vector.gradients):
            self._step(vector)
        if self.use_ema:
            self._average(vector)

    def _accumulate(self, gradients: Array) -> bool:
        """Return whether it is time for a step; ``gradients`` are then the mean of the batches'."""
        assert self.gradient_accumulation_steps is not None  # update() looked
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
        if chosen is not None:  # gradients of others may have been accumulated
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
        for *arrays, scratch in self._parts:
            self.rule(*arrays, scratch=scratch)

    def _step_by_variable(self) -> None:
        """Take the step on one weight after the other, by `update_step`."""
        self._batches -= 1  # there, as in Keras, this step is not counted yet
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
        """Call `begin_step` for a step at ``rate``, which is not counted yet; once is enough."""
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
        """Let no gradient count but those of the weights that a step is for."""
        assert self._chosen is not None  # the caller looked
        for part in self._slices:
            if part not in self._chosen:
                vector.gradients[part] = 0

    # ---- by hand --------------------------------------------------------------------------

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> None:
        """Take one step along gradients that are given, with constraints: for steps of your own.

        Args:
            grads: An array for each variable, of its shape. Where one is None, the variable
                stays as it is, with a warning.
            trainable_variables: The variables, which the optimizer is built for if it is not
                built; all that it is built for by default.

        Raises:
            TypeError: If a gradient is not numeric.
            ValueError: If a gradient has another shape than its variable, there are not as many
                as variables, all are None, or a variable is unknown. Nothing has changed then.

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
                f"There must be one gradient a variable. Received: {len(grads)} gradients for "
                f"{len(variables)} variables"
            )
        if not self.built:
            self.take_up(self._gathered(variables))
        elif self._vector is None or not self._vector.holds(self._variables):
            self.take_up(self._gathered(self._variables))  # they have come into another vector
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
        """Take one step along pairs of a gradient and its variable; as `apply`.

        Returns:
            How many batches there were.
        """
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._batches

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times ``loss_scale_factor``, by which `apply` divides gradients."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Take over the ``variables`` of another optimizer; raises as `load_state_arrays`.

        Raises:
            ValueError: If the optimizer has not been built.
        """
        if not self.built:
            raise ValueError(
                "You are calling set_weights() on an optimizer that is not built: call "
                "build(variables) first."
            )
        self.load_state_arrays(weights)

    # ---- the average of the weights -------------------------------------------------------

    def _average(self, vector: WeightVector) -> None:
        """Move the average on after a batch, and put it in the weights' place where that is due."""
        # As in Keras: counted in steps before this batch, though moved after every batch.
        before = (self._batches - 1) // (self.gradient_accumulation_steps or 1)
        momentum = self.ema_momentum if before else 0.0
        for w, average, scratch in self._averages:
            scale(average, momentum)
            add_scaled(average, 1 - momentum, w, scratch)
        if self.ema_overwrite_frequency and (before + 1) % self.ema_overwrite_frequency == 0:
            np.copyto(vector.values, self.state["average"])

    def finalize_variable_values(self, var_list: Iterable[Variable] | None = None) -> None:
        """Put the average in the weights' place, with ``use_ema``; `fit` ends with this.

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
        """Clip the gradients in place, in the way that was asked for."""
        if self.clipnorm:
            for part in vector.slices:
                _scale_to_norm(vector.gradients[part], self.clipnorm)
        elif self.global_clipnorm:
            _scale_to_norm(vector.gradients, self.global_clipnorm)
        elif self.clipvalue:
            np.clip(vector.gradients, -self.clipvalue, self.clipvalue, out=vector.gradients)

    def __getstate__(self) -> dict[str, Any]:
        # The model's vector stays behind: the copy takes up that of the model it comes back with.
        fresh: dict[str, Any] = {"_parts": [], "_averages": [], "_decayed": []}
        return {**self.__dict__, "_owner": None, "_vector": None, "watchers": (), **fresh}


def _as_variable(target: Any) -> Variable:
    return target if isinstance(target, Variable) else Variable(target, "array of state")


def _optional_number(name: str, value: Any) -> float | None:
    return None if value is None else check_number(name, value)


def _scale_to_norm(gradient: Array, limit: float) -> None:
    """Scale ``gradient`` in place to the Euclidean norm ``limit`` where it is longer."""
    largest = float(np.abs(gradient).max(initial=0.0))
    if largest == 0.0:
        return
    # Divided by its largest entry first, a long vector's squares cannot overflow.
    norm = largest * math.sqrt(float(np.sum(np.square(gradient / largest), dtype=float)))
    if norm > limit:
        gradient *= limit / norm


class _AnyCase(Registry[Optimizer]):
    """A registry that takes ``"ADAM"`` for ``"adam"``, as Keras's of optimizers does."""

    def lookup(self, name: str, known: Iterable[str] = ()) -> Callable[..., Optimizer]:
        lower = name.lower()
        return super().lookup(lower if lower in self._makers else name, known)


registry = _AnyCase("optimizer", Optimizer, "keras.optimizers")


def get(identifier: Any) -> Optimizer | None:
    """Return an optimizer for a name such as ``"adam"``, a class, its data, or an optimizer.

    None is none.

    Raises:
        ValueError: If the name is unknown; the message offers the nearest.
        TypeError: If it is nothing of the kind.

    >>> get("sgd")
    SGD()
    """
    return None if identifier is None else registry.get(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer as plain data: its class's name and its configuration.

    >>> serialize(get("adam"))["class_name"]
    'Adam'
    """
    return serialize_keras_object(optimizer)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """Make an optimizer from what `serialize` returned.

    Args:
        config: The optimizer as data.
        custom_objects: Classes of your own that it may name.

    Raises:
        ValueError: If it names no optimizer, or its configuration does not fit.

    >>> deserialize({"class_name": "adam", "config": {"beta_2": 0.99}})
    Adam(beta_2=0.99)
    """
    return registry.deserialize(config, custom_objects)
