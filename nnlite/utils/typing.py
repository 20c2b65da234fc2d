"""The type of arrays in annotations."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

__all__ = ["Array"]

#: An array of any type.
Array: TypeAlias = NDArray[Any]
