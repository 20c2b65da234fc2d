"""The type of arrays in annotations."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

#: An array of any type.
Array: TypeAlias = NDArray[Any]
