"""The curves of every activation, loss and schedule, as nnlite computes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite import layers, losses
from nnlite.layers.activations import registry
from nnlite.optimizers import schedules

Array = NDArray[Any]
#: What is drawn of one thing: the x axis, its label, and a named line each.
Curves = tuple[Array, str, dict[str, Array]]


def classes(package: Any, base: type) -> dict[str, type]:
    """Return the public classes of a kind by their own names, the base class left out."""
    found = (x for x in vars(package).values() if inspect.isclass(x) and issubclass(x, base))
    return {cls.__name__: cls for cls in sorted(set(found) - {base}, key=lambda cls: cls.__name__)}


MAKERS = [*map(registry.lookup, sorted(registry)), layers.PReLU]  # PReLU, which has weights
ACTIVATIONS = {cls.__name__: cls for cls in MAKERS if inspect.isclass(cls)}
LOSSES = classes(losses, losses.Loss)
SCHEDULES = classes(schedules, schedules.LearningRateSchedule)


#: The arguments of what is not made without; a schedule's are for a run of 1,000 steps.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "CosineDecay": (0.1, 800),
    "CosineDecayRestarts": (0.1, 200),
    "ExponentialDecay": (0.1, 300, 0.5),
    "InverseTimeDecay": (0.1, 200, 1.0),
    "PiecewiseConstantDecay": ([300, 600], [0.1, 0.05, 0.01]),
    "PolynomialDecay": (0.1, 800, 0.01),
    "Threshold": (1.0, 0.0),
}


def of_activation(cls: type) -> Curves:
    """Return the first output and its derivative by an input, the other input being fixed."""
    layer = cls(*ARGUMENTS.get(cls.__name__, ()), dtype="float64")
    x = np.linspace(-4, 4, 800)  # without 0, where several have no derivative
    gated = layer.compute_output_shape((None, 2)) != (None, 2)
    batch = np.stack([np.ones_like(x), x] if gated else [x, np.zeros_like(x)], axis=1)
    layer.ensure_built((None, 2))
    layer.set_weights([np.full_like(weight, 0.25) for weight in layer.get_weights()])
    y = layer(batch, training=True)
    slope = layer.backward(np.eye(1, y.shape[1]).repeat(len(x), axis=0))
    label = "the gate x of an input of 1" if gated else "x"
    return x, label, {"value": y[:, 0], "derivative": slope[:, int(gated)]}


def _each(loss: Any, y_true: Any, predictions: Array) -> Array:
    """Return the loss of each prediction, as the only sample of a batch."""
    return np.array([loss(np.array([y_true]), np.array([p])) for p in predictions])


def _plain(loss: Any, p: Array, *targets: float) -> dict[str, Array]:
    return {f"y = {y:g}": _each(loss, [y], p[:, None]) for y in targets}


def _classes(loss: Any, p: Array, *targets: Any) -> dict[str, Array]:
    return {f"y = {y}": _each(loss, y, np.stack([p, 1 - p], axis=1)) for y in targets}


def _angles(angle: Array) -> Array:
    return np.stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))], axis=1)


def _pairs(loss: Any, angle: Array) -> dict[str, Array]:
    """Two embeddings of one label, 90 degrees apart, and a third one of another label."""
    first, second = [1.0, 0.0], [0.0, 1.0]
    values = [loss(np.array([0, 0, 1]), np.array([first, second, p])) for p in _angles(angle)]
    return {"y = [0, 0, 1]": np.array(values)}


REAL, UNIT = np.linspace(-2, 4, 601), np.linspace(0.005, 0.995, 199)
POSITIVE, TURN = np.linspace(0.02, 4, 200), np.linspace(-180, 180, 361)

#: How the losses are drawn that are not drawn as a distance from y = 1.
HOW: dict[str, tuple[Array, str, Callable[[Any, Array], dict[str, Array]]]] = {
    **dict.fromkeys(
        ("BinaryCrossEntropy", "BinaryFocalCrossEntropy"),
        (UNIT, "prediction p", lambda loss, p: _plain(loss, p, 1.0, 0.0)),
    ),
    **dict.fromkeys(
        (
            "CategoricalCrossEntropy",
            "CategoricalFocalCrossEntropy",
            "Dice",
            "Tversky",
        ),
        (UNIT, "p of the prediction [p, 1 - p]", lambda loss, p: _classes(loss, p, [1, 0], [0, 1])),
    ),
    **dict.fromkeys(
        ("SparseCategoricalCrossEntropy", "CategoricalGeneralizedCrossEntropy"),
        (UNIT, "p of the prediction [p, 1 - p]", lambda loss, p: _classes(loss, p, 0, 1)),
    ),
    "KLDivergence": (
        UNIT,
        "p of the prediction [p, 1 - p]",
        lambda loss, p: _classes(loss, p, [0.3, 0.7], [1.0, 0.0]),
    ),
    "CategoricalHinge": (
        REAL,
        "p of the prediction [p, 1 - p]",
        lambda loss, p: _classes(loss, p, [1, 0], [0, 1]),
    ),
    **dict.fromkeys(
        ("Hinge", "SquaredHinge"),
        (REAL, "prediction", lambda loss, p: _plain(loss, p, 1.0, -1.0)),
    ),
    **dict.fromkeys(
        ("Poisson", "MeanSquaredLogarithmicError"),
        (POSITIVE, "prediction", lambda loss, p: _plain(loss, p, 1.0, 2.0)),
    ),
    "CosineSimilarity": (
        TURN,
        "angle between target and prediction, in degrees",
        lambda loss, a: {"y = [1, 0]": _each(loss, [1.0, 0.0], _angles(a))},
    ),
    "Circle": (TURN, "angle of the third embedding, in degrees", _pairs),
}


def of_loss(cls: type) -> Curves:
    """Return a loss of one sample over its prediction, for a target or two."""
    x, label, how = HOW.get(
        cls.__name__, (REAL, "prediction", lambda loss, p: _plain(loss, p, 1.0))
    )
    return x, label, how(cls(), x)


def of_schedule(cls: type) -> Curves:
    """Return the learning rate over the steps of a run."""
    if cls.__name__ not in ARGUMENTS:
        raise KeyError(f"give arguments for {cls.__name__} in ARGUMENTS of docs/_ext/curves.py")
    arguments = ARGUMENTS[cls.__name__]
    schedule, steps = cls(*arguments), np.arange(1001)
    told = ", ".join(map(repr, arguments))
    return steps, "step", {f"{cls.__name__}({told})": np.array([schedule(step) for step in steps])}


#: By the public name: the title of its kind, and how its curves are computed.
DRAWN: dict[str, tuple[str, Callable[[], Curves]]] = {
    f"{package}.{name}": (title, lambda of=of, cls=cls: of(cls))
    for title, package, found, of in (
        ("Activations", "nnlite.layers", ACTIVATIONS, of_activation),
        ("Losses", "nnlite.losses", LOSSES, of_loss),
        ("Learning rate schedules", "nnlite.optimizers.schedules", SCHEDULES, of_schedule),
    )
    for name, cls in found.items()
}
