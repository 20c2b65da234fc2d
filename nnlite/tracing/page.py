"""A `Trace` as HTML: chapters that fold, heat maps of arrays, and a drawing of small networks."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from nnlite.tracing.lines import Line, TraceNode, flat, shown
from nnlite.tracing.text import NOTATION, number
from nnlite.utils.typing import Array

_UNITS = 8  # the most units of a layer that is drawn
_LAYERS = 8  # the most layers
_LABELLED = 9  # the most weights between two layers that are written next to their lines
_POSITIVE, _NEGATIVE = "234,108,36", "52,128,235"

_STYLE = """
.nnlite-trace{--ink:#1d2330;--soft:#667085;--line:#dfe3ea;--card:#f7f8fa;--paper:#fff;
 --article:#8a3ffc;color:var(--ink);background:var(--paper);border-radius:10px;padding:16px 20px;
 font:14px/1.5 system-ui,sans-serif;max-width:980px;margin:0 auto;color-scheme:light dark}
.nnlite-trace h2{font-size:18px;font-weight:650;margin:0 0 6px}
.nnlite-trace p{color:var(--soft);margin:6px 0}
.nnlite-trace .net{overflow-x:auto;margin:12px 0}
.nnlite-trace svg{display:block;max-width:100%;height:auto;margin:auto}
.nnlite-trace text{fill:var(--ink);font:11px system-ui,sans-serif;text-anchor:middle}
.nnlite-trace text.soft{fill:var(--soft);font-size:10px;stroke:var(--paper);stroke-width:4px;
 paint-order:stroke}
.nnlite-trace circle{stroke:var(--soft)}
.nnlite-trace .disc{fill:var(--paper)}
.nnlite-trace details{border-top:1px solid var(--line);padding:8px 0}
.nnlite-trace details details{border:1px solid var(--line);border-radius:8px;
 background:var(--card);margin:8px 0;padding:6px 12px}
.nnlite-trace summary{cursor:pointer;font-weight:600}
.nnlite-trace small{font-size:12px;color:var(--soft);font-weight:400}
.nnlite-trace .names,.nnlite-trace .maps{display:flex;flex-wrap:wrap;gap:4px 24px}
.nnlite-trace .names{margin-top:14px;align-items:baseline}
.nnlite-trace .maps>div{overflow-x:auto;max-width:100%}
.nnlite-trace code{font:13px ui-monospace,monospace;background:none;color:inherit;padding:0}
.nnlite-trace .article{margin-left:auto;color:var(--article)}
.nnlite-trace table{border-spacing:1px;border-collapse:separate;margin:0;background:none;
 color:inherit}
.nnlite-trace td{font:12px ui-monospace,monospace;text-align:right;padding:2px 7px;border:0;
 border-radius:3px;white-space:nowrap;box-shadow:inset 0 0 0 1px var(--line)}
.nnlite-trace .dots td{min-width:15px;height:15px;padding:0}
.nnlite-trace td.gap{color:var(--soft);text-align:center;box-shadow:none}
.nnlite-trace .none{background:repeating-linear-gradient(135deg,var(--line) 0 1px,#0000 1px 5px)}
.nnlite-trace .bad{color:#e5484d;font-weight:600}
"""
_DARK = """--ink:#e6e9ef;--soft:#98a2b3;--line:#333b49;--card:#1d232e;--paper:#14181f;
 --article:#c4a1ff"""
_THEMES = (
    f"@media(prefers-color-scheme:dark){{.nnlite-trace{{{_DARK}}}"
    "body:has(>.nnlite-trace){background:#0d1015}}"
    f"[data-jp-theme-light=false] .nnlite-trace{{{_DARK}}}"
)


def _colour(value: float, largest: float) -> str:
    """Return the colour of a number: blue below 0, orange above, fainter for smaller ones."""
    if not np.isfinite(value):
        return "rgba(217,45,32,.6)"
    strength = 0.75 * abs(value) / largest if largest else 0.0
    return f"rgba({_POSITIVE if value > 0 else _NEGATIVE},{strength:.3f})"


def _heat_map(array: Array, largest: float, sparse: bool = False) -> str:
    """Return an array as coloured cells; ``sparse`` means that NaN is an empty cell."""
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
            words = isinstance(value, str)
            title = f"[{row}, {column}]: {escape(value) if words else repr(float(value))}"
            style = "" if words else f"background:{_colour(value, largest)}"
            cell = "" if wide else escape(number(value))
            cells.append(f'<td style="{style}" title="{title}">{cell}</td>')
        text.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="{"dots" if wide else ""}">{"".join(text)}</table>'


def _largest(array: Array) -> float:
    if array.dtype == object:  # text
        return 0.0
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0))


def _line(line: Line, beside: str) -> str:
    """Return one array with its names and formulas."""
    names = (
        f"<code>{escape(line.left)}</code><small>{line.array.shape or ''}</small>"
        f'<span class="article"><code>{escape(line.right)}</code> '
        f"<small>{line.article_shape}</small></span>"
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
    return f'<div class="names">{names}</div><div class="maps">{maps}</div>'


# ---- the drawing ------------------------------------------------------------------------------


def _drawing(trace: Any) -> str:
    """Return the network with the first sample's numbers, or nothing if it is too large."""
    names = [line.name for line in [*trace.inputs, *trace.nodes]]
    arrays = [*(line.array for line in trace.inputs), *(node.output for node in trace.nodes)]
    if len(names) > _LAYERS or not all(
        type(a) is np.ndarray and a.ndim == 2 and a.shape[1] <= _UNITS for a in arrays
    ):
        return ""
    inputs = len(trace.inputs)
    reads = [[], *([] for _ in trace.inputs[1:]), *(node.sources for node in trace.nodes)]
    sources = [[s + inputs - 1 if s > 0 else -s for s in own] for own in reads]
    depths: list[int] = []
    for own in sources:
        depths.append(max((depths[s] + 1 for s in own), default=0))
    lines = {line.name[1:]: line for line in trace.input_gradients}
    back = [
        *(lines.get(line.name) for line in trace.inputs),
        *(next((d for d in n.backward if d.name in ("da", "dz")), None) for n in trace.nodes),
    ]
    heights = [62 * array.shape[1] + 34 for array in arrays]
    tops = [sum(h for d, h in zip(depths, heights, strict=True) if d == depth) for depth in depths]
    tall, used = max(tops), dict.fromkeys(depths, 0)
    at: list[list[tuple[int, int]]] = []
    edges, labels, discs = [], [], []
    for name, array, line, depth, height, whole in zip(
        names, arrays, back, depths, heights, tops, strict=True
    ):
        x, top = 110 + 220 * depth, (tall - whole) // 2 + used[depth]
        used[depth] += height
        at.append([(x, top + 48 + 62 * unit) for unit in range(array.shape[1])])
        discs.append(f'<text class="soft" x="{x}" y="{top + 16}">{escape(name)}</text>')
        for unit, (_, y) in enumerate(at[-1]):
            fill = _colour(array[0, unit], _largest(array[:1]))
            below = f"{line.name} {line.array[0, unit] + 0.0:.2g}" if line else ""
            discs.append(
                f'<circle class="disc" cx="{x}" cy="{y}" r="21"/>'
                f'<circle cx="{x}" cy="{y}" r="21" fill="{fill}"/>'
                f'<text x="{x}" y="{y + 4}">{array[0, unit] + 0.0:.2g}</text>'
                f'<text class="soft" x="{x}" y="{y + 33}">{escape(below)}</text>'
            )
    for i, own in enumerate(sources):
        for source in own:
            kernel = _kernel(trace.nodes[i - inputs])
            for u, (x, y) in enumerate(at[source]):
                for v, (x2, y2) in enumerate(at[i]):
                    ends = f'x1="{x}" y1="{y}" x2="{x2}" y2="{y2}"'
                    if kernel is None:
                        if u == v or len(at[i]) != len(at[source]):
                            edges.append(f'<line {ends} stroke="gray" stroke-dasharray="3 3"/>')
                        continue
                    w = float(kernel[u, v])
                    colour = f"rgba({_POSITIVE if w > 0 else _NEGATIVE},.75)"
                    width = 0.6 + 3 * abs(w) / (_largest(kernel) or 1)
                    edges.append(f'<line {ends} stroke="{colour}" stroke-width="{width:.1f}"/>')
                    part = 0.46 if u % 2 else 0.28  # keeps neighbours' texts apart
                    where = f'x="{x + part * (x2 - x):.0f}" y="{y + part * (y2 - y) - 3:.0f}"'
                    if kernel.size <= _LABELLED:
                        labels.append(f'<text class="soft" {where}>{w:.2g}</text>')
    wide = 220 * max(depths) + 220
    return (
        f'<div class="net"><svg viewBox="0 0 {wide} {tall}" width="{wide}" '
        f'style="min-width:{wide * 5 // 6}px" '  # legible on a telephone, where it scrolls
        f'role="img" aria-label="the network">{"".join([*edges, *labels, *discs])}</svg></div>'
        "<p>The first sample: outputs in the circles, dJ/da or dJ/dz below them. A solid line is a "
        "weight, orange above 0, blue below.</p>"
    )


def _kernel(node: TraceNode) -> Array | None:
    return node.weights["kernel"] if node.kind.split(",")[0] == "Dense" else None


def as_html(trace: Any) -> str:
    """Return a trace as one element of HTML that includes its style and loads nothing."""
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
                    f"<details><summary>{escape(title)} <small>{escape(symbols)}</small></summary>"
                    f"{text}</details>"
                )
        opened = " open" if chapter in ("Forward", "Backward") else ""
        body.append(f"<details{opened}><summary>{chapter}</summary>{''.join(inner)}</details>")
    return (
        f'<div class="nnlite-trace"><style>{_STYLE}{_THEMES}</style><h2>{escape(trace.title)}</h2>'
        f"<p>{escape(NOTATION)}</p>{notes}{_drawing(trace)}{''.join(body)}</div>"
    )
