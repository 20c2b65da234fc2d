"""Draws the curves as SVG files, shows each in its class's entry, and all of them on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from curves import DRAWN, Curves
from matplotlib.figure import Figure
from sphinx.application import Sphinx

# Grey text and no ground are readable on a light and on a dark page.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nnlite",
    "font.size": 9,
    "text.color": "#888888",
    "axes.labelcolor": "#888888",
    "axes.edgecolor": "#888888",
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "grid.color": "#88888844",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=["#3987e5", "#e07b39"]),
}


def draw(curves: Curves, file: Path) -> None:
    """Draw the lines into an SVG file."""
    x, label, lines = curves
    with matplotlib.rc_context(STYLE):
        axes = Figure(figsize=(4.2, 2.6), layout="constrained").subplots()
        for (name, y), dashes in zip(lines.items(), ("-", "--"), strict=False):
            axes.plot(x, y, dashes, label=name)
        axes.set_xlabel(label)
        axes.legend(frameon=False)
        axes.figure.savefig(file, transparent=True, metadata={"Date": None})


def write(app: Sphinx) -> None:
    """Draw every figure and write the page that shows them all."""
    folder = Path(app.srcdir) / "api"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    title = "Every function, drawn"
    page = [title, "=" * len(title), "", INTRODUCTION]
    for path, (kind, curves) in DRAWN.items():
        if kind not in page:
            page += [kind, "-" * len(kind), ""]
        draw(curves(), folder / "figures" / f"{path}.svg")
        page += [f".. figure:: figures/{path}.svg", f"   :alt: {path}", "   :figclass: curve"]
        page += ["   :class: dark-light", "", f"   :py:obj:`~{path}`", ""]
    text = "\n".join(page)
    file = folder / "drawn.rst"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


INTRODUCTION = """\
nnlite computes these curves, and the derivatives of activations come from its own way back.
A function of several inputs is drawn over the first, with the others at 0. A loss is that of
one sample, for the targets y in the legend.
"""


def show(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show the figure of a class at the end of its entry."""
    if what == "class" and name in DRAWN:
        lines += ["", f".. image:: /api/figures/{name}.svg", f"   :alt: {name}"]
        lines += ["   :class: dark-light curve", ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the functions to Sphinx's events."""
    app.connect("builder-inited", write)
    # After napoleon, which takes what follows the example to be a part of it.
    app.connect("autodoc-process-docstring", show, priority=900)
    return {"parallel_read_safe": True}
