"""Everything that the next step of a run depends on, in one file: written whole, or not at all."""

from __future__ import annotations

import json
import random as python_random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import random
from nnlite.saving.atomic import atomic_write
from nnlite.saving.plain import NotPlainError, decoded, encoded

__all__ = ["read_backup", "restore", "write_backup"]

Array = NDArray[Any]


def write_backup(path: str, run: Any, epoch: int, step: int) -> None:
    """Write where a run stands.

    Args:
        path: The file.
        run: The run.
        epoch: The epoch that is to go on or to begin.
        step: How many of its batches are done.

    Raises:
        OSError: If the file cannot be written; an old one of the name is still there then.
    """
    arrays: list[Array] = []
    state = json.dumps(encoded(_state(run, epoch, step), arrays))
    with atomic_write(path) as file:
        np.savez(file, state=np.array(state), **{str(i): a for i, a in enumerate(arrays)})  # type: ignore[arg-type]


def read_backup(path: str) -> dict[str, Any]:
    """Return what `write_backup` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as members:
                arrays = [members[str(i)] for i in range(len(members.files) - 1)]
                state: dict[str, Any] = decoded(json.loads(members["state"].item()), arrays)
        except Exception as error:  # zipfile, zlib and NumPy have many ways to say it
            raise ValueError(f"{path} is damaged, or no backup: {error}") from error
    return state


def _state(run: Any, epoch: int, step: int) -> dict[str, Any]:
    model, optimizer = run.model, run.model.optimizer
    variables = model.all_variables()
    return {
        "epoch": epoch,
        "step": step,
        "stop_training": model.stop_training,
        "data": run.batches.state(),
        "mean": _plain(run.mean),
        "metrics": {
            "shapes": model.compiled_metrics.shapes,
            "states": [_plain(metric) for metric in model.compiled_metrics.all],
        },
        "trainable": [layer.trainable for layer in model.all_layers()],
        "weights": [variable.value for variable in variables],
        "optimizer": {
            "name": optimizer.name,
            "numbers": {name: getattr(optimizer, name) for name in _numbers(optimizer)},
            "state": optimizer.state,
            "resting": [
                (variables.index(variable), slots)
                for variable, slots in optimizer._resting.items()
                if any(variable is own for own in variables)
            ],
        },
        "callbacks": [
            (type(one).__name__, {} if one.comes_last else _plain(one))
            for one in run.hooks.callbacks
        ],
        "layers": [
            {name: g for name, g in vars(layer).items() if isinstance(g, np.random.Generator)}
            for layer in model.all_layers()
        ],
        "random": {
            "root": random.root(),
            "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  users draw from it
            "python": python_random.getstate(),
        },
    }


def _numbers(optimizer: Any) -> list[str]:
    """Return the attributes of an optimizer that are numbers kept from step to step."""
    own_rate = ["_learning_rate"] * isinstance(optimizer._learning_rate, float)
    return ["_batches", *own_rate, *optimizer.scalars]


def _plain(thing: Any) -> dict[str, Any]:
    """Return the attributes of an object that are data."""
    found = {}
    for name, value in vars(thing).items():
        if name in ("params", "model"):
            continue
        try:
            encoded(value, [])
        except NotPlainError:
            continue
        found[name] = value
    return found


def restore(run: Any, state: dict[str, Any], path: str) -> None:
    """Put a run where the one stood whose state was written.

    Raises:
        ValueError: If it is that of another model, optimizer or list of callbacks. Nothing has
            changed then.
    """
    model, optimizer = run.model, run.model.optimizer
    variables, layers = model.all_variables(), model.all_layers()
    kinds = [kind for kind, _ in state["callbacks"]]
    for what, own, stored in [
        ("weights", [v.shape for v in variables], [w.shape for w in state["weights"]]),
        ("layers", len(layers), len(state["trainable"])),
        ("an optimizer", optimizer.name, state["optimizer"]["name"]),
        ("callbacks", [type(one).__name__ for one in run.hooks.callbacks], kinds),
    ]:
        if own != stored:
            raise ValueError(
                f"{path} is the backup of another run: it has {what} {stored}, this one {own}. "
                "Delete it, or give another backup_dir."
            )
    for layer, trainable, generators in zip(
        layers, state["trainable"], state["layers"], strict=True
    ):
        if not layer.sublayers():
            layer.trainable = trainable
        for name, generator in generators.items():
            getattr(layer, name).bit_generator.state = generator.bit_generator.state
    for variable, value in zip(variables, state["weights"], strict=True):
        variable.value[...] = value
    kept = state["optimizer"]
    optimizer._resting = {variables[i]: slots for i, slots in kept["resting"]}
    model.lay_out()
    for slot, value in kept["state"].items():
        optimizer.state[slot][...] = value
    vars(optimizer).update(kept["numbers"])
    vars(run.mean).update(state["mean"])
    model.compiled_metrics.settle(state["metrics"]["shapes"])
    for metric, values in zip(model.compiled_metrics.all, state["metrics"]["states"], strict=True):
        vars(metric).update(values)
    for one, (_, values) in zip(run.hooks.callbacks, state["callbacks"], strict=True):
        vars(one).update(values)
    random.root().bit_generator.state = state["random"]["root"].bit_generator.state
    np.random.set_state(state["random"]["numpy"])  # noqa: NPY002
    python_random.setstate(state["random"]["python"])
    run.epoch, run.step = state["epoch"], state["step"]
    if state["stop_training"]:  # it was killed between its last epoch and its end
        run.epoch = run.end
    run.batches.restore(state["data"], bool(run.step))
