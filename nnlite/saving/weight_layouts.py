"""Matching stored arrays to weights, in the layouts of Keras's files.

Since 2.12, groups are nested like the layers and named after their classes, with numbers. Before,
and in whole-model ``.h5`` files still, each layer has a group with an attribute that lists its
arrays in order.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeGuard, TypeVar

import numpy as np

from nnlite.backend.structure_cache import without_memo
from nnlite.backend.variables import Variable
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.core import InputLayer
from nnlite.layers.layer import Layer
from nnlite.layers.preprocessing.lookup import IndexLookup
from nnlite.layers.preprocessing.text_vectorization import TextVectorization
from nnlite.saving.formats.hdf5 import Node
from nnlite.serialization.registry import snake_case
from nnlite.utils.typing import Array

T = TypeVar("T")

#: The group of a model's layers: since 2.14, in 2.12 and 2.13, and in some other versions.
_LAYERS = ("layers", "_layer_checkpoint_dependencies", "_layers", "_self_tracked_trackables")


@dataclass
class Assignment:
    """The arrays of a file for the weights of one layer.

    Attributes:
        layer: The layer's name in messages.
        node: The group that holds the arrays.
        keys: The arrays' names there.
        variables: The weights, in the same order.
        load: The layer's own method to load the arrays, if it has one.
    """

    layer: str
    node: Node
    keys: Sequence[str]
    variables: Sequence[Variable]
    load: Callable[[dict[str, Array]], None] | None = None

    def arrays(self) -> list[Array]:
        """Return the arrays, each checked against its weight."""
        if len(self.keys) != len(self.variables):
            names = ", ".join(f"{one.name} {one.shape}" for one in self.variables) or "none"
            raise ValueError(
                f"layer {self.layer!r} has {len(self.variables)} weights ({names}). "
                f"The file has {len(self.keys)} for it, under {self.node.name!r}"
            )
        converted = self._converted()
        for key, variable in zip(self.keys, self.variables, strict=True):
            shape = converted[variable].shape if variable in converted else self.node.shape(key)
            if _squeezed(shape) != _squeezed(variable.shape):
                raise ValueError(
                    f"weight {variable.name!r} of layer {self.layer!r} has shape {variable.shape}. "
                    f"The file has shape {shape}, under {self.node.name.rstrip('/')}/{key}"
                )
        return [
            self._checked(converted.get(variable, self.node.array(key)), variable)
            for key, variable in zip(self.keys, self.variables, strict=True)
        ]

    def shapes(self) -> tuple[str, str]:
        """Return the layer with its weights' shapes, and the group with its arrays'."""
        return (
            _shown(self.layer, (one.shape for one in self.variables)),
            _shown(self.node.name, map(self.node.shape, self.keys)),
        )

    def _converted(self) -> dict[Variable, Array]:
        """Return the values for a layer that is a CuDNNLSTM or CuDNNGRU in the file.

        cuDNN transposes the kernel of each gate, and has a bias for each of the two kernels.
        """
        found: dict[Variable, Array] = {}
        for at in range(2, len(self.keys)):
            kernel, recurrent, bias = self.variables[at - 2 : at + 1]
            if (recurrent.name, bias.name) != ("recurrent_kernel", "bias"):
                continue
            units, width = recurrent.shape[0], recurrent.shape[-1]
            summed = bias.shape == (4 * units,)
            ours = summed or bias.shape == (2, 3 * units)
            if not ours or self.node.shape(self.keys[at]) != (2 * width,):
                continue
            for variable, key in ((kernel, self.keys[at - 2]), (recurrent, self.keys[at - 1])):
                gates = np.hsplit(self.node.array(key), width // units)
                found[variable] = np.hstack([gate.reshape(gate.shape[::-1]).T for gate in gates])
            both = self.node.array(self.keys[at]).reshape(2, width)
            found[bias] = both.sum(axis=0) if summed else both
        return found

    def _checked(self, array: Array, variable: Variable) -> Array:
        if variable.dtype.kind == "f" and array.dtype.kind != "f":
            raise ValueError(
                f"weight {variable.name!r} of layer {self.layer!r} is stored as {array.dtype}, "
                "not as real numbers"
            )
        return variable.check(array.reshape(variable.shape))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without leading axes of size 1, which TensorFlow 2.3's Normalization kept."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def assign(assignments: Sequence[Assignment], skip_mismatch: bool = False) -> None:
    """Copy the arrays into the weights: all of them, or none on an error.

    With ``skip_mismatch``, layers that do not fit are left out with one warning.
    """
    ready: list[tuple[Variable, Array]] = []
    skipped: list[str] = []
    for one in assignments:
        if one.load is not None:
            continue
        try:
            ready += zip(one.variables, one.arrays(), strict=True)
        except ValueError as error:
            if not skip_mismatch:
                raise ValueError(f"{error}{_beside(assignments)}") from error
            skipped.append(str(error))
    if skipped:
        warnings.warn(f"Weights that do not fit were left out: {'; '.join(skipped)}", stacklevel=5)
    for one in assignments:
        if one.load is not None:
            one.load({key: one.node.array(key) for key in one.keys})
    for variable, array in ready:
        variable.value[...] = array


def _beside(assignments: Sequence[Assignment]) -> str:
    """Return a table of the layers of the model and of the file, if the file can be read."""
    try:
        pairs = [one.shapes() for one in assignments if one.load is None]
    except ValueError:  # the file is damaged, as the error says
        return ""
    return _table(pairs)


def _shown(name: str, shapes: Iterable[tuple[int, ...]]) -> str:
    return f"{name}: {', '.join(map(str, shapes)) or 'none'}"


def _table(pairs: Sequence[tuple[str, str]]) -> str:
    width = max((len(left) for left, _ in pairs), default=0)
    lines = [f"{left:{width}} | {right}" for left, right in [("the model", "the file"), *pairs]]
    return "\n  ".join(["", *lines])


# ---- groups by class, since Keras 2.12 ----------------------------------------------------


class Tree:
    """A group and the groups below; a backslash in a name, from Windows, separates two groups.

    Args:
        node: The group, or for a part of a name the group that has the name.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.children: dict[str, Tree] = {}

    def filled(self) -> Tree:
        """Add all groups below, and return the tree."""
        for name in self.node.groups():
            below = self
            for part in name.split("\\"):
                below = below.children.setdefault(part, Tree(self.node))
            below.node = self.node.group(name)
            below.filled()
        return self

    def keys(self) -> list[str]:
        """Return the names of the object's own arrays, 2 before 10."""
        if "vars" not in self.children:
            return []
        return sorted(self.children["vars"].node.datasets(), key=natural)

    def filled_groups(self) -> Iterator[Tree]:
        """Yield this group and the groups below that hold arrays of weights."""
        if self.keys():
            yield self
        for name, child in self.children.items():
            if name not in ("vars", "seed_generator"):
                yield from child.filled_groups()

    def holds_arrays(self) -> bool:
        """Return whether this group or one below holds an array of a weight."""
        return any(True for _ in self.filled_groups())


def natural(name: str) -> tuple[int, str]:
    """Return a sort key that orders names by their numbers: ``"2"`` before ``"10"``.

    >>> sorted(["10", "2", "dense_10", "dense_9"], key=natural)
    ['2', 'dense_9', '10', 'dense_10']
    """
    digits = re.search(r"\d{1,9}$", name)
    return (int(digits.group()) if digits else -1, name)


def by_class(
    model: AbstractModel, node: Node, written: Any = None, skip: Collection[Layer] = ()
) -> list[Assignment]:
    """Return the assignments for a file of nested groups."""
    tree = Tree(node).filled()
    if model.tracks_layers:
        return list(_of_layer(model, tree, None, set(skip), "", tree))
    return list(_of_model(model, tree, written, set(skip), ""))


def _of_model(
    model: AbstractModel, tree: Tree, written: Any, skip: set[Layer], place: str
) -> Iterator[Assignment]:
    if _takes_itself(model):
        yield _own(model, tree, f"{place}{model.name}", tree)
    layers, configs = _as_written(model, written)
    found = _numbered(layers, [_names(*pair) for pair in zip(layers, configs, strict=True)], tree)
    for layer, config in zip(layers, configs, strict=True):
        yield from _of_layer(layer, found.get(layer), config, skip, place, tree)
    if written is None:
        for name, group in _container(tree).items():
            for left in group.filled_groups() if group not in found.values() else ():
                node = left.children["vars"].node
                yield Assignment(f"{place}{name} (not in the model)", node, left.keys(), [])


def _as_written(model: AbstractModel, written: Any) -> tuple[list[Layer], list[Any]]:
    """Return the layers and their configurations, if any, in the order of the configurations."""
    layers = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    if written is None:
        return layers, [None] * len(layers)
    configs = [one for one in written["config"]["layers"] if one["class_name"] != "InputLayer"]
    if "input_layers" in written["config"]:
        named = {layer.name: layer for layer in layers}
        configs = [one for one in configs if one["name"] in named]
        layers = [named[one["name"]] for one in configs]
    return layers, configs


def _of_layer(
    layer: Layer, tree: Tree | None, written: Any, skip: set[Layer], place: str, parent: Tree
) -> Iterator[Assignment]:
    """Yield the assignments for a layer and its inner layers."""
    if layer in skip or not in_files(layer):
        return
    shown = f"{place}{layer.name}"
    if lists_layers(layer) and tree is not None:
        nested = written if written and "written_as" in written else None
        yield from _of_model(layer, tree, nested, skip, f"{shown}/")
        return
    if layer.own_variables() or _takes_itself(layer) or tree is None:
        yield _own(layer, tree, shown, parent)
    if tree is not None:
        for attribute, part in attributes(layer):
            below: Tree | None = tree
            for name in attribute.split("/"):
                below = below.children.get(name) if below else None
            yield from _of_layer(part, below, None, skip, f"{shown}/", tree)


def lists_layers(layer: Layer) -> TypeGuard[AbstractModel]:
    """Return whether a layer is a model whose layers are in a list, not in its attributes."""
    return isinstance(layer, AbstractModel) and not layer.tracks_layers


def _own(layer: Layer, tree: Tree | None, shown: str, parent: Tree) -> Assignment:
    """Return the assignment for a layer's own weights."""
    keys = [] if tree is None else tree.keys()
    node = tree.children["vars"].node if tree and keys else (tree or parent).node
    load = layer.load_own_variables if _takes_itself(layer) else None
    return Assignment(shown, node, keys, layer.own_variables(), load)


def _takes_itself(layer: Layer) -> bool:
    """Return whether a layer overrides how its weights are loaded."""
    return type(layer).load_own_variables is not Layer.load_own_variables


def in_files(layer: Layer) -> bool:
    """Return whether files hold anything of a layer: weights, or data that it writes itself."""
    return bool(layer.all_variables()) or any(
        _takes_itself(one) or type(one).save_own_variables is not Layer.save_own_variables
        for one in layer.all_layers()
    )


def attributes(layer: Layer) -> list[tuple[str, Layer]]:
    """Return the layers in a layer's attributes, each with the path of its group.

    The path is the attribute's name; in a list, the class's name with a number follows. A list,
    tuple or dict inside another is a "container".
    """
    inner = {id(part) for part in layer.sublayers()}
    found: list[tuple[str, Layer]] = []
    own = without_memo(vars(layer))
    if isinstance(layer, AbstractModel):  # without the trainer's attributes
        # Keras also goes through the property `layers`, in the order of names.
        own = {"layers": layer.layers} | {name: own[name] for name in layer.attributes()}
    for name, value in sorted(own.items(), key=lambda pair: (pair[0].startswith("_"), pair[0])):
        public = name.lstrip("_")
        if isinstance(inspect.getattr_static(type(layer), public, None), property):
            name = public  # Keras prefers a property
        if isinstance(value, Layer) and id(value) in inner:
            found.append((name, value))
        else:
            found += [(f"{name}/{path}", part) for path, part in _contained(value, inner, set())]
    first = {id(part): path for path, part in reversed(found)}  # a file holds a layer once
    return [(path, part) for path, part in found if first[id(part)] == path]


def _contained(value: Any, inner: set[int], seen: set[int]) -> Iterator[tuple[str, Layer]]:
    """Yield the layers in nested lists, tuples or dicts, each with its group's path."""
    if type(value) not in _CONTAINERS or id(value) in seen:
        return
    seen.add(id(value))
    parts = [
        part
        for part in (value.values() if isinstance(value, dict) else value)
        if type(part) in _CONTAINERS or (isinstance(part, Layer) and id(part) in inner)
    ]
    for key, part in numbered(parts, class_name):
        if isinstance(part, Layer):
            yield key, part
        else:
            yield from ((f"{key}/{path}", one) for path, one in _contained(part, inner, seen))


#: Not their subclasses: iterating over a layer's cache, a subclass, may be an error.
_CONTAINERS = (list, tuple, dict)


def class_name(layer: Any) -> str:
    """Return Keras's name for the class of a layer or of a container."""
    return (layer.keras_name or type(layer).__name__) if isinstance(layer, Layer) else "Container"


def vocabularies(
    layer: Layer, written: Any = None, place: str = ""
) -> Iterator[tuple[str, IndexLookup]]:
    """Yield the layers that have a vocabulary, with the folder of each among a file's assets.

    Args:
        layer: The layer to search.
        written: The configuration from `legacy.model_config`, for a model from a file.
        place: The folder of ``layer``.
    """
    if isinstance(layer, (IndexLookup, TextVectorization)):
        yield place, layer.lookup
    parts: Any
    if lists_layers(layer):
        written = written if written and "written_as" in written else None
        layers, configs = _as_written(layer, written)
        nested = dict(zip(layers, configs, strict=True))
        parts = [(f"layers/{key}", part) for key, part in numbered(layers, class_name)]
    else:
        nested, parts = {}, attributes(layer)
    for key, part in parts:
        below = f"{place}/{key}" if place else key
        yield from vocabularies(part, nested.get(part), below)


def numbered(layers: Sequence[T], name_of: Callable[[T], str]) -> Iterator[tuple[str, T]]:
    """Yield layers with the names of their groups: the class in snake case and a number."""
    used: dict[str, int] = {}
    for layer in layers:
        base = snake_case(name_of(layer))
        number = used[base] = used.get(base, -1) + 1
        yield f"{base}_{number}" if number else base, layer


def _names(layer: Layer, written: Any) -> tuple[str, ...]:
    """Return the possible names, without number, of the group of a layer of this class."""
    if layer.is_model and written and "written_as" in written:
        return (snake_case(written["written_as"]),)
    if layer.is_model and class_name(layer) == "Functional":
        return ("functional", "model")
    name = written["was"] if written and "was" in written else class_name(layer)
    # Keras 3's spelling differs from Keras 2's if digits follow a capital.
    newer = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    newer = re.sub(r"([a-z])([A-Z])", r"\1_\2", newer).lower()
    return tuple(dict.fromkeys([snake_case(name), newer]))


def _numbered(
    layers: Sequence[Layer], names: Sequence[tuple[str, ...]], tree: Tree
) -> dict[Layer, Tree]:
    """Return the group of each layer; the groups of a class have numbers in the order of layers.

    Keras 2.13 left out numbers, and some versions leave out layers without weights. If there are
    as many groups with arrays as layers with weights, they are paired in order.
    """
    groups = _container(tree)
    found: dict[Layer, Tree] = {}
    for kind in dict.fromkeys(names):
        members = [layer for layer, own in zip(layers, names, strict=True) if own == kind]
        pattern = re.compile(rf"(?:{'|'.join(map(re.escape, kind))})(?:_(\d{{1,9}}))?")
        stored = [(match, name) for name in groups if (match := pattern.fullmatch(name))]
        stored.sort(key=lambda pair: int(pair[0][1] or 0))
        filled = [groups[name] for _, name in stored if groups[name].holds_arrays()]
        holding = [layer for layer in members if in_files(layer)]
        if len(filled) == len(holding):
            found.update(zip(holding, filled, strict=True))
            continue
        for number, layer in enumerate(members):
            for name in kind:
                own = f"{name}_{number}" if number else name
                if own in groups:
                    found[layer] = groups[own]
    return found


def holds_weights(node: Node) -> bool:
    """Return whether a file has weights of layers, in any layout."""
    return is_legacy(node) or bool(_container(Tree(node).filled()))


def _container(tree: Tree) -> dict[str, Tree]:
    """Return the groups of a model's layers."""
    for name in _LAYERS:
        if name in tree.children and tree.children[name].holds_arrays():
            return tree.children[name].children
    return {}


# ---- names in attributes, before ----------------------------------------------------------


def is_legacy(node: Node) -> bool:
    """Return whether attributes of the file list layers and weights."""
    return bool(node.text_list("layer_names")) or "model_weights" in node.groups()


def legacy_root(node: Node) -> Node:
    """Return the group that lists the layers, in a file of weights or of a whole model."""
    whole = not node.text_list("layer_names") and "model_weights" in node.groups()
    return node.group("model_weights") if whole else node


def by_order(model: AbstractModel, node: Node, written: Any = None) -> list[Assignment]:
    """Return the assignments that pair the layers with weights in order, for any names.

    Args:
        model: The model.
        node: The group that lists the layers.
        written: The model's configuration from `legacy.model_config`, if the file has it. It gives
            the order of layers; if it has the same names as the file, layers pair by name.
    """
    if written is not None and "written_as" not in written:
        written = None
    stored = [one for one in _stored(node) if one[2]]
    pairs = zip(*_as_written(model, written), strict=True)
    configs = {layer: config for layer, config in pairs if layer.all_variables()}
    layers = [*configs]
    if written is not None:
        named = {layer.name: layer for layer in layers}
        if named.keys() == {name for name, *_ in stored}:
            layers = [named[name] for name, *_ in stored]
    if len(stored) != len(layers):
        ours = [
            _shown(layer.name, (one.shape for one in layer.all_variables())) for layer in layers
        ]
        theirs = [_shown(name, map(group.shape, keys)) for name, group, keys in stored]
        raise ValueError(
            f"the model has {len(layers)} layers with weights, the file {len(stored)}"
            + _table([*zip_longest(ours, theirs, fillvalue="-")])
        )
    return [
        Assignment(layer.name, group, keys, in_legacy_order(layer, configs[layer]))
        for layer, (_, group, keys) in zip(layers, stored, strict=True)
    ]


def by_name(model: AbstractModel, node: Node) -> list[Assignment]:
    """Return the assignments for the layers whose names the file has too."""
    named = {layer.name: layer for layer in model.layers}
    found = [
        Assignment(name, group, keys, in_legacy_order(named[name]))
        for name, group, keys in _stored(node)
        if name in named
    ]
    if not any(one.variables for one in found):
        raise ValueError(
            "the file and the model have no layer with weights of the same name. The model "
            f"has {', '.join(named)}; the file {', '.join(name for name, *_ in _stored(node))}"
        )
    return found


def _stored(node: Node) -> list[tuple[str, Node, list[str]]]:
    names = node.text_list("layer_names")
    groups = [(name, node.group(name)) for name in names]
    return [(name, group, group.text_list("weight_names")) for name, group in groups]


def in_legacy_order(layer: Layer, written: Any = None) -> list[Variable]:
    """Return the weights of a layer or nested model, trainable ones first."""
    known = {id(variable) for variable in layer.learning_variables()}
    variables = layer.all_variables()
    if lists_layers(layer) and written is not None:
        parts = zip(*_as_written(layer, written), strict=True)
        inner = [variable for pair in parts for variable in in_legacy_order(*pair)]
        variables = [*(one for one in variables if one not in inner), *inner]
    return sorted(variables, key=lambda variable: id(variable) not in known)
