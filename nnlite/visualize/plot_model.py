"""plot_model: draws a model's layers and their connections as SVG."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise

from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.activations import function_name
from nnlite.symbolic import Node
from nnlite.utils.atomic_write import atomic_write
from nnlite.utils.markup import Markup, Picture, check_path, element, svg
from nnlite.utils.validation import check_flag

_GAP = 26  # between boxes of one rank
_STEP = 38  # between two ranks
_LINE, _LETTER = 17, 6.7  # the size of text


class _Box:
    """A call of a layer, an input, or the place where a longer edge crosses a rank (no lines)."""

    def __init__(self, lines: list[str], kind: str = "") -> None:
        self.lines, self.kind = lines, kind
        self.sources: list[_Box] = []
        self.targets: list[_Box] = []
        self.rank = 0
        self.across = self.along = 0.0  # the middle
        self.width: float = max((len(line) * _LETTER for line in lines), default=0) + 26
        self.height: float = len(lines) * _LINE + 14

    def follow(self, sources: Sequence[_Box]) -> None:
        """Add an edge from each source."""
        self.sources = list(dict.fromkeys(sources))
        for source in self.sources:
            source.targets.append(self)


def plot_model(
    model: AbstractModel,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Picture:
    """Draw a model: a box for each input and each call of a layer, and the edges between them.

    Inputs have a blue edge, outputs an orange one. A layer that is called twice has two boxes.

    Args:
        model: A built model.
        to_file: The file, ending in ``.svg``; None writes none. Its folder must exist.
        show_shapes: Whether to show the shapes of inputs and outputs.
        show_dtype: Whether to show the type of the output.
        show_layer_names: Whether to show the layers' names besides their classes.
        rankdir: Direction of the edges: ``"TB"`` down, ``"BT"`` up, ``"LR"`` right, ``"RL"`` left.
        expand_nested: Whether to draw nested models as their layers.
        dpi: Ignored, for compatibility with Keras: SVG has no resolution.
        show_layer_activations: Whether to show the activations of layers.
        show_trainable: Whether to show which layers with weights are trainable.

    Returns:
        The drawing: notebooks show it, and ``str`` gives the SVG.

    Raises:
        TypeError: If ``model`` is not a model, or another argument has the wrong type.
        ValueError: If the model is not built, ``to_file`` does not end in ``.svg``, or ``rankdir``
            is unknown.
        FileNotFoundError: If the folder does not exist.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense, Input
    >>> model = Sequential([Input((4,)), Dense(8, activation="relu"), Dense(1)])
    >>> picture = plot_model(model, to_file=None, show_shapes=True)
    >>> "(None, 4) → (None, 8)" in str(picture)
    True
    """
    if not isinstance(model, AbstractModel):
        raise TypeError(f"model must be a model. Received: {model!r}")
    path = check_path("to_file", to_file, ".svg")
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"rankdir must be 'TB', 'BT', 'LR' or 'RL'. Received: {rankdir!r}")
    flags = {
        "shapes": show_shapes,
        "dtype": show_dtype,
        "layer_names": show_layer_names,
        "layer_activations": show_layer_activations,
        "trainable": show_trainable,
    }
    shown = {name for name, flag in flags.items() if check_flag(f"show_{name}", flag)}
    expand = check_flag("expand_nested", expand_nested)
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} is not built, so its calls are unknown. Call "
            "build(input_shape) or fit first."
        )
    boxes: list[_Box] = []
    for tensor in model.inputs:
        layer = type(tensor.node.layer).__name__ if tensor.node else "InputLayer"
        says = {"layer_names": tensor.name, "shapes": str(tensor.shape), "dtype": tensor.dtype}
        boxes.append(_Box([layer, *(says[what] for what in says if what in shown)], "input"))
    for box in _follow(model, list(boxes), boxes, shown, expand, ""):
        box.kind = box.kind or "output"
    picture = _draw(boxes, rankdir)
    if path is not None:
        with atomic_write(path) as file:
            file.write(picture.encode())
    return Picture(picture)


def _follow(
    model: AbstractModel,
    given: list[_Box],
    boxes: list[_Box],
    shown: set[str],
    expand: bool,
    prefix: str,
) -> list[_Box]:
    """Add a box for each call of the model; return the boxes of its outputs."""
    made = {id(tensor): box for tensor, box in zip(model.inputs, given, strict=True)}
    for node in model.calls():
        sources = [made[id(tensor)] for tensor in node.inputs]
        layer = node.layer
        if expand and isinstance(layer, AbstractModel):
            ends = _follow(layer, sources, boxes, shown, expand, f"{prefix}{layer.name}/")
        else:
            boxes.append(_Box(list(_lines(node, shown, prefix))))
            boxes[-1].follow(sources)
            boxes[-1].rank = 1 + max((source.rank for source in sources), default=-1)
            ends = [boxes[-1]] * len(node.outputs)
        made |= {id(tensor): box for tensor, box in zip(node.outputs, ends, strict=True)}
    return [made[id(tensor)] for tensor in model.outputs]


def _lines(node: Node, shown: set[str], prefix: str) -> Iterator[str]:
    """Yield the lines of a call's box."""
    layer = node.layer
    yield type(layer).__name__
    if "layer_names" in shown:
        yield f"{prefix}{layer.name}"
    if "layer_activations" in shown and getattr(layer, "activation", None) is not None:
        yield function_name(layer.activation) or type(layer.activation).__name__
    if "shapes" in shown:
        ends = [", ".join(str(t.shape) for t in part) for part in (node.inputs, node.outputs)]
        yield " → ".join(ends)
    if "dtype" in shown:
        yield ", ".join(tensor.dtype for tensor in node.outputs)
    if "trainable" in shown and layer.all_variables():
        yield "trained" if layer.learning_variables() else "frozen"


# ---- layout -------------------------------------------------------------------------------------


def _ranks(boxes: Sequence[_Box]) -> list[list[_Box]]:
    """Return the boxes by rank, with an empty one wherever an edge crosses a rank."""
    for box in boxes:
        if not box.sources and box.targets:  # an input is next to its first reader
            box.rank = min(target.rank for target in box.targets) - 1
    ranks: list[list[_Box]] = [[] for _ in range(1 + max(box.rank for box in boxes))]
    for box in boxes:
        ranks[box.rank].append(box)
        for at, source in enumerate(box.sources):
            before = source
            for rank in range(source.rank + 1, box.rank):
                passing = _Box([])
                passing.rank, passing.sources = rank, [before]
                before.targets[before.targets.index(box)] = passing
                passing.targets = [box]
                ranks[rank].append(passing)
                before = passing
            box.sources[at] = before
    return ranks


def _arrange(ranks: list[list[_Box]], upright: bool) -> None:
    """Place each box near the connected ones, without overlaps.

    Ranks are ordered by the means of the neighbours' places (Sugiyama, Tagawa and Toda, "Methods
    for Visual Understanding of Hierarchical System Structures", 1981).
    """
    for rank in ranks:
        for at, box in enumerate(rank):
            box.across = at - (len(rank) - 1) / 2
    for sweep in range(8):
        for rank in ranks if sweep % 2 == 0 else ranks[::-1]:
            wished = {box: _mean(box.targets if sweep % 2 else box.sources, box) for box in rank}
            rank.sort(key=wished.__getitem__)
            for at, box in enumerate(rank):
                box.across = at - (len(rank) - 1) / 2
    for sweep in range(24):
        for rank in ranks if sweep % 2 == 0 else ranks[::-1]:
            wish = [_mean([*box.sources, *box.targets], box) for box in rank]
            sizes = [box.width if upright else box.height for box in rank]
            apart = [(a + b) / 2 + _GAP for a, b in pairwise(sizes)]
            right, left = list(wish), list(wish)  # the smallest move to each side
            for at, least in enumerate(apart):
                right[at + 1] = max(right[at + 1], right[at] + least)
            for at in reversed(range(len(apart))):
                left[at] = min(left[at], left[at + 1] - apart[at])
            for box, a, b in zip(rank, right, left, strict=True):
                box.across = (a + b) / 2
    along = 0.0
    for rank in ranks:
        deep = max(box.height if upright else box.width for box in rank)
        for box in rank:
            box.along = along + deep / 2
            if not box.lines:  # an edge crosses its whole rank straight
                box.width, box.height = (0, deep) if upright else (deep, 0)
        along += deep + _STEP


def _mean(others: Sequence[_Box], box: _Box) -> float:
    return sum(other.across for other in others) / len(others) if others else box.across


# ---- drawing ------------------------------------------------------------------------------------


def _draw(boxes: Sequence[_Box], rankdir: str) -> Markup:
    """Return boxes and edges as SVG."""
    upright, back = rankdir in ("TB", "BT"), rankdir in ("BT", "RL")
    ranks = _ranks(boxes)
    _arrange(ranks, upright)
    every = [box for rank in ranks for box in rank]
    least = min(b.across - (b.width if upright else b.height) / 2 for b in every) - 10
    wide = max(b.across + (b.width if upright else b.height) / 2 for b in every) + 10 - least
    long = max(b.along + (b.height if upright else b.width) / 2 for b in every) + 20

    def place(across: float, along: float) -> tuple[float, float]:
        across, along = across - least, along + 10
        along = long - along if back else along
        return (across, along) if upright else (along, across)

    def path(form: str, *points: tuple[float, float], **look: str) -> Markup:
        placed = ("{:.1f} {:.1f}".format(*place(*point)) for point in points)
        return element("path", d=form.format(*placed), **look)

    def ends(box: _Box) -> list[float]:
        half = (box.height if upright else box.width) / 2
        return [box.along - half, box.along + half]

    edges, drawn = [], []
    for box in every:
        for source in box.sources:
            (x0, y0), (x1, y1) = (source.across, ends(source)[1]), (box.across, ends(box)[0])
            middle = (y0 + y1) / 2
            start = (x0, y0) if source.lines else (x0, ends(source)[0])
            curve = [(x0, y0), (x0, middle), (x1, middle), (x1, y1)]
            edges.append(path("M{}L{}C{} {} {}", start, *curve, class_="edge"))
            if box.lines:
                tip = [(x1, y1), (x1 - 4, y1 - 8), (x1 + 4, y1 - 8)]
                edges.append(path("M{}L{}L{}Z", *tip, fill="var(--faint)"))
        if box.lines:
            x, y = place(box.across, box.along)
            drawn.append(_box(box, x, y))
    size = (wide, long) if upright else (long, wide)
    return svg(*size, "The layers of a model", *edges, *drawn)


def _box(box: _Box, x: float, y: float) -> Markup:
    """Return a box around its middle."""
    left, top = x - box.width / 2, y - box.height / 2
    colour = {"input": "stroke:var(--first)", "output": "stroke:var(--second)"}.get(box.kind)
    size = {"x": left, "y": top, "width": float(box.width), "height": float(box.height)}
    parts = [element("rect", **size, rx=7, class_="box", style=colour)]
    for at, line in enumerate(box.lines):
        look = {"class_": "faint"} if at else {"font_weight": 600}
        below = top + 7 + at * _LINE + 12.5
        parts.append(element("text", line, x=x, y=below, text_anchor="middle", **look))
    return element("g", *parts)
