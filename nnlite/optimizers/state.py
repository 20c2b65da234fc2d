"""What an optimizer keeps from step to step, and how Keras's files hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnlite import config
from nnlite.checks import as_numeric, check_count, check_number
from nnlite.registry import Configurable
from nnlite.variables import Variable, WeightVector

__all__ = ["State"]

Array = NDArray[Any]


class State(Configurable):
    """The state of an optimizer: a count, a learning rate, and vectors as long as the weights'.

    Attributes:
        state: Each vector by its slot's name, in the scale that the rule keeps it in.
    """

    #: The names of the vectors of state that the rule keeps.
    slots: tuple[str, ...] = ()

    #: Those of the slots that Keras's files hold side by side, weight by weight.
    paired: ClassVar[tuple[str, ...]] = ()

    #: The attributes that are single numbers kept from step to step.
    scalars: ClassVar[tuple[str, ...]] = ()

    _learning_rate: Any

    def __init__(self) -> None:
        #: What each slot begins with, where it is not 0.
        self.initial: Mapping[str, float] = {}
        #: What to multiply a slot by for the scale that Keras keeps it in, where it is not 1.
        self.scales: Mapping[str, float] = {}
        self.state: dict[str, Array] = {}
        self.built = False
        self._batches = 0
        self._variables: tuple[Variable, ...] = ()
        self._slices: list[slice] = []
        self._resting: dict[Variable, dict[str, Array]] = {}  # of weights that are frozen now

    def _lay_out(self, vector: WeightVector, slots: Sequence[str]) -> None:
        """Make the state for the weights in ``vector``, keeping that of the weights known."""
        known = self._resting
        for variable, part in zip(self._variables, self._slices, strict=True):
            known[variable] = {slot: whole[part] for slot, whole in self.state.items()}
        initial: dict[str, Any] = {"average": vector.values, **self.initial}
        state = {slot: np.full_like(vector.values, initial.get(slot, 0.0)) for slot in slots}
        for variable, part in zip(vector.variables, vector.slices, strict=True):
            for slot, old in known.pop(variable, {}).items():
                state[slot][part] = old
        self._resting = {
            variable: {slot: old.copy() for slot, old in parts.items()}
            for variable, parts in known.items()
        }
        self.state, self.built = state, True
        self._variables, self._slices = vector.variables, vector.slices

    # ---- as files hold it -----------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Copies of all that is kept, in Keras's order; to change it, use `load_state_arrays`."""
        return [Variable(array, name, trainable=False) for name, array in self.state_arrays()]

    def state_arrays(self) -> list[tuple[str, Array]]:
        """Return all that training needs to go on, as Keras's files hold it.

        The order is that of Keras's ``optimizer.variables``: the count of batches, the learning
        rate unless it is a schedule or function, the average of each weight, the sum of each
        weight's gradients, the rule's slots, and its single numbers. Slots in ``paired`` stand
        side by side for each weight, the others one after the other. Values are in Keras's scale.

        Returns:
            Names, which are all different, and copies of the arrays, each of its weight's shape.

        Raises:
            RuntimeError: If the optimizer has not been built.

        >>> from nnlite.optimizers import SGD
        >>> optimizer = SGD(0.5, momentum=0.9)
        >>> weights = [Variable(np.ones(2), "kernel"), Variable(np.ones(1), "bias")]
        >>> optimizer.build(WeightVector(weights, np.dtype(float)))
        >>> [name for name, array in optimizer.state_arrays()]
        ['iteration', 'learning_rate', 'kernel_momentum', 'bias_momentum']
        """
        return [
            (name, self._number(name) if view is None else view * scale)
            for name, view, scale in self._kept()
        ]

    def load_state_arrays(self, arrays: Sequence[Any], by_slot: bool = False) -> None:
        """Take over what `state_arrays` or Keras's ``optimizer.variables`` gave.

        Args:
            arrays: The arrays, in that order.
            by_slot: Whether they are in the order of Keras up to 2.10: the count, the rule's
                single numbers, then each slot for all weights; no learning rate.

        Raises:
            RuntimeError: If the optimizer has not been built: call ``build(vector)`` first.
            TypeError: If an array is not numeric, or the count is no integer.
            ValueError: If there is another number of arrays, or one is of another shape; it names
                the first. Nothing has changed then.

        >>> from nnlite.optimizers import SGD
        >>> optimizer = SGD(0.5, momentum=0.9)
        >>> optimizer.build(WeightVector([Variable(np.ones(2), "kernel")], np.dtype(float)))
        >>> optimizer.load_state_arrays([3, 0.25, [1.0, 2.0]])
        >>> optimizer.iterations, optimizer.learning_rate, optimizer.state
        (3, 0.25, {'momentum': array([1., 2.])})
        """
        kept = self._kept(by_slot)
        if len(arrays) != len(kept):
            raise ValueError(
                f"{type(self).__name__} keeps {len(kept)} arrays: "
                f"{', '.join(name for name, *_ in kept)}. Received: {len(arrays)}"
            )
        numbers: dict[str, Any] = {}
        taken: list[tuple[Array, Array]] = []
        for (name, view, scale), given in zip(kept, arrays, strict=True):
            array = as_numeric(name, given)
            shape = () if view is None else view.shape
            if array.shape != shape:
                raise ValueError(
                    f"State {name!r} has shape {shape}. Received an array of shape {array.shape}"
                )
            if view is not None:
                taken.append((view, _converted(name, array, scale, view.dtype)))
            elif name == "iteration":
                numbers["_batches"] = check_count(name, array[()], 0)
            elif name == "learning_rate":
                # A file rounds it to float32: a rate that it is the rounding of stays as it is.
                if array.dtype.kind != "f" or array.dtype.type(self._learning_rate) != array:
                    numbers["_learning_rate"] = check_number(name, array[()])
            else:
                numbers[name] = float(array)
        for name, number in numbers.items():
            setattr(self, name, number)
        for view, array in taken:
            view[...] = array

    def _kept(self, by_slot: bool = False) -> list[tuple[str, Array | None, float]]:
        """Return name, view into the state (None: a single number) and scale of all that is kept.

        Raises:
            RuntimeError: If the optimizer has not been built.
        """
        if not self.built:
            raise RuntimeError(
                f"This {type(self).__name__} has no state before build(vector); a model's fit "
                "calls it."
            )
        beside = tuple(slot for slot in self.paired if slot in self.state and not by_slot)
        groups: list[tuple[str, ...]]
        groups = [(slot,) for slot in self.state if slot not in (*beside, *self.slots)]
        groups += [beside, *((slot,) for slot in self.slots if slot not in beside)]
        weights = list(zip(self._names(), self._variables, self._slices, strict=True))
        arrays: list[tuple[str, Array | None, float]] = [
            (
                f"{name}_{slot}",
                self.state[slot][part].reshape(variable.shape),
                self.scales.get(slot, 1.0),
            )
            for group in groups
            for name, variable, part in weights
            for slot in group
        ]
        scalars: list[tuple[str, Array | None, float]] = [
            (name, None, 1.0) for name in self.scalars
        ]
        if by_slot:
            return [("iteration", None, 1.0), *scalars, *arrays]
        rate = [("learning_rate", None, 1.0)] * isinstance(self._learning_rate, float)
        return [("iteration", None, 1.0), *rate, *arrays, *scalars]

    def _names(self) -> list[str]:
        """Return a name for each weight, counted where several have the same."""
        names: list[str] = []
        for variable in self._variables:
            name, count = variable.name, 0
            while name in names:
                count += 1
                name = f"{variable.name}_{count}"
            names.append(name)
        return names

    def _number(self, name: str) -> Array:
        """Return a single number as an array: the count an integer, else of the weights' type."""
        if name == "iteration":
            return np.array(self._batches)
        value = self._learning_rate if name == "learning_rate" else getattr(self, name)
        dtypes = [variable.dtype for variable in self._variables]
        return np.array(value, dtypes[0] if dtypes else config.floatx())


def _converted(name: str, array: Array, scale: float, dtype: np.dtype[Any]) -> Array:
    """Return ``array`` in the scale and type that a rule keeps it in.

    Raises:
        ValueError: If a number in it is too large for that.
    """
    with np.errstate(over="ignore", under="ignore"):
        converted = (array / scale).astype(dtype, copy=False)
    if (np.isfinite(array) & ~np.isfinite(converted)).any():
        raise ValueError(
            f"State {name!r} is {dtype}, which cannot hold numbers as large as "
            f"{np.abs(array).max()}."
        )
    return converted
