"""Builder: an ONNX graph under construction, and the functions that add layers to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from nnlite.execution.graph import Call, Graph, Slot, _MaskOf
from nnlite.layers.layer import Layer, Shape
from nnlite.saving.onnx import protobuf
from nnlite.symbolic import KerasTensor
from nnlite.utils.structures import SHAPES, flatten, map_structure

F = TypeVar("F", bound=Callable[..., Any])

#: For a layer's class, the function that adds its nodes and returns the output. It takes a builder,
#: the layer and its input, with a `Value` for each array.
FORMS: dict[type[Layer], Callable[[Builder, Any, Any], Any]] = {}

UNKNOWN = "it depends on unknown sizes of its input: give them in input_signature"


def form(*classes: type[Layer]) -> Callable[[F], F]:
    """Return a decorator that adds a function to `FORMS` for some classes."""

    def add(function: F) -> F:
        FORMS.update(dict.fromkeys(classes, function))
        return function

    return add


class NoFormError(Exception):
    """A call has no form in ONNX; the message says why."""


class Value(str):
    """The name of an array of the graph; an array that a call reads has a shape and a type too."""

    __slots__ = ("dtype", "shape")

    shape: Shape
    dtype: str

    @classmethod
    def of(cls, name: str, shape: Any, dtype: str) -> Value:
        """Return a value with a shape and a type."""
        value = cls(name)
        value.shape, value.dtype = tuple(shape), dtype
        return value


class Builder:
    """An ONNX graph; ``builder.Conv(x, w, strides=[2, 2])`` adds a node and returns its output.

    An input that is a number becomes a constant of type ``dtype``, a list of integers an int64
    constant, an array a constant of its type, and None a missing input. Keywords are attributes,
    except ``outputs``, the node's number of outputs.

    Attributes:
        dtype: The type of the current call's output.
        scope: The prefix of names in the graph.
    """

    dtype = "float32"
    scope = ""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self._constants: dict[tuple[Any, ...], Value] = {}
        self._names: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return ``name``, followed by a number if it is taken."""
        count = self._names[name] = self._names.get(name, -1) + 1
        return self.unique(f"{name}_{count}") if count else name

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        if not kind[0].isupper():
            raise AttributeError(kind)
        return functools.partial(self._node, kind)

    def _node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        read = [self.constant(one) if one is not None else "" for one in inputs]
        made = [Value(self.unique(f"{self.scope}/{kind}")) for _ in range(outputs)]
        self.nodes.append(protobuf.node(kind, read, made, attributes))
        return made if outputs > 1 else made[0]

    def constant(self, value: Any) -> Value:
        """Return the `Value` of a constant; equal constants are stored once."""
        if isinstance(value, Value):
            return value
        if isinstance(value, list) and None in value:
            raise NoFormError(UNKNOWN)
        dtype = np.int64 if isinstance(value, list) else getattr(value, "dtype", self.dtype)
        array = np.asarray(value, dtype)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = Value(self.unique(f"{self.scope}/constant"))
            self.tensors.append(protobuf.tensor(name, array))
        return self._constants[key]

    def cast(self, value: Any, dtype: str | None = None) -> Any:
        """Return an array or constant as ``dtype``; None is the output's type."""
        wanted = dtype or self.dtype
        if not isinstance(value, Value):
            return np.asarray(value, wanted)
        return value if value.dtype == wanted else self.Cast(value, to=protobuf.TYPES[wanted])

    def moved(self, value: Any, rank: int, source: Any, target: Any) -> Any:
        """Return an array of ``rank`` axes with some of them moved, as ``np.moveaxis`` does."""
        order = list(np.moveaxis(np.empty(range(rank)), source, target).shape)
        if order == sorted(order):
            return value
        made = self.Transpose(value, perm=order)
        if hasattr(value, "shape"):
            made.shape = tuple(value.shape[axis] for axis in order)
        return made

    def run(self, graph: Graph, inputs: Sequence[Value]) -> list[Value]:
        """Add the calls that a graph's outputs depend on, and return the outputs."""
        values: dict[int, Value] = dict(zip(graph.inputs, inputs, strict=True))
        needed, calls = {*graph.outputs}, []
        for call in reversed(graph.calls):
            if not needed.isdisjoint(call.outputs):
                needed.update(call.inputs)
                calls.append(call)
        refused = dict.fromkeys(filter(None, (self._add(c, graph, values) for c in calls[::-1])))
        if refused:
            raise NoFormError("\n  ".join(refused))
        return [values[slot] for slot in graph.outputs]

    def _add(self, call: Call, graph: Graph, values: dict[int, Value]) -> str | None:
        """Add a call's nodes if its inputs have nodes, or return why it has no form."""
        layer, owner, reason = call.layer, call.owner, None
        by_us = type(layer).__module__.startswith("nnlite.")
        write = next((FORMS[cls] for cls in type(layer).__mro__ if by_us and cls in FORMS), None)
        if isinstance(owner, _MaskOf):
            owner, reason = owner.layer, "its mask, which a later layer reads, is not exported"
        elif write is None and call.training:
            reason = "a call with training=True is not supported"
        elif write is None:
            reason = f"class {type(layer).__name__} is not supported"
        elif all(slot in values for slot in call.inputs):
            self.scope, self.dtype = owner.name, graph.dtypes[call.outputs[0]]
            x = map_structure(lambda s: values[s] if isinstance(s, Slot) else s, call.x)
            try:
                y = flatten(write(self, layer, x))
            except NoFormError as error:
                reason = str(error)
            else:
                x = map_structure(_tensor, x)
                shapes = flatten(layer.output_shape_for(x), SHAPES)
                for slot, value, shape in zip(call.outputs, y, shapes, strict=True):
                    values[slot] = Value.of(value, shape, graph.dtypes[slot])
        return reason and f"{owner.name!r} ({type(owner).__name__}): {reason}"


def _tensor(value: Any) -> Any:
    return KerasTensor(value.shape, value.dtype) if isinstance(value, Value) else value
