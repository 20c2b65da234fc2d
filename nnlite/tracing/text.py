"""A `Trace` as text of 80 columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.tracing.lines import Line, flat, shown

__all__ = ["NOTATION", "as_text", "number"]

WIDTH = 80
NOTATION = (
    "On the left nnlite's names, where a sample is a row: x has shape (m, features). On the right "
    "those of the article, where a sample is a column: X is x.T and W is kernel.T. The gradients "
    "dz and da hold the 1/m of the mean; the article's dZ and dA are m times as large."
)


def number(value: Any) -> str:
    """Return a number in ten characters or less."""
    return f"{value + 0.0:.4g}"  # 0 for -0


def _cells(array: NDArray[Any], columns: int) -> list[str]:
    """Return the lines of an array."""
    table = flat(array)
    rows, places = shown(len(table), 4), shown(table.shape[1], columns)
    lines: list[str] = []
    for row in rows:
        if lines and row and row - 1 not in rows:
            lines.append("       ...")
        cells = ["" if np.isnan(v) else number(v) for v in table[row, places]]
        if len(places) < table.shape[1]:
            cells[-1] = f"... {cells[-1]:>10}" if cells[-1] else "..."
        lines.append(" ".join(f"{cell:>10}" for cell in cells))
    return lines


def _as_lines(line: Line, compared: bool) -> list[str]:
    """Return the lines of text for one array: its names and formulas, and its numbers."""
    left = f"  {line.name} = {line.formula}" if line.formula else f"  {line.name}"
    right = f"{line.symbol} = {line.article}" if line.article else line.symbol
    if line.array.ndim == 0:
        left += f" = {float(line.array):.10g}"
    else:
        left += f"  {line.array.shape}"
        if line.symbol and line.article_shape:
            right += f"  {line.article_shape}"
    lines = [f"{left}{right:>{WIDTH - len(left)}}".rstrip()]
    if len(left) + len(right) + 2 > WIDTH:
        lines = [left, f"{right:>{WIDTH}}"]
    if line.array.ndim == 0:
        return lines
    own = _cells(line.array, 3)
    other = [""] * len(own) if line.beside is None else _cells(line.beside, 3)
    texts = [f"   {a:<36}{' | ' + b if b else ''}" for a, b in zip(own, other, strict=True)]
    if compared and line.differs:
        texts.append(f"{'differs: a kink, or see check_model':>{WIDTH}}")
    return lines + [text.rstrip() for text in texts]


def as_text(trace: Any) -> str:
    """Return the whole of a trace."""
    import textwrap

    lines = [*textwrap.wrap(trace.title, WIDTH), "", *textwrap.wrap(NOTATION, WIDTH)]
    for note in trace.notes:
        lines += ["", *textwrap.wrap(note, WIDTH)]
    for chapter, beside, parts in trace.sections():
        head = f"---- {chapter} "
        if beside and any(line.beside is not None for _, own, _ in parts for line in own):
            head = f"{head:-<40}| {beside} "
        lines += ["", f"{head:-<{WIDTH}}"]
        for title, own, notes in parts:
            if own or notes:
                lines += ["", title[:WIDTH]]
                lines += [f"  {note}"[:WIDTH] for note in notes]
                compared = chapter == "Backward"
                lines += [text for line in own for text in _as_lines(line, compared)]
    return "\n".join(lines)
