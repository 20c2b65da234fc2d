"""Trace: the result of `nnlite.trace`, as text and as a page."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass

from nnlite.tracing.lines import Line, TraceNode
from nnlite.tracing.page import as_html
from nnlite.tracing.text import as_text
from nnlite.utils.atomic_write import atomic_write


@dataclass(eq=False)
class Trace:
    """The arrays of one training step that is not taken; `nnlite.trace` returns it.

    `print` shows text of 80 columns, a notebook shows a page, and `save` writes the page to a file.

    Attributes:
        title: The model, the number of samples and the optimizer.
        inputs: The lines of the inputs.
        nodes: The calls of layers, in order.
        cost_lines: The targets, the losses, the penalties and the cost.
        input_gradients: The lines of the inputs' gradients.
        updates: The lines of the new weights by path, each with its step.
        notes: Further remarks.
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
        """J, the loss of the batch plus all penalties."""
        return float(self.cost_lines[-1].array)

    @property
    def lines(self) -> list[Line]:
        """All lines that have finite differences."""
        back = [line for node in reversed(self.nodes) for line in node.backward]
        return [*back, *self.input_gradients]

    def sections(self) -> list[tuple[str, str, list[tuple[str, list[Line], list[str]]]]]:
        """Return the chapters: a title, the name of ``beside``, and parts of lines and notes."""
        no_notes: list[str] = []
        head = [(f"{n.number}  {n.name}  ({n.kind})", n) for n in self.nodes]
        forward = [(title, [*n.parameters, *n.values], no_notes) for title, n in head]
        back = [(title, n.backward, n.notes) for title, n in reversed(head)]
        return [
            ("Forward", "", [("the batch", self.inputs, []), *forward]),
            ("Cost", "", [("the loss and penalties", self.cost_lines, [])]),
            ("Backward", "finite differences", [*back, ("the batch", self.input_gradients, [])]),
            ("Update", "step", [("the weights after the step", [*self.updates.values()], [])]),
        ]

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return f"<Trace: {self.title}>"

    def _repr_html_(self) -> str:
        return as_html(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page that a notebook shows as a single file.

        Args:
            path: The file, such as ``"step.html"``.

        Raises:
            OSError: If the file cannot be written.
        """
        head = '<meta name="viewport" content="width=device-width"><meta charset="utf-8">'
        title = html.escape(self.title)
        page = f"<!DOCTYPE html><html><head>{head}<title>{title}</title></head><body>"
        with atomic_write(path) as file:
            file.write(f"{page}{self._repr_html_()}</body></html>\n".encode())
