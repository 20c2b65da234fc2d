"""What `nnlite.trace` returns: the arrays of one training step in order, each with its names."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.utils.atomic_write import atomic_write

__all__ = ["Line", "Trace", "TraceNode", "shown"]

Array = NDArray[Any]


@dataclass(eq=False)
class Line:
    """One array of a step.

    Attributes:
        name: What nnlite calls it, such as ``"kernel"``.
        formula: Where it comes from, in nnlite's names.
        symbol: What the article calls it, such as ``"W1"``.
        article: Where it comes from, in the article's names.
        array: The array, a copy.
        beside: What stands beside it: for a gradient, finite differences, NaN where none was
            taken; for a new weight, the step that led there.
    """

    name: str
    formula: str
    symbol: str
    article: str
    array: Array
    beside: Array | None = None

    @property
    def differs(self) -> bool:
        """Whether a gradient and its finite differences tell of different slopes."""
        if self.beside is None:
            return False
        taken = ~np.isnan(self.beside)
        error = np.abs(self.beside - self.array)[taken]
        scale = np.abs(self.array[taken]) + 0.01 * np.abs(self.array).max(initial=0)
        return bool((error > 1e-3 * scale + 1e-7).any())

    @property
    def article_shape(self) -> tuple[int, ...] | None:
        """The shape in the article, where samples are columns; None of what it does not have."""
        shape = self.array.shape
        return (*shape, 1) if len(shape) == 1 else shape[::-1] if len(shape) == 2 else None


@dataclass(eq=False)
class TraceNode:
    """One call of a layer in a `Trace`.

    Attributes:
        name: The name of the layer.
        kind: The name of its class, and of its activation.
        number: The article's l.
        forward: The lines of the way forward: weights, Z and A.
        backward: The lines of the way back: dA, dZ and the weights' gradients.
        notes: What else is to be known.
        inputs: The arrays that the layer reads, copies.
        sources: The numbers of the nodes that make them; the article's A0 is 0.
    """

    name: str
    kind: str
    number: int
    inputs: list[Array]
    sources: list[int]
    forward: list[Line] = field(default_factory=list)
    backward: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def _named(lines: list[Line], name: str) -> Any:
        found = [line.array for line in lines if line.name.partition("[")[0] == name]
        return found if len(found) > 1 else found[0] if found else None

    @property
    def weights(self) -> dict[str, Array]:
        """The layer's weights by name, as they were in the step."""
        return {line.name: line.array for line in self.forward if line.name[:2] not in ("z", "z[", "a", "a[")}

    @property
    def preactivation(self) -> Any:
        """Z, what the activation of the layer reads; None of a layer without one."""
        return self._named(self.forward, "z")

    @property
    def output(self) -> Any:
        """A; a list of arrays for a layer of several outputs."""
        return self._named(self.forward, "a")

    @property
    def preactivation_gradient(self) -> Any:
        """dJ/dZ."""
        return self._named(self.backward, "dz")

    @property
    def output_gradient(self) -> Any:
        """dJ/dA; None where the step does not compute it."""
        return self._named(self.backward, "da")

    @property
    def gradients(self) -> dict[str, Array]:
        """dJ/dw of each weight w that learns, by its name; of all calls of a shared layer."""
        return {n: line.array for n, line in self._weight_lines().items()}

    @property
    def finite_differences(self) -> dict[str, Array | None]:
        """The same by finite differences, NaN for an entry that was not sampled."""
        return {n: line.beside for n, line in self._weight_lines().items()}

    def _weight_lines(self) -> dict[str, Line]:
        lines = (line for line in self.backward if line.name.endswith(".gradient"))
        return {line.name.removesuffix(".gradient"): line for line in lines}


@dataclass(eq=False)
class Trace:
    """One training step, opened and not taken; `nnlite.trace` makes it.

    Printed, it is text of 80 columns; a notebook shows it as a page, which `save` writes to a file.

    Attributes:
        title: Which model, how many samples, and which optimizer.
        inputs: The lines of the inputs and, after ``backward``, of their gradients.
        nodes: The calls of layers, in order.
        cost_lines: The targets, the losses, the penalties and the cost.
        input_gradients: The lines of the inputs' gradients.
        updates: The lines of the new weights by path, each beside its step.
        notes: What else is to be known.
    """

    title: str
    inputs: list[Line]
    nodes: list[TraceNode]
    cost_lines: list[Line]
    input_gradients: list[Line]
    updates: dict[str, Line]
    notes: list[str]

    @property
    def cost(self) -> float:
        """J, the loss of the batch with all penalties."""
        return float(self.cost_lines[-1].array)

    @property
    def lines(self) -> list[Line]:
        """All lines that have finite differences beside them."""
        back = [line for node in reversed(self.nodes) for line in node.backward]
        return [*back, *self.input_gradients]

    def sections(self) -> list[tuple[str, str, list[tuple[str, list[Line], list[str]]]]]:
        """Return the chapters: a title, what the arrays beside are, and parts of lines and notes."""
        no_notes: list[str] = []
        head = [(f"{n.number}  {n.name}  ({n.kind})", n) for n in self.nodes]
        forward = [(title, n.forward, no_notes) for title, n in head]
        back = [(title, n.backward, n.notes) for title, n in reversed(head)]
        return [
            ("Forward", "", [("the batch", self.inputs, []), *forward]),
            ("Cost", "", [("the loss and penalties", self.cost_lines, [])]),
            (
                "Backward",
                "finite differences",
                [*back, ("the batch", self.input_gradients, [])],
            ),
            ("Update", "step", [("the weights after the step", [*self.updates.values()], [])]),
        ]

    def __str__(self) -> str:
        from nnlite.tracing.text import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<Trace: {self.title}>"

    def _repr_html_(self) -> str:
        from nnlite.tracing.page import as_html

        return as_html(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page that a notebook shows, one file that needs no other.

        Args:
            path: The file, such as ``"step.html"``.

        Raises:
            OSError: If it cannot be written.
        """
        head = '<meta name="viewport" content="width=device-width"><meta charset="utf-8">'
        title = html.escape(self.title)
        page = f"<!DOCTYPE html><html><head>{head}<title>{title}</title></head><body>"
        with atomic_write(path) as file:
            file.write(f"{page}{self._repr_html_()}</body></html>\n".encode())


def shown(size: int, most: int, last: int = 1) -> Sequence[int]:
    """Return which of ``size`` rows are shown where ``most`` fit: the first ones and the last.

    >>> shown(3, 3), shown(9, 3)
    (range(0, 3), [0, 1, 8])
    """
    return range(size) if size <= most else [*range(most - last), *range(size - last, size)]
