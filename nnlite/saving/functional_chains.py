"""Functional models that are one plain chain of layers, as that chain."""

from __future__ import annotations

from typing import Any

__all__ = ["chained_layers"]

Config = dict[str, Any]


def chained_layers(config: Config, place: str = "") -> list[Config]:
    """Return the layers of a functional model from its input to its output.

    Args:
        config: The configuration of a Functional (Keras 2.4 and later) or Model (before): its
            layers, each with the nodes that come into it, ``input_layers`` and ``output_layers``.
        place: What the layers' names in messages begin with.

    Raises:
        ValueError: If it is no chain; it names the layer place it is not.

    >>> def layer(name, *before):
    ...     nodes = [[[one, 0, 0, {}]] for one in before]
    ...     return {"class_name": "Dense", "config": {"name": name}, "inbound_nodes": nodes}
    >>> layers = chained_layers({
    ...     "layers": [layer("b", "a"), layer("a")],
    ...     "input_layers": ["a", 0, 0],
    ...     "output_layers": [["b", 0, 0]],
    ... })
    >>> [layer["config"]["name"] for layer in layers]
    ['a', 'b']
    """
    by_name: dict[str, Config] = {}
    for layer in config["layers"]:
        name = _name(layer)
        if name in by_name:
            raise ValueError(f"two layers of the functional model are named {place + name!r}")
        by_name[name] = layer
    first = _end(config.get("input_layers"), "input", by_name, place)
    at = _end(config.get("output_layers"), "output", by_name, place)
    chain = {at: by_name.pop(at)}
    while at != first:
        before = _before(chain[at], place + at)
        if before not in by_name:
            fault = "is used more than once" if before in chain else "is not in it"
            raise ValueError(
                f"the functional model is no chain: layer {place + before!r}, which "
                f"{place + at!r} takes its input from, {fault}"
            )
        at = before
        chain[at] = by_name.pop(at)
    if by_name:
        names = ", ".join(repr(place + name) for name in by_name)
        raise ValueError(
            "the functional model is no chain: beside the way from its input to its output there "
            f"are the layers {names}"
        )
    return list(chain.values())[::-1]


def _name(layer: Any) -> str:
    """Return a layer's name, which old files have in its configuration alone."""
    inner = layer.get("config") if isinstance(layer, dict) else None
    name = layer.get("name") if isinstance(layer, dict) else None
    if name is None and isinstance(inner, dict):
        name = inner.get("name")
    if not isinstance(name, str):
        raise ValueError(  # noqa: TRY004  data, not a caller's mistake
            f"a layer of a functional model without a name: {layer!r:.200}"
        )
    return name


def _end(value: Any, what: str, by_name: dict[str, Config], place: str) -> str:
    """Return the name of the one layer at an end: ``["a", 0, 0]``, a list or a dict of that."""
    while isinstance(value, (dict, list)) and len(value) == 1:
        (value,) = value.values() if isinstance(value, dict) else value
    if isinstance(value, list) and value and isinstance(value[0], list):
        raise ValueError(
            f"the functional model {place}has {len(value)} {what}s: "
            f"{', '.join(repr(one[0]) for one in value if isinstance(one, list) and one)}. "
            "nnlite has models of one input and one output"
        )
    if not (isinstance(value, list) and value and isinstance(value[0], str)):
        raise ValueError(
            f"the functional model {place}has no single {what}. Received: {repr(value)[:200]}"
        )
    if value[0] not in by_name:
        raise ValueError(f"the functional model's {what} is {place + value[0]!r}, no layer of it")
    return value[0]


def _before(layer: Config, name: str) -> str:
    """Return the name of the one layer whose output this one takes."""
    nodes = layer.get("inbound_nodes")
    if not (isinstance(nodes, list) and nodes):
        raise ValueError(f"the functional model is no chain: layer {name!r} takes no input")
    if len(nodes) > 1:
        raise ValueError(
            f"the functional model is no chain: layer {name!r} is used {len(nodes)} times"
        )
    sources: list[Any]
    (node,) = nodes
    if isinstance(node, dict):  # Keras 3
        sources = _tensors(node.get("args")) + _tensors(node.get("kwargs"))
        options = node.get("kwargs")
    elif node and isinstance(node, list) and isinstance(node[0], str):  # a node without its list
        sources, options = [node], node[3] if len(node) > 3 else None
    elif isinstance(node, list):
        sources = node
        options = next((one[3] for one in node if isinstance(one, list) and len(one) > 3), None)
    else:
        sources, options = [], None
    if len(sources) != 1 or not isinstance(sources[0], list) or len(sources[0]) < 3:
        raise ValueError(
            f"the functional model is no chain: layer {name!r} takes {len(sources)} inputs"
        )
    source, _, output = sources[0][:3]
    if not isinstance(source, str) or output != 0:
        raise ValueError(f"layer {name!r} takes its input from {sources[0]!r}, no layer's output")
    if isinstance(options, dict) and options.get("training") is True:
        raise ValueError(
            f"layer {name!r} is always run as in training (training=True), which nnlite has not"
        )
    return source


def _tensors(value: Any) -> list[Any]:
    """Return place the tensors in a node's arguments come from: ``["a", 0, 0]`` each."""
    if isinstance(value, list):
        return [source for part in value for source in _tensors(part)]
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            inner = value.get("config")
            return [inner.get("keras_history") if isinstance(inner, dict) else None]
        return [source for part in value.values() for source in _tensors(part)]
    return []
