"""What every optimizer does around its rule: from the gradients of a batch to the new weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlite.blas import add_scaled, scale, takes_long_vectors
from nnlite.checks import check_count, check_fraction, check_number, optional_count
from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.optimizers.state import State
from nnlite.registry import Registry
from nnlite.serialization import serialize_keras_object
from nnlite.variables import Variable, WeightVector

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


class Optimizer(State):
    """A rule that changes a model's weights, given their gradients.

    A rule of your own defines `rule`, and names in ``slots`` the vectors that it keeps from step
    to step. As in Keras, gradients are clipped first, then weights decay, then the rule applies,
    then the average of the weights moves on.

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
            cancels out of every step; float32 and float64 do not need it.
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
    """

    #: Whether `rule` makes all its passes by `nnlite.blas`, and so is given all weights at once.
    by_blas: ClassVar[bool] = False

    #: The learning rate of the step that is being taken: for `begin_step` and `rule`.
    rate: float

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
        self._no_decay: tuple[list[Variable], re.Pattern[str] | None] = ([], None)
        self._decayed: list[slice] = []
        self._parts: list[tuple[Array, ...]] = []
        self._averages: list[tuple[Array, Array, Array]] = []

    @property
    def learning_rate(self) -> float:
        """The step size of the next step; assign to it to change it during training.

        Raises:
            TypeError: On assigning a number where a schedule decides, as in Keras.
        """
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate
        by_steps = isinstance(rate, LearningRateSchedule)
        return check_number("learning_rate", rate(self._batches) if by_steps else rate())

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

    @property
    def iterations(self) -> int:
        """How many steps were taken: batches, or with gradient accumulation groups of them."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        count = check_count("iterations", value, 0)
        self._batches = count * (self.gradient_accumulation_steps or 1)

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

    def build(self, vector: WeightVector) -> None:
        """Take ``vector`` as what to update; weights known from before keep their state.

        Raises:
            ValueError: If the vector is another model's.
        """
        if vector is self._vector:
            return
        self.check_owner(vector.owner)
        self._owner, self._vector = vector.owner, vector
        averages = ["average"] * self.use_ema
        accumulators = ["gradient_accumulator"] * (self.gradient_accumulation_steps is not None)
        self._lay_out(vector, [*averages, *accumulators, *self.slots])
        self._cut()

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
        self.rate = self.learning_rate  # a schedule counts the batches before this one
        self._batches += 1
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
        self._clip(vector)
        if self.weight_decay:
            keep = 1 - self.weight_decay * self.rate
            if len(self._decayed) == len(vector.slices):
                scale(vector.values, keep)
            else:
                for part in self._decayed:
                    vector.values[part] *= keep
        self.begin_step()
        for *arrays, scratch in self._parts:
            self.rule(*arrays, scratch=scratch)

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
        return {**self.__dict__, "_owner": None, "_vector": None, **fresh}


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


def get(identifier: Any) -> Optimizer:
    """Return an optimizer for a name such as ``"adam"``, a class, its data, or an optimizer.

    Raises:
        ValueError: If the name is unknown; the message offers the nearest.
        TypeError: If it is nothing of the kind.

    >>> get("sgd")
    SGD()
    """
    return registry.get(identifier)


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
