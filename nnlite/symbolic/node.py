"""Node: one call of a layer on tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nnlite.symbolic.tensor import KerasTensor
from nnlite.utils.structures import flatten


class Node:
    """One call of a layer: its arguments and output tensors."""

    def __init__(
        self,
        layer: Any,
        arguments: Sequence[Any],
        outputs: Any,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.layer = layer
        self.arguments = tuple(arguments)
        self.options = dict(options or {})
        self.outputs: list[KerasTensor] = flatten(outputs)
        self.output_structure = outputs
        for index, tensor in enumerate(self.outputs):
            tensor.node, tensor.index = self, index

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors among the arguments."""
        return [leaf for leaf in flatten(self.arguments) if isinstance(leaf, KerasTensor)]

    @property
    def x(self) -> Any:
        """The argument of the layer's `forward`: the only argument, or a list of several."""
        return self.arguments[0] if len(self.arguments) == 1 else list(self.arguments)

    def __repr__(self) -> str:
        return f"<Node of {self.layer.name}: {self.inputs} -> {self.outputs}>"


def in_order(outputs: Sequence[KerasTensor], until: Sequence[KerasTensor] = ()) -> list[Node]:
    """Return the nodes that compute ``outputs``, in topological order."""
    order: list[Node] = []
    done = {id(tensor) for tensor in until}
    visited: set[int] = set()
    stack: list[tuple[KerasTensor, bool]] = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, read = stack.pop()
        node = tensor.node
        if node is None or id(tensor) in done:
            continue
        if read:
            done.update(id(made) for made in node.outputs)
            order.append(cast(Node, node))
        elif id(node) not in visited:
            visited.add(id(node))
            stack.append((tensor, True))
            stack.extend((source, False) for source in reversed(node.inputs))
    return order
