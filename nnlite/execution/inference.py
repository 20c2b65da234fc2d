"""A graph run for its outputs alone: no array outlives its last reader, and nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.execution.graph import Call, Graph, Slot
from nnlite.layers.layer import Layer
from nnlite.utils.structures import SHAPES, flatten, map_structure

__all__ = ["infer"]

Array = NDArray[Any]


def infer(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Return the graph's outputs for ``inputs``. Many threads may do so at once.

    >>> from nnlite import Input, Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
    >>> infer(model.graph(training=False), [np.array([[1.0, 2.0]], "float32")])
    [array([[3.]], dtype=float32)]
    """
    values: list[Any] = [None] * graph.size
    for slot, x in zip(graph.inputs, inputs, strict=True):
        values[slot] = x
    for layer, call, in_place, dtype, read in _steps(graph):
        if dtype is None:
            x = call.arguments(values)
            y = layer.run_forward(x, call.training) if not layer.primitive else _run(graph, call, x)
            for slot, array in zip(call.outputs, flatten(y), strict=True):
                values[slot] = array
        else:  # one input, one output, and no array beside them
            x = values[call.x]
            y = x if in_place else np.empty(layer.output_shape_for(x), dtype)
            layer.forward_into(x, y)
            values[call.y] = y
        for slot in read:
            values[slot] = None
    return [values[slot] for slot in graph.outputs]


def _run(graph: Graph, call: Call, x: Any) -> Any:
    """Return the output of a layer of nnlite's own."""
    layer, dtype = call.layer, graph.dtypes[call.outputs[0]]
    if layer.views:
        return layer.forward_view(x)
    shapes = layer.output_shape_for(x)
    y = map_structure(lambda shape: np.empty(shape, dtype), shapes, SHAPES)
    made = layer.arrays(map_structure(np.shape, x))
    arrays = {"x": x, "y": y, **{name: np.empty(*array) for name, array in made.items()}}
    layer.forward_into(*[arrays[name] for name in layer.forward_names])
    return y


#: A layer and its call; whether the output takes the input's place; the output's type, or None
#: where the layer has other arrays than input and output; the slots that are read no more.
_Step = tuple[Layer, Call, bool, Any, list[Slot]]


def _steps(graph: Graph) -> list[_Step]:
    steps: list[_Step] | None = graph.notes.get("inference")
    if steps is None:
        makers: dict[Slot, Call] = {}
        readers, kept = graph.readers(), set(graph.outputs)
        last = {slot: call for call in graph.calls for slot in call.inputs}
        steps = []
        for call in graph.calls:
            layer = call.layer
            ends = type(call.x) is Slot and type(call.y) is Slot
            plain = layer.primitive and ends and layer.forward_names == ("x", "y")
            plain = plain and not layer.views
            maker = makers.get(call.x) if plain else None
            in_place = (
                layer.elementwise
                and maker is not None
                and maker.layer.primitive
                and not maker.layer.views
                and readers[call.x] == 1
                and graph.dtypes[call.x] == graph.dtypes[call.y]
            )
            read = [s for s in dict.fromkeys(call.inputs) if last[s] is call and s not in kept]
            dtype = np.dtype(graph.dtypes[call.y]) if plain else None
            steps.append((layer, call, in_place, dtype, read))
            makers.update(dict.fromkeys(call.outputs, call))
        graph.notes["inference"] = steps
    return steps
