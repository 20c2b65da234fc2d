"""What to say of a step whose loss or gradient is not finite: where that arose, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlite.layers.layer import Layer
from nnlite.utils.validation import all_finite

__all__ = ["diagnosis"]

Array = NDArray[Any]

_LARGE = 1e4  # inputs beyond this are to blame before the weights are


def diagnosis(model: Any, value: float, x: Array, y: Array) -> str:
    """Return where in the chain the first number that is not finite arose, and a likely cause.

    Args:
        model: The model; no weight has been changed by the step.
        value: The loss.
        x: The step's inputs.
        y: Its targets.
    """
    what = f"the loss is {value}" if not np.isfinite(value) else "the gradient is not finite"
    with np.errstate(all="ignore"):
        return f"{what}. {_first(model, value, x, y)} The weights are those before this step."


def _first(model: Any, value: float, x: Array, y: Array) -> str:
    """Return a sentence on the first place, in the order of computing, and its cause."""
    if not all_finite(x):
        return f"An input is {_one(x)}."
    for layer in model.all_layers():
        for variable in layer._variables:
            if not all_finite(variable.value):
                return (
                    f"Weight {variable.name!r} of layer {layer.name!r} is not finite already: "
                    "it was set so, or an earlier run left it so."
                )
    output = x
    for layer in _chain(model):
        output = layer.forward(output)
        if not all_finite(output):
            return (
                f"The first such number, {_one(output)}, is in the output of layer "
                f"{layer.name!r}. {_cause(layer, x)}"
            )
    sizes = ", ".join(
        f"{name} reach {np.abs(array).max(initial=0):.3g}"
        for name, array in [("inputs", x), ("targets", y), ("outputs", output)]
    )
    if not np.isfinite(value):
        return (
            f"The outputs of all layers are finite; the loss of them is not ({sizes}). Scale what "
            "is large, or lower the learning rate."
        )
    return (
        f"The outputs of all layers are finite, and the loss is; the way back overflows ({sizes}). "
        "Scale what is large, or clip the gradients (clipnorm=1)."
    )


def _cause(layer: Layer, x: Array) -> str:
    largest = max((float(np.abs(v.value).max(initial=0)) for v in layer.all_variables()), default=0)
    inputs = float(np.abs(x).max(initial=0))
    if inputs > _LARGE:
        return f"The inputs reach {inputs:.3g}: scale them, for instance by a Normalization layer."
    return (
        f"Weights reach {largest:.3g}: they have grown out of bounds. Lower the learning rate, or "
        "clip the gradients (clipnorm=1)."
    )


def _chain(model: Any) -> list[Layer]:
    """Return the layers in the order of computing, those of nested models in their place."""
    chain: list[Layer] = []
    for layer in model.sublayers():
        chain += _chain(layer) if hasattr(layer, "fit") else [layer]
    return chain


def _one(array: Array) -> float:
    return float(array[~np.isfinite(array)].flat[0])
