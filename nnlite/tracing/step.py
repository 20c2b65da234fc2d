"""How a training step is opened: taken on a copy of the model, and every array of it kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nnlite import random
from nnlite.backend.variables import Variable
from nnlite.execution.graph import Call, Slot
from nnlite.execution.reference_executor import ReferenceExecutor
from nnlite.gradcheck import float64_copy, repeatable, slopes
from nnlite.layers import Dense
from nnlite.layers.activations import ActivationLayer
from nnlite.losses import BinaryCrossEntropy, Loss
from nnlite.metrics.compiled import unique
from nnlite.models.model import Model
from nnlite.optimizers import SGD
from nnlite.tracing.report import Line, Trace, TraceNode, shown
from nnlite.training.heads import Heads
from nnlite.training.objective import Objective
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.validation import check_flag

__all__ = ["trace"]

Array = NDArray[Any]

_WHOLE = 16  # arrays of up to so many entries are checked whole, of larger ones those shown
_LARGEST = 4  # and the largest


def trace(model: Model, x: Any, y: Any, sample_weight: Any = None, check: bool = True) -> Trace:
    """Open one training step of a model, without taking it.

    The step is that of `train_on_batch`, on a copy of the model: its weights, the optimizer's
    state, metrics and random generators stay as they are. The loss, the optimizer and what they do
    to a model that is not compiled are as for `fit`.

    Each array has nnlite's name and that of the article that ``docs/mathematics.md`` follows, where
    samples are columns: ``kernel`` is W transposed, and dA and dZ are m times as large as nnlite's.
    The last sigmoid or softmax goes together with its cross-entropy, as in training: dZ comes from
    the loss, and no dA is computed.

    Args:
        model: The model.
        x: A batch of inputs, as for `fit`.
        y: The targets, as for `fit`.
        sample_weight: The weight of each sample, as for `fit`.
        check: Whether to put finite differences beside the gradients. They are computed in float64;
            of an array of more than 16 entries, for some of them.

    Returns:
        The `Trace`: print it, or let a notebook show it. A program finds the arrays in ``nodes``,
        ``cost`` and ``updates``.

    Raises:
        TypeError: If ``model`` is not a model, or an argument is of the wrong kind.
        ValueError: If a shape is wrong, no weight learns, or the model has a step of its own.

    >>> from nnlite import Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Dense(1, kernel_initializer="ones")])
    >>> step = trace(model, [[1.0, 2.0], [3.0, 4.0]], [2.0, 8.0])
    >>> step.nodes[0].output.tolist(), step.cost
    ([[3.0], [7.0]], 1.0)
    >>> step.nodes[0].gradients["kernel"].tolist()
    [[-2.0], [-2.0]]
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model must be a model, such as a Sequential. Received: {type(model).__name__}"
        )
    if model.trains_own:
        raise ValueError(
            f"Model {model.name!r} has a training step of its own, by train_step, update_weights "
            "or a compute_... method. trace opens the step of nnlite only."
        )
    check = check_flag("check", check)
    states = random.states()
    try:
        model.lock.acquire_read()
        try:
            twin = copy.deepcopy(model)
        finally:
            model.lock.release_read()
        data, objective = twin._adapt_arrays(x, y, sample_weight, None)
        twin._prepare(data.shape, objective, training=True)
        if not objective._learning:
            raise ValueError(f"Model {model.name!r} has no weight that learns: nothing to trace.")
        with np.errstate(all="ignore"):
            return _Opened(twin, objective, data.whole(), check).trace()
    finally:
        random.set_states(states)


class _Watched(ReferenceExecutor):
    """An executor that lets some arrays be replaced, to see what follows from them."""

    replaced: dict[int, Array]

    def passed(self, slot: Slot, array: Array) -> Array:
        """Return the array, or what stands in its place."""
        return self.replaced.get(slot, array)


class _Pass:
    """A batch on its way through a model."""

    def __init__(self, objective: Objective, batch: Any) -> None:
        self.objective = objective
        x, self.y, self.weight = batch
        self.x = x if type(x) is list else [x]
        self.executor = _Watched(objective._graph, objective._learning)
        self.executor.replaced = {}
        objective._step = cast(Any, self.executor)  # which has all that it asks of a plan

    def forward(self, *_: Any, **__: Any) -> Array:
        """Go forward; return the loss and the penalties."""
        objective, outputs = self.objective, self.executor.forward(self.x)
        self.output = outputs if isinstance(objective.loss, Heads) else outputs[0]
        masks = objective.masks(self.x, training=True)
        value, self.gradient, self.losses = objective.loss_and_gradient(
            self.y, self.output, self.weight, masks
        )
        return np.array([value, objective.weight_penalty() + self.executor.penalty()], float)

    def backward(self) -> None:
        """Go back; penalties included."""
        calls = self.executor.graph.calls
        inputs = all(call.training or call.layer.primitive for call in calls)
        self.executor.backward(flatten(self.gradient, (list,)), inputs)
        self.objective.regularize()


def _sampled(gradient: Array) -> Array:
    """Return the places in flat form of the entries that finite differences are taken for."""
    if gradient.size <= _WHOLE:
        return np.arange(gradient.size)
    places = np.arange(gradient.size).reshape(-1, gradient.shape[-1])
    corners = places[np.ix_(shown(len(places), 4), shown(places.shape[1], 3))]
    largest = np.argsort(-np.abs(gradient), axis=None, kind="stable")[:_LARGEST]
    return np.union1d(corners, largest)


class _Opened:
    """A step of ``model``, which is changed by it."""

    def __init__(self, model: Model, objective: Objective, batch: Any, check: bool) -> None:
        self.model, self.objective, self.batch = model, objective, batch
        double = float64_copy(model) if check else None
        self.run = _Pass(objective, batch)
        self.terms = self.run.forward()
        executor = self.run.executor
        # Copies, as all that a user is handed: what comes may overwrite the arrays.
        self.values = [None if value is None else np.array(value) for value in executor.values]
        self.run.backward()
        self.derivatives = {slot: np.array(g) for slot, g in executor.gradients.items()}
        self.learning = model.learning_variables()
        self.gradients = {id(v): v.gradient.copy() for v in self.learning}
        self.before = {id(v): v.numpy() for v in model.all_variables()}
        self.notes: list[str] = []
        self.finite = math.isfinite(self.terms.sum()) and all(
            np.isfinite(g).all() for g in self.gradients.values()
        )
        if self.finite:
            assert model._optimizer is not None  # _prepare came first
            model._optimizer.update()
            objective.constrain()
        else:
            self.notes.append(
                "The loss or a gradient is NaN or infinite: fit would stop here and change nothing."
            )
        self.differences: dict[int, Array] = {}  # by slot, and by the id of a weight
        if double is not None and self.finite:
            self._differentiate(double)
        self._name_all()

    def _differentiate(self, double: Model) -> None:
        """Take finite differences on a copy of the model in float64, as it was before the step."""

        def wide(array: Any) -> Any:
            floats = array is not None and array.dtype.kind == "f"
            return array.astype(float) if floats else array

        batch = [map_structure(wide, part) for part in self.batch]
        run = _Pass(Objective(self.objective.loss, double), batch)
        forward = repeatable(double, run.forward)

        def terms() -> Array:
            return forward(run.x[0])

        if not np.allclose(terms().sum(), self.terms.sum(), rtol=1e-3):
            self.notes.append(
                "No finite differences: in float64, a layer draws other random numbers."
            )
            return
        values = list(run.executor.values)
        arrays: list[tuple[int, Array, Array]] = [
            (id(own), other.value, self.gradients[id(own)])
            for own, other in zip(self.learning, double.learning_variables(), strict=True)
        ]
        for slot, gradient in self.derivatives.items():
            arrays.append((slot, np.array(values[slot], float, order="C"), gradient))
        for key, array, gradient in arrays:
            run.executor.replaced = {key: array}
            places = _sampled(gradient)
            numeric = np.full(gradient.shape, np.nan)
            numeric.flat[places] = slopes(array, places.tolist(), terms)
            self.differences[key] = numeric

    # ---- names ----------------------------------------------------------------------------

    def _name_all(self) -> None:
        """Group the calls by layer, and give every slot and weight its names."""
        full = self.model.graph(True)
        graph = self.objective._graph
        self.joined = {a: z for a, z in zip(full.outputs, graph.outputs, strict=True) if a != z}
        outputs = flatten(self.objective.predictions(self.run.output), (list,))
        for slot, output in zip(full.outputs, outputs, strict=True):
            self.values[slot] = np.array(output)
        self.groups: list[list[Call]] = []
        for call in full.calls:
            if not call.first and self.groups and self.groups[-1][0].owner is call.owner:
                self.groups[-1].append(call)
            else:
                self.groups.append([call])
        single = len(graph.inputs) == 1
        self.symbols = {s: "A0" if single else f"X{i + 1}" for i, s in enumerate(graph.inputs)}
        names = self.model.input_names
        self.local = {s: "x" if single else names[i] for i, s in enumerate(graph.inputs)}
        self.node_of: dict[int, int] = dict.fromkeys(graph.inputs, 0)
        self.numbers: list[int] = []
        self.weight_symbols: dict[int, str] = {}
        readers, count = full.readers(), 0
        for at, calls in enumerate(self.groups):
            x, number = calls[0].inputs, 0
            if isinstance(calls[0].layer, ActivationLayer) and readers[x[0]] == 1:
                number = int(s[1:]) if (s := self.symbols[x[0]])[1:].isdigit() else 0
                if not number or s == f"A{number}" and f"Z{number}" in self.symbols.values():
                    number = 0
            if number:  # the A of the layer before it is the Z of the two
                self.symbols[x[0]], self.local[x[0]] = f"Z{number}", "z"
            else:
                count += 1
            self.numbers.append(number or count)
            for call in calls:
                letter = "A" if call is calls[-1] else "Z"
                for i, slot in enumerate(call.outputs):
                    several = len(call.outputs) > 1
                    self.symbols[slot] = f"{letter}{self.numbers[-1]}" + f".{i + 1}" * several
                    self.local[slot] = letter.lower() + f"[{i}]" * several
                    self.node_of[slot] = at + 1
                for variable in call.variables():
                    symbol = {"kernel": "W", "bias": "b"}.get(variable.name, f"{variable.name}_")
                    self.weight_symbols.setdefault(id(variable), f"{symbol}{self.numbers[-1]}")

    def _slot_line(self, slot: int, formula: str, article: str) -> Line:
        symbol = "X = A0" if self.symbols[slot] == "A0" else self.symbols[slot]
        return Line(self.local[slot], formula, symbol, article, self._value(slot))

    def _value(self, slot: int) -> Array:
        value = self.values[slot]
        assert value is not None  # forward has come by
        return value

    def _forward_formula(self, call: Call) -> tuple[str, str]:
        layer, own = call.layer, [self.symbols[slot] for slot in call.inputs]
        if type(layer) is Dense:
            w, b = (self.weight_symbols.get(id(v), "") for v in (layer.kernel, layer.bias))
            bias = (" + bias", f" + {b}") if layer.use_bias else ("", "")
            return f"x @ kernel{bias[0]}", f"{w} {own[0]}{bias[1]}"
        name = type(layer).__name__.lower().lstrip("_")
        x = ["x"] if len(own) == 1 else [f"x[{i}]" for i in range(len(own))]
        if isinstance(layer, ActivationLayer) and own[0][0] == "Z":
            x = ["z"]
        return f"{name}({', '.join(x)})", f"{name}({', '.join(own)})"

    def _gradient_formula(self, slot: int) -> tuple[str, str]:
        """Return where a slot's gradient comes from: the sum over those that read it."""
        parts: list[tuple[str, str]] = []
        for at, calls in enumerate(self.groups):
            for call in calls:
                if slot not in call.inputs or call.outputs[0] in self.joined:
                    continue
                dy = self.symbols[call.outputs[0]]
                layer, inner = call.layer, at + 1 == self.node_of[slot]
                own = "" if inner else f"{call.owner.name}."
                if type(layer) is Dense:
                    w = self.weight_symbols[id(layer.kernel)]
                    z = self.local[call.outputs[0]]
                    parts.append((f"{own}d{z} @ {own}kernel.T", f"{w}.T d{dy}"))
                elif isinstance(layer, ActivationLayer) and layer.elementwise:
                    g, z = type(layer).__name__.lower(), self.local[slot]
                    parts.append((f"{own}da * {g}'({z})", f"d{dy} * {g}'({self.symbols[slot]})"))
                else:
                    parts.append((f"back through {call.owner.name}", f"from d{dy}"))
        graph = self.objective._graph
        for output, loss in zip(graph.outputs, self._losses(), strict=True):
            if output == slot and loss is not None:
                parts.append(self._loss_formula(slot, loss))
        if any(at == slot for at, _ in graph.penalties):
            parts.append(("its penalty", "its penalty"))
        return " + ".join(p[0] for p in parts), " + ".join(p[1] for p in parts)

    def _losses(self) -> list[Loss | None]:
        loss = self.objective.loss
        return list(loss.losses) if isinstance(loss, Heads) else [loss]

    def _loss_formula(self, slot: int, loss: Loss) -> tuple[str, str]:
        value, symbol = self._value(slot), self.symbols[slot]
        if slot not in self.joined.values():
            return f"dJ/d{self.local[slot]}, by the loss", f"dJ/d{symbol}"
        plain = type(loss) is BinaryCrossEntropy and not loss.label_smoothing
        weighed = self.batch[2] is not None or loss._loss_weight != 1 or len(self.joined) > 1
        if plain and not weighed and value.shape[1:] == (1,):
            return "(a - y) / m", f"{symbol.replace('Z', 'A')} - Y"
        return f"dJ/d{self.local[slot]}, loss and activation", f"dJ/d{symbol}"

    # ---- lines ----------------------------------------------------------------------------

    def _weights(self, calls: list[Call]) -> Iterator[tuple[str, Variable]]:
        names: list[str] = []
        for call in calls:
            for variable in call.variables():
                names.append(unique(variable.name, names))
                yield names[-1], variable

    def _node(self, at: int) -> TraceNode:
        calls, number = self.groups[at], self.numbers[at]
        owner = calls[0].owner
        kinds = [type(owner), *(type(call.layer) for call in calls[1:])]
        read = calls[0].inputs
        node = TraceNode(
            owner.name,
            ", ".join(kind.__name__.lstrip("_") for kind in kinds),
            number,
            [self._value(slot).copy() for slot in read],
            [self.node_of[slot] for slot in read],
        )
        for name, variable in self._weights(calls):
            symbol, value = self.weight_symbols[id(variable)], self.before[id(variable)]
            node.forward.append(Line(name, "", symbol, "", value.copy()))
            if id(variable) not in self.gradients:
                node.notes.append(f"{name} does not learn.")
        for call in calls:
            for slot in call.outputs:
                node.forward.append(self._slot_line(slot, *self._forward_formula(call)))
        for call in reversed(calls):
            for slot in call.outputs:
                if slot in self.joined:
                    a, z = self.symbols[slot], self.symbols[self.joined[slot]]
                    node.notes.append(f"No d{a}: the loss takes {z}, its activation included.")
                elif slot in self.derivatives:
                    node.backward.append(self._derivative(slot))
        for name, variable in self._weights(calls):
            if id(variable) in self.gradients:
                node.backward.append(self._weight_gradient(name, variable, calls))
        return node

    def _derivative(self, slot: int) -> Line:
        name, symbol = f"d{self.local[slot]}", f"d{self.symbols[slot]}"
        formula = self._gradient_formula(slot)
        return Line(name, *self._pair(formula, symbol), self.derivatives[slot], self._beside(slot))

    def _beside(self, key: int) -> Array | None:
        return self.differences.get(key)

    @staticmethod
    def _pair(formula: tuple[str, str], symbol: str) -> tuple[str, str, str]:
        return formula[0], symbol, formula[1]

    def _weight_gradient(self, name: str, variable: Variable, calls: list[Call]) -> Line:
        symbol, call = self.weight_symbols[id(variable)], calls[0]
        formula = ("", "")
        if type(call.layer) is Dense:
            z, dz = self.local[call.outputs[0]], f"d{self.symbols[call.outputs[0]]}"
            formula = (f"d{z}.sum(axis=0)", f"sum of {dz} over samples / m")
            if variable is call.layer.kernel:
                formula = (f"x.T @ d{z}", f"{dz} {self.symbols[call.inputs[0]]}.T / m")
        uses = sum(any(v is variable for v in c.variables()) for g in self.groups for c in g)
        more = f", of all {uses} calls" * (uses > 1) + " + penalty" * bool(variable.regularizer)
        formula = (f"{formula[0]}{more}".lstrip(", "), f"{formula[1]}{more}".lstrip(", "))
        key = id(variable)
        return Line(
            f"{name}.gradient",
            *self._pair(formula, f"d{symbol}"),
            self.gradients[key].copy(),
            self._beside(key),
        )

    def _cost_lines(self) -> list[Line]:
        lines, (_, y, weight) = [], self.batch
        several = isinstance(self.objective.loss, Heads)
        ys, weights = (p if type(p) is list else [p] for p in (y, weight))
        in_use = self.objective.loss_in_use
        used, outputs = (
            (in_use.losses, self.run.output) if several else ([in_use], [self.run.output])
        )
        keys = [f"[{key!r}]" for key in self.objective.loss.names] if several else [""]
        for i, (key, loss, value) in enumerate(
            zip(keys, self._losses(), self.run.losses, strict=True)
        ):
            if loss is None:
                continue
            mark = str(i + 1) if several else ""
            lines.append(Line(f"y{key}", "", f"Y{mark}", "", np.array(ys[i])))
            own = weights[i] if i < len(weights) else None
            if own is not None:
                lines.append(Line(f"sample_weight{key}", "", "", "", np.array(own)))
            kind = type(loss).__name__
            each = used[i]._values(ys[i], outputs[i])
            lines.append(Line(f"losses{key}", "of the samples", f"l{mark}", "", np.array(each)))
            lines.append(Line(f"loss{key}", kind, f"L{mark}", kind, np.array(value)))
        penalties = [("penalties", "of weights and outputs", "R", "", self.terms[1])]
        plus = (" + penalties", " + R") if self.terms[1] else ("", "")
        total = ("cost", f"loss{plus[0]}", "J", f"L{plus[1]}", self.terms.sum())
        if isinstance(self.objective.loss, Heads):
            of = " + ".join(f"{w:g} L{i + 1}" for i, w in enumerate(self.objective.loss.weights))
            total = ("cost", f"weighted losses{plus[0]}", "J", f"{of}{plus[1]}", self.terms.sum())
        both = [*penalties, total] if self.terms[1] else [total]
        return [*lines, *(Line(*texts, np.array(v)) for *texts, v in both)]

    def _updates(self) -> dict[str, Line]:
        updates: dict[str, Line] = {}
        optimizer = self.model._optimizer
        assert optimizer is not None  # _prepare came first
        plain = type(optimizer) is SGD and not (
            optimizer.momentum
            or optimizer.weight_decay
            or optimizer.clipnorm
            or optimizer.global_clipnorm
            or optimizer.clipvalue
            or optimizer.use_ema
            or optimizer.gradient_accumulation_steps
        )
        for variable in self.learning if self.finite else ():
            w = self.weight_symbols[id(variable)]
            kind = type(optimizer).__name__
            formula, article = f"{variable.name} + step of {kind}", f"{w} + step"
            if plain:
                rate = f"{optimizer.rate:.4g}"
                formula = f"{variable.name} - {rate} gradient"
                article = f"{w} - {rate} d{w}"
            constrained = ", constrained" if variable.constraint else ""
            new = variable.numpy()
            step = new - self.before[id(variable)]
            path = unique(variable.path, updates)
            updates[path] = Line(path, formula + constrained, w, article, new, step)
        return updates

    def trace(self) -> Trace:
        """Return what came of the step."""
        inputs = self.objective._graph.inputs
        optimizer = self.model._optimizer
        rate = f" at rate {optimizer.rate:.4g}" if self.finite and optimizer is not None else ""
        rows = len(self._value(inputs[0]))
        return Trace(
            f"One step of {self.model.name!r}, not taken: {rows} sample{'s' * (rows != 1)}, "
            f"{type(optimizer).__name__}{rate}",
            [self._slot_line(slot, "", "") for slot in inputs],
            [self._node(at) for at in range(len(self.groups))],
            self._cost_lines(),
            [self._derivative(slot) for slot in inputs if slot in self.derivatives],
            self._updates(),
            self.notes,
        )
