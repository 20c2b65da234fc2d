"""Operation: a function of arrays as a layer without weights, and helpers of gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.config import floatx
from nnlite.layers.layer import Layer, Shape, Shapes
from nnlite.serialization.objects import KINDS
from nnlite.serialization.registry import Registry
from nnlite.symbolic import KerasTensor, Node, any_symbolic
from nnlite.utils.structures import SHAPES, flatten, map_structure
from nnlite.utils.typing import Array
from nnlite.utils.validation import ArgumentError, as_numeric, check_axis

_NUMBERS = (bool, int, float)  # numbers take the type of the arrays


class Operation(Layer):
    """Base class of the operations of `nnlite.ops`, functions of arrays as layers.

    An operation called on tensors returns tensors; called on arrays and numbers, it returns a new
    array. Numbers take the type of the arrays, and lists and arrays of floats take the type of the
    tensors. Constants and arrays of integers have no gradient.
    """

    takes_several = True
    takes_integers = True

    #: The names of the arguments in Keras.
    argument_names: ClassVar[tuple[str, ...]] = ("x",)

    #: Whether integers give floats.
    makes_floats: ClassVar[bool] = False

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._beside: list[str] = []  # the types of the constants of calls

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return the result: tensors for tensors, and new arrays for arrays.

        Args:
            *arguments: The arguments in the order of Keras's function.
            **named: Further arguments by their names in Keras.

        Raises:
            TypeError: If an argument is missing, unknown or not numeric.
            ValueError: If the shapes do not fit.
        """
        names = self.argument_names
        missing = [name for name in names[len(arguments) :] if name not in named]
        if missing or len(arguments) + len(named) != len(names):
            raise TypeError(
                f"{type(self).__name__} takes {', '.join(names)}. Received: {len(arguments)} "
                f"arguments and {', '.join(named) or 'no keywords'}"
            )
        arguments += tuple(named[name] for name in names[len(arguments) :])
        if any_symbolic(arguments):
            return self.on_tensors(arguments)
        given = self._prepared(arguments, floatx())
        if all(isinstance(leaf, _NUMBERS) for leaf in flatten(given)):
            given = [np.asarray(n, self._promoted([type(n).__name__])) for n in given]
        x: Any = given[0] if len(given) == 1 else given
        self.output_shape_for(x)  # raises for wrong shapes
        return self.run_forward(x)

    def on_tensors(
        self, arguments: Sequence[Any], training: bool | None = None, **options: Any
    ) -> Any:
        """Return the output tensors for tensors, and record the call as a `Node`."""
        tensors = [leaf for leaf in flatten(arguments) if isinstance(leaf, KerasTensor)]
        dtypes = [tensor.dtype for tensor in tensors]
        if floats := [dtype for dtype in dtypes if "float" in dtype]:
            self.dtype = np.result_type(*floats).name
        given = self._prepared(arguments, self.dtype, constants=True)
        x = given[0] if len(given) == 1 else given
        beside = self._dtypes([leaf for leaf in self._data(x) if not isinstance(leaf, KerasTensor)])
        if self.nodes and beside != self._beside:
            raise ValueError(
                f"{self.name!r} has been called with constants of types {self._beside}: create "
                f"another {type(self).__name__} for others. Received: constants of types {beside}"
            )
        self._beside = beside
        dtype = self.compute_output_dtype(*dtypes)
        shapes = self.output_shape_for(x)
        outputs = map_structure(lambda shape: KerasTensor(shape, dtype, self.name), shapes, SHAPES)
        self.nodes.append(Node(self, given, outputs))
        return outputs

    def _prepared(self, arguments: Sequence[Any], dtype: str, constants: bool = False) -> list[Any]:
        """Return the arguments with lists converted to arrays."""
        return [
            self._array(name, argument, dtype, constants)
            for name, argument in zip(self.argument_names, arguments, strict=True)
        ]

    def _array(self, name: str, value: Any, dtype: str, constants: bool) -> Any:
        if isinstance(value, (KerasTensor, *_NUMBERS)):
            return value
        array = as_numeric(name, value)
        own = not constants and isinstance(value, (np.ndarray, np.generic))
        return array if own or array.dtype.kind != "f" else array.astype(dtype)

    def _data(self, x: Any) -> list[Any]:
        """Return the arrays, tensors and numbers of the arguments."""
        return flatten(x)

    @staticmethod
    def _dtypes(data: Sequence[Any]) -> list[str]:
        """Return the types of arrays and tensors, and of numbers ``"int"`` and so on."""
        return [
            type(leaf).__name__ if isinstance(leaf, _NUMBERS) else np.dtype(leaf.dtype).name
            for leaf in data
        ]

    def _promoted(self, dtypes: Iterable[str]) -> str:
        """Return the result type of arrays of ``dtypes`` and numbers."""
        numbers = {kind.__name__ for kind in _NUMBERS[1:]}.intersection(dtypes)
        arrays = [np.dtype(dtype) for dtype in dtypes if dtype not in numbers]
        floats = [dtype for dtype in arrays if dtype.kind == "f"]
        if floats:
            return np.result_type(*floats).name
        if "float" in numbers:
            return self.dtype
        if numbers and all(dtype.kind == "b" for dtype in arrays):
            return "int32"
        return np.result_type(*arrays).name

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of the output: the widest float, or the widest integer if no floats.

        The constants of a call on tensors count in addition to ``input_dtypes``.
        """
        dtype = self._promoted([*input_dtypes, *self._beside])
        return self.dtype if self.makes_floats and "float" not in dtype else dtype

    def arrays_for(self, x: Any) -> dict[str, Any]:
        """Return ``x`` and new arrays for the output."""
        dtype = self.compute_output_dtype(*self._dtypes(self._data(x)))
        y = map_structure(lambda shape: np.empty(shape, dtype), self.output_shape_for(x), SHAPES)
        return {"x": x, "y": y}

    def output_shape_for(self, x: Any) -> Shapes:
        """Return the shape of the output for the arrays or tensors ``x``."""
        return self.compute_output_shape(map_structure(_shape, x))

    def told_shape(self, input_shape: Shapes, **options: Any) -> Shapes:
        """Return `compute_output_shape`, which may lack a batch axis."""
        return self.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the constructor's other arguments, in Keras's format."""
        own = [name for name in self._parameters() if name != "name"]
        values = map_structure(lambda leaf: leaf, [getattr(self, name) for name in own])
        return {"name": self.name, **dict(zip(own, values, strict=True))}

    def serialized(self) -> dict[str, Any]:
        """Return the operation as plain data, in the form of Keras's op nodes."""
        made = super().serialized()
        return {**made, "registered_name": made["class_name"]}


#: The operations by Keras module.
numpy: Registry[Operation] = Registry("operation", Operation, "keras.src.ops.numpy", "nnlite.ops")
nn: Registry[Operation] = Registry("operation", Operation, "keras.src.ops.nn", "nnlite.ops")
core: Registry[Operation] = Registry("operation", Operation, "keras.src.ops.core", "nnlite.ops")
for _registry in (numpy, nn, core):  # files name modules without "src"
    KINDS[f"keras.ops.{str(_registry.module).rsplit('.', 1)[-1]}"] = _registry


def _shape(leaf: Any) -> Any:
    return leaf.shape if isinstance(leaf, (KerasTensor, np.ndarray)) else ()


def chain(dx: Array | None, dy: Array, factor: Any = 1) -> None:
    """Write dJ/dx = dJ/dy ``factor`` into ``dx``, summed over broadcast axes.

    Zeros are written for integers, and nothing if ``dx`` is None.
    """
    if dx is None:
        return
    if dx.dtype.kind != "f":
        dx.fill(0)
    elif dx.shape == dy.shape:
        np.multiply(dy, factor, out=dx)
    else:
        product = np.asarray(dy * factor)
        extra = product.ndim - dx.ndim
        stretched = (i + extra for i, size in enumerate(dx.shape) if size == 1)
        summed = product.sum(axis=(*range(extra), *stretched))
        dx[...] = np.reshape(summed, dx.shape)


def broadcast(name: str, *shapes: Shape) -> Shape:
    """Return the broadcast shape of ``shapes``, with None for unknown sizes.

    >>> broadcast("add", (None, 1, 3), (4, 1)), broadcast("add", (None, 2), (5, 2))
    ((None, 4, 3), (5, 2))
    """
    rank = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        known = {size for size in sizes if size not in (1, None)}
        if len(known) > 1:
            raise ValueError(
                f"{name} takes arrays whose sizes are equal, or 1, axis by axis from the last. "
                f"Received: shapes {' and '.join(map(str, shapes))}"
            )
        result.append(known.pop() if known else None if None in sizes else 1)
    return tuple(result)


def canonical_axes(name: str, axis: Any, rank: int) -> tuple[int, ...]:
    """Return ``axis``, an integer, several or None for all, as non-negative axes below ``rank``."""
    if axis is None:
        return tuple(range(rank))
    axes = [check_axis(one) for one in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    found = {one % rank for one in axes if -rank <= one < rank}
    if len(found) != len(axes):
        raise ArgumentError(
            f"{name} needs axes between {-rank} and {rank - 1}, each once, for an array of {rank} "
            f"axes. Received: axis={axis!r}"
        )
    return tuple(one % rank for one in axes)
