"""Variables, the weights of layers, and WeightVector, which stores them contiguously."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np

from nnlite.backend.structure_cache import invalidate
from nnlite.config import floatx
from nnlite.utils.typing import Array
from nnlite.utils.validation import all_finite, as_numeric

_left_in_file: ContextVar[int | None] = ContextVar("_left_in_file", default=None)


@contextmanager
def weights_from_file(elements: int) -> Iterator[None]:
    """Context in which layers create zero weights for a file, limited to its size."""
    token = _left_in_file.set(elements)
    try:
        yield
    finally:
        _left_in_file.reset(token)


def array_for_file(what: str, shape: Sequence[int], dtype: Any) -> Array | None:
    """Return zeros for a weight from a file, or None outside `weights_from_file`."""
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


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """A weight of a layer: a named array with its gradient.

    In a trained model, ``value`` and ``gradient`` are views into two vectors (see `WeightVector`).
    Assigning to them copies; `numpy` returns a copy. Arithmetic with a variable returns an array,
    and ``w -= step`` works in place. ``w == 0`` compares entries, but ``w == v`` compares the
    identity of two variables, so that variables can be searched in lists and used as keys.

    Args:
        value: The initial value. An array is not copied; other values are converted to an array of
            ``nnlite.config.floatx()``.
        name: The name in the layer, such as ``"kernel"``.
        trainable: Whether optimizers update the weight; False for moving averages.
        regularizer: A penalty on this weight that is added to the loss.
        constraint: A projection applied to this weight after each update.
        path: The name with that of the layer, such as ``"dense/kernel"``; by default ``name``.

    Raises:
        TypeError: If an assigned ``value`` or ``gradient`` is not numeric.
        ValueError: If its shape differs.

    >>> online, target = Variable(np.ones(2), "online"), Variable(np.zeros(2), "target")
    >>> target.assign(0.25 * online + 0.75 * target)
    >>> target.value
    array([0.25, 0.25])
    """

    __slots__ = (
        "_trainable",
        "constraint",
        "gradient",
        "name",
        "path",
        "regularizer",
        "value",
        "vector",
    )

    #: The kind of the variable in errors.
    kind: ClassVar[str] = "weight"

    value: Array
    gradient: Array
    vector: WeightVector | None  # the vector of the model

    def __init__(
        self,
        value: Any,
        name: str = "variable",
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Callable[[Array], Any] | None = None,
        path: str | None = None,
    ) -> None:
        if not isinstance(value, np.ndarray):
            value = np.array(as_numeric(f"{self.kind} {name!r}", value), floatx())
        self.rebind(value, np.zeros_like(value))
        self.name = name
        self.path = path or name
        self._trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self.vector = None

    def rebind(self, value: Array, gradient: Array) -> None:
        """Use the arrays as value and gradient without a copy."""
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "gradient", gradient)

    def __setattr__(self, name: str, new: Any) -> None:
        if name == "value":
            if new is not self.value:  # otherwise `w.value += x` has already updated it
                self.assign(new)
        elif name == "gradient":
            if new is not self.gradient:
                self.gradient[...] = self.check(new, "the gradient of ")
        else:
            object.__setattr__(self, name, new)

    @property
    def trainable(self) -> bool:
        """Whether optimizers update the variable."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        invalidate()

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type, float32 or float64."""
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

    def check(self, value: Any, what: str = "") -> Array:
        """Return ``value`` as an array that fits the variable.

        Args:
            value: The array.
            what: A prefix of the name in errors.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape differs.
        """
        name = f"{what}{self.kind} {self.name!r}"
        array = as_numeric(name, value)
        if array.shape != self.shape:
            raise ValueError(
                f"{name[:1].upper()}{name[1:]} has shape {self.shape}. "
                f"Received an array of shape {array.shape}"
            )
        if array.dtype == self.dtype:
            return array
        with np.errstate(over="ignore", under="ignore"):
            converted = array.astype(self.dtype, copy=False)
        if (np.isfinite(array) & ~np.isfinite(converted)).any():
            raise ValueError(
                f"{name[:1].upper()}{name[1:]} is {self.dtype}, which cannot hold numbers as large "
                f"as {np.abs(array).max()}."
            )
        return converted

    def assign(self, value: Any) -> None:
        """Copy ``value``, an array of the same shape, into this variable.

        Raises:
            TypeError: If it is not numeric.
            ValueError: If its shape differs.

        >>> bias = Variable(np.zeros(2), "bias")
        >>> bias.assign([1, 2])
        >>> bias
        <Variable bias, shape=(2,), dtype=float64, value=[1. 2.]>
        """
        self.value[...] = self.check(value)

    def assign_add(self, value: Any) -> None:
        """Add ``value``, a number or an array of the same shape; raises as `assign`."""
        self.assign(self.value + self._term(value))

    def assign_sub(self, value: Any) -> None:
        """Subtract ``value``, a number or an array of the same shape; raises as `assign`."""
        self.assign(self.value - self._term(value))

    def _term(self, value: Any) -> Array:
        term = as_numeric(f"{self.kind} {self.name!r}", value)
        return self.check(term) if term.ndim else term.astype(self.dtype)

    # ---- as an array ----------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.value, dtype=dtype, copy=True)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        inputs = tuple(x.value if isinstance(x, Variable) else x for x in inputs)
        (out,) = kwargs.get("out") or (None,)
        if not isinstance(out, Variable):
            return getattr(ufunc, method)(*inputs, **kwargs)
        del kwargs["out"]
        out.assign(getattr(ufunc, method)(*inputs, **kwargs))
        return out

    def __eq__(self, other: object) -> Any:
        return self is other if _is_whole(other) else self.value == other

    def __ne__(self, other: object) -> Any:
        return self is not other if _is_whole(other) else self.value != other

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(f"A Variable has no truth value. Compare {self.name}.value instead.")

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in Variable.__slots__}
        state["value"] = self.numpy()  # a view would pickle the whole vector
        return {**state, "gradient": None, "vector": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.rebind(self.value, np.zeros_like(self.value))

    def __repr__(self) -> str:
        value = np.array2string(self.value, threshold=8, precision=4, edgeitems=2)
        return (
            f"<Variable {self.path}, shape={self.shape}, dtype={self.dtype}, "
            f"value={' '.join(value.split())}>"
        )


def _is_whole(other: object) -> bool:
    """Return whether comparison with ``other`` is by identity, not by entry."""
    return other is None or isinstance(other, Variable)


class WeightVector:
    """Variables in one contiguous vector, with their gradients in another.

    The ``value`` and ``gradient`` of each variable become views into ``values`` and ``gradients``,
    so that optimizers and norms work on whole vectors.

    Args:
        variables: The variables, all of one float type.
        dtype: The float type.
        owner: The owner of the weights; an optimizer has one owner.

    >>> kernel, bias = Variable(np.ones((2, 2)), "kernel"), Variable(np.zeros(2), "bias")
    >>> vector = WeightVector([kernel, bias], np.dtype(float))
    >>> vector.values
    array([1., 1., 1., 1., 0., 0.])
    >>> kernel.value[0, 0] = 5.0
    >>> vector.values[0]
    np.float64(5.0)
    """

    __slots__ = ("gradients", "owner", "reduced", "slices", "values", "variables")

    def __init__(
        self, variables: Sequence[Variable], dtype: np.dtype[Any], owner: object = None
    ) -> None:
        self.owner = owner
        self.variables = tuple(variables)
        ends = np.cumsum([0, *(variable.size for variable in variables)]).tolist()
        self.slices = [slice(*pair) for pair in itertools.pairwise(ends)]
        self.values = np.empty(ends[-1], dtype)
        #: The gradients and two numbers more, which several processes add up in one call.
        self.reduced = np.zeros(ends[-1] + 2, dtype)
        self.gradients = self.reduced[:-2]
        for variable, part in zip(self.variables, self.slices, strict=True):
            value = self.values[part].reshape(variable.shape)
            value[...] = variable.value
            gradient = self.gradients[part].reshape(variable.shape)
            gradient[...] = variable.gradient
            variable.rebind(value, gradient)
            variable.vector = self
        invalidate()

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)

    def __getitem__(self, index: Any) -> Any:
        return self.variables[index]

    def holds(self, variables: Sequence[Variable]) -> bool:
        """Whether the vector still stores exactly these variables, which may have moved."""
        return len(variables) == len(self.variables) and all(
            new is old and new.value.base is self.values
            for new, old in zip(variables, self.variables, strict=True)
        )

    def has_finite_gradients(self) -> bool:
        """Return whether no gradient is NaN or infinite."""
        return all_finite(self.gradients)
