"""Translates the calls of layers in functional models from Keras 2's form to Keras 3's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Config = dict[str, Any]

#: Functional models; "Model" is what Keras called them before 2.4.
FUNCTIONAL = ("Functional", "Model")


def layer_name(layer: Any) -> str:
    """Return a layer's name, which old files have only in its configuration."""
    inner = layer.get("config") if isinstance(layer, dict) else None
    name = layer.get("name") if isinstance(layer, dict) else None
    if name is None and isinstance(inner, dict):
        name = inner.get("name")
    if not isinstance(name, str):
        raise ValueError(  # noqa: TRY004  data, not a caller's mistake
            f"a layer of a functional model must have a name. Received: {layer!r:.200}"
        )
    return name


def keras_3_graph(config: Config) -> tuple[dict[str, list[Any]], Any]:
    """Return the calls of each layer of a functional model, and the sources of its outputs.

    Args:
        config: The model's configuration: its layers, each with ``inbound_nodes``, and
            ``output_layers``.

    Returns:
        For each layer's name a list of ``{"args": [...], "kwargs": {...}}``, and the outputs'
        structure of ``[layer, call, output]``.

    >>> dense = {"class_name": "Dense", "config": {"name": "b"}, "inbound_nodes": [[["a", 0, 0]]]}
    >>> calls, outputs = keras_3_graph({"layers": [dense], "output_layers": [["b", 0, 0]]})
    >>> calls["b"][0]["args"][0]["config"], outputs
    ({'keras_history': ['a', 0, 0]}, [['b', 0, 0]])
    """
    layers: dict[str, Config] = {}
    for layer in config["layers"]:
        name = layer_name(layer)
        if name in layers:
            raise ValueError(f"two layers of the functional model are named {name!r:.200}")
        layers[name] = layer
    nodes = {name: layer.get("inbound_nodes") or [] for name, layer in layers.items()}
    for name, own in nodes.items():
        if not isinstance(own, list):
            raise ValueError(  # noqa: TRY004  data
                f"the calls of layer {name!r:.200} are not a list. Received: {own!r:.200}"
            )
    outputs = _copied(config.get("output_layers"))
    if not any(isinstance(node, list) for own in nodes.values() for node in own):
        return nodes, outputs
    read: list[list[Any]] = []  # the sources of tensors: changed below
    calls = {
        name: [_call(node, layers, read) if isinstance(node, list) else node for node in own]
        for name, own in nodes.items()
    }
    ends = list(_places(outputs))
    models = {name for name, layer in layers.items() if _holds_layers(layer)}
    # Keras 2 counted the model's own graph as its first call.
    first: dict[str, int] = {}
    for name, at, _ in (*read, *ends):
        if name in models and type(at) is int:
            first[name] = min(at, first.get(name, at))
    for place in (*read, *ends):
        if place[0] in first and type(place[1]) is int:
            place[1] -= first[place[0]]
    for place in ends:  # Keras 3 still counts so for functional models, in this one list
        if place[0] in models and layers[place[0]].get("class_name") != "Sequential":
            place[1] += 1
    return calls, outputs


def _holds_layers(layer: Config) -> bool:
    return layer.get("class_name") in ("Sequential", *FUNCTIONAL)


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(part) for part in value]
    return {key: _copied(part) for key, part in value.items()} if isinstance(value, dict) else value


def _is_place(value: Any) -> bool:
    """Return whether a value is a tensor's source: ``[layer, call, output, ...]``."""
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)


def _places(value: Any) -> Iterator[list[Any]]:
    if _is_place(value):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _places(part)


def _call(node: list[Any], layers: Mapping[str, Any], read: list[list[Any]]) -> Config:
    """Return a call in Keras 3's form, and add its tensors' sources to ``read``."""
    leaves = list(_places(node))
    options = next((leaf[3] for leaf in leaves if len(leaf) > 3), None)

    def tensor(place: list[Any]) -> Config:
        read.append(place[:3])
        return {"class_name": "__keras_tensor__", "config": {"keras_history": read[-1]}}

    def first(value: Any) -> Any:
        if _is_place(value):
            return value[2] if value[0] == "_CONSTANT_VALUE" else tensor(value)
        if isinstance(value, dict):
            return {key: first(part) for key, part in value.items()}
        return [first(part) for part in value] if isinstance(value, list) else value

    def other(value: Any) -> Any:
        if _is_place(value) and value[0] in layers and len(value) == 3:
            return tensor(value)
        if isinstance(value, dict):
            return {key: other(part) for key, part in value.items()}
        return [other(part) for part in value] if isinstance(value, list) else value

    x = first(node)
    if isinstance(x, list) and len(x) == 1:
        (x,) = x
    return {"args": [x], "kwargs": other(options) if isinstance(options, dict) else {}}
