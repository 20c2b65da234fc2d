"""A `Trace` as text of 80 columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.tracing.lines import Line, flat, shown

WIDTH = 80
NOTATION = (
    "Names on the left are nnlite's: a sample is a row, and x has shape (m, features). Names on "
    "the right are the article's: a sample is a column, X is x.T and W is kernel.T. The gradients "
    "dz and da contain the 1/m of the mean; the article's dZ and dA are m times as large."
)


def number(value: Any) -> str:
    """Return a number, or the beginning of a text, in at most ten characters."""
    if isinstance(value, str):
        return f"{value:.10}"
    return f"{value + 0.0:.4g}"  # 0 for -0


def _cells(array: NDArray[Any], sparse: bool = False) -> list[str]:
    """Return the lines of an array; ``sparse`` means that NaN is blank."""
    table = flat(array)
    rows, places = shown(len(table), 4), shown(table.shape[1], 3)
    lines: list[str] = []
    for row in rows:
        if lines and row and row - 1 not in rows:
            lines.append("       ...")
        cells = ["" if sparse and np.isnan(v) else number(v) for v in table[row, places]]
        if len(places) < table.shape[1]:
            cells[-1] = f"... {cells[-1]:>10}" if cells[-1] else "..."
        lines.append(" ".join(f"{cell:>10}" for cell in cells))
    return lines


def _as_lines(line: Line, compared: bool) -> list[str]:
    """Return the lines of text for one array: its names, formulas and numbers."""
    single = line.array.ndim == 0
    left = f"  {line.left}" + (f" = {line.array:.10g}" if single else f"  {line.array.shape}")
    right = f"{line.right}  {line.article_shape}".rstrip()
    lines = [(left + right.rjust(WIDTH - len(left))).rstrip()]
    if len(left) + len(right) + 2 > WIDTH:
        lines = [left, right.rjust(WIDTH)]
    if single:
        return lines
    own = _cells(line.array)
    other = [""] * len(own) if line.beside is None else _cells(line.beside, sparse=True)
    texts = [f"   {a:<36}{' | ' + b if b else ''}" for a, b in zip(own, other, strict=True)]
    if compared and line.differs:
        texts.append(f"{'differs: a kink, or see check_model':>{WIDTH}}")
    return lines + [text.rstrip() for text in texts]


def as_text(trace: Any) -> str:
    """Return a trace as text."""
    import textwrap

    lines = [trace.title, "", NOTATION]
    for note in trace.notes:
        lines += ["", note]
    for chapter, beside, parts in trace.sections():
        head = f"---- {chapter} "
        if beside and any(line.beside is not None for _, own, _ in parts for line in own):
            head = f"{head:-<40}| {beside} "
        lines += ["", f"{head:-<{WIDTH}}"]
        for title, own, notes in parts:
            if own or notes:
                lines += ["", title, *(f"  {note}" for note in notes)]
                compared = chapter == "Backward"
                lines += [text for line in own for text in _as_lines(line, compared)]
    long = (textwrap.wrap(t, WIDTH, subsequent_indent="    " * t.startswith(" ")) for t in lines)
    return "\n".join("\n".join(parts) for parts in long)
