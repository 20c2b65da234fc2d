"""A graph run for its outputs alone: no array outlives its last reader, and nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.execution.graph import Call, Graph, Slot
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
    for call, in_place, read in _steps(graph):
        x, layer = call.arguments(values), call.layer
        if not layer.primitive:
            y = layer.run_forward(x, call.training)
        elif in_place:
            y = x
            layer.forward_into(*_arguments(call, x, y))
        else:
            dtype = graph.dtypes[call.outputs[0]]
            shape = layer.output_shape_for(x)
            if isinstance(shape, SHAPES):
                y = map_structure(lambda one: np.empty(one, dtype), shape, SHAPES)  # noqa: B023
            else:
                y = np.empty(shape, dtype)
            layer.forward_into(*_arguments(call, x, y))
        for slot in read:
            values[slot] = None
        if type(call.y) is Slot:
            values[call.y] = y
        else:
            for slot, array in zip(call.outputs, flatten(y), strict=True):
                values[slot] = array
    return [values[slot] for slot in graph.outputs]


def _arguments(call: Call, x: Any, y: Any) -> Sequence[Any]:
    """Return what `forward_into` takes."""
    names = call.layer.forward_names
    if names == ("x", "y"):
        return x, y
    made = call.layer.arrays(map_structure(np.shape, x))
    own = {name: np.empty(*array) for name, array in made.items()}
    arrays = {"x": x, "y": y, **own}
    return [arrays[name] for name in names]


def _steps(graph: Graph) -> list[tuple[Call, bool, list[Slot]]]:
    """Return each call, whether its output takes its input's place, and what is read no more."""
    steps: list[tuple[Call, bool, list[Slot]]] | None = graph.notes.get("inference")
    if steps is None:
        readers, makers, kept = graph.readers(), {}, set(graph.outputs)
        last = {slot: call for call in graph.calls for slot in call.inputs}
        steps = []
        for call in graph.calls:
            maker = makers.get(call.x) if type(call.x) is Slot else None
            in_place = (
                call.layer.elementwise
                and call.layer.primitive
                and maker is not None
                and maker.layer.primitive
                and readers[call.x] == 1
                and graph.dtypes[call.x] == graph.dtypes[call.outputs[0]]
            )
            read = [s for s in dict.fromkeys(call.inputs) if last[s] is call and s not in kept]
            steps.append((call, in_place, read))
            makers.update(dict.fromkeys(call.outputs, call))
        graph.notes["inference"] = steps
    return steps
