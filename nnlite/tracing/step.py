"""trace: takes a training step on a copy of the model and keeps all its arrays."""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import numpy as np

from nnlite import random
from nnlite.backend.variables import Variable
from nnlite.execution.graph import Call, Slot
from nnlite.execution.reference_executor import ReferenceExecutor
from nnlite.gradcheck import float64_copy, repeatable, slopes
from nnlite.layers import Dense
from nnlite.layers.activations import ActivationLayer
from nnlite.losses import BinaryCrossEntropy
from nnlite.metrics.compiled import unique
from nnlite.models.model import Model
from nnlite.tracing.lines import Line, TraceNode, flat, shown
from nnlite.tracing.report import Trace
from nnlite.training.heads import Heads
from nnlite.training.objective import Objective
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array
from nnlite.utils.validation import check_flag

Pair = tuple[str, str]  # in nnlite's names, and in the article's

_WHOLE = 16  # larger arrays are checked only at the entries that are shown
_LARGEST = 4  # and at their largest entries


def trace(model: Model, x: Any, y: Any, sample_weight: Any = None, check: bool = True) -> Trace:
    """Return the arrays of one training step of a model, without taking the step.

    The step is that of `train_on_batch`, taken on a copy: the model's weights, optimizer state,
    metrics and random generators do not change. The defaults of a model that is not compiled are
    those of `fit`.

    Each array has its name in nnlite and in the article that ``docs/mathematics.md`` follows, where
    samples are columns: ``kernel`` is W transposed, and dA and dZ are m times as large as nnlite's.
    The last sigmoid or softmax is combined with its cross-entropy, as in training: dZ comes from
    the loss, and no dA is computed.

    Args:
        model: The model.
        x: A batch of inputs, as for `fit`.
        y: The targets, as for `fit`.
        sample_weight: The weight of each sample, as for `fit`.
        check: Whether to compare the gradients with finite differences in float64. In an array of
            more than 16 entries, some are checked; each array takes some 30 passes.

    Returns:
        The `Trace`, for `print` or a notebook. Its arrays are in ``nodes``, ``cost`` and
        ``updates``.

    Raises:
        TypeError: If ``model`` is not a model, or an argument has the wrong type.
        ValueError: If a shape is wrong, no weight is trainable, or the model has its own step.

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
            f"Model {model.name!r} has its own training step: it overrides train_step, "
            "update_weights or a compute_... method. trace shows the step of nnlite only."
        )
    check = check_flag("check", check)
    states = random.states()
    try:
        model.lock.acquire_read()
        try:
            twin = copy.deepcopy(model)
        finally:
            model.lock.release_read()
        data, loss = twin._data.arrays(x, y, sample_weight, None)
        twin._step.prepare(data.shape, loss, training=True)
        objective = twin._step.known_objective()
        if not objective._learning:
            raise ValueError(f"Model {model.name!r} has no trainable weight: nothing to trace.")
        with np.errstate(all="ignore"):
            return _Opened(twin, objective, data.whole(), check).trace()
    finally:
        random.set_states(states)


class _Watched(ReferenceExecutor):
    """An executor that can replace arrays, for finite differences."""

    replaced: dict[int, Array]

    def passed(self, slot: Slot, array: Array) -> Array:
        """Return the array or its replacement."""
        return self.replaced.get(slot, array)


class _Pass:
    """The forward and backward pass of a batch."""

    def __init__(self, objective: Objective, x: Any, y: Any, weight: Any) -> None:
        self.objective, self.y, self.weight = objective, y, weight
        self.x = x if type(x) is list else [x]
        self.executor = _Watched(objective._graph, objective._learning)
        self.executor.replaced = {}
        objective._step = cast(Any, self.executor)  # it has all that is used of a plan

    def forward(self, *_: Any, **__: Any) -> Array:
        """Run the forward pass; return the loss and the penalties."""
        objective, outputs = self.objective, self.executor.forward(self.x)
        self.output = outputs if isinstance(objective.loss, Heads) else outputs[0]
        masks = objective.masks(self.x, training=True)
        value, self.gradient, self.losses = objective.loss_and_gradient(
            self.y, self.output, self.weight, masks
        )
        return np.array([value, objective.weight_penalty() + self.executor.penalty()], float)

    def backward(self) -> None:
        """Run the backward pass, to the inputs if possible; add the penalties' gradients."""
        calls = self.executor.graph.calls
        inputs = all(call.training or call.layer.primitive for call in calls)
        self.executor.backward(_listed(self.gradient), inputs)
        self.objective.regularize()


def _listed(part: Any) -> list[Any]:
    return part if type(part) is list else [part]


def _sampled(gradient: Array) -> Array:
    """Return the flat indices of the entries that finite differences are computed for."""
    places: Array = np.arange(gradient.size)
    if gradient.size <= _WHOLE:
        return places
    places = flat(places.reshape(gradient.shape))
    corners = places.take(shown(len(places), 4), 0).take(shown(places.shape[1], 3), 1)
    largest = np.argsort(-np.abs(gradient), axis=None, kind="stable")[:_LARGEST]
    return np.union1d(corners, largest)


class _Opened:
    """A step of ``model``; it changes the model."""

    def __init__(self, model: Model, objective: Objective, batch: Any, check: bool) -> None:
        self.model, self.objective, self.batch = model, objective, batch
        double = float64_copy(model) if check else None
        self.weights = {id(v): v.numpy() for v in model.all_variables()}
        self.run = _Pass(objective, *batch)
        self.terms = self.run.forward()
        executor = self.run.executor
        # Copies: later passes may overwrite the arrays.
        self.values = {slot: np.array(a) for slot, a in enumerate(executor.values) if a is not None}
        self.run.backward()
        self.learning = model.learning_variables()
        # By slot, and by the id of a weight.
        indices = {
            slot
            for call in executor.graph.calls
            if call.layer.default_input_dtype
            for slot in call.inputs
        }
        slopes = executor.gradients.items()
        self.gradients = {int(s): np.array(g) for s, g in slopes if s not in indices}
        self.gradients.update((id(v), v.gradient.copy()) for v in self.learning)
        self.differences: dict[int, Array] = {}
        self.notes: list[str] = []
        self.finite = math.isfinite(self.terms.sum()) and all(
            np.isfinite(self.gradients[id(v)]).all() for v in self.learning
        )
        self.optimizer = model.optimizer
        if self.finite:
            self.optimizer.update()
            objective.constrain()
            if double is not None:
                self._differentiate(double)
        else:
            self.notes.append(
                "The loss or a gradient is NaN or infinite: fit would stop here and change nothing."
            )
        self._name_all()

    def _differentiate(self, double: Model) -> None:
        """Compute finite differences on a float64 copy of the model from before the step."""

        def wide(array: Any) -> Any:
            floats = array is not None and array.dtype.kind == "f"
            return array.astype(float) if floats else array

        batch = [map_structure(wide, part) for part in self.batch]
        run = _Pass(Objective(self.objective.loss, double), *batch)
        forward = repeatable(double, run.forward)

        def terms() -> Array:
            return forward(run.x[0])

        if not np.allclose(terms().sum(), self.terms.sum(), rtol=1e-3):
            self.notes.append("No finite differences: in float64 the model gives another cost.")
            return
        arrays = dict(enumerate(run.executor.values))
        pairs = zip(self.learning, double.learning_variables(), strict=True)
        arrays.update((id(own), other.value) for own, other in pairs)
        for key, gradient in self.gradients.items():
            array = arrays[key]
            if key < len(run.executor.values):
                array = np.array(array, float, order="C")
            run.executor.replaced = {key: array}
            places = _sampled(gradient)
            self.differences[key] = np.full(gradient.shape, np.nan)
            self.differences[key].flat[places] = slopes(array, places.tolist(), terms)

    # ---- names ----------------------------------------------------------------------------

    def _name_all(self) -> None:
        """Group the calls by layer, and name every slot and weight."""
        full, graph = self.model.graph(True), self.objective._graph
        #: The input of each activation that the loss includes, by its output.
        self.joined = {a: z for a, z in zip(full.outputs, graph.outputs, strict=True) if a != z}
        predictions = _listed(self.objective.predictions(self.run.output))
        self.values.update(zip(full.outputs, map(np.array, predictions), strict=True))
        self.inputs = graph.inputs
        self.names: dict[int, Pair] = {}  # by slot
        for i, (slot, name) in enumerate(zip(graph.inputs, self.model.input_names, strict=True)):
            self.names[slot] = ("x", "A0") if len(graph.inputs) == 1 else (name, f"X{i + 1}")
        self.source: dict[int, int] = {slot: -i for i, slot in enumerate(graph.inputs)}
        self.symbols: dict[int, str] = {}  # by the id of a weight
        self.groups: list[tuple[int, list[Call]]] = []
        readers = full.readers()
        for call in full.calls:
            if call.first or self.groups[-1][1][0].owner is not call.owner:
                self.groups.append((1 + max((n for n, _ in self.groups), default=0), []))
            number, calls = self.groups[-1]
            calls.append(call)
            before = self.names[call.inputs[0]][1]
            if isinstance(call.layer, ActivationLayer) and readers[call.inputs[0]] == 1:
                free = before[0] == "A" and ("z", f"Z{before[1:]}") not in self.names.values()
                if free and before[1:].isdigit() and before != "A0":  # it is Z, not A
                    number = int(before[1:])
                    self.groups[-1] = number, calls
                    self.names[call.inputs[0]] = "z", f"Z{number}"
            for i, slot in enumerate(call.outputs):
                own = ("", "") if len(call.outputs) == 1 else (f"[{i}]", f".{i + 1}")
                self.names[slot] = f"a{own[0]}", f"A{number}{own[1]}"
                self.source[slot] = len(self.groups)
            for variable in call.variables():
                symbol = {"kernel": "W", "bias": "b"}.get(variable.name, f"{variable.name}_")
                if id(variable) not in self.symbols:
                    taken = self.symbols.values()
                    self.symbols[id(variable)] = unique(f"{symbol}{number}", taken)

    def _forward_formula(self, call: Call) -> Pair:
        layer, own = call.layer, [self.names[slot] for slot in call.inputs]
        if type(layer) is Dense:
            bias = (" + bias", f" + {self.symbols[id(layer.bias)]}") if layer.use_bias else ("", "")
            return f"x @ kernel{bias[0]}", f"{self.symbols[id(layer.kernel)]} {own[0][1]}{bias[1]}"
        named = call.owner if type(layer).__name__.startswith("_") else layer
        name = type(named).__name__.lower().lstrip("_")
        x = "z" if own[0][0] == "z" else "x"
        masks = sum(isinstance(slot, Slot) for slot in flatten(call.masks))
        count = len(own) - masks
        xs = [x] if count == 1 else [f"{x}[{i}]" for i in range(count)]
        xs += ["mask"] * masks
        return f"{name}({', '.join(xs)})", f"{name}({', '.join(symbol for _, symbol in own)})"

    def _gradient_formula(self, slot: int) -> Pair:
        """Return the formula of a slot's gradient: the sum over the calls that read it."""
        parts: list[Pair] = []
        name, symbol = self.names[slot]
        for at, (_, calls) in enumerate(self.groups):
            for call in calls:
                if slot not in call.inputs or self.gradients.keys().isdisjoint(call.outputs):
                    continue
                layer, (y, dy) = call.layer, self.names[call.outputs[0]]
                own = "" if at + 1 == self.source[slot] else f"{call.owner.name}."
                if type(layer) is Dense:
                    w = self.symbols[id(layer.kernel)]
                    parts.append((f"{own}d{y} @ {own}kernel.T", f"{w}.T d{dy}"))
                elif isinstance(layer, ActivationLayer) and layer.elementwise:
                    g = type(layer).__name__.lower()
                    parts.append((f"{own}d{y} * {g}'({name})", f"d{dy} * {g}'({symbol})"))
                else:
                    parts.append((f"back through {call.owner.name}", f"from d{dy}"))
        graph = self.objective._graph
        if slot in graph.outputs:
            formula = f"dJ/d{name} of the loss", f"m dJ/d{symbol}"
            if self.joined and type(self.objective.loss) is BinaryCrossEntropy:
                (a,) = self.joined
                m, gradient = len(self.values[a]), self.gradients[slot]
                if np.allclose(gradient * m, self.values[a] - self.run.y, rtol=1e-4, atol=1e-6):
                    formula = "(a - y) / m", f"{self.names[a][1]} - Y"
            parts.append(formula)
        parts += [("its penalty", "its penalty")] * any(at == slot for at, _ in graph.penalties)
        return " + ".join(p for p, _ in parts), " + ".join(p for _, p in parts)

    # ---- lines ----------------------------------------------------------------------------

    def _derivative(self, slot: int) -> Line:
        (name, symbol), (formula, article) = self.names[slot], self._gradient_formula(slot)
        own, other = self.gradients[slot], self.differences.get(slot)
        return Line(f"d{name}", formula, f"d{symbol}", article, own, other)

    def _value(self, slot: int, formula: Pair = ("", "")) -> Line:
        name, symbol = self.names[slot]
        symbol = "X = A0" if symbol == "A0" else symbol
        return Line(name, formula[0], symbol, formula[1], self.values[slot])

    def _node(self, number: int, calls: list[Call]) -> TraceNode:
        owner, read = calls[0].owner, calls[0].inputs
        kinds = [type(owner), *(type(call.layer) for call in calls[1:])]
        kind = ", ".join(kind.__name__.lstrip("_") for kind in kinds)
        arrays = [self.values[slot].copy() for slot in read]
        sources = [self.source[slot] for slot in read]
        node = TraceNode(
            owner.name.lstrip("_"), kind, number, arrays, sources, len(calls[-1].outputs)
        )
        weights: dict[str, Variable] = {}
        for variable in (v for call in calls for v in call.variables()):
            name = unique(variable.name, weights)
            weights[name] = variable
            key = id(variable)
            node.parameters.append(Line(name, "", self.symbols[key], "", self.weights[key].copy()))
            if key not in self.gradients:
                node.notes.append(f"{name} does not learn.")
        for call in calls:
            formula = self._forward_formula(call)
            node.values += [self._value(slot, formula) for slot in call.outputs]
        for slot in (slot for call in reversed(calls) for slot in call.outputs):
            if slot in self.joined:
                (_, a), (_, z) = self.names[slot], self.names[self.joined[slot]]
                node.notes.append(f"No d{a}: the loss includes the activation and reads {z}.")
            elif slot in self.gradients:
                node.backward.append(self._derivative(slot))
        for name, variable in weights.items():
            if id(variable) in self.gradients:
                node.backward.append(self._weight_gradient(name, variable, calls[0]))
        return node

    def _weight_gradient(self, name: str, variable: Variable, call: Call) -> Line:
        key, formula, article = id(variable), "", ""
        if type(call.layer) is Dense:
            y, dy = self.names[call.outputs[0]]
            formula, article = f"d{y}.sum(axis=0)", f"sum(d{dy}) / m"
            if variable is call.layer.kernel:
                formula, article = f"x.T @ d{y}", f"d{dy} {self.names[call.inputs[0]][1]}.T / m"
            if self.values[call.outputs[0]].ndim > 2:
                formula, article = f"{formula}, every step a row", ""
        uses = sum(any(v is variable for v in c.variables()) for _, g in self.groups for c in g)
        terms = ["penalty"] * bool(variable.regularizer) + ["other calls"] * (uses > 1)
        formula, article = (
            " + ".join([term for term in (one, *terms) if term]) for one in (formula, article)
        )
        own, other = self.gradients[key].copy(), self.differences.get(key)
        return Line(f"{name}.gradient", formula, f"d{self.symbols[key]}", article, own, other)

    def _cost_lines(self) -> list[Line]:
        loss, in_use = self.objective.loss, self.objective.loss_in_use
        lines: list[Line] = []
        total = ["loss", "L"]
        keys = [""]
        losses: list[Any] = [loss]
        used: list[Any] = [in_use]
        if isinstance(loss, Heads) and isinstance(in_use, Heads):
            keys, used, losses = [f"[{name!r}]" for name in loss.names], in_use.losses, loss.losses
            parts = [(w, i + 1) for i, w in enumerate(loss.weights) if losses[i] is not None]
            total = ["sum of losses by weight", " + ".join(f"{w:g} L{i}" for w, i in parts)]
        columns = [_listed(part) for part in (self.batch[1], self.batch[2], self.run.output)]
        columns[1] = columns[1] if len(columns[1]) == len(keys) else [None] * len(keys)
        each = zip(keys, losses, used, self.run.losses, *columns, strict=True)
        for i, (key, own, taken, value, y, weight, output) in enumerate(each):
            if own is None:
                continue
            mark = str(i + 1) if len(keys) > 1 else ""
            lines.append(Line(f"y{key}", "", f"Y{mark}", "", np.array(y)))
            if weight is not None:
                lines.append(Line(f"sample_weight{key}", "", "", "", np.array(weight)))
            values = np.array(taken._values(y, output))
            lines.append(Line(f"losses{key}", "one per sample", "", "", values))
            kind = type(own).__name__
            lines.append(Line(f"loss{key}", kind, f"L{mark}", "", np.array(value)))
        if self.terms[1]:
            where = "of weights and outputs"
            lines.append(Line("penalties", where, "R", "", np.array(self.terms[1])))
            total = [f"{total[0]} + penalties", f"{total[1]} + R"]
        return [*lines, Line("cost", total[0], "J", total[1], np.array(self.terms.sum()))]

    def _updates(self) -> dict[str, Line]:
        updates: dict[str, Line] = {}
        for variable in self.learning if self.finite else ():
            key, name = id(variable), variable.name
            w, old, new = self.symbols[key], self.weights[key], variable.numpy()
            kind, rate = type(self.optimizer).__name__, self.optimizer.rate
            formula, article = f"{name} + step of {kind}", f"{w} + step of {kind}"
            if np.allclose(new, old - rate * self.gradients[key], rtol=1e-6, atol=0):
                formula, article = f"{name} - {rate:.4g} gradient", f"{w} - {rate:.4g} d{w}"
            path = unique(variable.path, updates)
            updates[path] = Line(path, formula, w, article, new, new - old)
        return updates

    def trace(self) -> Trace:
        """Return the result of the step."""
        rows = len(self.values[self.inputs[0]])
        rate = f" at rate {self.optimizer.rate:.4g}" if self.finite else ""
        return Trace(
            f"One step of {self.model.name!r}, not taken: {rows} sample{'s' * (rows != 1)}, "
            f"{type(self.optimizer).__name__}{rate}",
            [self._value(slot) for slot in self.inputs],
            [self._node(*group) for group in self.groups],
            self._cost_lines(),
            [self._derivative(slot) for slot in self.inputs if slot in self.gradients],
            self._updates(),
            self.notes,
        )
