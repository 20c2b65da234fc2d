"""Weights: the named arrays that layers own, and the one vector that a model keeps them in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnlite.checks import all_finite, as_numeric
from nnlite.structure import restructured

if TYPE_CHECKING:
    from nnlite.regularizers import Regularizer

__all__ = ["Variable", "WeightVector", "array_for_file", "weights_from_file"]

Array = NDArray[Any]

_left_in_file: ContextVar[int | None] = ContextVar("_left_in_file", default=None)


@contextmanager
def weights_from_file(elements: int) -> Iterator[None]:
    """Within it, layers make their weights for a file to fill: zeros, and no more than it has.

    Args:
        elements: How many numbers the file holds.
    """
    token = _left_in_file.set(elements)
    try:
        yield
    finally:
        _left_in_file.reset(token)


def array_for_file(what: str, shape: Sequence[int], dtype: Any) -> Array | None:
    """Return zeros for a weight that comes from a file, or None outside of `weights_from_file`.

    Raises:
        ValueError: If the file does not hold so many numbers.
    """
    left = _left_in_file.get()
    if left is None:
        return None
    count = math.prod(shape)
    if count > left:
        raise ValueError(
            f"{what} has {count} numbers by its shape {tuple(shape)}, more than the file holds"
        )
    _left_in_file.set(left - count)
    return np.zeros(tuple(shape), dtype)


class Variable:
    """A weight of a layer: a named array, and beside it the gradient of the loss.

    A layer reads ``value`` and writes ``gradient``, always in place: in a model that trains, both
    are views into the model's two long vectors (see `WeightVector`). To keep a copy, use `numpy`.

    Args:
        value: The initial value; the variable keeps this very array.
        name: What the layer calls it, such as ``"kernel"``.
        trainable: False for a weight that no optimizer may change, such as a moving average.
        regularizer: A penalty on this weight that is added to the loss.
        constraint: A projection applied to this weight after each update.
    """

    __slots__ = ("_trainable", "constraint", "gradient", "name", "regularizer", "value")

    def __init__(
        self,
        value: Array,
        name: str,
        trainable: bool = True,
        regularizer: Regularizer | None = None,
        constraint: Callable[[Array], Any] | None = None,
    ) -> None:
        self.value = value
        self.gradient = np.zeros_like(value)
        self.name = name
        self._trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint

    @property
    def trainable(self) -> bool:
        """Whether an optimizer may change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        restructured()

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's type, float32 or float64."""
        return self.value.dtype

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.value.size

    def numpy(self) -> Array:
        """Return a copy of the value.

        >>> Variable(np.zeros(2), "bias").numpy()
        array([0., 0.])
        """
        return self.value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.value, dtype=dtype, copy=True)

    def check(self, value: Any) -> Array:
        """Return ``value`` as an array that `assign` can take.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape is not this variable's.
        """
        array = as_numeric(f"weight {self.name!r}", value)
        if array.shape != self.shape:
            raise ValueError(
                f"Weight {self.name!r} has shape {self.shape}. "
                f"Received an array of shape {array.shape}"
            )
        if array.dtype == self.dtype:
            return array
        with np.errstate(over="ignore", under="ignore"):
            converted = array.astype(self.dtype, copy=False)
        if (np.isfinite(array) & ~np.isfinite(converted)).any():
            raise ValueError(
                f"Weight {self.name!r} is {self.dtype}, which cannot hold numbers as large as "
                f"{np.abs(array).max()}."
            )
        return converted

    def assign(self, value: Any) -> None:
        """Copy ``value``, an array of the same shape, into this variable.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape is another one.

        >>> bias = Variable(np.zeros(2), "bias")
        >>> bias.assign([1, 2])
        >>> bias
        <Variable bias, shape=(2,), dtype=float64, value=[1. 2.]>
        """
        self.value[...] = self.check(value)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        state["value"] = self.numpy()  # a view would drag the model's whole vector along
        del state["gradient"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.gradient = np.zeros_like(self.value)

    def __repr__(self) -> str:
        value = np.array2string(self.value, threshold=8, precision=4, edgeitems=2)
        return (
            f"<Variable {self.name}, shape={self.shape}, dtype={self.dtype}, "
            f"value={' '.join(value.split())}>"
        )


class WeightVector:
    """Many variables laid out in one contiguous vector, and their gradients in another.

    From construction on, each variable's ``value`` is a view into ``values`` and its ``gradient``
    one into ``gradients``: an optimizer, a norm or a checkpoint acts on the whole vector at once.

    Args:
        variables: The variables to gather, all of one float type.
        dtype: Their float type.
        owner: Whose weights these are: an optimizer serves one owner.

    >>> kernel, bias = Variable(np.ones((2, 2)), "kernel"), Variable(np.zeros(2), "bias")
    >>> vector = WeightVector([kernel, bias], np.dtype(float))
    >>> vector.values
    array([1., 1., 1., 1., 0., 0.])
    >>> kernel.value[0, 0] = 5.0
    >>> vector.values[0]
    np.float64(5.0)
    """

    __slots__ = ("gradients", "owner", "slices", "values", "variables")

    def __init__(
        self, variables: Sequence[Variable], dtype: np.dtype[Any], owner: object = None
    ) -> None:
        self.owner = owner
        self.variables = tuple(variables)
        ends = np.cumsum([0, *(variable.size for variable in variables)]).tolist()
        self.slices = [slice(*pair) for pair in itertools.pairwise(ends)]
        self.values = np.empty(ends[-1], dtype)
        self.gradients = np.zeros(ends[-1], dtype)
        for variable, part in zip(self.variables, self.slices, strict=True):
            value = self.values[part].reshape(variable.shape)
            value[...] = variable.value
            variable.value = value
            variable.gradient = self.gradients[part].reshape(variable.shape)
        restructured()

    def holds(self, variables: Sequence[Variable]) -> bool:
        """Whether just these variables, in this order, still live here.

        A layer that another model has gathered since lives there instead.
        """
        return len(variables) == len(self.variables) and all(
            new is old and new.value.base is self.values
            for new, old in zip(variables, self.variables, strict=True)
        )

    def has_finite_gradients(self) -> bool:
        """Return whether no gradient is NaN or infinite."""
        return all_finite(self.gradients)
