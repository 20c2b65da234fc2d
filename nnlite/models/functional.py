"""Functional: a model defined by its input and output tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer, registry
from nnlite.models.model import Model, seed_of
from nnlite.saving.mask_operations import MaskOperation, Masks, mask_operations
from nnlite.serialization.objects import (
    KINDS,
    PUBLIC,
    CustomObjectScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from nnlite.symbolic import KerasTensor, Node
from nnlite.utils.structures import flatten, map_structure


class Functional(Model):
    """The class of ``Model(inputs, outputs)``.

    >>> from nnlite import Input
    >>> from nnlite.layers import Add, Dense
    >>> x = Input((3,), name="x")
    >>> model = Model(x, Add(name="sum")([x, Dense(3, name="dense")(x)]))
    >>> config = model.get_config()
    >>> config["output_layers"], [layer["name"] for layer in config["layers"]]
    (['sum', 0, 0], ['x', 'dense', 'sum'])
    >>> type(model).from_config(config).count_params()
    12
    """

    refused_overrides: ClassVar[Mapping[str, str]] = {
        **Model.refused_overrides,
        "call": "its outputs say what it computes: derive from nnlite.Model to define call.",
    }

    def get_config(self) -> dict[str, Any]:
        """Return layers, calls, inputs and outputs as plain data in Keras's format."""
        inputs, outputs = self._tensors[False]
        kept = {id(node) for node in self._nodes()}
        entries = [_entry(tensor, self.layers) for tensor in flatten(inputs)]
        place: dict[int, list[Any]] = {
            id(tensor): [entry.name, 0, 0]
            for tensor, entry in zip(flatten(inputs), entries, strict=True)
        }
        calls: dict[Layer, list[Node]] = {}
        for layer in self.layers:
            calls[layer] = [node for node in layer.nodes if id(node) in kept]
            for at, node in enumerate(calls[layer]):
                place.update((id(t), [layer.name, at, t.index]) for t in node.outputs)
        made = [entry for entry in entries if entry not in calls]
        layers = [
            serialize_keras_object(layer)
            | {
                "name": layer.name,
                "inbound_nodes": [_call_as_data(node, place) for node in calls.get(layer, ())],
            }
            for layer in (*made, *self.layers)
        ]

        def end(tensor: KerasTensor) -> list[Any]:
            name, at, index = place[id(tensor)]
            of = tensor.node.layer if tensor.node is not None else self
            # Keras counts the functional model's own graph as its first call.
            return [name, at + (of.name == name and _is_functional(of)), index]

        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": map_structure(lambda tensor: list(place[id(tensor)]), inputs),
            "output_layers": map_structure(end, outputs),
            **self._given_seed(),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Functional:
        """Create a model with new weights from what `get_config` returned.

        Args:
            config: The configuration.
            custom_objects: Your own classes, by name.

        Raises:
            ValueError: If a layer is unknown, a configuration does not fit, a name is not unique,
                or a call reads a missing tensor or its own output.
        """
        entries = config.get("layers") if isinstance(config, Mapping) else None
        if not isinstance(entries, (list, tuple)):
            raise ValueError(  # noqa: TRY004  data, not a caller's mistake
                f"A functional model's config has a list of 'layers'. Received: {config!r:.200}"
            )
        layers: dict[str, Any] = {}
        calls: list[_Call] = []
        named = [(_name(entry), entry, entry.get("inbound_nodes", ())) for entry in entries]
        dropped = mask_operations(named, config.get("output_layers"))
        masks = Masks()
        with CustomObjectScope(custom_objects):
            for name, entry, nodes in named:
                if name in layers:
                    raise ValueError(f"two layers of the functional model are named {name!r:.200}")
                if name in dropped:
                    layers[name] = MaskOperation(name, entry, masks)
                else:
                    layers[name] = _layer(entry)
                if not isinstance(nodes, (list, tuple)):
                    raise ValueError(  # noqa: TRY004  data
                        f"the calls of layer {name!r:.200} are not a list: {nodes!r:.200}"
                    )
                calls += [_Call(name, at, node) for at, node in enumerate(nodes)]
        made = _run(calls, layers, masks)
        ends = [
            _end(what, config.get(what), layers, made) for what in ("input_layers", "output_layers")
        ]
        try:
            model = cls(*ends, name=config.get("name"), **seed_of(config))
        except TypeError as error:
            raise TypeError(
                f"from_config calls {cls.__name__}(inputs, outputs, name), which its __init__ does "
                f"not accept: {error}. Define from_config(cls, config)."
            ) from error
        model._trainable = config.get("trainable") is not False  # each layer has its own
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """Return that there is nothing to build."""
        return {"input_shape": None}

    def serialized(self) -> dict[str, Any]:
        """Return the model as plain data, in Keras's format."""
        data = super().serialized()
        return data | ({"registered_name": "Functional"} if type(self) is Functional else {})


Model.functional_class = Functional
registry.add("Functional", Functional)
PUBLIC[Functional] = ("keras.src.models.functional", "Functional")


# ---- serialization ------------------------------------------------------------------------


def _is_functional(layer: Layer) -> bool:
    return isinstance(layer, Model) and layer._connected


def _entry(tensor: KerasTensor, layers: Sequence[Layer]) -> Layer:
    """Return the layer of an input, or a new layer for a tensor of another model."""
    if tensor.node is not None and isinstance(tensor.node.layer, InputLayer):
        return tensor.node.layer
    name = tensor.name
    while any(layer.name == name for layer in layers):
        name = f"{name}_input"
    return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)


def _call_as_data(node: Node, place: Mapping[int, list[Any]]) -> dict[str, Any]:
    def as_data(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return serialize_keras_object(leaf)
        config = {"shape": leaf.shape, "dtype": leaf.dtype, "keras_history": place[id(leaf)]}
        return {"class_name": "__keras_tensor__", "config": config}

    args = [map_structure(as_data, argument) for argument in node.arguments]
    kwargs = serialize_keras_object(node.options)
    if named := node.layer.call_options:
        if len(args) > len(named):  # the last one is a list
            args = [*args[: len(named) - 1], args[len(named) - 1 :]]
        pairs = zip(named[1:], args[1:], strict=False)
        args, kwargs = args[:1], {key: arg for key, arg in pairs if arg is not None} | kwargs
    return {"args": args, "kwargs": kwargs}


# ---- deserialization ----------------------------------------------------------------------


def _layer(entry: Mapping[str, Any]) -> Layer:
    """Return the layer, or the operation, that an entry of a configuration describes."""
    module = str(entry.get("module")).replace("keras.src.", "keras.")
    kind = KINDS.get(module) if module.startswith("keras.ops.") else registry
    if kind is None:
        raise ValueError(f"Unknown operation {entry.get('class_name')!r:.200} of {module!r:.200}.")
    layer = kind.deserialize({key: entry[key] for key in entry if key != "inbound_nodes"})
    if not isinstance(layer, Layer):
        raise ValueError(  # noqa: TRY004  data
            f"a functional model is made of layers. Received: {layer!r:.200}"
        )
    layer.name, layer.named_by_user, layer.name_settled = _name(entry), True, True
    return layer


def _name(entry: Any) -> str:
    inner = entry.get("config") if isinstance(entry, Mapping) else None
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if name is None and isinstance(inner, Mapping):
        name = inner.get("name")
    if not isinstance(name, str):
        raise ValueError(  # noqa: TRY004  data
            f"a layer of a functional model without a name: {entry!r:.200}"
        )
    return name


class _Source(list[Any]):
    """The origin of a tensor: the name of a layer, and the indices of call and output."""


class _Call:
    """A call of a layer in a configuration, and which tensors it reads."""

    def __init__(self, name: str, at: int, node: Any) -> None:
        self.name, self.at = name, at
        if not isinstance(node, Mapping) or not isinstance(node.get("kwargs", {}), Mapping):
            raise ValueError(  # noqa: TRY004  data
                f"a call of layer {name!r:.200} is {{'args': [...], 'kwargs': {{...}}}}. "
                f"Received: {node!r:.200}"
            )
        args = node.get("args", ())
        self.args = [_argument(part) for part in (args if isinstance(args, (list, tuple)) else [])]
        self.kwargs = {
            key: _argument(part) for key, part in node.get("kwargs", {}).items() if not _off(part)
        }
        self.sources = list(_sources([*self.args, *self.kwargs.values()]))
        if not self.sources:
            raise ValueError(f"layer {name!r:.200} takes no input in one of its calls")

    def run(
        self, layer: Layer, made: Mapping[tuple[str, int], list[KerasTensor]], masks: Masks
    ) -> Any:
        """Return the output tensors of the call, and note their masks."""

        def tensor(leaf: Any) -> Any:
            if not isinstance(leaf, _Source):
                return leaf
            return _tensor(leaf, made, f"layer {self.name!r:.200}")

        args = [_mapped(tensor, part) for part in self.args]
        kwargs = {key: _mapped(tensor, part) for key, part in self.kwargs.items()}
        if not args and "inputs" in kwargs:
            args = [kwargs.pop("inputs")]
        given = any(isinstance(leaf, np.ndarray) for leaf in flatten(kwargs.get("mask")))
        alone = not (layer.masks_one and len(self.sources) > 2)
        if given and alone and masks.are_own(args, kwargs["mask"]):
            del kwargs["mask"]  # it goes along by itself
        if "mask" in kwargs and (given or "mask" not in layer.call_options):
            raise ValueError(f"layer {self.name!r:.200} is called with a mask= of its own")
        try:
            output = layer(*args, **kwargs)
        except TypeError as error:
            raise ValueError(f"layer {self.name!r:.200} cannot be called: {error}") from error
        if isinstance(layer, Layer):
            masks.note(layer.nodes[-1])
        return output


def _off(value: Any) -> bool:
    """Return whether an argument is None or a list of None, such as masks."""
    return all(leaf is None for leaf in flatten(value))


def _argument(value: Any) -> Any:
    """Return an argument of a call with tensors replaced by `_Source`."""
    if isinstance(value, (list, tuple)):
        return [_argument(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__keras_tensor__":
        inner = value.get("config")
        return _source(inner.get("keras_history") if isinstance(inner, Mapping) else None)
    if "class_name" in value:
        return deserialize_keras_object(value)
    return {key: _argument(part) for key, part in value.items()}


def _source(value: Any) -> _Source:
    fits = isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)
    if not fits or not all(type(number) is int and number >= 0 for number in value[1:]):
        raise ValueError(
            "a tensor of a functional model is [layer, call, output], such as ['dense', 0, 0]. "
            f"Received: {value!r:.200}"
        )
    return _Source(value)


def _sources(value: Any) -> Iterable[_Source]:
    if isinstance(value, _Source):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _sources(part)


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Return an argument with ``function`` applied to its leaves."""
    if isinstance(value, dict):
        return {key: _mapped(function, part) for key, part in value.items()}
    if isinstance(value, list) and not isinstance(value, _Source):
        return [_mapped(function, part) for part in value]
    return function(value)


def _tensor(
    source: _Source, made: Mapping[tuple[str, int], list[KerasTensor]], reader: str
) -> KerasTensor:
    name, at, index = source
    outputs = made.get((name, at), ())
    if index >= len(outputs):
        raise ValueError(
            f"{reader} reads {[*source]!r:.200}, but there is no such output: call {at} of layer "
            f"{name!r:.200} has {len(outputs)}"
        )
    return outputs[index]


def _run(
    calls: Sequence[_Call], layers: Mapping[str, Layer], masks: Masks
) -> dict[tuple[str, int], list[KerasTensor]]:
    """Make the calls in topological order and return their outputs.

    The calls of one layer keep their order, as in Keras.
    """
    made = {
        (name, 0): [layer.tensor] for name, layer in layers.items() if isinstance(layer, InputLayer)
    }
    known = {(call.name, call.at) for call in calls} | made.keys()
    waiting: dict[tuple[str, int], int] = {}
    readers: dict[tuple[str, int], list[_Call]] = {}
    for call in calls:
        if isinstance(layers[call.name], InputLayer):
            raise ValueError(  # noqa: TRY004  data
                f"input {call.name!r:.200} of the functional model takes an input"
            )
        before = {(name, at) for name, at, _ in call.sources}
        if call.at:
            before.add((call.name, call.at - 1))
        for source in before - known:
            missing = (
                "no layer of it" if source[0] not in layers else f"not called {source[1] + 1} times"
            )
            raise ValueError(
                f"layer {call.name!r:.200} of the functional model reads {source[0]!r:.200}, which "
                f"is {missing}"
            )
        waiting[call.name, call.at] = len(before - made.keys())
        for source in before:
            readers.setdefault(source, []).append(call)
    ready = deque(call for call in calls if not waiting[call.name, call.at])
    left = len(calls)
    while ready:
        call = ready.popleft()
        left -= 1
        made[call.name, call.at] = flatten(call.run(layers[call.name], made, masks))
        for reader in readers.get((call.name, call.at), ()):
            waiting[reader.name, reader.at] -= 1
            if not waiting[reader.name, reader.at]:
                ready.append(reader)
    if left:
        stuck = dict.fromkeys(call.name for call in calls if waiting[call.name, call.at])
        raise ValueError(
            "the functional model has a cycle: each of these layers waits for another, "
            f"{', '.join(repr(name) for name in [*stuck][:20])}"
        )
    return made


def _end(
    what: str,
    value: Any,
    layers: Mapping[str, Layer],
    made: Mapping[tuple[str, int], list[KerasTensor]],
) -> Any:
    """Return the tensors of the inputs or outputs in their structure."""
    if isinstance(value, Mapping):
        return {key: _end(what, part, layers, made) for key, part in value.items()}
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"the functional model's {what} are not tensors. Received: {value!r:.200}")
    if not isinstance(value[0], str):
        return [_end(what, part, layers, made) for part in value]
    name, at, index = _source(value)
    if name not in layers:
        raise ValueError(f"the functional model's {what} name {name!r:.200}, no layer of it")
    at -= _is_functional(layers[name]) and at > 0
    return _tensor(_Source([name, at, index]), made, f"{what} of the functional model")
