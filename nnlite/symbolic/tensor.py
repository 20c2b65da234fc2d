"""KerasTensor: the shape and type of an array without values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from nnlite.utils.lazy import load
from nnlite.utils.structures import flatten

Shape = tuple[int | None, ...]


class _Operators(dict[str, Callable[..., Any]]):
    def __missing__(self, name: str) -> Callable[..., Any]:
        load("nnlite.ops")
        return self[name]


#: The functions of the operators by name, set by `nnlite.ops` on first use.
OPERATORS = _Operators()

_NO_NUMBERS = (
    "A KerasTensor has no values: use layers, operators and the functions of nnlite.ops, not "
    "NumPy functions, `if`, `for` or len()."
)


class Maker(Protocol):
    """The interface of `Node` for tensors."""

    layer: Any
    arguments: tuple[Any, ...]
    outputs: list[KerasTensor]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors that the call reads."""


class KerasTensor:
    """Symbolic array of a model, with a shape and a type but no values.

    `nnlite.Input` returns the first tensors; layers called on tensors return others, as do the
    operators ``+ - * / ** @``, ``abs``, unary ``-`` and slicing.

    Args:
        shape: The shape, with the batch axis first and None for unknown sizes.
        dtype: The type of the entries.
        name: The name.

    Attributes:
        node: The layer call that outputs the tensor, or None.
        index: The index among the outputs of the call.

    >>> from nnlite import Input
    >>> Input((4,), name="age")
    <KerasTensor shape=(None, 4), dtype=float32, name=age>
    """

    __array_ufunc__ = None  # NumPy leaves `array + tensor` to the tensor

    def __init__(self, shape: Shape, dtype: str = "float32", name: str | None = None) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or "keras_tensor"
        self.node: Maker | None = None
        self.index = 0

    @property
    def ndim(self) -> int:
        """The number of axes, the batch axis included."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    # ---- operations that need values ------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(_NO_NUMBERS)

    def __bool__(self) -> bool:
        raise TypeError(_NO_NUMBERS)

    def __iter__(self) -> NoReturn:
        raise TypeError(_NO_NUMBERS)

    def __len__(self) -> int:
        raise TypeError(_NO_NUMBERS)

    def __float__(self) -> float:
        raise TypeError(_NO_NUMBERS)

    def __eq__(self, other: object) -> bool:
        if other is None or isinstance(other, KerasTensor):
            return self is other
        raise TypeError(_NO_NUMBERS)

    __hash__ = object.__hash__

    # ---- operators ------------------------------------------------------------------------

    def __add__(self, other: Any) -> KerasTensor:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> KerasTensor:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> KerasTensor:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> KerasTensor:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> KerasTensor:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> KerasTensor:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> KerasTensor:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> KerasTensor:
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> KerasTensor:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> KerasTensor:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> KerasTensor:
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> KerasTensor:
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> KerasTensor:
        return OPERATORS["negative"](self)

    def __abs__(self) -> KerasTensor:
        return OPERATORS["abs"](self)

    def __getitem__(self, key: Any) -> KerasTensor:
        return OPERATORS["getitem"](self, key)


def any_symbolic(*structures: Any) -> bool:
    """Return whether any of the structures contains a `KerasTensor`."""
    return any(isinstance(leaf, KerasTensor) for leaf in flatten(structures))
