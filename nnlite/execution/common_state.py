"""Common state of the models of all processes: weights, optimizer state, draws."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite import random
from nnlite.distribution.processes import Processes, current
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import Layer
from nnlite.optimizers import Optimizer
from nnlite.utils.typing import Array

__all__ = [
    "average_moving",
    "begin_together",
    "check_equal",
    "generators_of",
    "hear_first",
    "numbers_of",
    "spread_generators",
    "watch_changes",
]


def _arrays_of(model: AbstractModel) -> list[tuple[str, Array]]:
    """Return all weights and the optimizer's vectors, by their names in errors."""
    optimizer = model.optimizer
    weights = [(f"weight {one.path!r}", one.value) for one in model.all_variables()]
    state = {} if optimizer is None else optimizer.state
    return weights + [(f"the optimizer's {slot!r}", vector) for slot, vector in state.items()]


def _digests(model: AbstractModel) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(array).data) for _, array in _arrays_of(model)]


def _take_from_first(model: AbstractModel, group: Processes) -> None:
    for name, array in _arrays_of(model):
        whole = np.ascontiguousarray(array)
        group.copy_from_first(whole, f"take {name} from process 0")
        array[...] = whole


def numbers_of(optimizer: Optimizer) -> list[str]:
    """Return the attributes of an optimizer that are numbers and change with the steps."""
    own_rate = ["_learning_rate"] * isinstance(optimizer._learning_rate, float)
    return ["_batches", *own_rate, *optimizer.scalars]


def generators_of(model: Layer) -> list[dict[str, np.random.Generator]]:
    """Return the random generators of each layer, by attribute."""
    layers = model.all_layers()
    for layer in layers:
        getattr(layer, "generator", None)  # created by the first access
    return [
        {name: g for name, g in vars(layer).items() if isinstance(g, np.random.Generator)}
        for layer in layers
    ]


def spread_generators(
    model: AbstractModel, first: Sequence[dict[str, np.random.Generator]]
) -> None:
    """Seed process 0's layers with ``first``, and others with ``first`` and their number.

    Otherwise they would drop the same entries of each process's rows.
    """
    rank = current().rank
    layers = model.all_layers()
    for layer, own, theirs in zip(layers, generators_of(model), first, strict=True):
        for name, generator in theirs.items():
            bits = generator.bit_generator
            if rank and not layer.is_model:  # all shuffle alike
                bits = type(bits)([int(generator.integers(2**63)), rank])
            own[name].bit_generator.state = bits.state


def begin_together(model: AbstractModel, what: str, training: bool = False, **alike: Any) -> None:
    """Begin a run with process 0's weights and, in training, its optimizer state.

    Args:
        model: The model.
        what: The name of the method.
        training: Whether the method trains.
        **alike: What must be equal in all processes.

    Raises:
        ValueError: If a process has other arguments or another model.
    """
    group = current()
    if group.size == 1:
        return
    arrays = {name: f"{array.dtype} {array.shape}" for name, array in _arrays_of(model)}
    group.check_alike(what, {**alike, "names of arrays": list(arrays), **arrays})
    every = group.gather(_digests(model), f"compare the weights before {what}")
    if any(one != every[0] for one in every):
        _take_from_first(model, group)
    if training:
        own = (
            {name: getattr(model.optimizer, name) for name in numbers_of(model.optimizer)},
            random.states(),
            generators_of(model),
        )
        numbers, states, generators = group.broadcast(own, "take the draws from process 0")
        vars(model.optimizer).update(numbers)
        random.set_states(states)
        spread_generators(model, generators)


def average_moving(model: AbstractModel) -> None:
    """Average over all processes what each gathered from its rows, as moving averages."""
    group = current()
    moving = [v.value for v in model.all_variables() if not v._trainable and v.dtype.kind == "f"]
    if group.size == 1 or not moving:
        return
    whole = np.concatenate([value.ravel() for value in moving])
    digests = group.gather(zlib.crc32(whole.data), "compare the moving averages")
    if any(one != digests[0] for one in digests):
        group.sum(whole, "average the moving averages")
        whole /= group.size
        ends = np.cumsum([value.size for value in moving])
        for value, part in zip(moving, np.split(whole, ends[:-1]), strict=True):
            value[...] = part.reshape(value.shape)


def check_equal(model: AbstractModel) -> None:
    """Check that weights and optimizer state are equal in all processes.

    Raises:
        RuntimeError: If they are not, with the name of the first that differs.
    """
    group = current()
    if group.size == 1:
        return
    every = group.gather(_digests(model), "compare the weights after an epoch")
    for (name, _), *values in zip(_arrays_of(model), *every, strict=True):
        for rank, value in enumerate(values):
            if value != values[0]:
                raise RuntimeError(
                    f"{name[:1].upper()}{name[1:]} of process {rank} differs from process 0's. "
                    "Code that runs in one process only, or draws different numbers in each, has "
                    "changed it. Changes by callbacks are passed on to all processes."
                )


# ---- changes by callbacks ---------------------------------------------------------------------

_FLAGS = ("stop_training", "stop_evaluating", "stop_predicting")


def watch_changes(model: AbstractModel, weights: bool) -> Any:
    """Return process 0's state before its callbacks, for `hear_first`.

    Args:
        model: The model.
        weights: Whether they may change weights.
    """
    return _digests(model) if weights and current().rank == 0 else None


def hear_first(model: AbstractModel, before: Any, logs: dict[str, Any] | None) -> None:
    """Repeat in all processes the changes of process 0's callbacks to model and logs.

    Args:
        model: The model.
        before: The result of `watch_changes`.
        logs: The logs given to the callbacks, or None.
    """
    group, optimizer = current(), model.optimizer
    own = None
    if group.rank == 0:
        own = (
            {name: getattr(model, name) for name in _FLAGS},
            {} if optimizer is None else {n: getattr(optimizer, n) for n in numbers_of(optimizer)},
            [layer.trainable for layer in model.all_layers()],
            before is not None and before != _digests(model),
            logs,
        )
    flags, numbers, trainable, changed, told = group.broadcast(own, "hear process 0's callbacks")
    if group.rank:
        vars(model).update(flags)
        if optimizer is not None:
            vars(optimizer).update(numbers)
        for layer, learns in zip(model.all_layers(), trainable, strict=True):
            if layer.trainable != learns:  # the whole comes before its parts
                layer.trainable = learns
        if logs is not None:
            logs.clear()
            logs.update(told)
    if changed:
        _take_from_first(model, group)
