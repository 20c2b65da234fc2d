"""ONNX for recurrent layers; in ONNX, steps are the first axis of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.execution.graph import Graph
from nnlite.layers import activations as of
from nnlite.layers.recurrent import cells, rnn, wrappers
from nnlite.saving.onnx.builder import Builder, NoFormError, Value, form

#: For each cell: the operator, the columns' blocks in the operator's order, other attributes.
_CELLS: dict[Any, tuple[str, list[int], Any]] = {
    cells.SimpleRNNCell: ("RNN", [0], lambda cell: {}),
    cells.LSTMCell: ("LSTM", [0, 3, 1, 2], lambda cell: {}),
    cells.GRUCell: ("GRU", [0, 1, 2], lambda cell: {"linear_before_reset": cell.reset_after}),
}

#: The names of activations, with alpha and beta.
_ACTIVATIONS: dict[Any, Any] = {
    of.ReLU: lambda a: ("Relu", 0.0, 0.0),
    of.Identity: lambda a: ("Affine", 1.0, 0.0),
    of.ELU: lambda a: ("Elu", a.alpha, 0.0),
    of.HardSigmoid: lambda a: ("HardSigmoid", 0.5 / a.end, 0.5),
    of.LeakyReLU: lambda a: ("LeakyRelu", a.negative_slope, 0.0),
    of.Sigmoid: lambda a: ("Sigmoid", 0.0, 0.0),
    of.Softplus: lambda a: ("Softplus", 0.0, 0.0),
    of.Softsign: lambda a: ("Softsign", 0.0, 0.0),
    of.Tanh: lambda a: ("Tanh", 0.0, 0.0),
}


def _functions(cell: Any) -> dict[str, Any]:
    """Return the attributes for a cell's activations."""
    gates = [cell.recurrent_activation] if cell.gates > 1 else []
    used = [*gates, cell.activation, *[cell.activation] * (cell.states - 1)]
    for one in used:
        other = type(one) is of.ReLU and of.function_name(one) != "relu"
        if other or type(one) not in _ACTIVATIONS:
            raise NoFormError(f"activation={one!r} is not supported in a recurrent layer")
    names, alphas, betas = zip(*(_ACTIVATIONS[type(one)](one) for one in used), strict=True)
    return {"activations": names, "activation_alpha": alphas, "activation_beta": betas}


def _cell(g: Builder, cell: Any, x: Any, states: list[Any], backwards: bool) -> tuple[Any, ...]:
    """Return the outputs of all steps, first axis, in the order of x, and the last states."""
    if type(cell) not in _CELLS:
        raise NoFormError(f"cell {type(cell).__name__} is not supported")
    kind, order, more = _CELLS[type(cell)]

    def blocks(matrix: Any) -> Any:
        parts = np.split(matrix.T, cell.gates)
        return np.concatenate([parts[i] for i in order])

    shape = (2, cell.gates * cell.units)
    bias = np.zeros(shape, cell.dtype)
    if cell.bias is not None:
        bias[: cell.bias.value.ndim] = cell.bias.value  # a GRU with reset_after has both
    weights = (blocks(cell.kernel.value), blocks(cell.recurrent_kernel.value))
    before = [g.Unsqueeze(state, [0]) for state in states]
    y, *last = getattr(g, kind)(
        x,
        *(one[None] for one in weights),
        np.concatenate([blocks(one) for one in bias])[None],
        None,
        *before,
        outputs=1 + cell.states,
        hidden_size=cell.units,
        direction="reverse" if backwards else "forward",
        **_functions(cell),
        **more(cell),
    )
    return g.Squeeze(y, [1]), *(g.Squeeze(state, [0]) for state in last)


def _run(g: Builder, layer: Any, x: Any, in_time: bool = False) -> list[Any]:
    """Return a recurrent layer's output and states; ``in_time`` reverses a backward output."""
    x, *states = x if isinstance(x, list) else [x]
    if layer.stateful:
        raise NoFormError("it is stateful")
    y, ends = g.Transpose(x, perm=[1, 0, 2]), []
    for cell in layer._cells():
        own, states = states[: cell.states], states[cell.states :]
        y, *last = _cell(g, cell, y, own, layer.go_backwards)
        ends += last
    if not layer.return_sequences:
        y = ends[-len(last)]
    else:
        y = g.Transpose(y, perm=[1, 0, 2])
        if layer.go_backwards and not in_time:
            y = g.Slice(y, [-1], [-np.iinfo(np.int64).max], [1], [-1])
    return [y, *ends] if layer.return_state else [y]


@form(rnn._Run)
def _rnn(g: Builder, run: Any, x: Any) -> Any:
    if run._training:
        raise NoFormError("it is called with training=True")
    return _run(g, run._owner, x)


_MERGES: dict[Any, Any] = {
    "concat": lambda g, a, b: [g.Concat(a, b, axis=-1)],
    "sum": lambda g, a, b: [g.Add(a, b)],
    "ave": lambda g, a, b: [g.Mul(g.Add(a, b), 0.5)],
    "mul": lambda g, a, b: [g.Mul(a, b)],
    None: lambda g, a, b: [a, b],
}


@form(wrappers._Run)
def _wrapper(g: Builder, run: Any, x: Any) -> Any:
    layer = run._owner
    if run._training:
        raise NoFormError("it is called with training=True")
    if isinstance(layer, wrappers.TimeDistributed):
        return _at_each_step(g, layer.layer, x)
    x, *states = x if isinstance(x, list) else [x]
    half = len(states) // 2
    both = layer.sublayers()
    if both[0].go_backwards and layer.return_sequences:
        raise NoFormError("its first layer goes backwards")
    first = _run(g, both[0], [x, *states[:half]], in_time=True)
    second = _run(g, both[1], [x, *states[half:]], in_time=True)
    return [*_MERGES[layer.merge_mode](g, first[0], second[0]), *first[1:], *second[1:]]


def _at_each_step(g: Builder, layer: Any, x: Any) -> Any:
    """Return a layer's outputs for all steps of x, each taken as a sample."""
    shape = (None, *x.shape[2:])
    graph, scope, dtype = Graph(training=False), g.scope, g.dtype
    slot = graph.add_input(x.dtype)
    graph.finish([graph.add(layer, slot)])
    samples = Value.of(g.Reshape(x, [-1, *shape[1:]]), shape, x.dtype)
    (y,) = g.run(graph, [samples])
    g.scope, g.dtype = scope, dtype
    sizes = g.Slice(g.Shape(x), [0], [2])
    rest = g.Slice(g.Shape(y), [1], [np.iinfo(np.int64).max])
    return g.Reshape(y, g.Concat(sizes, rest, axis=0))
