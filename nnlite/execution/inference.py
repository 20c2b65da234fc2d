"""Runs a graph for its outputs alone; every array is freed after its last use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.backend.reuse import empty, maker_of
from nnlite.execution.graph import Call, Graph, Slot
from nnlite.execution.halves import infer_in_halves
from nnlite.execution.reordering import poolings_first
from nnlite.layers.layer import Layer
from nnlite.utils.structures import flatten
from nnlite.utils.typing import Array

_SHAPES = 16  # of inputs to keep links for


def infer(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Return the graph's outputs for ``inputs``. Many threads can do this at once.

    >>> from nnlite import Input, Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
    >>> infer(model.graph(training=False), [np.array([[1.0, 2.0]], "float32")])
    [array([[3.]], dtype=float32)]
    """
    steps, chain, links = graph.prepared.get("inference") or _prepared(graph)
    if chain:
        (x,) = inputs
        for forward_into, new, shape in links.get(x.shape) or _linked(chain, links, x):
            y = x if new is None else new(shape, x.dtype)
            forward_into(x, y)
            x = y
        return [x]
    if len(inputs[0]) > 1 and (made := infer_in_halves(infer, graph, inputs)) is not None:
        return made
    values: list[Any] = [None] * graph.size
    for slot, x in zip(graph.inputs, inputs, strict=True):
        values[slot] = x
    for layer, call, in_place, plain, read in steps:
        if not plain:
            x = call.arguments(values)
            if layer.primitive:
                y = layer.run_into(x, call.mask(values))["y"]
            else:
                y = layer.run_forward(x, call.training)
            for slot, array in zip(call.outputs, flatten(y), strict=True):
                values[slot] = array
        else:  # one input, one output and no other array
            x = values[call.x]
            y = x if in_place else empty(layer.output_shape_for(x), x.dtype)
            layer.forward_into(x, y)
            values[call.y] = y
        for slot in read:
            values[slot] = None
    return [values[slot] for slot in graph.outputs]


#: A layer and its call; whether the output replaces the input in memory; whether the layer has only
#: one input and one output, of the same type; the slots that are not read any more.
_Step = tuple[Layer, Call, bool, bool, list[Slot]]

_Chain = list[tuple[Layer, bool]]  # layers, and whether each output replaces the input in memory
#: Their `forward_into`, and what makes each new output, or None, and its shape.
_Links = list[tuple[Any, Any, Any]]
_Prepared = tuple[list[_Step], _Chain, dict[Any, _Links]]


def _prepared(graph: Graph) -> _Prepared:
    """Return the steps, and a short form if each is plain and reads the output of the last.

    The third part has the links of the short form, by the shapes of the last few inputs.
    """
    makers: dict[Slot, Call] = {}
    calls = poolings_first(graph).calls
    readers, kept = graph.readers(), set(graph.outputs)
    last = {slot: call for call in calls for slot in call.inputs}
    steps = []
    for call in calls:
        layer = call.layer
        ends = type(call.x) is Slot and type(call.y) is Slot
        plain = layer.primitive and ends and layer.forward_names == ("x", "y")
        plain = plain and not layer.views and not layer.takes_integers
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
        steps.append((layer, call, in_place, plain, read))
        makers.update(dict.fromkeys(call.outputs, call))
    reads = [call.x for call in calls]
    makes = [*graph.inputs, *(call.y for call in calls)]
    chained = [*reads, *graph.outputs] == makes and len(graph.inputs) == 1
    chained = chained and all(plain for *_, plain, _ in steps)
    chain = [(layer, in_place) for layer, _, in_place, *_ in steps] if chained else []
    links: dict[Any, _Links] = {}
    graph.prepared["inference"] = (steps, chain, links)
    return steps, chain, links


def _linked(chain: _Chain, links: dict[Any, _Links], x: Array) -> _Links:
    """Return the links of a chain for the input ``x``, and keep them by its shape."""
    key, made = x.shape, []
    for layer, in_place in chain:
        if not in_place:
            x = np.empty(layer.output_shape_for(x), x.dtype)
        made.append((layer.forward_into, None if in_place else maker_of(x.shape, x.dtype), x.shape))
    if len(links) == _SHAPES:
        links.clear()
    links[key] = made  # as a whole: other threads read it
    return made
