"""The table of a model's layers that summary prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnlite.layers.layer import Layer, Shape
from nnlite.predictor import Predictor

__all__ = ["print_summary"]


def print_summary(
    model: Predictor,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: tuple[str, str] | None = None,
) -> None:
    """Print the table; `Sequential.summary` says the arguments.

    Raises:
        ValueError: If ``layer_range`` names no layers of the model.
    """
    import shutil  # it brings compression libraries along, which nothing else here needs

    shape = model.input_shape if model.built else model.declared_input_shape()
    rows = list(_rows(model, shape, expand_nested))
    if layer_range is not None:
        rows = _within(rows, layer_range)
    header = ["Layer (type)", "Output Shape", "Param #"]
    table = [row[1:4] for row in rows]
    if show_trainable:
        header.append("Trainable")
        table = [[*cells, row[4]] for cells, row in zip(table, rows, strict=True)]
    width = line_length or min(shutil.get_terminal_size().columns, 100)
    widths = [max(len(row[i]) for row in [header, *table]) for i in range(len(header))]
    if positions is not None:
        ends = [int(width * end) for end in positions]
        widths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    frame = 3 * len(header) + 1
    widths[0] = max(12, min(widths[0], width - frame - sum(widths[1:])))

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
    if model.built:
        total = model.count_params()
        trainable = sum(variable.size for variable in model.trainable_weights)
        size = sum(variable.value.nbytes for variable in model.weights)
        lines += [
            f"Total params: {total:,} ({_bytes(size)})",
            f"Trainable params: {trainable:,}",
            f"Non-trainable params: {total - trainable:,}",
        ]
    else:
        lines.append("Not built yet: the number of weights follows from the input shape.")
    (print_fn or print)("\n".join(lines))


def _rows(model: Any, shape: Shape | None, expand: bool, indent: str = "") -> Iterator[list[str]]:
    """Yield name, then the cells of each layer's row."""
    for layer in model.layers:
        shape = layer.compute_output_shape(shape) if shape is not None else None
        yield [
            layer.name,
            f"{indent}{layer.name} ({type(layer).__name__})",
            "?" if shape is None else str(shape),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
            _trained(layer),
        ]
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer, layer.input_shape, expand, indent + "  ")


def _trained(layer: Layer) -> str:
    if layer.built and not layer.all_variables():
        return "-"
    return "Y" if layer.trainable else "N"


def _within(rows: list[list[str]], layer_range: tuple[str, str]) -> list[list[str]]:
    """Keep the rows from the first to the last layer of the range."""
    first, last = (
        [i for i, row in enumerate(rows) if re.fullmatch(pattern, row[0])]
        for pattern in layer_range
    )
    if not first or not last:
        raise ValueError(
            f"layer_range must name two layers. Received: {layer_range!r}, among layers "
            f"{', '.join(row[0] for row in rows)}"
        )
    return rows[first[0] : last[-1] + 1]


def _bytes(size: float) -> str:
    """Return a number of bytes as people read it.

    >>> _bytes(76), _bytes(2_500_000)
    ('76.00 B', '2.38 MB')
    """
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"
