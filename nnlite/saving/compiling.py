"""The settings of `compile` as data, and an optimizer's state from and to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnlite import optimizers
from nnlite.saving.legacy import plain
from nnlite.saving.legacy_training import compile_arguments
from nnlite.saving.notes import Notes
from nnlite.serialization import serialize_keras_object
from nnlite.variables import Variable, WeightVector

if TYPE_CHECKING:
    from nnlite.trainer import Trainer

__all__ = ["built_optimizer", "compile_config", "compile_from", "restore_state"]

Array = NDArray[Any]


def compile_config(model: Trainer) -> dict[str, Any]:
    """Return what `compile` was given as data, in Keras's form; {} if there is nothing to say.

    A model that was fitted without `compile` tells of the optimizer and loss that it was given.
    """
    if model.optimizer is None:
        return {}
    given = model.compile_arguments or {"metrics": None, "weighted_metrics": None}
    loss = given.get("loss") if given.get("loss") is not None else model.loss
    config = {"optimizer": model.optimizer, "loss": loss, "loss_weights": None, **given}
    config.update(optimizer=model.optimizer, loss=loss)
    return {key: serialize_keras_object(value) for key, value in config.items()}


def compile_from(
    model: Trainer, config: Mapping[str, Any], notes: Notes, optimizer: Any = None
) -> bool:
    """Compile a model as a file says, as far as nnlite can.

    Args:
        model: The model.
        config: A ``compile_config`` or ``training_config``.
        notes: Where to say what is left out.
        optimizer: What to take where the file names none; None is Keras's default.

    Returns:
        Whether there was anything to compile.
    """
    arguments = compile_arguments(plain(config), notes)
    if arguments is None:
        return False
    if arguments["optimizer"] is None:
        arguments["optimizer"] = optimizer or "rmsprop"
    model.compile(**arguments)
    return True


def built_optimizer(model: Trainer) -> optimizers.Optimizer:
    """Return a built model's optimizer, with its state beside the weights that learn."""
    assert model.optimizer is not None  # for the callers to see to
    learning = model.learning_variables()
    if model._vector is None or not model._vector.holds(learning):
        model._vector = WeightVector(learning, np.dtype(model.dtype), model)
    model.optimizer.take_up(model._vector)
    return model.optimizer


def restore_state(
    model: Trainer,
    stored: Sequence[tuple[str, Array]],
    notes: Notes,
    names: Mapping[Variable, str] | None = None,
) -> None:
    """Give a compiled model's optimizer the state that a file has, if it fits.

    Args:
        model: The model.
        stored: Names and arrays, in the file's order.
        notes: Where to say that it does not fit.
        names: What the file calls the weights, if it has names.
    """
    optimizer = built_optimizer(model)
    learning = [(names or {}).get(variable, "") for variable in model.learning_variables()]
    for by_slot, arrays in _arrangements(stored, optimizer, learning):
        try:
            optimizer.load_state_arrays(arrays, by_slot)
        except (TypeError, ValueError):
            continue
        return
    notes.skip(f"the state of the optimizer, {len(stored)} arrays that do not fit {optimizer!r}")


def _arrangements(
    stored: Sequence[tuple[str, Array]], optimizer: optimizers.Optimizer, weights: Sequence[str]
) -> Iterator[tuple[bool, list[Array]]]:
    """Yield the orders in which the versions of Keras may have meant the arrays.

    True with those in which each slot stands for all weights before the next, as until 2.10.
    """
    names = [name.rsplit("/", 1)[-1].partition(":")[0] for name, _ in stored]
    arrays = [array for _, array in stored]
    arrays[:1] = map(_integral, arrays[:1])
    fresh = dict(optimizer.state_arrays())
    rate = [fresh["learning_rate"]] if "learning_rate" in fresh else []
    bare = [
        array
        for name, array in zip(names, arrays, strict=True)
        if array.ndim or name not in _SETTINGS
    ]
    if not names or names[0] == "iteration" or names[0].isdigit():  # Keras 2.11 and later
        yield False, arrays
        # Until 2.15 the rate was not among them, but momenta where the momentum was 0 were.
        yield False, [*bare[:1], *rate, *bare[1:]][: len(fresh)]
        if all(array.ndim == 0 for array in arrays):  # saved before the first step
            yield False, [*arrays, *list(fresh.values())[len(arrays) :]]
        return
    if not bare or bare[0].ndim:
        bare.insert(0, np.array(0))  # some optimizers of Keras 2.0 to 2.2 did not count
    # Some had more than their settings need, such as momenta where the momentum is 0.
    bare = bare[: len(fresh) - len(rate)]
    yield True, bare
    # Keras 2.0 had the weights in each slot in the order of their names.
    first, count = 1 + len(optimizer.scalars), len(weights)
    rank = {place: at for at, place in enumerate(sorted(range(count), key=weights.__getitem__))}
    slots = range(first, len(bare), max(1, count))
    order = [start + rank[place] for start in slots for place in range(count)]
    if max(order, default=0) < len(bare):
        yield True, bare[:first] + [bare[place] for place in order]


#: Settings that some versions kept among the variables.
_SETTINGS = frozenset(
    {
        "beta_1",
        "beta_2",
        "current_learning_rate",
        "_current_learning_rate",
        "decay",
        "epsilon",
        "learning_rate",
        "local_step",
        "lr",
        "rho",
    }
)


def _integral(count: Array) -> Array:
    """Return a count as an integer: Keras 2.0 counted in float32."""
    whole = count.ndim == 0 and count.dtype.kind == "f" and 0 <= float(count) < 2**53
    return count.astype(np.int64) if whole else count
