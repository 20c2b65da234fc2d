"""What every optimizer does around its rule: clipping, weight decay, and the walk in slices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import check_number
from nnlite.registry import Configurable, Registry
from nnlite.variables import Variable, WeightVector

__all__ = ["Optimizer", "get", "registry"]

Array = NDArray[Any]

# Entries updated together. A rule makes many passes over the weights, the gradient and its own
# state; in slices of this size all of them stay in the cache from the first pass to the last.
_SLICE = 32_768


class Optimizer(Configurable):
    """A rule that changes a model's weights, given their gradients.

    A rule of your own defines `rule`, and names in ``slots`` the vectors that it keeps from step
    to step. As in Keras, gradients are clipped first, then weights decay, then the rule applies.

    Args:
        learning_rate: The step size.
        weight_decay: The fraction of each weight, times the learning rate, that every step takes
            away (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).
        clipnorm: The largest norm of the gradient of each weight array.
        clipvalue: The largest absolute value of each gradient's entries.
        global_clipnorm: The largest norm of all gradients together (Pascanu et al., "On the
            Difficulty of Training Recurrent Neural Networks", 2013).
        name: Its name.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is negative, or more than one clipping is asked for.
    """

    #: The names of the vectors of state that the rule keeps, zeros at first.
    slots: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = _optional_number("weight_decay", weight_decay)
        self.clipnorm = _optional_number("clipnorm", clipnorm)
        self.clipvalue = _optional_number("clipvalue", clipvalue)
        self.global_clipnorm = _optional_number("global_clipnorm", global_clipnorm)
        clippings = ("clipnorm", "clipvalue", "global_clipnorm")
        asked = [f"{key}={getattr(self, key)}" for key in clippings if getattr(self, key)]
        if len(asked) > 1:
            raise ValueError(
                f"Only one of {', '.join(clippings)} can be set. Received: {', '.join(asked)}"
            )
        self.name = name or self.default_name()
        self.iterations = 0
        self.state: dict[str, Array] = {}
        self._vector: WeightVector | None = None
        self._owner: object = None
        self._resting: dict[Variable, list[Array]] = {}  # the state of weights that are frozen now
        self._variables: tuple[Variable, ...] = ()
        self._slices: list[slice] = []
        self._no_decay: tuple[list[Variable], tuple[str, ...]] = ([], ())
        self._decayed: list[slice] = []
        self._parts: list[tuple[Array, ...]] = []

    @property
    def learning_rate(self) -> float:
        """The step size; assign to it to change it during training."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_number("learning_rate", value)

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

    def build(self, vector: WeightVector) -> None:
        """Take ``vector`` as what to update; weights known from before keep their state.

        Raises:
            ValueError: If the vector is another model's.
        """
        if vector is self._vector:
            return
        self.check_owner(vector.owner)
        known = self._resting
        for variable, part in zip(self._variables, self._slices, strict=True):
            known[variable] = [self.state[slot][part] for slot in self.slots]
        self.state = {slot: np.zeros_like(vector.values) for slot in self.slots}
        for variable, part in zip(vector.variables, vector.slices, strict=True):
            for slot, old in zip(self.slots, known.pop(variable, []), strict=False):
                self.state[slot][part] = old
        self._resting = {v: [old.copy() for old in state] for v, state in known.items()}
        self._owner, self._vector = vector.owner, vector
        self._variables, self._slices = vector.variables, vector.slices
        self._cut()

    def _cut(self) -> None:
        """Prepare the slices of a step, and which of the weights decay."""
        if self._vector is None:
            return
        values, gradients = self._vector.values, self._vector.gradients
        scratch = np.empty(min(_SLICE, len(values)), values.dtype)
        self._parts = []
        for start in range(0, len(values), _SLICE):
            part = slice(start, start + _SLICE)
            w = values[part]
            state = [self.state[slot][part] for slot in self.slots]
            self._parts.append((w, gradients[part], *state, scratch[: len(w)]))
        kept, names = self._no_decay
        self._decayed = [
            part
            for variable, part in zip(self._variables, self._slices, strict=True)
            if not any(variable is other for other in kept)
            and not any(name in variable.name for name in names)
        ]

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Keep weights from decaying: the given ones, or all whose name contains a given text.

        Args:
            var_list: Weights, such as ``[layer.bias]``.
            var_names: Parts of names, such as ``["bias"]``.
        """
        self._no_decay = (list(var_list or ()), tuple(var_names or ()))
        self._cut()

    def update(self) -> None:
        """Take one step: from the gradients that stand in the vector, change its weights."""
        vector = self._vector
        if vector is None:
            raise RuntimeError("update() needs build(vector) first; a model's fit does both.")
        self.iterations += 1
        self._clip(vector)
        if self.weight_decay:
            keep = 1 - self.weight_decay * self.learning_rate
            if len(self._decayed) == len(vector.slices):
                vector.values *= keep
            else:
                for part in self._decayed:
                    vector.values[part] *= keep
        self.begin_step()
        for *arrays, scratch in self._parts:
            self.rule(*arrays, scratch=scratch)

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
        return {**self.__dict__, "_owner": None, "_vector": None, "_parts": [], "_decayed": []}


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


registry: Registry[Optimizer] = Registry("optimizer", Optimizer, "keras.optimizers")


def get(identifier: Any) -> Optimizer:
    """Return an optimizer for a name such as ``"adam"``, a class, or an optimizer.

    Raises:
        ValueError: If the name is unknown; the message offers the nearest.
        TypeError: If it is nothing of the kind.

    >>> get("sgd")
    SGD()
    """
    return registry.get(identifier)
