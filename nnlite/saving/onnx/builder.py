"""Builder: an ONNX graph while it is made, and which function writes a layer into it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nnlite.layers.layer import Layer, Shape
from nnlite.saving.onnx import protobuf

__all__ = ["OPSET", "UNKNOWN", "Builder", "NoFormError", "Value", "converts", "find"]

#: Of the operators' versions the first in which Softmax is one along an axis, whatever comes before
#: it, and the sizes of Squeeze, Unsqueeze and Split can be computed.
OPSET = 13

UNKNOWN = "it depends on sizes of its input that are unknown: give them by input_signature"

Array = NDArray[Any]
Converter = Callable[["Builder", Any, Any], Any]
F = TypeVar("F", bound=Converter)


class NoFormError(Exception):
    """A call that has no form in ONNX; the message says why."""


class Value(str):
    """The name of an array of the graph, with its shape and type where it is what a call reads."""

    __slots__ = ("dtype", "shape")

    shape: Shape
    dtype: str


class Builder:
    """An ONNX graph; ``builder.Conv(x, kernel, strides=[2, 2])`` adds a node, returns its output.

    Of a node's inputs, a number stands for a constant of the type ``dtype``, a list of integers
    for one of int64, an array for itself and None for what is left out. Keywords are attributes,
    but for ``outputs``: how many the node has, if it is not one.

    Attributes:
        dtype: The type of what the current call puts out.
        scope: What names in the graph begin with.
    """

    dtype = "float32"
    scope = ""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self._constants: dict[tuple[Any, ...], str] = {}
        self._names: dict[str, int] = {}
        self.size = 0

    def unique(self, name: str) -> str:
        """Return ``name``, with a number behind it if it is taken."""
        count = self._names[name] = self._names.get(name, -1) + 1
        return self.unique(f"{name}_{count}") if count else name

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        if not kind[0].isupper():
            raise AttributeError(kind)
        return functools.partial(self._node, kind)

    def _node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        read = [self.constant(one) if one is not None else "" for one in inputs]
        name = self.unique(f"{self.scope}/{kind}")
        made = [name] if outputs == 1 else [self.unique(f"{name}.{i}") for i in range(outputs)]
        self.add(kind, name, read, made, **attributes)
        return Value(name) if outputs == 1 else [Value(one) for one in made]

    def add(self, kind: str, name: str, read: Any, made: Any, **attributes: Any) -> None:
        """Add a node with a name of its own, given the names of its inputs and outputs."""
        self.nodes.append(protobuf.node(kind, name, read, made, attributes))

    def constant(self, value: Any) -> Value:
        """Return the value of a constant; equal ones are kept once."""
        if isinstance(value, Value):
            return value
        if isinstance(value, list):
            if None in value:
                raise NoFormError(UNKNOWN)
            array = np.array(value, np.int64)
        else:
            array = value if isinstance(value, np.ndarray) else np.array(value, self.dtype)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = self.unique(f"{self.scope}/constant")
            self.size += array.nbytes
            self.tensors.append(protobuf.tensor(name, array))
        return Value(self._constants[key])

    def cast(self, value: Any, dtype: str | None = None) -> Any:
        """Return what a call reads, or a constant, as ``dtype``; None is that of the output."""
        wanted = dtype or self.dtype
        if not isinstance(value, Value):
            return np.asarray(value, wanted)
        return value if value.dtype == wanted else self.Cast(value, to=protobuf.TYPES[wanted])

    def moved(self, value: Any, rank: int, source: Any, target: Any) -> Any:
        """Return an array of ``rank`` axes with some of them moved, as by ``np.moveaxis``."""
        order = list(np.moveaxis(np.empty(range(rank)), source, target).shape)
        if order == sorted(order):
            return value
        made = self.Transpose(value, perm=order)
        if hasattr(value, "shape"):
            made.shape = tuple(value.shape[axis] for axis in order)
        return made

    def finished(self, name: str, inputs: list[bytes], outputs: list[bytes]) -> bytes:
        """Return the graph as a message."""
        return protobuf.graph(name, self.nodes, self.tensors, inputs, outputs)


_CONVERTERS: dict[type[Layer], Converter] = {}


def converts(*classes: type[Layer]) -> Callable[[F], F]:
    """Return a decorator of the function that writes calls of layers of some classes.

    The function takes a builder, the layer and its input, each array of it a `Value`; it returns
    the output.
    """

    def add(function: F) -> F:
        _CONVERTERS.update(dict.fromkeys(classes, function))
        return function

    return add


def find(layer: Layer) -> Converter | None:
    """Return the function that writes a layer; None if there is none, or a user made its class."""
    if not type(layer).__module__.startswith("nnlite."):
        return None
    known = (_CONVERTERS.get(cls) for cls in type(layer).__mro__)
    return next((function for function in known if function is not None), None)
