"""The state of optimizers, and its form in Keras's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from nnlite import config, initializers
from nnlite.backend.variables import Variable, WeightVector
from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.serialization.registry import Configurable
from nnlite.utils.typing import Array
from nnlite.utils.validation import as_numeric, check_count, check_number

#: The types of a learning rate.
Rate: TypeAlias = float | LearningRateSchedule | Callable[[], float]

# The slots and numbers of every optimizer.
_COMMON = ("average", "gradient_accumulator", "iteration", "learning_rate")


class _Kept(Variable):
    """An array or number in the state of an optimizer, in Keras's scale.

    Args:
        keeper: The optimizer.
        name: The name in files.
        slot: The slot, or the name of the number.
        of: The weight of the slot; None for a number.
    """

    __slots__ = ("_keeper", "_of", "_slot")
    kind = "state"

    def __init__(self, keeper: State, name: str, slot: str, of: Variable | None = None) -> None:
        self._keeper, self._slot, self._of = keeper, slot, of
        self.name = self.path = name
        self._trainable = False
        self.regularizer = self.constraint = self.vector = None

    @property
    def value(self) -> Array:  # type: ignore[override]
        """A copy of the current value."""
        if self._of is None:
            return self._keeper._number(self._slot)
        part = self._keeper._part(self._slot, self._of)
        return part * self._keeper.scales.get(self._slot, 1.0)

    def check(self, value: Any, what: str = "") -> Any:
        """Return ``value`` as stored: an array in the rule's scale, or a number."""
        array = as_numeric(f"state {self.name!r}", value)
        if self._of is not None:
            return super().check(array / self._keeper.scales.get(self._slot, 1.0))
        if array.ndim:
            super().check(array)  # raises for the shape
        if self._slot == "iteration":
            return check_count(self.name, array[()], 0)
        if self._slot == "learning_rate":
            # Files round to float32: keep a rate whose rounding is the given one.
            rate = self._keeper._learning_rate
            rounded = array.dtype.kind == "f" and array.dtype.type(rate) == array
            return rate if rounded else check_number(self.name, array[()])
        return float(array)

    def assign(self, value: Any) -> None:
        """Store ``value``; raises as `load_state_arrays`."""
        kept = self.check(value)
        if self._of is not None:
            self._keeper._part(self._slot, self._of)[...] = kept
        else:
            setattr(self._keeper, _ATTRIBUTES.get(self._slot, self._slot), kept)

    def __reduce__(self) -> Any:
        return Variable, (self.numpy(), self.name, False)


_ATTRIBUTES = {"iteration": "_batches", "learning_rate": "_learning_rate"}


class State(Configurable):
    """The state of an optimizer: a count, a learning rate, and vectors as long as the weights.

    Attributes:
        state: The vectors by slot, in the scale of the rule, and the arrays of `add_variable`, by
            name.
    """

    #: The names of the state vectors of the rule.
    slots: tuple[str, ...] = ()

    #: The slots that Keras's files store side by side for each weight.
    paired: ClassVar[tuple[str, ...]] = ()

    #: The attributes that are numbers of the state.
    scalars: ClassVar[tuple[str, ...]] = ()

    _learning_rate: Rate

    def __init__(self) -> None:
        #: The initial value of each slot, if not 0.
        self.initial: Mapping[str, float] = {}
        #: The factor from a slot to Keras's scale, if not 1.
        self.scales: Mapping[str, float] = {}
        self.state: dict[str, Array] = {}
        self.built = False
        self._batches = 0
        self._variables: tuple[Variable, ...] = ()
        self._slices: list[slice] = []
        self._index: dict[Variable, int] = {}
        self._names: list[str] = []
        self._resting: dict[Variable, dict[str, Array]] = {}  # of frozen weights
        # Added state: the variable, its name in `state`, and its weight.
        self._added: list[tuple[Variable, str, Variable | None]] = []
        self._at_first: int | None = None  # their number before the first build
        self._of_no_weight: dict[str, Variable] = {}
        self._restored: set[tuple[Variable, str]] = set()

    def _lay_out(self, vector: WeightVector, slots: Sequence[str]) -> None:
        """Create the state for the weights in ``vector``, keeping that of known weights."""
        slots = [*slots, *(slot for slot in self.state if slot in self._slots_added())]
        if self._at_first is None:
            self._at_first = len(self._added)
        known = self._resting
        for variable, part in zip(self._variables, self._slices, strict=True):
            known[variable] = {
                slot: whole[part]
                for slot, whole in self.state.items()
                if slot not in self._of_no_weight
            }
        initial: dict[str, Any] = {"average": vector.values, **self.initial}
        state = {slot: np.full_like(vector.values, initial.get(slot, 0.0)) for slot in slots}
        self._restored = set()
        for variable, part in zip(vector.variables, vector.slices, strict=True):
            for slot, old in known.pop(variable, {}).items():
                state[slot][part] = old
                self._restored.add((variable, slot))
        self._resting = {
            variable: {slot: old.copy() for slot, old in parts.items()}
            for variable, parts in known.items()
        }
        del self._added[self._at_first :]  # the rest is created again
        state.update((slot, variable.value) for variable, slot, _ in self._added)
        self.state, self.built = state, True
        self._variables, self._slices = vector.variables, vector.slices
        self._index = {variable: i for i, variable in enumerate(self._variables)}
        self._names = _told_apart([variable.name for variable in self._variables])

    # ---- state added by subclasses --------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: None = None,
        name: str | None = None,
    ) -> Variable:
        """Create a state variable, which is saved and copied with the optimizer.

        Args:
            shape: The shape.
            initializer: A name, an initializer, or a function of ``(shape, dtype=...)``.
            dtype: The type; ``nnlite.config.floatx()`` by default.
            aggregation: Accepted for compatibility with Keras.
            layout: Accepted for compatibility with Keras.
            name: The name, with a number if it is taken.
        """
        name = self._free_name(name or "variable", None)
        variable = self._of_no_weight.get(name)
        if variable is None or variable.shape != tuple(shape):
            dtype = dtype or config.floatx()
            draw = initializers.get(initializer) or initializers.Zeros()
            value = np.array(draw(tuple(shape), dtype=dtype), dtype)
            variable = self._of_no_weight[name] = Variable(value, name, trainable=False)
        self.state[name] = variable.value
        self._added.append((variable, name, None))
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Create a state variable of the shape of a weight.

        Call it in ``build(variables)`` after ``super().build(variables)``. ``build`` is repeated
        when weights are frozen or unfrozen; known weights keep their state.

        Args:
            reference_variable: The weight.
            name: The name of the state.
            initializer: A name, an initializer, or a function of ``(shape, dtype=...)``.

        Raises:
            ValueError: If the optimizer is not built for this weight.
        """
        part = self._slices[self._get_variable_index(reference_variable)]
        slot = self._free_name(name or "var", reference_variable)
        if slot not in self.state:
            dtype = reference_variable.dtype
            self.state[slot] = np.zeros(self._slices[-1].stop, dtype)
        value = self.state[slot][part].reshape(reference_variable.shape)
        if (reference_variable, slot) not in self._restored:
            draw = initializers.get(initializer) or initializers.Zeros()
            value[...] = draw(value.shape, dtype=value.dtype.name)
        own = self._names[self._get_variable_index(reference_variable)]
        variable = Variable(value, f"{own}_{slot}", trainable=False)
        self._added.append((variable, slot, reference_variable))
        return variable

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Call `add_variable_from_reference` for each weight, with one or several names.

        Returns:
            A list of variables, or a tuple of lists for a list of names.

        Raises:
            ValueError: If the optimizer is not built for a weight, or the numbers of initializers
                and names differ.
        """
        if isinstance(name, str):
            return self.add_optimizer_variables(trainable_variables, [name], [initializer])[0]
        several = isinstance(initializer, (list, tuple))
        chosen = list(initializer) if several else [initializer] * len(name)
        if len(chosen) != len(name):
            raise ValueError(
                "There must be as many initializers as names. "
                f"Received: name={name!r}, initializer={initializer!r}"
            )
        rows = [
            [self.add_variable_from_reference(v, *pair) for pair in zip(name, chosen, strict=True)]
            for v in trainable_variables
        ]
        return tuple([row[i] for row in rows] for i in range(len(name)))

    def _get_variable_index(self, variable: Variable) -> int:
        """Return the index of a weight that the optimizer is built for."""
        if variable not in self._index:
            raise ValueError(
                f"Unknown variable: {variable}. This {type(self).__name__} is not built for it: "
                "call build(variables) first, in a build of your own super().build(variables)."
            )
        return self._index[variable]

    def _free_name(self, name: str, of: Variable | None) -> str:
        """Return ``name``, with a number if it is taken."""
        taken = {*_COMMON, *self.slots, *self.scalars}
        taken.update(slot for _, slot, other in self._added if other in (of, None) or of is None)
        return _told_apart([*taken, name])[-1]

    def _slots_added(self) -> set[str]:
        return {slot for _, slot, of in self._added if of is not None}

    def _part(self, slot: str, variable: Variable) -> Array:
        """Return the view of a weight's state, which may be frozen."""
        if variable in self._index:
            flat = self.state[slot][self._slices[self._index[variable]]]
        else:
            flat = self._resting[variable][slot]
        return flat.reshape(variable.shape)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for variable, slot, of in self._added:  # each has its own array
            if of is None:
                self.state[slot] = variable.value
            else:
                variable.rebind(self._part(slot, of), variable.gradient)

    # ---- files ----------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """The state as assignable variables, in Keras's order.

        Before `build`, these are the count of batches and the learning rate.

        >>> from nnlite.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.variables[1].assign(0.25)
        >>> optimizer.learning_rate
        0.25
        """
        return self._kept()

    def state_arrays(self) -> list[tuple[str, Array]]:
        """Return the state, as Keras's files store it.

        The order is that of Keras's ``optimizer.variables``: the count of batches, the learning
        rate unless it is a schedule or function, the averages of the weights, the accumulated
        gradients, the slots of the rule, and its numbers. Slots in ``paired`` are side by side for
        each weight, others one after the other. Values are in Keras's scale.

        Returns:
            Unique names with copies of the arrays, each of the shape of its weight.

        Raises:
            RuntimeError: If the optimizer has not been built.

        >>> from nnlite.optimizers import SGD
        >>> optimizer = SGD(0.5, momentum=0.9)
        >>> weights = [Variable(np.ones(2), "kernel"), Variable(np.ones(1), "bias")]
        >>> optimizer.build(WeightVector(weights, np.dtype(float)))
        >>> [name for name, array in optimizer.state_arrays()]
        ['iteration', 'learning_rate', 'kernel_momentum', 'bias_momentum']
        """
        self._check_built()
        return [(variable.name, variable.numpy()) for variable in self._kept()]

    def load_state_arrays(self, arrays: Sequence[Any], by_slot: bool = False) -> None:
        """Load the arrays of `state_arrays` or of Keras's ``optimizer.variables``.

        Args:
            arrays: The arrays, in that order.
            by_slot: Whether the order is that of Keras up to 2.10: the count, the numbers of the
                rule, then each slot for all weights, without the learning rate.

        Raises:
            RuntimeError: If the optimizer has not been built: call ``build(vector)`` first.
            TypeError: If an array is not numeric, or the count is not an integer.
            ValueError: If the number of arrays or a shape is wrong. Nothing is changed then.

        >>> from nnlite.optimizers import SGD
        >>> optimizer = SGD(0.5, momentum=0.9)
        >>> optimizer.build(WeightVector([Variable(np.ones(2), "kernel")], np.dtype(float)))
        >>> optimizer.load_state_arrays([3, 0.25, [1.0, 2.0]])
        >>> optimizer.iterations, optimizer.learning_rate, optimizer.state
        (3, 0.25, {'momentum': array([1., 2.])})
        """
        self._check_built()
        kept = self._kept(by_slot)
        if len(arrays) != len(kept):
            raise ValueError(
                f"{type(self).__name__} keeps {len(kept)} arrays: "
                f"{', '.join(variable.name for variable in kept)}. Received: {len(arrays)}"
            )
        for variable, array in zip(kept, arrays, strict=True):
            variable.check(array)
        for variable, array in zip(kept, arrays, strict=True):
            variable.assign(array)

    def _check_built(self) -> None:
        if not self.built:
            raise RuntimeError(
                f"This {type(self).__name__} has no state before build(vector); a model's fit "
                "calls it."
            )

    def _kept(self, by_slot: bool = False) -> list[Variable]:
        """Return the variables of the state in the order of files."""
        added = [variable for variable, *_ in self._added]
        extra = {*self._slots_added(), *self._of_no_weight}
        beside = tuple(slot for slot in self.paired if slot in self.state and not by_slot)
        groups: list[tuple[str, ...]]
        groups = [(slot,) for slot in self.state if slot not in (*beside, *self.slots, *extra)]
        groups += [beside, *((slot,) for slot in self.slots if slot not in beside)]
        arrays: list[Variable] = [
            _Kept(self, f"{name}_{slot}", slot, variable)
            for group in groups * self.built
            for name, variable in zip(self._names, self._variables, strict=True)
            for slot in group
        ]
        scalars: list[Variable] = [_Kept(self, name, name) for name in self.scalars * self.built]
        count = _Kept(self, "iteration", "iteration")
        if by_slot:
            return [count, *scalars, *arrays, *added]
        rates = ["learning_rate"] * isinstance(self._learning_rate, float)
        return [count, *(_Kept(self, rate, rate) for rate in rates), *arrays, *scalars, *added]

    def _number(self, name: str) -> Array:
        """Return a number as an array: the count as an integer, others in the weights' type."""
        if name == "iteration":
            return np.array(self._batches)
        value = self._learning_rate if name == "learning_rate" else getattr(self, name)
        dtypes = [variable.dtype for variable in self._variables]
        return np.array(value, dtypes[0] if dtypes else config.floatx())


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return the names, made unique with numbers."""
    apart: dict[str, None] = {}
    for name in names:
        free, count = name, 0
        while free in apart:
            count += 1
            free = f"{name}_{count}"
        apart[free] = None
    return list(apart)
