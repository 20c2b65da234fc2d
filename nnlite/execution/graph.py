"""Graph: the calls of a model's layers in order, each with the arrays that it reads.

Every array has a number, its slot. A nested model becomes the calls of its layers, and a layer
becomes its stages: ``Dense(3, activation="relu")`` is one layer and two calls.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnlite.backend.variables import Variable
from nnlite.config import data_type
from nnlite.layers.layer import Layer, Shape, refuse_text, same_shape
from nnlite.regularizers import Regularizer
from nnlite.utils.structures import flatten, map_structure, pack_as
from nnlite.utils.typing import Array


class Slot(int):
    """The number of an array of a graph; a layer's other arguments are constants."""


class Call:
    """One use of a layer.

    Args:
        layer: The layer.
        x: The argument of its `forward`, with a `Slot` for each array; the rest are constants.
        outputs: The slots that it writes.
        parts: The layers that keep data of this call for the backward pass.
        training: Whether the layer computes as in training.
        owner: The layer that ``layer`` is a stage of.
        first: Whether it is the first of the stages.
        masks: The slots of the masks of ``x``, None for arrays without; None if none is read.

    Attributes:
        shared: Whether one of ``parts`` has more calls in the graph.
    """

    def __init__(
        self,
        layer: Layer,
        x: Any,
        outputs: Any,
        parts: Sequence[Layer],
        training: bool,
        owner: Layer,
        first: bool = True,
        masks: Any = None,
    ) -> None:
        self.layer = layer
        self.owner = owner
        self.first = first
        self.x = x
        self.y = outputs
        self.masks = masks
        self.inputs = [slot for slot in flatten([x, masks]) if isinstance(slot, Slot)]
        self.outputs: list[Slot] = flatten(outputs)
        self.parts = parts
        self.training = training
        self.shared = False

    def arguments(self, values: Sequence[Any]) -> Any:
        """Return the layer's arguments, given the arrays of all slots."""
        return _at(self.x, values)

    def mask(self, values: Sequence[Any]) -> Any:
        """Return the masks of `arguments`, for a layer that reads them."""
        return _at(self.masks, values)

    def variables(self) -> list[Variable]:
        """Return the weights that the call uses."""
        return [variable for part in self.parts for variable in part._variables]

    def __repr__(self) -> str:
        return f"<{self.layer.name}: {self.x} -> {self.y}>"


def _at(slots: Any, values: Sequence[Any]) -> Any:
    """Return ``slots`` with each `Slot` replaced by its array."""
    if isinstance(slots, Slot):
        return values[slots]
    return map_structure(lambda s: values[s] if isinstance(s, Slot) else s, slots)


class _AsFloats(Layer):
    """Converts integers to floats, for layers that compute with floats."""

    takes_integers = True

    def forward_into(self, x: Array, y: Array) -> None:
        """Write the numbers of ``x`` into ``y``."""
        y[...] = x

    def backward_into(self) -> None:
        """Do nothing: integers have no gradient."""

    compute_output_shape = same_shape


class _MaskOf(Layer):
    """Computes the mask of a layer's output, with its `compute_mask`."""

    takes_integers = True
    supports_masking = True

    def __init__(self, layer: Layer) -> None:
        super().__init__(name=f"mask_of_{layer.name}")
        self.layer = layer

    def forward_into(self, x: Any, y: Array) -> None:
        """Write the mask for ``x``, a dict of inputs and their masks, into ``y``."""
        y[...] = self.layer.compute_mask(**x)

    def output_shape_for(self, x: Any) -> Shape:
        """Return the shape of the mask."""
        return np.shape(self.layer.compute_mask(**x))

    def compute_output_dtype(self, *input_dtypes: str) -> str:
        """Return the type of booleans."""
        return "bool"


def _has_mask(layer: Layer, masks: Any) -> bool:
    """Return whether a layer's output has a mask, given the masks of its input."""

    def sample(tensor: Any) -> Array:
        return np.ones([size or 1 for size in np.shape(tensor)])

    x = map_structure(sample, layer.input)
    pairs = zip(flatten(x), flatten(masks), strict=True)
    previous = [None if mask is None else np.ones(a.shape[:2], bool) for a, mask in pairs]
    return layer.compute_mask(x, pack_as(masks, previous)) is not None


class Graph:
    """Calls in order, from some inputs to some outputs.

    Attributes:
        calls: The calls, each after those whose outputs it reads.
        inputs: The slots of the inputs.
        outputs: The slots of the outputs.
        penalties: The regularizers of layers' outputs, each with its slot.
        single: Whether the output is one array, not a list or dict.
    """

    single = True

    def __init__(self, training: bool) -> None:
        self.training = training
        self.calls: list[Call] = []
        self.inputs: list[Slot] = []
        self.outputs: list[Slot] = []
        self.penalties: list[tuple[Slot, Regularizer]] = []
        self.dtypes: list[str] = []
        self.masks: dict[int, Slot] = {}  # the slot of each array's mask
        self.prepared: dict[str, Any] = {}  # what executors have derived from it

    @property
    def size(self) -> int:
        """The number of slots."""
        return len(self.dtypes)

    def new_slot(self, dtype: str) -> Slot:
        """Return a new slot for arrays of type ``dtype``."""
        self.dtypes.append(data_type(dtype).name)
        return Slot(self.size - 1)

    def add_input(self, dtype: str) -> Slot:
        """Return the slot of a further input."""
        self.inputs.append(self.new_slot(dtype))
        return self.inputs[-1]

    def add(
        self, layer: Layer, x: Any, count: Any = None, training: bool | None = None, **options: Any
    ) -> Any:
        """Add a call of ``layer`` on ``x``, and return the slots of its outputs.

        Args:
            layer: The layer; a model adds the calls of its layers.
            x: A slot, or a list or dict of slots and constants.
            count: The structure of the output; None for a single array.
            training: Whether the layer computes as in training; None takes that of the graph.
            **options: Further options of the call, for `Layer.stages`.
        """
        training = self.training if training is None else training
        if layer.of_user:
            y = self._call(layer, x, count, layer.all_layers(), training, layer)
        elif layer.is_model:
            y = layer.add_to(self, x, training)  # type: ignore[attr-defined]
        else:
            y = x
            for stage in layer.stages(training, **options):
                parts = [stage] if stage.primitive else stage.all_layers()
                y = self._call(stage, y, count, parts, training, layer, y is x)
        if layer.activity_regularizer is not None:
            self.penalties += [(slot, layer.activity_regularizer) for slot in flatten(y)]
        return y

    def _call(
        self,
        layer: Layer,
        x: Any,
        count: Any,
        parts: Sequence[Layer],
        training: bool,
        owner: Layer,
        first: bool = True,
    ) -> Any:
        refuse_text(layer, (self.dtypes[slot] for slot in flatten(x) if isinstance(slot, Slot)))
        if not layer.takes_integers:
            x = map_structure(lambda s: self._as_floats(s, layer.dtype), x)
        slots = [slot for slot in flatten(x) if isinstance(slot, Slot)]
        dtype = layer.compute_output_dtype(*(self.dtypes[slot] for slot in slots))
        y = map_structure(lambda _: self.new_slot(dtype), count)
        masks = map_structure(lambda s: self.masks.get(s) if isinstance(s, Slot) else None, x)
        self._pass_masks_on(layer, x, y, masks)
        alone = not (owner.masks_one and isinstance(x, list))
        read = masks if layer.takes_mask and alone else None
        self.calls.append(Call(layer, x, y, parts, training, owner, first, read))
        return y

    def _pass_masks_on(self, layer: Layer, x: Any, y: Any, masks: Any) -> None:
        """Note the masks of a layer's output, given those of its input."""
        if all(mask is None for mask in flatten(masks)) and not layer.makes_mask:
            return
        if not layer.supports_masking:
            warnings.warn(
                f"Layer {layer.name!r} does not pass masks on: the layers after it and the loss "
                "use every step of the sequence.",
                stacklevel=2,
            )
        elif type(layer).compute_mask is Layer.compute_mask:
            marked = flatten(y)[: layer.mask_outputs]
            self.masks.update(dict.fromkeys(marked, flatten(masks)[0]))
        elif layer.nodes and _has_mask(layer, masks):  # without nodes, the graph is not final
            mask = self.add(_MaskOf(layer), {"inputs": x, "previous_mask": masks})
            self.masks.update(dict.fromkeys(flatten(y), mask))

    def _as_floats(self, slot: Any, dtype: str) -> Any:
        """Return ``slot``, or if it has integers, a slot with the same numbers as floats."""
        if not isinstance(slot, Slot) or np.dtype(self.dtypes[slot]).kind == "f":
            return slot
        return self.add(_AsFloats(dtype=dtype), slot)

    def finish(self, outputs: Iterable[Slot]) -> Graph:
        """Set the graph's outputs, and return the graph."""
        self.outputs = list(outputs)
        calls = Counter(id(part) for call in self.calls for part in call.parts)
        for call in self.calls:
            call.shared = any(calls[id(part)] > 1 for part in call.parts)
        return self

    # ---- derived properties ---------------------------------------------------------------

    def readers(self) -> Counter[int]:
        """Return how often each slot is read by calls and penalties or is an output."""
        read: Counter[int] = Counter(slot for call in self.calls for slot in call.inputs)
        read.update(self.outputs)
        read.update(slot for slot, _ in self.penalties)
        return read

    def maker(self, slot: Slot) -> Call | None:
        """Return the call that writes ``slot``; None for an input."""
        return next((call for call in self.calls if slot in call.outputs), None)

    def before(self, activations: Iterable[Call | None]) -> Graph:
        """Return the graph without some of the last calls.

        Args:
            activations: Calls with one input and one output, which is an output of the graph only;
                None is passed over.
        """
        skipped = {call.outputs[0]: call for call in activations if call}
        graph = Graph(self.training)
        graph.calls = [call for call in self.calls if call not in skipped.values()]
        graph.inputs, graph.penalties, graph.dtypes = self.inputs, self.penalties, self.dtypes
        graph.masks = self.masks
        graph.outputs = [
            skipped[slot].inputs[0] if slot in skipped else slot for slot in self.outputs
        ]
        return graph

    def differentiated(self, learning: Iterable[Variable], inputs: bool) -> set[int]:
        """Return the slots whose gradients are needed."""
        learn = {id(variable) for variable in learning}
        floats = {slot for slot, dtype in enumerate(self.dtypes) if np.dtype(dtype).kind == "f"}
        needed: set[int] = floats.intersection(self.inputs) if inputs else set()
        for call in self.calls:
            if needed.isdisjoint(call.inputs) and not any(id(v) in learn for v in call.variables()):
                continue
            if not call.layer.differentiable:
                raise ValueError(
                    f"Layer {call.layer.name!r} has no gradient, but layers before it are trained. "
                    "Freeze them by trainable = False, or remove the layer."
                )
            needed.update(floats.intersection(call.outputs))
            if self.training and not call.training and not call.layer.primitive:
                raise ValueError(
                    f"Layer {call.layer.name!r} is called with training=False, so its backward "
                    "cannot run, but layers before it are trained. Freeze them by "
                    "trainable = False, or remove training=False."
                )
        return needed
