"""How a network learns, in one page: forward in order, backward in reverse.

The loss J depends on every array. In the backward pass each call takes dJ/dy of its output and
returns dJ/dx of its input (the chain rule). The gradient of an array that several calls read is
the sum of their results, and so is that of a weight that several calls use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.execution.graph import Call, Graph, Slot
from nnlite.regularizers import penalty, penalty_gradient
from nnlite.utils.structures import flatten, pack_as
from nnlite.utils.typing import Array


class ReferenceExecutor:
    """Runs the forward and the backward pass over a graph.

    Attributes:
        values: The arrays of the last `forward`, by slot.
        gradients: The loss's derivatives by these arrays after `backward`, by slot.
    """

    def __init__(self, graph: Graph, learning: Sequence[Variable] = ()) -> None:
        self.graph = graph
        self.learning = learning
        self.values: list[Any] = []
        self.gradients: dict[int, Array] = {}
        self._kept: dict[Call, Any] = {}  # data of each call for backward
        self._unsettled: Sequence[Call] = ()

    def forward(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the graph's outputs for ``inputs``."""
        graph = self.graph
        values = self.values = [None] * graph.size
        for slot, x in zip(graph.inputs, inputs, strict=True):
            values[slot] = self.passed(slot, x)
        for call in graph.calls:
            x, layer = call.arguments(values), call.layer
            arrays = None
            if layer.primitive:
                arrays = self._kept[call] = layer.run_into(x, call.mask(values))
                y = arrays["y"]
            else:
                y = layer.run_forward(x, call.training)
                if call.training:  # another call of the layer would forget what this one kept
                    self._kept[call] = [(p, p.cache, p.shape_in_step) for p in call.parts]
            if graph.training:
                call.owner.keep(layer, arrays, call.first)
            for slot, array in zip(call.outputs, flatten(y), strict=True):
                values[slot] = self.passed(slot, array)
        self._unsettled = graph.calls
        return [values[slot] for slot in graph.outputs]

    def passed(self, slot: Slot, array: Array) -> Array:
        """Return the array for the readers of ``slot``; a subclass may replace it."""
        return array

    def backward(self, gradients: Sequence[Array | None], inputs: bool = True) -> list[Any]:
        """Fill the gradient of each trainable weight, and return those of the inputs.

        Args:
            gradients: The loss's derivative by each output; None for an output without a loss.
            inputs: Whether the inputs' gradients are needed; if not, each is None.
        """
        graph, total = self.graph, self.gradients
        total.clear()
        needed = graph.differentiated(self.learning, inputs)
        for slot, gradient in zip(graph.outputs, gradients, strict=True):
            self._add(slot, gradient)
        written: set[int] = set()
        for call in reversed(graph.calls):
            if needed.isdisjoint(call.outputs):
                continue
            for slot in call.outputs:
                self._add_penalties(slot)
            if not any(slot in total for slot in call.outputs):
                continue  # no loss depends on it
            dy = [total.get(slot, np.zeros_like(self.values[slot])) for slot in call.outputs]
            own = call.variables()
            before = [(v, v.gradient.copy()) for v in own if id(v) in written]
            dx = self._backward(call, pack_as(call.y, dy))
            for variable, gradient in before:
                variable.gradient += gradient
            written.update(id(variable) for variable in own)
            for slot, gradient in zip(flatten(call.x), flatten(dx), strict=True):
                if isinstance(slot, Slot) and slot in needed:
                    self._add(slot, gradient)
        for slot in graph.inputs if inputs else ():
            self._add_penalties(slot)
        for variable in self.learning:
            if id(variable) not in written:
                variable.gradient.fill(0)
        return [total.get(slot) for slot in graph.inputs]

    def _backward(self, call: Call, dy: Any) -> Any:
        """Run the backward of one call."""
        layer, kept = call.layer, self._kept[call]
        if not layer.primitive:
            for part, cache, shape in kept:
                part.cache, part.shape_in_step = cache, shape
            return layer.run_backward(dy)
        return layer.run_back(dy, kept)

    def _add(self, slot: int, gradient: Array | None) -> None:
        total = self.gradients
        if gradient is not None:
            total[slot] = total[slot] + gradient if slot in total else gradient

    def _add_penalties(self, slot: int) -> None:
        """Add the derivative of the penalties on an output, each averaged over the batch."""
        for at, regularizer in self.graph.penalties:
            if at == slot:
                y = self.values[slot]
                self._add(slot, penalty_gradient(regularizer, y) / len(y))

    def penalty(self) -> float:
        """Return the sum of the last `forward`'s penalties on outputs, averaged over the batch."""
        return sum(
            penalty(regularizer, self.values[slot]) / len(self.values[slot])
            for slot, regularizer in self.graph.penalties
        )

    def settle(self) -> None:
        """Store results of the last `forward`, such as moving averages."""
        for call in self._unsettled:
            if call.layer.primitive:
                call.layer.settle_from(self._kept[call])
            else:
                call.layer.settle()
        self._unsettled = ()
