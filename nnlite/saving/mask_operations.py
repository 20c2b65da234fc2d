"""Masks in the calls of a Keras 3 file, compared with the masks that layers pass on.

Keras 3 writes the masks of an `Embedding` or `Masking` as operations and passes their outputs to
the calls of later layers. nnlite's layers compute their masks themselves, so the file's masks are
dropped if they are the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnlite.layers.core import Embedding, Masking
from nnlite.layers.layer import Layer
from nnlite.symbolic import KerasTensor, Node
from nnlite.utils.structures import flatten, map_structure
from nnlite.utils.typing import Array

#: The operations of Keras's masks; the outcome of `NotEqual` is drawn at random.
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "All": np.all,
    "Any": np.any,
    "Concatenate": np.concatenate,
    "ConvertToTensor": np.asarray,
    "ExpandDims": np.expand_dims,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
    "NotEqual": np.not_equal,
    "OnesLike": functools.partial(np.ones_like, dtype=bool),
    "ZerosLike": functools.partial(np.zeros_like, dtype=bool),
}

#: The sample's sequences, its steps where the number is free, the most steps, the most entries.
_SEQUENCES, _STEPS, _MOST_STEPS, _MOST_ENTRIES = 8, 8, 512, 2**16


def mask_operations(layers: Iterable[tuple[str, Any, Any]], outputs: Any) -> set[str]:
    """Return the names of the operations that are used for masks alone."""
    reads: dict[str, list[str]] = {}
    found = set()
    for name, config, nodes in layers:
        inner, module = config.get("config"), config.get("module")
        known = config.get("class_name") in _OPERATIONS and isinstance(inner, Mapping)
        if known and "trainable" not in inner and ".ops." in (module or ".ops."):
            found.add(name)
        reads[name] = list(sources(nodes))
    stack = [leaf for leaf in flatten(outputs) if isinstance(leaf, str)]
    stack += [source for name in reads if name not in found for source in reads[name]]
    while stack:
        name = stack.pop()
        if name in found:
            found.remove(name)
            stack += reads[name]
    return found


def sources(value: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs calls read, except as ``mask=``."""
    if isinstance(value, Mapping):
        match value.get("keras_history"):
            case [str(name), *_]:
                yield name
        value = [part for key, part in value.items() if key != "mask"]
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from sources(part)


class Masks:
    """The masks of a functional model's tensors for a sample of sequences.

    The outcome of comparing an entry with a number is drawn at random for each sequence and step.
    Masks that are equal on the sample are thus the same function of the inputs.
    """

    def __init__(self) -> None:
        self._own: dict[int, Any] = {}
        self._drawn: dict[tuple[int, float], Array] = {}
        self._random = np.random.default_rng(0)

    def unequal(self, tensor: KerasTensor, value: float) -> Array:
        """Return where the entries of ``tensor`` are not ``value``."""
        key = id(tensor), float(value)
        if key not in self._drawn:
            sample = _sample(tensor)
            drawn = self._random.random(sample.shape[:2]) < 0.5
            self._drawn[key] = drawn.reshape(sample.shape)
        return self._drawn[key]

    def note(self, node: Node) -> None:
        """Note the masks of a call's outputs."""
        layer, x = node.layer, node.x
        rule = type(layer).compute_mask
        masks = map_structure(lambda leaf: self._own.get(id(leaf)), x)
        made: Any = None
        if rule is Embedding.compute_mask:
            made = self.unequal(x, 0) if layer.mask_zero else None
        elif rule is Masking.compute_mask:
            made = self.unequal(x, layer.mask_value).any(axis=-1)
        elif not layer.supports_masking or all(mask is None for mask in flatten(masks)):
            return
        elif rule is Layer.compute_mask:
            made = flatten(masks)[0]
        elif not layer.of_user:
            with contextlib.suppress(ValueError):  # the sample's steps may differ
                made = layer.compute_mask(map_structure(_sample, x), masks)
        each = made if isinstance(made, list) else [made] * len(node.outputs)
        self._own.update((id(t), mask) for t, mask in zip(node.outputs, each, strict=False))

    def are_own(self, arguments: Any, masks: Any) -> bool:
        """Return whether ``masks`` are the masks that ``arguments`` already have."""
        own = [self._own.get(id(leaf)) for leaf in flatten(arguments)]
        masks = flatten(masks)
        return len(own) == len(masks) and all(
            one is other if one is None else np.array_equal(one, other)
            for one, other in zip(own, masks, strict=True)
        )


def _sample(tensor: Any) -> Any:
    """Return a sample for a tensor: False in its shape, with one entry per step."""
    if not isinstance(tensor, KerasTensor):
        return tensor
    rest = tensor.shape[1:]
    steps = [min(size or _STEPS, _MOST_STEPS) for size in rest[:1]]
    return np.zeros((_SEQUENCES, *steps, *[1] * len(rest[1:])), bool)


class MaskOperation:
    """An operation in a file that computes a mask; ``entry`` is its configuration."""

    call_options: tuple[str, ...] = ()
    masks_one = False

    def __init__(self, name: str, entry: Mapping[str, Any], masks: Masks) -> None:
        self.name = name
        self._class = entry["class_name"]
        self._options = {k: v for k, v in entry["config"].items() if k in ("axis", "keepdims")}
        self._masks = masks

    def __call__(self, *arguments: Any) -> Any:
        """Return the operation's result on the sample."""
        try:
            if self._class == "NotEqual":
                return self._masks.unequal(*arguments)
            values = [map_structure(_sample, argument) for argument in arguments]
            if self._class.startswith("Logical"):
                entries = np.broadcast(*values).size
            else:
                entries = sum(np.size(value) for value in flatten(values))
            if entries > _MOST_ENTRIES:
                raise ValueError(f"its output has {entries} entries")  # noqa: TRY301
            return _OPERATIONS[self._class](*values, **self._options)
        except (AttributeError, TypeError, ValueError) as error:
            raise TypeError(f"the mask cannot be computed ({error})") from error
