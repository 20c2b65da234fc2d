"""The table of layers for `summary`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import Layer
from nnlite.symbolic import KerasTensor
from nnlite.utils.validation import check_number, is_listed

if TYPE_CHECKING:
    from nnlite.utils.markup import Markup

__all__ = ["html_summary", "print_summary"]


def print_summary(
    model: AbstractModel,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: tuple[str, str] | None = None,
) -> None:
    """Print the table; see `Model.summary`."""
    import shutil  # slow to import

    header, *table = _table(model, expand_nested, show_trainable, _within(model, layer_range))
    width = line_length or min(shutil.get_terminal_size().columns, 100)
    widths = [max(len(row[i]) for row in [header, *table]) for i in range(len(header))]
    if positions is not None:
        fractions = list(positions) if is_listed(positions) else []
        if len(fractions) != len(header):
            raise ValueError(
                f"positions must hold {len(header)} fractions of the width, where each column "
                f"ends. Received: positions={positions!r}"
            )
        ends = [int(width * check_number("positions", end)) for end in fractions]
        widths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    frame = 3 * len(header) + 1
    while sum(widths) + frame > width and max(widths) > 12:
        widths[widths.index(max(widths))] -= 1

    def line(cells: Sequence[str]) -> str:
        fitted = [
            cell if len(cell) <= size else cell[: size - 1] + "…"
            for cell, size in zip(cells, widths, strict=True)
        ]
        padded = [
            cell.rjust(size) if header[i] == "Param #" else cell.ljust(size)
            for i, (cell, size) in enumerate(zip(fitted, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "+" + "+".join("-" * (size + 2) for size in widths) + "+"
    lines = [f'Model: "{model.name}"', rule, line(header), rule, *map(line, table), rule]
    (print_fn or print)("\n".join([*lines, *_counts(model)]))


def html_summary(model: AbstractModel) -> str:
    """Return the table as HTML for notebooks."""
    from nnlite.utils.markup import element

    header, *table = _table(model, False, False, range(len(model.layers)))
    cell = "padding:2px 10px;white-space:nowrap;text-align:"

    def row(tag: str, cells: Sequence[str]) -> Markup:
        styles = [cell + ("right" if name == "Param #" else "left") for name in header]
        return element(
            "tr", *(element(tag, c, style=s) for c, s in zip(cells, styles, strict=True))
        )

    lines = [element("div", line) for line in _counts(model)]
    body = [row("th", header), *(row("td", cells) for cells in table)]
    return element(
        "div",
        element("b", f'Model: "{model.name}"'),
        element("table", *body),
        *lines,
        style="overflow-x:auto",
    )


def _table(model: AbstractModel, expand: bool, trainable: bool, shown: range) -> list[list[str]]:
    """Return the cells of the table with the header."""
    header = ["Layer (type)", "Output Shape", "Param #"]
    if _branches(model):
        header.append("Connected to")
    if trainable:
        header.append("Trainable")
    return [header, *([row[c] for c in header] for row in _rows(model, expand, shown))]


def _counts(model: AbstractModel) -> list[str]:
    """Return the lines below the table."""
    lines = []
    if model.built:
        counts = {
            "Trainable": [variable.value for variable in model.trainable_weights],
            "Non-trainable": [variable.value for variable in model.non_trainable_weights],
        }
        if model.optimizer is not None and model.optimizer.built:
            counts["Optimizer"] = [array for _, array in model.optimizer.state_arrays()]
        lines.append(_count("Total", [array for part in counts.values() for array in part]))
        lines += [_count(what, arrays) for what, arrays in counts.items()]
    else:
        lines.append("Not built yet: the number of weights follows from the input shape.")
    return lines


def _rows(
    model: AbstractModel, expand: bool, shown: range, indent: str = ""
) -> Iterator[dict[str, str]]:
    """Yield the cells of each row by header."""
    calls = model.calls()
    for index, layer in enumerate(model.layers):
        if index not in shown:
            continue
        nodes = [node for node in calls if node.layer is layer]
        shapes = [t.shape for t in (nodes[0].outputs if nodes else _entry(model, layer))]
        yield {
            "Layer (type)": f"{indent}{layer.name} ({type(layer).__name__})",
            "Output Shape": ", ".join(map(str, shapes)) or _shape_unbuilt(model, index),
            "Param #": f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
            "Connected to": ", ".join(_origin(t) for node in nodes for t in node.inputs) or "-",
            "Trainable": _trained(layer),
        }
        if expand and isinstance(layer, AbstractModel):
            yield from _rows(layer, expand, range(len(layer.layers)), indent + "  ")


def _entry(model: AbstractModel, layer: Layer) -> list[KerasTensor]:
    """Return the input tensor of an input layer."""
    inputs = model.inputs if model.built else []
    return [tensor for tensor in inputs if tensor.node is not None and tensor.node.layer is layer]


def _shape_unbuilt(model: AbstractModel, index: int) -> str:
    """Return the output shape of a layer in an unbuilt chain, if known."""
    shape = model.declared_input_shape()
    for layer in model.layers[: index + 1] if shape is not None else ():
        shape = layer.compute_output_shape(shape)
    return "?" if shape is None else str(shape)


def _origin(tensor: KerasTensor) -> str:
    """Return the origin of a tensor as in Keras: layer, call and output."""
    node = tensor.node
    if node is None:
        return tensor.name
    at = next(i for i, other in enumerate(node.layer.nodes) if other is node)
    return f"{node.layer.name}[{at}][{tensor.index}]"


def _branches(model: AbstractModel) -> bool:
    """Return whether the layers do not form a chain."""
    calls = model.calls()
    chain = [tensor for node in calls[1:] for tensor in node.inputs]
    made = [tensor for node in calls[:-1] for tensor in node.outputs]
    one = all(len(node.inputs) == 1 for node in calls)
    return not (one and [id(tensor) for tensor in chain] == [id(tensor) for tensor in made])


def _trained(layer: Layer) -> str:
    if not layer.all_variables():
        return "-"
    return "Y" if layer.trainable else "N"


def _within(model: AbstractModel, layer_range: tuple[str, str] | None) -> range:
    """Return the indices of the first and last layer of the range."""
    names = [layer.name for layer in model.layers]
    if layer_range is None:
        return range(len(names))
    ends = [
        [i for i, name in enumerate(names) if isinstance(end, str) and re.fullmatch(end, name)]
        for end in (layer_range if is_listed(layer_range) else ())
    ]
    if len(ends) != 2 or not all(ends):
        raise ValueError(
            f"layer_range must name two layers. Received: {layer_range!r}, among layers "
            f"{', '.join(names)}"
        )
    if ends[0][0] > ends[1][-1]:  # in reverse order
        ends.reverse()
    return range(ends[0][0], ends[1][-1] + 1)


def _count(what: str, arrays: list[NDArray[Any]]) -> str:
    """Return a line with the number of parameters and their memory."""
    numbers = sum(array.size for array in arrays)
    return f"{what} params: {numbers:,} ({_bytes(sum(array.nbytes for array in arrays))})"


def _bytes(size: float) -> str:
    """Return a number of bytes in a readable unit.

    >>> _bytes(76), _bytes(2_500_000)
    ('76.00 B', '2.38 MB')
    """
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"
