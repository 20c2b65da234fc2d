"""Plan: a graph with its arrays allocated, which runs fast with the bits of the reference executor.

For given shapes of inputs every array is allocated once, and every call is bound to the arrays that
it reads and writes: a step is a loop over these calls. The layers' signatures decide what else
saves time and memory:

- An output overwrites the layer's input if no other call reads it and neither this layer's backward
  pass nor that of the layer before needs it.
- Gradients of inputs are computed only if needed, and the backward pass skips layers without
  trainable weights in them or before them.
- The array of a gradient is used again as soon as it has been read.
- Where convolutions take most of the time, both halves of a batch are computed at once: see
  `nnlite.execution.halves`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nnlite.backend.reuse import empty
from nnlite.backend.variables import Variable
from nnlite.distribution.processes import weight_in_step
from nnlite.execution.graph import Call, Graph, Slot
from nnlite.execution.halves import Halves, joined, run_on_halves
from nnlite.execution.reordering import poolings_first
from nnlite.layers.layer import Layer, Shapes
from nnlite.regularizers import Regularizer, penalty, penalty_gradient
from nnlite.utils.structures import SHAPES, flatten, map_structure, pack_as
from nnlite.utils.typing import Array

__all__ = ["Memory", "Plan"]

Bound = tuple[Callable[..., Any], list[Any]]  # a function and its arguments


class Memory:
    """Arrays by name. A smaller shape uses the first part of the larger one's memory."""

    def __init__(self) -> None:
        self._whole: dict[Any, Array] = {}

    def __call__(self, name: Any, shape: Sequence[int], dtype: Any) -> Array:
        """Return the array of a name; its content is arbitrary."""
        size = math.prod(shape)
        whole = self._whole.get(name)
        if whole is None or whole.size < size or whole.dtype != dtype:
            whole = self._whole[name] = empty((size,), dtype)
        return whole[:size].reshape(shape)


class Plan:
    """A training step over a graph, bound to arrays for inputs of certain shapes.

    Args:
        graph: The graph.
        learning: The weights whose gradients are needed.
        inputs: A batch of inputs of those shapes.
        memory: Provides the arrays.
        in_halves: Whether two threads each compute one half of the batch, where layers permit.

    Attributes:
        values: The arrays of the last `forward`, by slot.

    >>> from nnlite import Input, Sequential
    >>> from nnlite.layers import Dense
    >>> model = Sequential([Input((4,)), Dense(3, activation="relu"), Dense(1)])
    >>> x = np.zeros((8, 4), "float32")
    >>> print(Plan(model.graph(training=True), model.learning_variables(), [x], Memory()))
    call     output  in place  gradient of the input
    dense    (8, 3)            not asked for
    re_lu    (8, 3)  yes       yes
    dense_1  (8, 1)            yes
    """

    def __init__(
        self,
        graph: Graph,
        learning: Sequence[Variable],
        inputs: Sequence[Array],
        memory: Memory,
        in_halves: bool = False,
    ) -> None:
        self.graph = graph = poolings_first(graph)
        self._memory = memory
        self._needed = graph.differentiated(learning, inputs=False)
        self._learning = {id(variable) for variable in learning}
        self.values: list[Any] = [None] * graph.size
        for slot, x in zip(graph.inputs, inputs, strict=True):
            self.values[slot] = x.view()  # a separate object, to be found again
        self._in_place: set[int] = set()  # the calls whose output overwrites their input
        self._copied: set[int] = set()  # the calls whose output should be a view and cannot
        self._dynamic: dict[Slot, Call] = {}  # views of inputs, with the calls that return them
        self._arrays = self._lay_out_values()
        self._halves = Halves(graph, self.values, self._copied) if in_halves else None
        self._own: dict[int, list[dict[str, Array]]] = {}  # the arrays of calls on halves
        self._lay_out_own_arrays()
        self._gradients = self._lay_out_gradients()
        self._forward: list[Bound] = []
        self._backward: list[Bound] = []
        self._plain: dict[int, _PlainCall] = {}
        for index, call in enumerate(graph.calls):
            self._bind_forward(index, call)
        returned, direct = self._bind_backward()
        self._input_halves: list[tuple[Slot, slice, list[tuple[Any, Any]]]] = []
        if self._halves is not None:
            self._bind_halves(self._halves)
        written = {id(v) for c in graph.calls if self._visits(c) for v in c.variables()}
        self._unwritten = [v.gradient for v in learning if id(v) not in written]
        self._settling = [*self._settled()]
        self._unsettled: Sequence[Bound] = ()
        self._inputs = [(slot, self._places_of(self.values[slot])) for slot in graph.inputs]
        self._views = [
            (slot, view, self._places_of(self.values[slot])) for slot, view in self._dynamic.items()
        ]
        parts = (*self._views, *self._input_halves)
        self._given = self._inputs + [(slot, places) for slot, _, places in parts]
        #: The target of each output's gradient: an array that it is copied to, or, for an output
        #: without other gradients, the places among the bound arguments.
        self._outputs = [
            (into, self._places_of(direct[slot]) if slot in direct else None)
            for slot, into in zip(graph.outputs, returned, strict=True)
        ]

    # ---- arrays ---------------------------------------------------------------------------

    def _visits(self, call: Call) -> bool:
        """Return whether the backward pass runs a call."""
        return not self._needed.isdisjoint(call.outputs)

    def _lay_out_values(self) -> list[dict[str, Any]]:
        """Allocate each call's output and own arrays, and return the latter by name."""
        readers = self.graph.readers()
        makers: dict[int, Call] = {}
        arrays: list[dict[str, Any]] = []
        for index, call in enumerate(self.graph.calls):
            layer, x = call.layer, call.arguments(self.values)
            if layer.primitive and layer.views:
                y = layer.forward_view(x)
                if call.x in self._dynamic or call.x in self.graph.inputs:
                    y = y.view()  # a separate object, to be found again
                    self._dynamic[call.outputs[0]] = call
                elif not np.shares_memory(x, y):  # it had to be copied
                    self._copied.add(index)
                self.values[call.outputs[0]] = y
                makers[call.outputs[0]] = call
                arrays.append({"x": x, "y": y})
                continue
            shapes = flatten(layer.output_shape_for(x), SHAPES)
            if self._may_overwrite(call, readers, makers):
                self._in_place.add(index)
                outputs = [x]
            else:
                outputs = [
                    self._memory(("y", index, i), shape, self.graph.dtypes[slot])
                    for i, (slot, shape) in enumerate(zip(call.outputs, shapes, strict=True))
                ]
            for slot, y in zip(call.outputs, outputs, strict=True):
                self.values[slot] = y
                makers[slot] = call
            arrays.append({"x": x, "y": pack_as(call.y, outputs), "mask": call.mask(self.values)})
        return arrays

    def _lay_out_own_arrays(self) -> None:
        """Allocate the arrays that layers declare by `Layer.arrays`."""
        for index, (call, arrays) in enumerate(zip(self.graph.calls, self._arrays, strict=True)):
            if not call.layer.primitive or call.layer.views:
                continue
            if self._halves is None or call not in self._halves.calls:
                arrays |= self._own_arrays((index,), call.layer, arrays["x"])
                continue
            self._own[index] = [
                self._own_arrays((index, at), call.layer, x)
                for at, x in enumerate(self._halves.of(arrays["x"]))
            ]

    def _own_arrays(self, name: tuple[int, ...], layer: Layer, x: Any) -> dict[str, Array]:
        declared = layer.arrays(map_structure(np.shape, x))
        return {own: self._memory((own, *name), *array) for own, array in declared.items()}

    def _may_overwrite(self, call: Call, readers: Any, makers: dict[int, Call]) -> bool:
        """Return whether a call's output may overwrite its input."""
        if not (call.layer.primitive and call.layer.elementwise and isinstance(call.x, Slot)):
            return False
        maker = makers.get(call.x)
        if maker is None or maker.layer.views or readers[call.x] != 1:
            return False
        if self.graph.dtypes[call.x] != self.graph.dtypes[call.outputs[0]]:
            return False
        missed = self._visits(call) and call.layer.reads("x")
        return not missed and not (
            self._visits(maker) and maker.layer.primitive and maker.layer.reads("y")
        )

    def _lay_out_gradients(self) -> dict[int, Array]:
        """Allocate an array for the gradient of each slot; an array read is used again."""
        graph = self.graph
        views = self._views_backward()
        free: list[int] = []
        sizes: list[int] = []
        taken: dict[int, int] = {}

        def take(slot: int) -> None:
            if slot in views and slot not in taken:
                taken[slot] = taken[views[slot].outputs[0]]
            elif slot in self._needed and slot not in taken and slot not in graph.inputs:
                size = self.values[slot].size
                at = next((i for i in free if sizes[i] >= size), free[-1] if free else len(sizes))
                if at == len(sizes):
                    sizes.append(0)
                else:
                    free.remove(at)
                sizes[at] = max(sizes[at], size)
                taken[slot] = at

        for slot in graph.outputs:
            take(slot)
        for call in reversed(graph.calls):
            if self._visits(call):
                for slot in (*call.outputs, *call.inputs):
                    take(slot)
                if call not in views.values() and self._halves is None:  # halves do not keep step
                    free += [taken[slot] for slot in call.outputs if slot in taken]
        dtypes = {slot: np.dtype(graph.dtypes[slot]) for slot in taken}
        for index, at in taken.items():
            self._memory(("gradient", at, dtypes[index]), (sizes[at],), dtypes[index])
        gradients: dict[int, Array] = {}
        for index, at in taken.items():  # from the outputs to the inputs
            shape, view = self.values[index].shape, views.get(index)
            if view is None:
                gradients[index] = self._memory(
                    ("gradient", at, dtypes[index]), shape, dtypes[index]
                )
            else:
                gradients[index] = view.layer.backward_view(gradients[view.outputs[0]], shape)
        return gradients

    def _views_backward(self) -> dict[int, Call]:
        """Return the slots whose gradient can be a view of another, with the call between them."""
        readers = self.graph.readers()
        return {
            call.x: call
            for call in self.graph.calls
            if call.layer.primitive
            and call.layer.views
            and call.x in self._needed
            and call.x not in self.graph.inputs
            and readers[call.x] == 1
            and call.outputs[0] not in self.graph.outputs
        }

    # ---- calls ----------------------------------------------------------------------------

    def _bind_forward(self, index: int, call: Call) -> None:
        layer, arrays = call.layer, self._arrays[index]
        if layer.primitive and layer.views:
            if index in self._copied:
                self._forward.append((_copy_view, [arrays["y"], layer.forward_view, arrays["x"]]))
        elif layer.primitive:
            self._forward.append(self._bound(index, call, "forward_into"))
        else:
            plain = self._plain[index] = _PlainCall(call)
            self._forward.append((plain.forward, [arrays["x"], arrays["y"]]))

    def _bound(self, index: int, call: Call, method: str) -> Bound:
        """Return a method of a call's layer, bound to its arrays."""
        layer, arrays = call.layer, self._arrays[index]
        if self._halves is not None and call in self._halves.calls:
            return self._halves.bound(call, method, arrays, self._own[index])
        names = layer.forward_names if method == "forward_into" else layer.backward_names
        return getattr(layer, method), [arrays[name] for name in names]

    def _bind_halves(self, halves: Halves) -> None:
        """Bind the halves of inputs, and the gradients of the second half."""
        self._backward = [(halves.follow, []), *self._backward, (halves.add_gradients, [])]
        self._forward, self._backward = joined(self._forward), joined(self._backward)
        self._input_halves = [
            (slot, rows, self._places_of(half))
            for slot in (*self.graph.inputs, *self._dynamic)
            for rows, half in zip(halves.rows, halves.of(self.values[slot]), strict=True)
        ]

    def _bind_backward(self) -> tuple[list[list[Any]], dict[int, Array]]:
        """Bind the backward pass, from the outputs to the inputs.

        Returns:
            For each output the calls that add its gradient, and the outputs without other ones.
        """
        graph, gradients = self.graph, self._gradients
        done: set[int] = set()  # the slots with a first part of their gradient
        seen: set[int] = set()  # the weights whose gradient has been written
        penalized = {slot for slot, _ in graph.penalties}
        readers = graph.readers()
        direct: dict[int, Array] = {}
        returned: list[list[Any]] = []
        for slot in graph.outputs:
            into: list[Any] = [gradients.get(slot), None]
            returned.append(into)
            if slot not in gradients:
                continue
            whole = self._halves is None or graph.maker(slot) not in self._halves.calls
            if readers[slot] == 1 and slot not in penalized and whole:
                direct[slot] = gradients[slot] = gradients[slot].view()
            else:
                self._backward.append((_add if slot in done else np.copyto, into))
            done.add(slot)
        for index in reversed(range(len(graph.calls))):
            call = graph.calls[index]
            if not self._visits(call):
                continue
            for slot in call.outputs:
                if slot not in done:  # no call reads it
                    self._backward.append((gradients[slot].fill, [0]))
                    done.add(slot)
                self._bind_penalties(slot)
            sums: list[Bound] = []
            dx = [self._place(s, index, i, done, sums) for i, s in enumerate(flatten(call.x))]
            arrays = self._arrays[index]
            arrays["dy"] = pack_as(call.y, [gradients[slot] for slot in call.outputs])
            arrays["dx"] = pack_as(call.x, dx)
            own = [v for v in call.variables() if id(v) in self._learning]
            again = [v for v in own if id(v) in seen]
            seen.update(id(v) for v in own)
            bound = self._bound_back(index, call, again)
            self._backward += [bound] if bound else []
            self._backward += sums
        return returned, direct

    def _place(
        self, slot: Any, index: int, at: int, done: set[int], sums: list[Bound]
    ) -> Array | None:
        """Return the array for a call's gradient of one of its inputs, or None."""
        if not isinstance(slot, Slot) or slot not in self._gradients:
            return None
        whole = self._gradients[slot]
        if slot not in done:
            done.add(slot)
            return whole
        part = self._memory(("part", at, whole.dtype), whole.shape, whole.dtype)
        sums.append((np.add, [whole, part, whole]))
        return part

    def _bound_back(self, index: int, call: Call, again: Sequence[Variable]) -> Bound | None:
        """Return a call's bound backward; ``again`` are weights that have a gradient already."""
        layer, arrays = call.layer, self._arrays[index]
        if layer.primitive and layer.views:
            dx, dy = arrays["dx"], arrays["dy"]
            if dx is None or np.shares_memory(dx, dy):
                return None
            view = functools.partial(layer.backward_view, shape=dx.shape)
            return (_copy_view, [dx, view, dy])
        if layer.primitive:
            if arrays["dx"] is None and "dx" in layer.backward_names and not layer.dx_optional:
                x = arrays["x"]
                arrays["dx"] = self._memory(("unasked", x.dtype), x.shape, x.dtype)
            bound = self._bound(index, call, "backward_into")
        else:
            bound = (self._plain[index].backward, [arrays["dy"], arrays["dx"]])
        if not again:
            return bound
        kept = [self._memory(("again", id(v)), v.shape, v.dtype) for v in again]
        return (_summed, [bound, again, kept])

    def _bind_penalties(self, slot: int) -> None:
        for at, regularizer in self.graph.penalties:
            if at == slot and slot in self._gradients:
                arguments = [self._gradients[slot], regularizer, self.values[slot]]
                self._backward.append((_add_penalty, arguments))

    def _settled(self) -> Iterable[Bound]:
        """Yield the calls that store results once a step is known to be finite."""
        for call, arrays in zip(self.graph.calls, self._arrays, strict=True):
            if not call.layer.primitive:
                yield call.layer.settle, []
            elif type(call.layer).settle_from is not Layer.settle_from:
                yield call.layer.settle_from, [arrays]

    def _places_of(self, array: Array) -> list[tuple[Any, Any]]:
        """Return the places of ``array`` among the bound arguments."""
        bound = [arguments for _, arguments in (*self._forward, *self._backward)]
        bound += [args[0][1] for f, args in self._backward if f is _summed]
        for function, halves in (*self._forward, *self._backward):
            if function is run_on_halves:
                bound += [arguments for half in halves for _, arguments in half]
        nested = [a for args in bound for a in args if isinstance(a, (list, dict))]
        places: list[tuple[Any, Any]] = []
        for structure in (*bound, *nested, *self._arrays):
            keys: Any = structure if isinstance(structure, dict) else range(len(structure))
            places += [(structure, key) for key in keys if structure[key] is array]
        return places

    # ---- a step ---------------------------------------------------------------------------

    def forward(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the graph's outputs for ``inputs``: arrays that the next step overwrites."""
        values, new = self.values, False
        for (slot, places), x in zip(self._inputs, inputs, strict=True):
            if x is not values[slot]:  # else it is bound already
                new, values[slot] = True, x
                for arguments, at in places:
                    arguments[at] = x
        if new:
            for made, view, places in self._views:
                x = values[made] = view.layer.forward_view(values[view.x])
                for arguments, at in places:
                    arguments[at] = x
            for slot, rows, places in self._input_halves:
                half = values[slot][rows]
                for arguments, at in places:
                    arguments[at] = half
        for function, arguments in self._forward:
            function(*arguments)
        self._unsettled = self._settling
        return [values[slot] for slot in self.graph.outputs]

    def backward(self, gradients: Sequence[Array | None]) -> None:
        """Fill the gradient of each weight that learns.

        Args:
            gradients: The loss's derivative by each output; None for an output without a loss.
        """
        for (arguments, direct), gradient in zip(self._outputs, gradients, strict=True):
            if direct is None:
                arguments[1] = 0 if gradient is None else gradient
                continue
            dy = np.zeros_like(arguments[0]) if gradient is None else gradient
            for places, at in direct:
                places[at] = dy
        for function, arguments in self._backward:
            function(*arguments)
        for gradient in self._unwritten:
            gradient.fill(0)

    def forget_inputs(self) -> None:
        """Drop references to the inputs of the last step."""
        for slot, places in self._given:
            self.values[slot] = None
            for arguments, at in places:
                arguments[at] = None

    def penalty(self) -> float:
        """Return the sum of the last `forward`'s penalties on outputs, averaged over the batch."""
        if not self.graph.penalties:
            return 0.0
        return sum(
            penalty(regularizer, self.values[slot]) / len(self.values[slot])
            for slot, regularizer in self.graph.penalties
        )

    def settle(self) -> None:
        """Store results of the last `forward`, such as moving averages."""
        for function, arguments in self._unsettled:
            function(*arguments)
        self._unsettled = ()

    def __str__(self) -> str:
        rows = [("call", "output", "in place", "gradient of the input")]
        for index, call in enumerate(self.graph.calls):
            arrays = self._arrays[index]
            asked = [g is not None for g in flatten(arrays.get("dx"))]
            back = "yes" if all(asked) else "of some" if any(asked) else "not asked for"
            rows.append(
                (
                    call.layer.name,
                    str(map_structure(np.shape, arrays["y"])),
                    "yes" if index in self._in_place else "",
                    back if self._visits(call) else "not visited",
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


class _PlainCall:
    """A call of a layer with a user's forward and backward, which create their own arrays."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._kept: list[tuple[Layer, tuple[Any, ...], Shapes]] = []

    def forward(self, x: Any, y: Any) -> None:
        call = self._call
        made = call.layer.run_forward(x, call.training)
        for into, array in zip(flatten(y), flatten(made), strict=True):
            np.copyto(into, array)
        if call.shared and call.training:  # another call of the layer would forget what this kept
            self._kept = [(part, part.cache, part.shape_in_step) for part in call.parts]

    def backward(self, dy: Any, dx: Any) -> None:
        for part, cache, shape in self._kept:
            part.cache, part.shape_in_step = cache, shape
        made = self._call.layer.run_backward(dy)
        for into, array in zip(flatten(dx), flatten(made), strict=True):
            if into is not None:
                np.copyto(into, array)


def _copy_view(into: Array, view: Callable[[Array], Array], array: Array) -> None:
    np.copyto(into, view(array))


def _add(whole: Array, part: Array) -> None:
    whole += part


def _add_penalty(gradient: Array, regularizer: Regularizer, y: Array) -> None:
    gradient += penalty_gradient(regularizer, y) / len(y) * weight_in_step()


def _summed(bound: Bound, variables: Sequence[Variable], kept: Sequence[Array]) -> None:
    """Run the backward of a layer that has run before in this step, and add its gradients."""
    function, arguments = bound
    for variable, before in zip(variables, kept, strict=True):
        np.copyto(before, variable.gradient)
    function(*arguments)
    for variable, before in zip(variables, kept, strict=True):
        variable.gradient += before
