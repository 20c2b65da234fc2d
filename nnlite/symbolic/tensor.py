"""KerasTensor: an array's shape and type before there are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from nnlite.utils.structures import flatten

__all__ = ["OPERATORS", "KerasTensor", "any_symbolic"]

Shape = tuple[int | None, ...]

#: What the operators of tensors call, by name: `nnlite.ops` puts its functions here.
OPERATORS: dict[str, Callable[..., Any]] = {}

_NO_NUMBERS = (
    "A KerasTensor stands for an array whose numbers are not there yet: layers, operators and the "
    "functions of nnlite.ops take it, NumPy's functions, `if`, `for` and len() do not."
)


class Maker(Protocol):
    """The call that puts a tensor out: a `Node`, as a tensor knows it."""

    layer: Any
    arguments: tuple[Any, ...]
    outputs: list[KerasTensor]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors that the call reads."""


class KerasTensor:
    """An array in a model that is being described: it has a shape and a type, and no numbers.

    `nnlite.Input` makes the first one; a layer called on tensors returns others. The operators
    ``+ - * / ** @``, ``abs``, unary ``-`` and slicing give tensors too.

    Args:
        shape: Its shape, the batch axis first and None where a size is not known.
        dtype: The type of its entries.
        name: The name.

    Attributes:
        node: The call of a layer that puts it out, or None.
        index: Which of that call's outputs it is.

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
        """The number of axes, with that of the batch."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    # ---- what it has no numbers for -------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(_NO_NUMBERS)

    def __bool__(self) -> bool:
        raise TypeError(_NO_NUMBERS)

    def __iter__(self) -> Any:
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

    def __add__(self, other: Any) -> Any:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> Any:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> Any:
        return OPERATORS["negative"](self)

    def __abs__(self) -> Any:
        return OPERATORS["abs"](self)

    def __getitem__(self, key: Any) -> Any:
        return OPERATORS["getitem"](self, key)


def any_symbolic(*structures: Any) -> bool:
    """Return whether there is a `KerasTensor` in any of the structures."""
    return any(isinstance(leaf, KerasTensor) for leaf in flatten(structures))
