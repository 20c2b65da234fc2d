"""The settings of `compile` as data, and an optimizer's state in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnlite import optimizers
from nnlite.backend.variables import Variable, WeightVector
from nnlite.execution.abstract_model import AbstractModel
from nnlite.saving.legacy.configs import plain
from nnlite.saving.legacy.training import compile_arguments
from nnlite.saving.load_report import LoadReport
from nnlite.serialization.objects import serialize_keras_object
from nnlite.utils.overrides import overridden
from nnlite.utils.typing import Array


def compile_config(model: AbstractModel) -> dict[str, Any]:
    """Return the arguments of `compile` as data in Keras's form; {} if there is no optimizer.

    A model that was fitted without `compile` gives its optimizer and loss. A model from a file
    whose loss or optimizer is unknown gives the settings of the file.
    """
    if model.optimizer is None:
        return dict(model.unread)
    given = model.compile_arguments or {"metrics": None, "weighted_metrics": None}
    loss = given.get("loss") if given.get("loss") is not None else model.loss
    config = {"optimizer": model.optimizer, "loss": loss, "loss_weights": None, **given}
    config.update(optimizer=model.optimizer, loss=loss)
    return {key: serialize_keras_object(value) for key, value in config.items()} | model.unread


def compile_from(
    model: AbstractModel, config: Mapping[str, Any], notes: LoadReport, kept: Any = None
) -> bool:
    """Compile a model with a file's settings, unless its class overrides `compile`.

    Args:
        model: The model.
        config: A ``compile_config`` or ``training_config``.
        notes: Collects what is left out.
        kept: The name of the optimizer whose variables the file has, used if ``config`` has none.

    Returns:
        Whether there was anything to compile.
    """
    several = len(model.output_names) > 1
    arguments = compile_arguments(plain(config), notes, several)
    if arguments is None:
        return False
    own = overridden(type(model), "compile")
    if own:
        notes.skip(
            f"the compile settings: {type(model).__name__} overrides compile. Call it, or "
            "define get_compile_config() and compile_from_config(config)"
        )
        notes.unread |= {"loss": None, "optimizer": None, **config}
    else:
        if "optimizer" not in config and kept in optimizers.registry:
            arguments["optimizer"] = optimizers.get(kept)
            notes.skip(
                f"settings of the optimizer (its variables are those of {arguments['optimizer']!r})"
            )
        if arguments["optimizer"] is None:
            arguments["optimizer"] = "rmsprop"  # Keras's default
        try:
            model.compile(**arguments)
        except (TypeError, ValueError) as error:
            if not several:
                raise
            notes.skip(f"the compile settings ({error})")
            notes.unread |= {"loss": None, "optimizer": None, **config}
            own = True
    model.unread = dict(notes.unread)
    return not own


def compile_as_told(
    model: AbstractModel, config: dict[str, Any], notes: LoadReport, kept: Any = None
) -> bool:
    """Compile a model by its own `compile_from_config` if it has one, else by `compile_from`."""
    if not overridden(type(model), "compile_from_config"):
        return compile_from(model, config, notes, kept)
    model.compile_from_config(config)
    return model.compiled


def built_optimizer(model: AbstractModel) -> optimizers.Optimizer:
    """Return a built model's optimizer, with its state for the trainable weights."""
    assert model.optimizer is not None  # the callers check it
    learning = model.learning_variables()
    step = model._step
    if step.vector is None or not step.vector.holds(learning):
        step.vector = WeightVector(learning, np.dtype(model.dtype), model)
    model.optimizer.take_up(step.vector)
    return model.optimizer


def restore_state(
    model: AbstractModel,
    stored: Sequence[tuple[str, Array]],
    notes: LoadReport,
    names: Mapping[Variable, str] | None = None,
) -> None:
    """Load a file's optimizer state into a compiled model, if it fits."""
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
    """Yield the possible orders of the arrays, which differ among versions of Keras.

    Each comes with whether a slot holds all weights before the next begins, as until 2.10.
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
        # Until 2.15 the rate was missing, but momenta were there even for momentum 0.
        orders = [arrays, [*bare[:1], *rate, *bare[1:]][: len(fresh)]]
        for given in orders:
            yield False, given
        if isinstance(optimizer, optimizers.Nadam):  # most versions left out its product
            for given in orders:
                yield False, [*given, _nadam_product(optimizer, given)]
        if all(array.ndim == 0 for array in arrays):  # saved before the first step
            yield False, [*arrays, *list(fresh.values())[len(arrays) :]]
        return
    if not bare or bare[0].ndim:
        bare.insert(0, np.array(0))  # some optimizers of Keras 2.0 to 2.2 did not count
    # Some optimizers had unused arrays, such as momenta for momentum 0.
    bare = bare[: len(fresh) - len(rate)]
    if isinstance(optimizer, optimizers.Nadam) and len(bare) == len(fresh) - len(rate) - 1:
        bare.insert(1, _nadam_product(optimizer, bare))
    yield True, bare
    # Keras 2.0 sorted the weights in each slot by name.
    first, count = 1 + len(optimizer.scalars), len(weights)
    rank = {place: at for at, place in enumerate(sorted(range(count), key=weights.__getitem__))}
    slots = range(first, len(bare), max(1, count))
    order = [start + rank[place] for start in slots for place in range(count)]
    if max(order, default=0) < len(bare):
        yield True, bare[:first] + [bare[place] for place in order]


#: Settings that some versions kept among the variables.
_SETTINGS = frozenset(
    {
        *("beta_1", "beta_2", "decay", "epsilon", "local_step", "rho"),
        *("current_learning_rate", "_current_learning_rate", "learning_rate", "lr"),
    }
)


def _nadam_product(optimizer: optimizers.Nadam, arrays: Sequence[Array]) -> Array:
    """Return the product of beta_1 (1 - 0.96^s / 2) over the steps s so far, which `Nadam` keeps.

    Past a thousand steps, 1 - 0.96^s / 2 is 1 in floating point.
    """
    count = arrays[0] if arrays else np.array(0)
    steps = int(count) if count.ndim == 0 and count.dtype.kind in "iu" else 0
    steps //= optimizer.gradient_accumulation_steps or 1
    near = np.arange(1, min(steps, 1_000) + 1)
    return np.array(optimizer.beta_1**steps * np.prod(1 - 0.96**near / 2))


def _integral(count: Array) -> Array:
    """Return a count as an integer: Keras 2.0 counted in float32."""
    whole = count.ndim == 0 and count.dtype.kind == "f" and 0 <= float(count) < 2**53
    return count.astype(np.int64) if whole else count
