"""A batch in two halves: each thread runs several layers on its half.

NumPy computes on one core, except for the products of BLAS. For a convolution on two cores the
other operations take half of the time: copying windows, biases, activations and pooling. A plan
therefore runs calls that treat samples separately on both halves of a batch at once, and adds the
gradients of the weights afterwards. Waking the second thread costs some 50 us, and two threads
disturb BLAS's own: only models whose convolutions take long are run in this way.

A step of 28x28x1 - conv 32 - pool - conv 64 - pool - 10 took 33.3 ms without and 24.1 ms with
halves at batch size 128, and 8.6 and 6.8 ms at 32. Recurrent layers, whose operations are short,
took longer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence, Set
from typing import Any

import numpy as np

from nnlite.backend.blas import threads_for, usable_threads
from nnlite.backend.two_threads import for_each
from nnlite.backend.variables import Variable
from nnlite.execution.graph import Call, Graph, Slot
from nnlite.layers.layer import Layer
from nnlite.utils.structures import flatten, pack_as
from nnlite.utils.typing import Array

__all__ = ["Halves", "in_halves", "infer_in_halves", "joined", "run_on_halves"]

Bound = tuple[Callable[..., Any], list[Any]]  # a function and its arguments

_WORTH_SPLITTING = 16_000_000  # multiplications of all convolutions of a step's forward pass
_WORTH_INFERRING = 200_000_000  # the same without a backward pass


def in_halves(layers: Iterable[Layer], samples: int) -> bool:
    """Return whether to run a batch of ``samples`` in halves: if convolutions take most time.

    >>> from nnlite.layers import Dense
    >>> in_halves([Dense(100)], 1000)
    False
    """
    layers = list(layers)
    convolved = sum(layer._convolved(samples) for layer in layers)
    if samples < 2 or convolved < _WORTH_SPLITTING or usable_threads() < 2:
        return False
    others = [x._largest_product(samples) for x in layers if not _convolves(x)]
    return convolved >= max(others, default=0)


def _halves(samples: int) -> tuple[slice, slice]:
    half = (samples + 1) // 2
    return slice(0, half), slice(half, samples)


def _of_slots(x: Any) -> bool:
    return all(isinstance(slot, Slot) for slot in flatten(x))


def _convolves(layer: Layer) -> bool:
    return type(layer)._convolved is not Layer._convolved


def infer_in_halves(
    infer: Callable[[Graph, Sequence[Array]], list[Array]], graph: Graph, inputs: Sequence[Array]
) -> list[Array] | None:
    """Return the outputs of ``infer``, called for each half of a batch; None for few operations.

    A batch of 128 images through the network above takes 7.8 instead of 10.4 ms.
    """
    if "convolved" not in graph.prepared:
        alone = all(
            _by_sample(call.layer) and call.masks is None and _of_slots(call.x)
            for call in graph.calls
        )
        each = sum(call.layer._convolved(1) for call in graph.calls) if alone else 0
        graph.prepared["convolved"] = each
    samples = len(inputs[0])
    if samples * graph.prepared["convolved"] < _WORTH_INFERRING or usable_threads() < 2:
        return None
    halves: list[list[Array]] = [[], []]
    rows = _halves(samples)

    def run(at: int, thread: int) -> None:
        halves[at] = infer(graph, [x[rows[at]] for x in inputs])

    with threads_for(0):
        for_each(run, range(2))
    return [np.concatenate(pair) for pair in zip(*halves, strict=True)]


class Halves:
    """The two halves of a batch, and the calls of a graph that run on each of them.

    These are the calls of layers that are ``samplewise``, where several in a row contain a
    convolution. The second half's backward pass uses copies of the layers, twins, with
    gradients of their own.

    Args:
        graph: The graph.
        values: The array of each slot.
        copied: The indices of the calls whose output should be a view of the input and cannot.

    Attributes:
        rows: The slices of the two halves.
        calls: The calls that run on halves.
    """

    def __init__(self, graph: Graph, values: Sequence[Any], copied: Collection[int]) -> None:
        samples = len(values[graph.inputs[0]])
        self.rows = _halves(samples)
        self.calls: set[Call] = set()
        self._views: dict[int, tuple[Array, list[Array]]] = {}  # by the array's id
        self._twins: dict[Layer, Layer] = {}
        self._weights: list[tuple[Variable, Variable]] = []  # with their twins
        kept = {slot for slot, _ in graph.penalties}
        run: list[Call] = []
        for index, call in enumerate(graph.calls):
            if index not in copied and _separate(call, samples, values, kept):
                run.append(call)
            else:
                self._add(run)
                run = []
        self._add(run)

    def _add(self, run: Sequence[Call]) -> None:
        if any(_convolves(call.layer) for call in run):
            self.calls.update(run)

    def of(self, arrays: Any) -> list[Any]:
        """Return both halves of an array, or of each in a structure: the same views each time."""
        pairs = [self._pair(array) for array in flatten(arrays)]
        return [pack_as(arrays, half) for half in zip(*pairs, strict=True)]

    def _pair(self, array: Array | None) -> list[Any]:
        if array is None:
            return [None, None]
        if id(array) not in self._views:
            self._views[id(array)] = array, [array[rows] for rows in self.rows]
        return self._views[id(array)][1]

    def bound(self, call: Call, method: str, arrays: dict[str, Any], own: Sequence[Any]) -> Bound:
        """Return a method of a call's layer, bound to the arrays of both halves.

        Args:
            call: The call.
            method: ``"forward_into"`` or ``"backward_into"``.
            arrays: The whole arrays by name.
            own: The arrays of the layer by name, for each half.
        """
        backward = method == "backward_into"
        names = call.layer.backward_names if backward else call.layer.forward_names
        whole = {name: arrays[name] for name in names if name in arrays}
        halves = []
        for at, parts in enumerate(own):
            found = parts | {name: self.of(array)[at] for name, array in whole.items()}
            layer = self._twin(call.layer) if backward and at else call.layer
            halves.append([(getattr(layer, method), [found[name] for name in names])])
        return run_on_halves, halves

    def _twin(self, layer: Layer) -> Layer:
        """Return a copy of a layer whose weights have other gradients."""
        if layer not in self._twins:
            twin = self._twins[layer] = object.__new__(type(layer))
            vars(twin).update(vars(layer))
            for name, variable in vars(layer).items():
                if isinstance(variable, Variable):
                    other = Variable(variable.value, variable.name)
                    object.__setattr__(twin, name, other)
                    self._weights.append((variable, other))
        return self._twins[layer]

    def follow(self) -> None:
        """Let the twins have the attributes of the layers, and their weights' values."""
        for layer, other in self._twins.items():
            own = vars(layer).items()
            vars(other).update({name: x for name, x in own if not isinstance(x, Variable)})
        for variable, twin in self._weights:
            twin.rebind(variable.value, twin.gradient)

    def add_gradients(self) -> None:
        """Add the gradients of the second half to those of the first."""
        for variable, twin in self._weights:
            variable.gradient += twin.gradient


def _by_sample(layer: Layer) -> bool:
    own = type(layer).__module__.startswith("nnlite.")
    return own and layer.primitive and layer.samplewise


def _separate(call: Call, samples: int, values: Sequence[Any], kept: Set[Slot]) -> bool:
    """Return whether a call computes each sample of its outputs from one of its inputs."""
    layer = call.layer
    if not _by_sample(layer) or call.shared or call.masks is not None:
        return False
    own = {id(value) for value in vars(layer).values()}
    if any(id(variable) not in own for variable in layer._variables):
        return False  # a twin would share their gradients
    slots = [*call.inputs, *call.outputs]
    return (
        _of_slots(call.x)
        and kept.isdisjoint(call.outputs)
        and all(len(values[slot]) == samples for slot in slots)
    )


def joined(calls: Iterable[Bound]) -> list[Bound]:
    """Return bound calls with those on halves that follow each other as one."""
    result: list[Bound] = []
    for function, arguments in calls:
        if function is run_on_halves and result and result[-1][0] is run_on_halves:
            for half, more in zip(result[-1][1], arguments, strict=True):
                half += more
        else:
            result.append((function, arguments))
    return result


def run_on_halves(*halves: list[Bound]) -> None:
    """Run the bound calls of both halves."""
    for_each(_run_half, halves)


def _run_half(calls: list[Bound], thread: int) -> None:
    for function, arguments in calls:
        function(*arguments)
