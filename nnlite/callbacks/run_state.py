"""The complete state of a run, in one file that is written atomically."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from nnlite import random
from nnlite.distribution.processes import current
from nnlite.execution.abstract_model import AbstractModel, Run
from nnlite.execution.common_state import generators_of, numbers_of, spread_generators
from nnlite.metrics.metric import Metric, StateVariable, variables_in
from nnlite.utils.atomic_write import atomic_write, explaining
from nnlite.utils.plain_data import NotPlainError, decoded, encoded
from nnlite.utils.typing import Array

#: The version of the format of backups.
_FORMAT = 2


def write_backup(path: str, run: Run, epoch: int, step: int) -> None:
    """Write the state of a run."""
    import zipfile

    plain = _state(run, epoch, step)
    if current().rank:  # process 0 writes for all
        return
    arrays: list[Array] = []
    state = json.dumps(encoded(plain, arrays))
    members = {"state": np.array(state), "digest": np.array(_digest(state, arrays))}
    members |= {str(i): array for i, array in enumerate(arrays)}
    # Like np.savez, which before NumPy 2.2 leaves the archive open after a failed write.
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)


def _digest(state: str, arrays: list[Array]) -> str:
    """Return a checksum of all bytes of a backup, some of which a zip file does not check."""
    digest = hashlib.sha256(state.encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_backup(path: str) -> dict[str, Any]:
    """Return the state that `write_backup` wrote."""
    with explaining(path):
        file = open(path, "rb")  # noqa: SIM115  closed below
    with file:
        try:
            with np.load(file, allow_pickle=False) as members:
                arrays = [members[str(i)] for i in range(len(members.files) - 2)]
                text = members["state"].item()
                intact = members["digest"].item() == _digest(text, arrays)
                state: dict[str, Any] = decoded(json.loads(text), arrays)
        except OSError as error:
            if error.errno is not None:  # a problem of the disk, not of the file
                raise
            raise _damaged(path, error) from error
        except Exception as error:  # zipfile, zlib and NumPy raise many types
            raise _damaged(path, error) from error
    if not intact:
        raise _damaged(path, "its content is not what was written")
    if state.get("format") != _FORMAT:
        raise ValueError(
            f"{path} is a backup of format {state.get('format', 1)}, this version of nnlite has "
            f"format {_FORMAT}. Finish the run with the version that wrote it, or delete the file "
            "to start again."
        )
    return state


def _damaged(path: str, error: Exception | str) -> ValueError:
    return ValueError(
        f"{path} is damaged or not a backup: {error}. Delete it to start the run again"
    )


def _state(run: Run, epoch: int, step: int) -> dict[str, Any]:
    model, optimizer = run.model, run.model.optimizer
    variables = model.all_variables()
    generators = current().gather(generators_of(model), "back up the draws")
    return {
        "format": _FORMAT,
        "epoch": epoch,
        "step": step,
        "stop_training": model.stop_training,
        "data": run.batches.state(),
        "mean": _plain(run.mean),
        "kinds": _kinds(run),
        "shapes": model.compiled_metrics.shapes,
        "metrics": [_plain(metric) for metric in _metrics(model)],
        "trainable": [layer.trainable for layer in model.all_layers()],
        "weights": [variable.value for variable in variables],
        "optimizer": {
            "numbers": {name: getattr(optimizer, name) for name in numbers_of(optimizer)},
            "state": optimizer.state,
            "resting": [
                (variables.index(variable), slots)
                for variable, slots in optimizer._resting.items()
                if any(variable is own for own in variables)
            ],
        },
        "callbacks": [{} if one.comes_last else _plain(one) for one in run.callbacks],
        "layers": generators[0],
        "others": generators[1:],  # those of the other processes
        "random": random.states(),
    }


def _metrics(model: AbstractModel) -> list[Metric]:
    """Return the metrics of `compile` and of the model's attributes."""
    return [*model.compiled_metrics.all, *model._tracked.values()]


def _kinds(run: Run) -> dict[str, Any]:
    """Return the properties that a run and its backup must share."""
    model, optimizer, batches = run.model, run.model.optimizer, run.batches
    return {
        "weights": [variable.shape for variable in model.all_variables()],
        "layers": [type(layer).__name__ for layer in model.all_layers()],
        "an optimizer": [optimizer.name, *numbers_of(optimizer), *optimizer.state],
        "metrics": [
            *(str(getattr(one, "name", one)) for one, _ in model.compiled_metrics.asked),
            *model._tracked,
        ],
        "callbacks": [type(one).__name__ for one in run.callbacks],
        "data": {
            "steps_per_epoch": batches.steps,
            "batches": batches.batches.count,
            "batch_size": getattr(batches.batches, "batch_size", None),
        },
    }


def _plain(thing: Any) -> dict[str, Any]:
    """Return the attributes of an object that are data."""
    found = {}
    for name, value in vars(thing).items():
        if name in ("params", "model"):
            continue
        if isinstance(value, Metric):  # metrics may contain metrics
            found[name] = _plain(value)
            continue
        if not isinstance(value, StateVariable) and (variables := variables_in(value)):
            value = variables
        try:
            encoded(value, [])
        except NotPlainError:
            continue
        found[name] = value
    return found


def _take(thing: Any, values: dict[str, Any]) -> None:
    """Give an object the attributes that `_plain` found in another."""
    for name, value in values.items():
        own = vars(thing).get(name)
        if isinstance(own, Metric):
            _take(own, value)
        elif isinstance(own, StateVariable):  # it may be created by the first batch
            setattr(thing, name, value.view(StateVariable))
        elif variables := variables_in(own):
            for variable, part in zip(variables, value, strict=True):
                variable.assign(part)
        else:
            setattr(thing, name, value)


def _check_attributes(path: str, thing: Any, values: dict[str, Any]) -> None:
    """Raise a ValueError if an nnlite object lacks an attribute of the backup."""
    own = vars(thing)
    for name, value in values.items():
        if name not in own and type(thing).__module__.startswith("nnlite."):
            raise ValueError(
                f"{path} has {name}={value!r:.100} of {type(thing).__name__}, which has no such "
                "attribute: it is of another version of nnlite. Finish the run with that one, or "
                "delete the file to start again."
            )
        if isinstance(own.get(name), Metric):
            _check_attributes(path, own[name], value)


def restore(run: Run, state: dict[str, Any], path: str) -> None:
    """Restore the state of a run."""
    model, optimizer = run.model, run.model.optimizer
    variables, layers = model.all_variables(), model.all_layers()
    own = _kinds(run)
    for what, stored in state["kinds"].items():
        if own[what] != stored:
            raise ValueError(
                f"{path} is the backup of another run: it has {what} {stored}, this one "
                f"{own[what]}. Delete it, or give another backup_dir."
            )
    for thing, values in (
        (run.mean, state["mean"]),
        *zip(run.callbacks, state["callbacks"], strict=True),
    ):
        _check_attributes(path, thing, values)
    # First, since a generator may draw from NumPy's global state.
    run.batches.restore(state["data"], bool(state["step"]))
    for layer, trainable in zip(layers, state["trainable"], strict=True):
        layer.trainable = trainable  # the whole comes before its parts
    every = [state["layers"], *state.get("others", [])]
    if len(every) == current().size:  # as many processes as wrote it: each goes on with its draws
        for own, theirs in zip(generators_of(model), every[current().rank], strict=True):
            for name, generator in theirs.items():
                own[name].bit_generator.state = generator.bit_generator.state
    else:
        spread_generators(model, every[0])
    for variable, value in zip(variables, state["weights"], strict=True):
        variable.value[...] = value
    kept = state["optimizer"]
    optimizer._resting = {variables[i]: slots for i, slots in kept["resting"]}
    model._step.lay_out()
    for slot, value in kept["state"].items():
        optimizer.state[slot][...] = value
    vars(optimizer).update(kept["numbers"])
    _take(run.mean, state["mean"])
    model.compiled_metrics.settle(state["shapes"])
    for metric, values in zip(_metrics(model), state["metrics"], strict=True):
        _check_attributes(path, metric, values)
        _take(metric, values)
    for one, values in zip(run.callbacks, state["callbacks"], strict=True):
        _take(one, values)
    random.set_states(state["random"])
    run.epoch, run.step = state["epoch"], state["step"]
    if state["stop_training"]:  # killed between the last epoch and the end
        run.epoch = run.end
