"""Explains where and why the loss or gradient of a step is not finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.execution import ReferenceExecutor
from nnlite.execution.abstract_model import AbstractModel
from nnlite.layers.layer import Layer
from nnlite.utils.structures import flatten
from nnlite.utils.typing import Array
from nnlite.utils.validation import all_finite

__all__ = ["ALL_FINITE", "diagnosis"]


ALL_FINITE = "The outputs of all layers are finite"  # begins the sentences that do not name a layer
_LARGE = 1e4  # inputs beyond this are reported rather than the weights


def diagnosis(model: AbstractModel, value: float, x: Any, y: Any) -> str:
    """Return where the first number that is not finite arose, and a likely cause.

    Args:
        model: The model; the step has not changed its weights.
        value: The loss.
        x: The step's inputs: an array or a list of arrays.
        y: The step's targets: an array or a list of arrays.
    """
    what = f"the loss is {value}" if not np.isfinite(value) else "the gradient is not finite"
    with np.errstate(all="ignore"):
        return f"{what}. {_first(model, value, x, y)} The weights are those before this step."


def _first(model: AbstractModel, value: float, x: Any, y: Any) -> str:
    """Return a sentence on the first place, in the order of computation, and its cause."""
    xs = flatten(x)
    for array in xs:
        if not _is_finite(array):
            return f"An input is {_one(array)}."
    for layer in model.all_layers():
        for variable in layer._variables:
            if not all_finite(variable.value):
                return (
                    f"Weight {variable.name!r} of layer {layer.name!r} is not finite already: "
                    "a user or an earlier run has set it."
                )
    executor = ReferenceExecutor(model.graph(False))
    layers: list[Any] = [one for one in model.all_layers() if getattr(one, "stateful", False)]
    states = [layer.states for layer in layers]
    outputs = executor.forward(xs)
    for layer, before in zip(layers, states, strict=True):
        layer.states = before
    calls = executor.graph.calls
    for call, following in zip(calls, [*calls[1:], None], strict=True):
        if following is not None and following.owner is call.owner and not following.first:
            continue  # a layer is checked as a whole
        for slot in call.outputs:
            output = executor.values[slot]
            if not _is_finite(output):
                return (
                    f"The first such number, {_one(output)}, is in the output of layer "
                    f"{call.owner.name!r}. {_cause(call.owner, xs)}"
                )
    sizes = ", ".join(
        f"{name} reach {_largest(arrays):.3g}"
        for name, arrays in [("inputs", xs), ("targets", flatten(y)), ("outputs", outputs)]
    )
    if not np.isfinite(value):
        return (
            f"{ALL_FINITE}; their loss is not ({sizes}). Scale what "
            "is large, or lower the learning rate."
        )
    return (
        f"{ALL_FINITE}, and so is the loss; the backward pass overflows ({sizes}). "
        "Scale what is large, or clip the gradients (clipnorm=1)."
    )


def _cause(layer: Layer, xs: list[Array]) -> str:
    largest = _largest(variable.value for variable in layer.all_variables())
    inputs = _largest(xs)
    if inputs > _LARGE:
        return f"The inputs reach {inputs:.3g}: scale them, for instance by a Normalization layer."
    return (
        f"Weights reach {largest:.3g}: they have grown too large. Lower the learning rate, or "
        "clip the gradients (clipnorm=1)."
    )


def _largest(arrays: Iterable[Array | None]) -> float:
    """Return the largest magnitude in all arrays, 0 if there is none."""
    return max((float(np.abs(a).max(initial=0)) for a in arrays if a is not None), default=0.0)


def _is_finite(array: Array) -> bool:
    return array.dtype.kind != "f" or all_finite(array)


def _one(array: Array) -> float:
    return float(array[~np.isfinite(array)].flat[0])
