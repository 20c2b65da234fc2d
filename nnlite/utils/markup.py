"""HTML and SVG as text: elements and curves."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

#: The colours of the light and the dark scheme, as CSS declarations.
LIGHT = (
    "--ground:#ffffff;--panel:#f5f7fa;--ink:#1d2733;--faint:#66717f;--line:#d9dfe6;"
    "--first:#2b6cd4;--second:#d9622b"
)
DARK = (
    "--ground:#12161b;--panel:#1d242c;--ink:#e6ebf0;--faint:#97a3b0;--line:#36404b;"
    "--first:#6aa5ff;--second:#ff9a62"
)
_STYLE = (
    f".nnlite{{{LIGHT};background:var(--ground);font:12px system-ui,sans-serif}}"
    f"@media(prefers-color-scheme:dark){{.nnlite{{{DARK}}}}}"
    ".nnlite text{fill:var(--ink)}.nnlite .faint{fill:var(--faint)}"
    ".nnlite .rule{stroke:var(--line);fill:none}.nnlite .curve{fill:none;stroke-width:1.8;"
    "stroke-linejoin:round}.nnlite .box{fill:var(--panel);stroke:var(--line)}"
    ".nnlite .edge{fill:none;stroke:var(--faint);stroke-width:1.3}"
)

_WIDTH = 440  # of curves
_POINTS = 300  # of a curve, at most


class Markup(str):
    """Markup text, which `element` does not escape."""

    __slots__ = ()


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Return an element; its content is escaped unless it is `Markup`.

    Args:
        tag: The name.
        content: The content.
        attributes: The attributes; underscores become hyphens, a final one is dropped, and None
            omits the attribute.

    >>> element("p", "a < b ", element("b", "&"), class_="note", data_n=1.25)
    '<p class="note" data-n="1.2">a &lt; b <b>&amp;</b></p>'
    """
    inner = "".join(part if isinstance(part, Markup) else escape(str(part)) for part in content)
    pairs = ""
    for name, value in attributes.items():
        if value is not None:
            text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
            pairs += f' {name.rstrip("_").replace("_", "-")}="{escape(text)}"'
    return Markup(f"<{tag}{pairs}>{inner}</{tag}>")


def svg(width: float, height: float, label: str, *content: Markup) -> Markup:
    """Return a drawing in the colours of both schemes, which fits narrow pages."""
    return element(
        "svg",
        element("style", Markup(_STYLE)),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_="nnlite",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=round(width),
        height=round(height),
        role="img",
        aria_label=label,
        style="max-width:100%;height:auto",
    )


def sheet(label: str, charts: Sequence[tuple[Markup, int]]) -> Markup:
    """Return the charts of `curves` below one another in one drawing."""
    placed, y = [], 0
    for chart, height in charts:
        placed.append(element("g", chart, transform=f"translate(0 {y})"))
        y += height + 12
    return svg(_WIDTH, y, label, *placed)


def frame(page: str, height: int) -> Markup:
    """Return a page as an isolated element of another page."""
    style = "width:100%;max-width:620px;border:0"
    return element("iframe", srcdoc=page, sandbox="allow-scripts", height=height, style=style)


class Picture:
    """A drawing that notebooks show; ``str`` returns the SVG."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup

    def __str__(self) -> str:
        return str(self._markup)

    _repr_html_ = __str__


def check_path(name: str, path: Any, suffix: str) -> str | None:
    """Return the checked path of an output file, or None."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{name} must be a path or None. Received: {name}={path!r}")
    path = str(os.fspath(path))
    if not path.lower().endswith(suffix):
        raise ValueError(
            f"{name} must end in {suffix}, the only supported format. Received: {path!r}"
        )
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: there is no folder {folder!r}. Create it first.")
    return path


def curves(
    title: str,
    lines: Sequence[tuple[str, Any, Any, str, bool]],
    x_label: str = "epoch",
    log: bool = False,
) -> tuple[Markup, int]:
    """Return curves over integers with axes and a legend, and the height of the drawing.

    Args:
        title: The title.
        lines: Name, x, y, colour and whether to dash, for each curve. Values that are not finite
            leave gaps; long curves are thinned.
        x_label: The label of x.
        log: Whether the y axis is logarithmic; zeros are then drawn at its lower end.
    """
    left, right, top, bottom, height = 58, _WIDTH - 12, 30, 176, 210
    made = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, x, y, colour, dashed in lines:
            chosen = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
            xs, ys = np.asarray(x, float)[chosen], np.asarray(y, float)[chosen]
            made.append((name, xs, np.log10(ys) if log else ys, colour, dashed))
    every = np.concatenate([y[np.isfinite(y)] for _, _, y, _, _ in made] or [np.zeros(0)])
    low, high = (every.min(), every.max()) if every.size else (0.0, 1.0)
    if log:
        low, high = math.floor(low), math.ceil(high)
    if low == high:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    places = np.concatenate([x for _, x, _, _, _ in made] or [np.zeros(0)])
    first, last = (places.min(), places.max()) if places.size else (0.0, 1.0)
    first, last = (first - 0.5, last + 0.5) if first == last else (first, last)

    def across(x: Any) -> Any:
        return left + (x - first) / (last - first) * (right - left)

    def down(y: Any) -> Any:
        return bottom - (y - low) / (high - low) * (bottom - top)

    parts = [element("text", title, x=left, y=16, font_weight=600)]
    for tick in _ticks(low, high, log):
        y, shown = float(down(tick)), f"1e{tick:.0f}" if log else f"{tick:.4g}"
        parts.append(element("path", d=f"M{left} {y:.1f}H{right}", class_="rule"))
        parts.append(element("text", shown, x=left - 6, y=y + 4, text_anchor="end", class_="faint"))
    for tick in _ticks(first, last, True):
        x = float(across(tick))
        middle = {"y": bottom + 16, "text_anchor": "middle", "class_": "faint"}
        parts.append(element("text", f"{tick:.0f}", x=x, **middle))
    parts.append(
        element("text", x_label, x=right, y=bottom + 30, text_anchor="end", class_="faint")
    )
    for at, (name, x, y, colour, dashed) in enumerate(made):
        y = np.where(np.isneginf(y), low, y) if log else y
        path, pen = [], "M"
        for place, value in zip(across(x), down(y), strict=True):
            if math.isfinite(value):
                path.append(f"{pen}{place:.1f} {value:.1f}")
            pen = "L" if math.isfinite(value) else "M"
        dash = "5 4" if dashed else None
        if len(path) == 1:  # a line of length 0 would be invisible
            path.append("h.1")
        mark = {"stroke": colour, "stroke_dasharray": dash, "class_": "curve"}
        hint = element("title", name)
        parts.append(element("path", hint, d="".join(path), stroke_linecap="round", **mark))
        x0, y0 = left + at % 2 * (_WIDTH - left) // 2, height + 4 + at // 2 * 18
        parts.append(element("path", d=f"M{x0} {y0}h18", **mark))
        parts.append(element("text", name, x=x0 + 24, y=y0 + 4))
    return element("g", *parts), height + 2 + (len(made) + 1) // 2 * 18


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    """Return up to six round numbers in a range, integers if requested.

    >>> _ticks(0.0, 1.0, False), _ticks(1.0, 7.0, True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [2.0, 4.0, 6.0])
    """
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    if whole:
        step = max(1, round(step))
    numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [float(f"{at * step:.12g}") for at in numbers]
