"""A `Trace` as a page: chapters that fold, arrays as heat maps, and a drawing of small networks."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.tracing.lines import Line, TraceNode, flat, shown
from nnlite.tracing.text import NOTATION, number

__all__ = ["as_html"]

Array = NDArray[Any]

_UNITS = 8  # the widest layer that is drawn
_LAYERS = 8  # the longest network
_LABELLED = 12  # up to so many weights between two layers are written beside their lines
_POSITIVE, _NEGATIVE = "234,108,36", "52,128,235"

_STYLE = """
.nnlite-trace{--ink:#1d2330;--soft:#667085;--line:#dfe3ea;--card:#f7f8fa;--paper:#fff;
 --article:#8a3ffc;color:var(--ink);background:var(--paper);border-radius:10px;padding:16px 20px;
 font:14px/1.5 system-ui,sans-serif;max-width:980px;margin:0 auto;color-scheme:light dark}
.nnlite-trace h2{font-size:18px;font-weight:650;margin:0 0 6px}
.nnlite-trace p{color:var(--soft);margin:6px 0}
.nnlite-trace svg{display:block;max-width:100%;height:auto;margin:12px auto}
.nnlite-trace svg text{fill:var(--ink);font:11px system-ui,sans-serif;text-anchor:middle}
.nnlite-trace svg .soft{fill:var(--soft);font-size:10px}
.nnlite-trace svg .halo{stroke:var(--paper);stroke-width:3px;paint-order:stroke}
.nnlite-trace svg circle{stroke:var(--soft)}
.nnlite-trace svg .disc{fill:var(--paper);stroke:none}
.nnlite-trace details{border-top:1px solid var(--line);padding:8px 0}
.nnlite-trace details details{border:1px solid var(--line);border-radius:8px;
 background:var(--card);margin:8px 0;padding:6px 12px}
.nnlite-trace summary{cursor:pointer;font-weight:600}
.nnlite-trace details>summary>small{color:var(--soft);font-weight:400;margin-left:8px}
.nnlite-trace .line{margin:12px 0}
.nnlite-trace .names{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline}
.nnlite-trace code{font:13px ui-monospace,monospace;background:none;color:inherit;padding:0}
.nnlite-trace .article{margin-left:auto;color:var(--article)}
.nnlite-trace small{font-size:12px;color:var(--soft)}
.nnlite-trace .maps{display:flex;flex-wrap:wrap;gap:10px 28px;margin-top:4px}
.nnlite-trace .maps>div{overflow-x:auto;max-width:100%}
.nnlite-trace table{border-collapse:separate;border-spacing:1px;margin:0;width:auto;
 background:none;color:inherit}
.nnlite-trace td{font:12px ui-monospace,monospace;text-align:right;padding:2px 7px;border:0;
 border-radius:3px;white-space:nowrap}
.nnlite-trace .dots td:not(.gap){box-shadow:inset 0 0 0 1px var(--line);width:15px;min-width:15px;height:15px;padding:0}
.nnlite-trace .gap{color:var(--soft);text-align:center;background:none!important}
.nnlite-trace .none{background:repeating-linear-gradient(135deg,var(--line) 0 1px,#0000 1px 5px)}
.nnlite-trace .bad{color:#d92d20;font-weight:600}
"""
_DARK = """--ink:#e6e9ef;--soft:#98a2b3;--line:#333b49;--card:#1d232e;--paper:#14181f;
 --article:#c4a1ff"""
_THEMES = (
    f"@media(prefers-color-scheme:dark){{.nnlite-trace{{{_DARK}}}"
    "body:has(>.nnlite-trace){background:#0d1015}}"
    f"[data-jp-theme-light=false] .nnlite-trace{{{_DARK}}}"
)


def _colour(value: float, largest: float) -> str:
    """Return the colour of a number: blue below 0, orange above, the fainter the smaller."""
    if not np.isfinite(value):
        return "rgba(217,45,32,.6)"
    strength = 0.75 * abs(value) / largest if largest else 0.0
    return f"rgba({_POSITIVE if value > 0 else _NEGATIVE},{strength:.3f})"


def _heat_map(array: Array, largest: float, sparse: bool = False) -> str:
    """Return an array as a table of coloured cells; a large one without its middle.

    Args:
        array: The array.
        largest: The number of the strongest colour.
        sparse: Whether NaN says that there is no number.
    """
    values = flat(array)
    wide = values.shape[1] > 8
    rows, columns = shown(len(values), 12), shown(values.shape[1], 32)
    text = []
    for i, row in enumerate(rows):
        if i and rows[i - 1] != row - 1:
            text.append(f'<tr><td class="gap" colspan="{len(columns) + 1}">⋮</td></tr>')
        cells = []
        for j, column in enumerate(columns):
            if j and columns[j - 1] != column - 1:
                cells.append('<td class="gap">…</td>')
            value = values[row, column]
            if sparse and np.isnan(value):
                cells.append('<td class="none" title="not sampled"></td>')
                continue
            title = f"[{row}, {column}]: {float(value)!r}"
            style = f"background:{_colour(value, largest)}"
            cells.append(
                f'<td style="{style}" title="{title}">{"" if wide else number(value)}</td>'
            )
        text.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="{"dots" if wide else ""}">{"".join(text)}</table>'


def _largest(array: Array) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0))


def _line(line: Line, beside: str) -> str:
    """Return one array with its names and formulas."""
    left = f"{line.name} = {line.formula}" if line.formula else line.name
    right = f"{line.symbol} = {line.article}" if line.article else line.symbol
    shape, other = ("", "") if line.array.ndim == 0 else (line.array.shape, line.article_shape)
    names = (
        f"<code>{escape(left)}</code><small>{shape}</small>"
        f'<span class="article"><code>{escape(right)}</code> '
        f"<small>{other if line.symbol and other else ''}</small></span>"
    )
    largest = _largest(line.array)
    if line.array.ndim == 0:
        maps = f"<div><b>{float(line.array):.10g}</b></div>"
    else:
        maps = f"<div>{_heat_map(line.array, largest)}</div>"
    if line.beside is not None:
        caption = beside
        if beside == "finite differences":
            taken = ~np.isnan(line.beside)
            error = np.abs(line.beside - line.array)[taken].max(initial=0)
            some = "" if taken.all() else f" of {taken.sum()} in {taken.size} entries"
            verdict = f"✓ within {error:.1g}"
            if line.differs:
                verdict = f'<span class="bad">✗ differ by {error:.1g}: a kink, or wrong</span>'
            caption = f"{beside}{some} {verdict}"
        else:
            largest = _largest(line.beside)
        maps += f"<div>{_heat_map(line.beside, largest, sparse=True)}<small>{caption}</small></div>"
    return f'<div class="line"><div class="names">{names}</div><div class="maps">{maps}</div></div>'


# ---- the drawing ------------------------------------------------------------------------------


def _columns(trace: Any) -> list[tuple[str, Array, str, Array | None]] | None:
    """Return what is drawn: names, outputs and gradients; None where it would not fit."""
    given = {line.name: line.array for line in trace.input_gradients}
    columns = [(i.name, i.array, f"d{i.name}", given.get(f"d{i.name}")) for i in trace.inputs]
    for node in trace.nodes:
        last = next((line for line in node.backward if line.name in ("da", "dz")), None)
        of, gradient = ("", None) if last is None else (last.name, last.array)
        columns.append((node.name, node.output, of, gradient))
    small = all(
        type(a) is np.ndarray and a.ndim == 2 and a.shape[1] <= _UNITS for _, a, *_ in columns
    )
    return columns if small and len(trace.nodes) <= _LAYERS else None


def _drawing(trace: Any) -> str:
    """Return the network with the first sample's numbers, or nothing where it is too large."""
    columns = _columns(trace)
    if columns is None:
        return ""
    inputs = len(trace.inputs)
    depths = [0] * inputs
    sources = [[] for _ in trace.inputs] + [_places(node, inputs) for node in trace.nodes]
    for places in sources[inputs:]:
        depths.append(1 + max((depths[p] for p in places), default=0))
    stacked = [[i for i, d in enumerate(depths) if d == depth] for depth in range(max(depths) + 1)]
    heights = [sum(columns[i][1].shape[1] * 62 + 34 for i in stack) for stack in stacked]
    tall, wide = max(heights) + 10, 220 * len(stacked)
    at: dict[tuple[int, int], tuple[int, float]] = {}
    lines: list[str] = []
    labels: list[str] = []
    discs: list[str] = []
    for depth, (stack, height) in enumerate(zip(stacked, heights, strict=True)):
        x, top = 110 + 220 * depth, (tall - height) / 2
        for i in stack:
            name, array, of, gradient = columns[i]
            discs.append(
                f'<text class="soft" x="{x}" y="{top + 16:.0f}">{escape(name[:22])}</text>'
            )
            for unit in range(array.shape[1]):
                y = top + 48 + 62 * unit
                at[i, unit] = x, y
                fill = _colour(array[0, unit], _largest(array[:1]))
                below = "" if gradient is None else f"{of} {gradient[0, unit] + 0.0:.2g}"
                discs.append(
                    f'<circle class="disc" cx="{x}" cy="{y:.0f}" r="21"/>'
                    f'<circle cx="{x}" cy="{y:.0f}" r="21" fill="{fill}"/>'
                    f'<text x="{x}" y="{y + 4:.0f}">{array[0, unit] + 0.0:.2g}</text>'
                    f'<text class="soft halo" x="{x}" y="{y + 33:.0f}">{below}</text>'
                )
            top += array.shape[1] * 62 + 34
    for i, places in enumerate(sources):
        for p in places:
            units = columns[p][1].shape[1], columns[i][1].shape[1]
            kernel = _kernel(trace.nodes[i - inputs], units[0])
            for u, v in np.ndindex(units):
                if kernel is not None or u == v or units[0] != units[1]:
                    line, label = _edge(at[p, u], at[i, v], kernel, (u, v))
                    lines.append(line)
                    labels.append(label)
    return (
        f'<svg viewBox="0 0 {wide} {tall:.0f}" width="{wide}" role="img" '
        f'aria-label="the network with the numbers of the first sample">'
        f"{''.join([*lines, *labels, *discs])}</svg>"
        "<p>The first sample: outputs in the circles, dJ/da or dJ/dz below them. A solid line is a "
        "weight, orange above 0, blue below.</p>"
    )


def _places(node: TraceNode, inputs: int) -> list[int]:
    """Return the columns that a node reads."""
    return [source + inputs - 1 if source > 0 else -source for source in node.sources]


def _kernel(node: TraceNode, units: int) -> Array | None:
    kernel = node.weights.get("kernel") if node.kind.split(",")[0] == "Dense" else None
    return kernel if kernel is not None and len(kernel) == units else None


def _edge(start: Any, end: Any, kernel: Array | None, entry: tuple[int, int]) -> tuple[str, str]:
    """Return the line from one unit to another, and the text of its weight."""
    (x, y), (x2, y2) = start, end
    ends = f'x1="{x}" y1="{y:.0f}" x2="{x2}" y2="{y2:.0f}"'
    if kernel is None:
        return f'<line {ends} stroke="rgba(128,136,150,.5)" stroke-dasharray="3 3"/>', ""
    w = float(kernel[entry])
    size = abs(w) / (_largest(kernel) or 1)
    colour = f"rgba({_POSITIVE if w > 0 else _NEGATIVE},.75)"
    line = (
        f'<line {ends} stroke="{colour}" stroke-width="{0.6 + 3 * size:.1f}">'
        f"<title>kernel{list(entry)}: {w!r}</title></line>"
    )
    where = f'x="{0.7 * x + 0.3 * x2:.0f}" y="{0.7 * y + 0.3 * y2 + 4:.0f}"'
    text = f'<text class="soft halo" {where}>{w:.2g}</text>'
    return line, text if kernel.size <= _LABELLED else ""


def as_html(trace: Any) -> str:
    """Return a trace as one element of HTML, with its style in it and nothing to fetch."""
    notes = "".join(f'<p class="bad">{escape(note)}</p>' for note in trace.notes)
    body = []
    for chapter, beside, parts in trace.sections():
        inner = []
        for title, lines, remarks in parts:
            if lines or remarks:
                text = "".join(f"<p>{escape(remark)}</p>" for remark in remarks)
                text += "".join(_line(line, beside) for line in lines)
                symbols = ", ".join(line.symbol for line in lines if line.symbol)
                inner.append(
                    f"<details><summary>{escape(title)}<small>{escape(symbols)}</small></summary>"
                    f"{text}</details>"
                )
        opened = " open" if chapter in ("Forward", "Backward") else ""
        body.append(f"<details{opened}><summary>{chapter}</summary>{''.join(inner)}</details>")
    return (
        f'<div class="nnlite-trace"><style>{_STYLE}{_THEMES}</style><h2>{escape(trace.title)}</h2>'
        f"<p>{escape(NOTATION)}</p>{notes}{_drawing(trace)}{''.join(body)}</div>"
    )
